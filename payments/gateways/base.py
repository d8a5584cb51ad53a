"""What must a gateway's adapter be able to say? The protocol and its values. An adapter translates; it never decides or stores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Protocol

from ledger.money import Money
from payments.facts import Fact, PayoutTold
from payments.states import Certainty, FailureClass, OperationKind


@dataclass(frozen=True, slots=True)
class AbsenceRule:
    """When does "not found" mean "never happened"? `lookups` answered and `earliest_seconds` after done_before; 0 = never."""

    lookups: int
    earliest_seconds: int


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the gateway can do; unsupported operations are absent here, not stubbed."""

    operations: frozenset[OperationKind]
    settlement: str  # payouts | batches | direct | none
    answer_is_final: bool  # may the synchronous answer of a sale be believed?
    multi_capture: bool
    refund_before_settlement: bool  # False: void the whole before settlement, refund after
    absence: AbsenceRule
    reports_fees: bool
    hold_days: int
    verified: bool = True  # False: parts of its wire contract are assumed; people see "contract unconfirmed"
    issues_reusable: bool = False  # it turns a single-use token into a reusable credential when first used
    asks_payer: bool = False  # it may send the payer to their bank, and what is open there can be closed
    vague_codes: frozenset[str] = frozenset()  # refusals that may hide a block by the gateway itself; its record tells
    lists_window: bool = True  # it can list what changed in a window; False: no back-fill, no probe by listing
    reports: frozenset[str] = frozenset()  # the `ReportQuestion.what` it answers; empty: its reports come as files


@dataclass(frozen=True, slots=True)
class Command:
    """The frozen request of one operation: everything the adapter needs, nothing secret of ours.

    `gateway_id` is the transaction that a capture, void or refund acts on; `handle` is what the gateway calls the attempt
    where that is another thing (Stripe: the payment intent). `reference` is unique per operation and is what the gateway
    echoes for sale, authorise and refund.
    """

    kind: OperationKind
    reference: str
    money: Money
    credential: str = ""
    gateway_id: str = ""
    handle: str = ""
    payment_id: str = ""
    description: str = ""
    payer_email: str = ""
    repeat_on_purpose: bool = False  # an operator decided that this equal payment is meant: no duplicate check
    final: bool = True  # a capture after which the rest of the hold is released
    reusable: bool = False  # the credential is a stored one, not a single-use token
    store: bool = False  # exchange the single-use token for a reusable credential along with this call
    initiated_by: str = "customer"  # customer | merchant, the networks' stored-credential flag
    stored_credential: str = ""  # "" | stored (first use, with consent) | used (a later one)
    network_transaction_id: str = ""  # of the first use, which later ones refer to
    return_url: str = ""  # where the gateway sends the payer back to
    customer: str = ""  # the gateway's own customer of a stored credential, where it needs one


@dataclass(frozen=True, slots=True)
class WireRequest:
    """One HTTP request as it will go out, without secrets: `speak` adds those. `path` is below the account's base URL.

    At most one of `form`, `json` and `content` is set. `headers` must hold no secret before `speak`.
    """

    method: str
    path: str
    form: Mapping[str, str] = field(default_factory=dict, repr=False)  # sealed, it holds the account's key
    json: Mapping[str, object] | None = field(default=None, repr=False)
    content: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class WireAnswer:
    """One HTTP answer as it came in, whole."""

    status: int
    content_type: str
    body: bytes


Send = Callable[[WireRequest], WireAnswer]
"""The one HTTP client, bound to an account's address and to the time of one call."""


@dataclass(frozen=True, slots=True)
class CardShown:
    """What a gateway tells of a card. `fingerprint` is its own, the same for the same card; expiry is year and month."""

    brand: str = ""
    last_four: str = ""
    expires: tuple[int, int] | None = None
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class Issued:
    """What an answer gave us for later: kept with the payment method, never in a fact, log or page."""

    credential: str = field(default="", repr=False)  # reusable; empty: none was issued
    customer: str = field(default="", repr=False)
    network_transaction_id: str = ""
    card: CardShown | None = None


@dataclass(frozen=True, slots=True)
class CodeMeaning:
    """One code of a gateway's sheet: its words, what it means to the business, and whether money may have moved.

    `retry_after_seconds`: the earliest that this code allows. People may change the class; the certainty is the wire's.
    """

    failure_class: FailureClass
    certainty: Certainty
    text: str = ""
    retry_after_seconds: int | None = None
    revokes: bool = False  # the payer's consent to later charges is withdrawn: schedules stop


@dataclass(frozen=True, slots=True)
class LookUpQuestion:
    """What a look-up is about: one operation of ours. `sent_at` bounds the window, `last_four` narrows it.

    `cursor` is the last answer's `next_cursor`, where one page of the gateway's list was not enough.
    """

    kind: OperationKind
    reference: str
    money: Money
    gateway_id: str = ""
    handle: str = ""
    sent_at: datetime | None = None
    last_four: str = ""
    cursor: str = ""


