"""What can a decision say? `Decision` and its parts: frozen values that `record_fact` carries out to the letter."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ledger.money import Money
from payments.facts import Snapshot
from payments.states import AttemptState, DisputeState, OperationState, PaymentState, RefundState, ReviewKind


class Verdict(StrEnum):
    APPLY = "apply"  # do what the decision names
    NO_OP = "no_op"  # known already, or nothing to do, because…
    ASK = "ask"  # look up at the gateway first, then decide on that
    REVIEW = "review"  # booked, and a person says what it is for
    PARK = "park"  # keep until we know more


class Posting(StrEnum):
    """By which entry is the money of a fact booked? `accounting.entry_for` knows the accounts."""

    NONE = "none"
    HOLD = "hold"  # memo: the gateway holds it
    HOLD_AND_RELEASE = "hold_and_release"  # memo: a hold we hear of after its end
    HOLD_RELEASE = "hold_release"  # memo: what was held is free
    CAPTURE = "capture"  # receivable from the gateway against sales
    PART = "part"  # receivable against what is held until the rest of it comes
    PART_OWED = "part_owed"  # no rest will come: what had come in is owed back; no money moves
    SHORT_ACCEPTED = "short_accepted"  # what came in counts as all of it; no money moves
    CAPTURE_AND_BACK = "capture_and_back"  # money taken that we hear of after its void
    SUSPENSE = "suspense"  # receivable against suspense, a review says what it is for
    OVERPAYMENT = "overpayment"  # receivable against what we owe the payer
    REFUND = "refund"  # a reserved refund went out
    REFUND_EXTERNAL = "refund_external"  # captured money went back, not by us
    HELD_OUT = "held_out"  # money under review went back at the gateway
    SUSPENSE_OUT = "suspense_out"  # money went back that we never knew to have
    REFUND_FREED = "refund_freed"  # a reserved refund was refused for good
    CHARGEBACK = "chargeback"  # a dispute took it: a claim until that is decided
    CHARGEBACK_LOST = "chargeback_lost"  # taken by a dispute that is known to be lost
    CHARGEBACK_RETURN = "chargeback_return"  # the claim is paid
    CHARGEBACK_RETURN_LOST = "chargeback_return_lost"  # given back by a dispute that counts as lost: less of a loss
    DISPUTE_LOST = "dispute_lost"  # the claim is a loss; no money moves
    DISPUTE_REOPENED = "dispute_reopened"  # the loss is a claim again; no money moves
    DISPUTE_FEE = "dispute_fee"  # what the gateway charges for a dispute; negative when it gives it back


@dataclass(frozen=True, slots=True)
class Decision:
    """One answer. `because` is a sentence for people. `restates` books only the difference to what we knew."""

    verdict: Verdict
    because: str
    payment_to: PaymentState | None = None
    attempt_to: AttemptState | None = None
    operation_to: OperationState | None = None
    refund_to: RefundState | None = None
    dispute_to: DisputeState | None = None  # also where it stays what it is, and the fact says more of it
    posting: Posting = Posting.NONE
    review: ReviewKind | None = None
    restates: bool = False
    late: bool = False
    cancel_requested: bool = False
    settles_movement: bool = False
    keeps_alive: bool = False  # the attempt stays open: money can still be taken on it without a call of ours
    keeps_hold: bool = False  # only the captured part of the hold is released


def no_op(because: str) -> Decision:
    return Decision(Verdict.NO_OP, because)


def ask(because: str) -> Decision:
    return Decision(Verdict.ASK, because)


def rest_of(s: Snapshot) -> Money | None:
    """What is still to come of what is due; None where no payment of ours is meant."""
    if s.due is None or s.captured is None:
        return s.due
    rest = s.due - s.captured
    for gone in (s.refunded, s.lost):
        rest = rest + gone if gone is not None else rest
    return rest
