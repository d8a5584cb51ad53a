"""What must a gateway's adapter be able to say? The protocol and its values. An adapter translates; it never decides or stores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Protocol

from ledger.money import Money
from payments.facts import Fact
from payments.states import OperationKind


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


@dataclass(frozen=True, slots=True)
class Command:
    """The frozen request of one operation: everything the adapter needs, nothing secret of ours.

    `gateway_id` is the transaction that a capture, void or refund acts on. `reference` is unique per operation and is
    what the gateway echoes for sale, authorise and refund.
    """

    kind: OperationKind
    reference: str
    money: Money
    credential: str = ""
    gateway_id: str = ""
    payment_id: str = ""
    description: str = ""
    payer_email: str = ""
    repeat_on_purpose: bool = False  # an operator decided that this equal payment is meant: no duplicate check


@dataclass(frozen=True, slots=True)
class WireRequest:
    """One HTTP request as it will go out, without secrets: `send` adds those. `path` is below the account's base URL."""

    method: str
    path: str
    form: Mapping[str, str] = field(default_factory=dict, repr=False)  # sealed, it holds the account's key


@dataclass(frozen=True, slots=True)
class WireAnswer:
    """One HTTP answer as it came in, whole."""

    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class LookUpQuestion:
    """What a look-up is about: one operation of ours. `sent_at` bounds the window, `last_four` narrows it."""

    kind: OperationKind
    reference: str
    money: Money
    gateway_id: str = ""
    sent_at: datetime | None = None
    last_four: str = ""


@dataclass(frozen=True, slots=True)
class LookUpAnswer:
    """What the gateway knows. `answered` False: it gave no usable answer, which proves nothing and is not counted.

    `found` says whether a transaction carrying our reference (or gateway id) exists at all; `facts` are all movements
    and outcomes seen for it, of every kind, so that one look-up of a sale also tells of its later void or settlement.
    `in_progress` True: the gateway itself has not finished. `evidence` is redacted and JSON-able.
    """

    answered: bool
    found: bool = False
    in_progress: bool = False
    facts: tuple[Fact, ...] = ()
    evidence: dict[str, object] = field(default_factory=dict)


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


class Adapter(Protocol):
    """One gateway. Every method is pure translation: no network, no clock, no database."""

    provider: ClassVar[str]
    capabilities: ClassVar[Capabilities]
    assumptions: ClassVar[tuple[str, ...]]  # unverified lines of the fact sheet this adapter rests on
    credential_fields: ClassVar[tuple[str, ...]]  # names below GATEWAY_<SLUG>_, e.g. SECURITY_KEY

    def refuses(self, command: Command) -> str:
        """Why this gateway can not be asked this (currency, amount form…), or an empty string."""
        ...

    def request(self, command: Command) -> WireRequest:
        """The frozen request for an operation."""
        ...

    def answer(self, command: Command, answer: WireAnswer, *, at: datetime) -> Fact:
        """The one fact a synchronous answer states: money of the command's kind, DECLINED, NOT_SENT, DUPLICATE or UNKNOWN."""
        ...

    def look_up_request(self, question: LookUpQuestion) -> WireRequest:
        """How to ask what happened to an operation."""
        ...

    def look_up_answer(self, question: LookUpQuestion, answer: WireAnswer, *, at: datetime) -> LookUpAnswer:
        """What the answer to a look-up says."""
        ...

    def window_request(self, start: datetime, end: datetime, *, page: int) -> WireRequest:
        """How to list everything that changed in a window (back-fill, absence by window)."""
        ...

    def window_answer(self, answer: WireAnswer, *, at: datetime) -> LookUpAnswer:
        """All facts in one page of a window."""
        ...

    def verify_webhook(self, headers: Mapping[str, str], body: bytes, secrets: tuple[str, ...]) -> bool:
        """Is the signature over the raw bytes made with one of the secrets (current, previous)? Header names lower case."""
        ...

    def event_key(self, body: bytes) -> str:
        """The gateway's own id of the event; a digest of the body where it has none or can not be read."""
        ...

    def translate_webhook(self, body: bytes, *, received_at: datetime) -> WebhookMessage:
        """The facts of a verified webhook. Raises Unreadable if it is no message of this gateway."""
        ...

    def with_secrets(self, request: WireRequest, credentials: Mapping[str, str]) -> WireRequest:
        """The request with the account's credentials in place; its result is never stored or logged."""
        ...