@dataclass(frozen=True, slots=True)
class LookUpAnswer:
    """What the gateway knows. `answered` False: it gave no usable answer, which proves nothing and is not counted.

    `found` says whether a transaction carrying our reference (or gateway id) exists at all; `facts` are all movements
    and outcomes seen for it, of every kind, so that one look-up of a sale also tells of its later void or settlement.
    `in_progress` True: the gateway itself has not finished. `evidence` is redacted and JSON-able.
    `next_cursor`: the list goes on from there; a look-up that was not found so far is asked again with it. `last`: the
    gateway says itself that no page of the window follows; where it does not, an empty page is the last. `issued`: what the
    collecting call that was asked about gave us for later, and shows of the card; it goes into no evidence.
    """

    answered: bool
    found: bool = False
    in_progress: bool = False
    facts: tuple[Fact, ...] = ()
    evidence: dict[str, object] = field(default_factory=dict)
    next_cursor: str = ""
    last: bool = False
    issued: Issued | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class WebhookMessage:
    """A verified webhook, translated. `understood` False: an unknown kind, kept and visible, with the reason.

    `batch_failed`: the gateway could not settle a batch and names none of its transactions; somebody has to know.
    """

    event_type: str
    facts: tuple[Fact, ...] = ()
    understood: bool = True
    reason: str = ""
    batch_failed: bool = False
    payouts: tuple[PayoutTold, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportQuestion:
    """Which part of a gateway's own books is asked for, page by page. Both ends of the window count, in whole seconds.

    `what`: "balance" is what changed the balance, by window or, with `payout_id`, all that one payout is made of;
    "payouts" are the payouts made in the window; "window" the transactions that last changed in it. `page` counts from 0;
    `cursor` is the `next_cursor` of the page before, for gateways that page by it.
    """

    what: str
    start: datetime | None = None
    end: datetime | None = None
    payout_id: str = ""
    cursor: str = ""
    page: int = 0


@dataclass(frozen=True, slots=True)
class ReportPage:
    """One page of a gateway's books. Rows are JSON-able, as its source below reconciliation reads them, without secrets.

    `last`: no page follows. `total` is how many rows the gateway says there are in all; None: it does not say.
    `payouts` are those that the rows of a "payouts" question tell of. `places`, for gateways that page by number, are where
    everything on the page stands in the gateway's own order: only while they grow, no row can have slipped between two pages.
    """

    rows: tuple[Mapping[str, object], ...]
    next_cursor: str = ""
    last: bool = False
    total: int | None = None
    payouts: tuple[PayoutTold, ...] = ()
    places: tuple[int, ...] = ()


class Adapter(Protocol):
    """One gateway. Every method is pure translation: no network, no clock, no database."""

    provider: ClassVar[str]
    capabilities: ClassVar[Capabilities]
    assumptions: ClassVar[tuple[str, ...]]  # unverified lines of the fact sheet this adapter rests on
    credential_fields: ClassVar[tuple[str, ...]]  # names below GATEWAY_<SLUG>_, e.g. SECURITY_KEY
    codes: ClassVar[Mapping[str, CodeMeaning]]  # every refusal code of its sheet, as facts carry it in `code`
    webhook_answer: ClassVar[bytes]  # the body of our 200 to its webhooks

    def refuses(self, command: Command) -> str:
        """Why this gateway can not be asked this (currency, amount form…), or an empty string."""
        ...

    def request(self, command: Command) -> WireRequest:
        """The frozen request for an operation."""
        ...

    def answer(self, command: Command, answer: WireAnswer, *, at: datetime) -> Fact:
        """The one fact a synchronous answer states: money of the command's kind, DECLINED, NOT_SENT, DUPLICATE or UNKNOWN."""
        ...

    def issued(self, command: Command, answer: WireAnswer) -> Issued | None:
        """The reusable credential, network transaction id and card that an answer tells of; None where it tells nothing."""
        ...

    def look_up_request(self, question: LookUpQuestion) -> WireRequest:
        """How to ask what happened to an operation."""
        ...

    def look_up_answer(self, question: LookUpQuestion, answer: WireAnswer, *, at: datetime) -> LookUpAnswer:
        """What the answer to a look-up says."""
        ...

    def window_request(self, start: datetime, end: datetime, *, page: int, cursor: str = "") -> WireRequest:
        """How to list everything that changed in a window (back-fill, absence by window).

        Pages count from 0; `cursor` is the `next_cursor` of the page before, for gateways that page by it.
        """
        ...

    def window_answer(self, answer: WireAnswer, *, at: datetime) -> LookUpAnswer:
        """All facts in one page of a window."""
        ...

    def report_request(self, question: ReportQuestion) -> WireRequest:
        """How to ask for one page of a report. Raises ValueError for what `capabilities.reports` does not name."""
        ...

    def report_answer(self, question: ReportQuestion, answer: WireAnswer, *, at: datetime) -> ReportPage:
        """One page of a report. Raises Unreadable: a page is whole or none, since what is missing would become a break."""
        ...

    def verify_webhook(
        self, headers: Mapping[str, str], body: bytes, secrets: tuple[str, ...], *, at: datetime | None = None
    ) -> bool:
        """Is the signature over the raw bytes made with one of the secrets (current, previous)? Header names lower case.

        `at` is when it came, for gateways whose signatures grow old; None judges the signature alone.
        """
        ...

    def event_key(self, body: bytes) -> str:
        """The gateway's own id of the event; a digest of the body where it has none or can not be read."""
        ...

    def translate_webhook(self, body: bytes, *, received_at: datetime) -> WebhookMessage:
        """The facts of a verified webhook. Raises Unreadable if it is no message of this gateway."""
        ...

    def probe_request(self) -> WireRequest:
        """A question that reads only and that a healthy gateway answers: asked before a breaker lets a payment through."""
        ...

    def probe_answer(self, answer: WireAnswer) -> bool:
        """Did the gateway answer the probe as a healthy one does?"""
        ...

    def speak(self, request: WireRequest, credentials: Mapping[str, str], send: Send) -> WireAnswer:
        """The request with the account's credentials in place, sent once by `send`: by hand, or through the official SDK.

        `credentials` are by upper-case field, BASE_URL included. What it hands to `send` is never stored or logged. It adds
        no retry of its own. Raises KeyError if a credential is missing, before anything could be sent, and whatever
        `send` raises (NotSent, OutcomeUnknown).
        """
        ...
