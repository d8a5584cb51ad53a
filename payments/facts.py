"""What has been said to us? `Fact` and `Snapshot`: frozen values that gateways speak and decisions read. No behaviour."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from ledger.money import Money
from payments.states import (
    AttemptState,
    Certainty,
    DisputeState,
    FailureClass,
    OperationKind,
    OperationState,
    PaymentState,
    PayoutState,
    RefundState,
    Source,
)


class FactKind(StrEnum):
    """The kinds of statement. Money kinds carry an amount and become a movement; outcome kinds close an operation."""

    # money at the gateway
    AUTHORISATION = "authorisation"
    CAPTURE = "capture"
    VOID = "void"
    REFUND = "refund"
    REFUND_RETURN = "refund_return"
    CHARGEBACK = "chargeback"
    CHARGEBACK_RETURN = "chargeback_return"
    FEE = "fee"
    # the outcome of one operation, without money
    DECLINED = "declined"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"
    ABSENT = "absent"
    EXHAUSTED = "exhausted"
    DUPLICATE = "duplicate"
    ACTION_REQUIRED = "action_required"  # the gateway waits for the payer; `action_url` is where they confirm
    CLOSED = "closed"  # what was open at the gateway can take no money any more
    # what the gateway says of an earlier movement
    SETTLED = "settled"
    HOLD_LAPSED = "hold_lapsed"
    REFUND_FAILED = "refund_failed"  # a refund believed to have succeeded did not, and no money is named for it
    DISPUTE = "dispute"  # where a dispute stands; its money comes as chargeback, chargeback_return and fee
    SETTLEMENT_TOLD = "settlement_told"  # what a movement is worth in settlement money, or only that it is known there
    # our own clock, services and people
    CHECKS_PASSED = "checks_passed"
    NO_ROUTE = "no_route"
    ATTEMPT_OPENED = "attempt_opened"
    CANCEL_ASKED = "cancel_asked"
    CAPTURE_ASKED = "capture_asked"
    REFUND_ASKED = "refund_asked"
    REVIEW_DECIDED = "review_decided"
    REVIEW_OPENED = "review_opened"
    EXPIRY_DUE = "expiry_due"
    RETRY_PLANNED = "retry_planned"
    RETRY_CANCELLED = "retry_cancelled"
    SHORT_ACCEPTED = "short_accepted"  # a person takes less than is due as full payment
    GIVEN_UP = "given_up"  # every attempt has failed and no further step is possible


MONEY_KINDS = frozenset(
    {
        FactKind.AUTHORISATION,
        FactKind.CAPTURE,
        FactKind.VOID,
        FactKind.REFUND,
        FactKind.REFUND_RETURN,
        FactKind.CHARGEBACK,
        FactKind.CHARGEBACK_RETURN,
        FactKind.FEE,
    }
)
# Money that a dispute takes, gives back and costs.
DISPUTE_MONEY = frozenset({FactKind.CHARGEBACK, FactKind.CHARGEBACK_RETURN, FactKind.FEE})
OUTCOME_KINDS = frozenset(
    {
        FactKind.DECLINED,
        FactKind.NOT_SENT,
        FactKind.UNKNOWN,
        FactKind.ABSENT,
        FactKind.EXHAUSTED,
        FactKind.DUPLICATE,
        FactKind.ACTION_REQUIRED,
        FactKind.CLOSED,
    }
)


@dataclass(frozen=True, slots=True)
class DisputeTold:
    """Where a dispute stands by the gateway's word. `money` is what is disputed, which may be a part of the charge."""

    dispute_id: str
    state: DisputeState
    money: Money
    reason: str = ""
    evidence_due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SettlementTold:
    """What one movement is worth in settlement money. `money` is gross and signed; `fee` is positive; rate as reported."""

    settlement_id: str
    money: Money
    fee: Money
    exchange_rate: str = ""
    available_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PayoutTold:
    """Where one payout stands by the gateway's word, at `occurred_at`. `money` below zero: it is taken from our bank.

    `itemised`: the gateway can tell by now what it is made of. `bank_ref` is what the bank's statement will show.
    """

    gateway_id: str
    state: PayoutState  # expected, in_transit, paid or failed: the rest no gateway knows
    money: Money
    made_at: datetime
    occurred_at: datetime
    arrives_on: date | None = None
    bank_ref: str = ""
    failure: str = ""
    itemised: bool = False


@dataclass(frozen=True, slots=True)
class Fact:
    """One normalised statement by one source about one subject.

    `gateway_id` is the canonical id of the money at the gateway (NMI: the transaction id; the kind is the action);
    `reference` is our own reference as the gateway echoes it (the attempt's for sale, authorise, capture and void; the
    refund operation's own for refunds). `handle` is the gateway's name of the whole attempt where it has one besides its
    money (Stripe: the payment intent), also while no money is there yet. `original_gateway_id` names the transaction a
    refund belongs to, where known.
    `occurrence` counts movements of one kind within one transaction (0 the first) where the source lists its whole history;
    None where it tells of one event. `undone`: the listed history shows a void after it. `running_total`: `money` is all
    that this transaction has moved so far, of which the movement is what we do not know yet.
    For refusals: `network_code` and `network_advice` are the card network's own (ISO response code, Mastercard advice code
    or Visa category), `gateway_advice` the gateway's; `retry_after_seconds` is the earliest it allows. `alive`: the
    gateway's object could still take money after this refusal, so that it must be closed before anything else is tried.
    Chargebacks, their return and fees name the charge in `original_gateway_id`.
    `evidence` holds small, redacted, JSON-able facts for the timeline; never a secret, never a card number.
    """

    kind: FactKind
    source: Source
    occurred_at: datetime
    gateway_id: str = ""
    handle: str = ""
    reference: str = ""
    original_gateway_id: str = ""
    about: OperationKind | None = None  # which operation an outcome kind speaks of, where the source says so
    money: Money | None = None
    certainty: Certainty = Certainty.UNKNOWN
    failure_class: FailureClass | None = None
    code: str = ""
    message: str = ""
    batch_id: str = ""
    hold_until: datetime | None = None
    test_mode: bool = False
    occurrence: int | None = None
    undone: bool = False
    running_total: bool = False
    network_code: str = ""
    network_advice: str = ""
    gateway_advice: str = ""
    retry_after_seconds: int | None = None
    alive: bool = False
    action_url: str = ""
    dispute: DisputeTold | None = None
    settlement: SettlementTold | None = None
    evidence: dict[str, object] = field(default_factory=dict)


class SettlementKnown(StrEnum):
    """What we know of the settlement money of the movement that a fact tells of."""

    NO_MOVEMENT = "no_movement"  # the movement itself is not known yet
    NOTHING = "nothing"  # the movement is known, its settlement money is not
    ASKED = "asked"  # as nothing, and the gateway has been asked since the fact
    THIS = "this"  # exactly this was told before
    OTHER = "other"  # something else was told before


@dataclass(frozen=True, slots=True)
class DisputeKnown:
    """What we know of the dispute that a fact is about. Money is net: what was taken less what came back.

    `told_at` is the gateway's time of the word that `state` rests on; None while only money was heard of, or nothing.
    """

    state: DisputeState | None = None  # None: never heard of
    told_at: datetime | None = None
    decided_before: bool = False  # it was won or lost once, whatever it is now
    says_more: bool = False  # the fact names another amount, reason or due date than we know
    case_open: bool = False  # a person is asked about it already
    standing: Money | None = None  # this dispute's money
    lost_elsewhere: Money | None = None  # the payment's other disputes that were lost, in the payment's currency


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything `decide` may know: read under the payment's lock, or empty when no payment of ours is meant.

    Amounts are sums of movements, in the payment's currency. `known_money` is what we already hold for the same
    movement (account, gateway id, kind) over all revisions; None if it is new. `asked` is what the operation in
    question requested. `held` is what open reviews hold of this subject's money on 2050 or 2040.
    """

    payment_state: PaymentState | None = None
    due: Money | None = None
    hold: Money | None = None  # what is still held of this transaction; None or zero: nothing
    accept_partial: bool = False  # a part may come in alone
    captured: Money | None = None
    refunded: Money | None = None  # refunds and voids of captured money that happened at the gateway
    lost: Money | None = None  # what lost disputes took of the part that a partially paid payment had
    attempt_state: AttemptState | None = None
    attempt_is_current: bool = False
    attempt_alive: bool = (
        False  # the payer, or the gateway's own object, can still take money on it without a call of ours
    )
    attempt_refused: bool = False  # it was refused already, and is only being closed
    paid_elsewhere: bool = False  # money that another attempt took is here and has not gone back
    other_attempt_holds: bool = False  # another attempt of the payment holds or has taken money
    same_transaction: bool = True  # the fact's gateway id is the one the attempt already has, or the attempt has none
    operation_kind: OperationKind | None = None
    operation_state: OperationState | None = None
    operation_final: bool = True
    operation_has_refund: bool = False
    refund_ended: bool = False  # that refund has succeeded or been freed already: nothing is reserved for it any more
    refund_of_review: bool = False  # it gives back money of a review, which is no part of the payment's amounts
    promised: bool = False  # a refund of just this sum of this transaction is approved, and nothing was sent for it
    undoes_refund: bool = False  # the fact's transaction is a refund that we know
    voided_here: bool = False  # a void of the fact's transaction is known, booked as the end of its hold
    moved_away: bool = False  # money of the fact's transaction pays another payment, by somebody's decision
    nothing_here: bool = False  # no movement of the fact's transaction is known
    hold_alive: bool = False  # something of this payment is still held at the gateway
    asked: Money | None = None
    known_money: Money | None = None
    held: Money | None = None
    came_back: bool = False  # a void is known, and money of the same transaction came to life after it
    cancel_requested: bool = False
    nothing_open: bool = True
    inside_grace: bool = True
    sibling_active: bool = False
    every_capture_settled: bool = False
    movement_settled: bool = False  # what the fact's transaction moved stands in a closed batch already
    refund_open: bool = False  # an operation that gives money back is planned, sent or unknown
    account_live: bool = False
    account_shared: bool = False
    orphan_due: bool = False  # parked long enough: this is nobody's money
    dispute: DisputeKnown | None = None  # for facts about disputes
    refund_back: RefundState | None = None  # of the refund that the fact says came back
    settlement: SettlementKnown = SettlementKnown.NO_MOVEMENT
