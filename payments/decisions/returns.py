"""What follows from money going back? Voids and refunds, ours and those made elsewhere. Pure."""

from __future__ import annotations

from payments.decisions.verdict import Decision, Posting, Verdict, ask, no_op
from payments.facts import Fact, FactKind, Snapshot
from payments.states import (
    PAID_STATES,
    AttemptState,
    OperationState,
    PaymentState,
    RefundState,
    ReviewKind,
    Source,
)

S = PaymentState
_RETURNS_FROM = PAID_STATES | {S.PARTIALLY_PAID}


def decide_void(s: Snapshot, fact: Fact) -> Decision:
    """A transaction was undone before settlement: a hold was released, or captured money given back whole."""
    if s.undoes_refund:
        return _refund_came_back(fact)
    if s.moved_away:
        return _beyond_cap(f"{fact.money} went back, and they had been given to another payment.")
    if s.nothing_here and fact.source != Source.LOOK_UP and not s.orphan_due:
        return ask("The gateway voided a transaction of which we know nothing: it is asked what came before.")
    if s.promised or (s.operation_has_refund and not s.refund_ended):
        return _our_refund(s, fact)
    if _covers(s, fact):
        return _held_money_went_back(s, fact)
    if s.hold is not None and not s.hold.is_zero:
        return _release(s)
    if _captured_left(s, fact) is not None:
        return _captured_money_went_back(s, fact)
    if fact.source != Source.LOOK_UP and not s.orphan_due:
        return ask("The gateway voided something we hold no money for: it is asked what came before.")
    return Decision(
        Verdict.APPLY,
        "The gateway voided a transaction that had taken nothing we know of.",
        payment_to=S.CANCELLED if s.payment_state == S.PENDING and _is_the_attempts(s) else None,
        attempt_to=_void_if_live(s),
        operation_to=OperationState.SUCCEEDED,
        posting=Posting.HOLD_AND_RELEASE,
    )


def _void_if_live(s: Snapshot) -> AttemptState | None:
    live = {AttemptState.OPEN, AttemptState.AUTHORISED, AttemptState.CAPTURED}
    return AttemptState.VOIDED if s.attempt_state in live and s.same_transaction else None


def _is_the_attempts(s: Snapshot) -> bool:
    """Is this the transaction that the payment lives by? Another one may bear the same order id."""
    return s.attempt_is_current and s.same_transaction


def _release(s: Snapshot) -> Decision:
    ends_payment = s.payment_state == S.AUTHORISED and _is_the_attempts(s)
    return Decision(
        Verdict.APPLY,
        "The hold is released at the gateway" + ("; nothing was taken." if ends_payment else "."),
        payment_to=S.CANCELLED if ends_payment else None,
        attempt_to=_void_if_live(s),
        operation_to=OperationState.SUCCEEDED,
        posting=Posting.HOLD_RELEASE,
    )


def _covers(s: Snapshot, fact: Fact) -> bool:
    """Is this the money that an open review holds of the same transaction?"""
    if s.held is None or fact.money is None or s.held.currency != fact.money.currency:
        return False
    return s.held.amount_minor >= fact.money.amount_minor > 0


def _held_money_went_back(s: Snapshot, fact: Fact) -> Decision:
    """The question is answered. A payment that waited for the answer, and has nothing else at the gateway, has ended."""
    undone = fact.kind == FactKind.VOID
    waited = s.payment_state in {S.PENDING, S.AUTHORISED} and s.attempt_is_current
    ends = waited and s.held == fact.money and not s.hold_alive
    ended_as = S.CANCELLED if undone or s.cancel_requested else S.FAILED
    return Decision(
        Verdict.APPLY,
        "The money under review went back at the gateway.",
        payment_to=ended_as if ends else None,
        attempt_to=_void_if_live(s) if undone else None,
        operation_to=OperationState.SUCCEEDED,
        posting=Posting.HELD_OUT,
    )


def _captured_left(s: Snapshot, fact: Fact) -> int | None:
    """Minor units of captured money not yet gone back; None if there is none to speak of in this currency."""
    if s.captured is None or fact.money is None or s.captured.currency != fact.money.currency:
        return None
    gone = sum(money.amount_minor for money in (s.refunded, s.lost) if money is not None)
    left = s.captured.amount_minor - gone
    return left if left > 0 else None


def _captured_money_went_back(s: Snapshot, fact: Fact) -> Decision:
    left = _captured_left(s, fact)
    assert fact.money is not None
    if left is None or s.payment_state not in _RETURNS_FROM or s.attempt_state is None:
        return _beyond_cap(f"{fact.money} went back, and the payment has nothing to give.")
    if fact.money.amount_minor > left:
        if s.payment_state == S.PARTIALLY_PAID and fact.kind == FactKind.VOID and not _is_final_word(s, fact):
            return ask("The gateway voided more than we know of: it is asked what was taken before.")
        return _beyond_cap(f"{fact.money} went back, more than was left of what had been captured.")
    return Decision(
        Verdict.APPLY,
        f"{fact.money} went back at the gateway, not on our request.",
        payment_to=_without_money(s) if fact.money.amount_minor == left else None,
        attempt_to=None,
        operation_to=OperationState.SUCCEEDED,
        posting=Posting.REFUND_EXTERNAL,
    )


def _is_final_word(s: Snapshot, fact: Fact) -> bool:
    """The gateway's own list, or a webhook about which it was asked long enough."""
    return fact.source == Source.LOOK_UP or s.orphan_due


def _without_money(s: Snapshot) -> PaymentState:
    """All that was taken has gone back: the end of what was paid; of a part only, the payment is where it was before."""
    return S.PENDING if s.payment_state == S.PARTIALLY_PAID else S.REFUNDED


def _beyond_cap(because: str) -> Decision:
    return Decision(
        Verdict.REVIEW,
        because,
        operation_to=OperationState.SUCCEEDED,
        posting=Posting.SUSPENSE_OUT,
        review=ReviewKind.REFUND_BEYOND_CAP,
    )


def decide_refund(s: Snapshot, fact: Fact) -> Decision:
    """Money went back by a refund."""
    if s.promised or (s.operation_has_refund and not s.refund_ended):
        return _our_refund(s, fact)
    if s.due is not None and fact.money is not None and fact.money.currency != s.due.currency and not _covers(s, fact):
        return Decision(
            Verdict.REVIEW,
            f"{fact.money} went back; the payment is in {s.due.currency}.",
            posting=Posting.SUSPENSE_OUT,
            review=ReviewKind.CURRENCY_MISMATCH,
        )
    if s.refund_open:
        return Decision(
            Verdict.PARK, "A refund of ours is on its way: this may be its money. Parked until that has ended."
        )
    if _covers(s, fact):
        return _held_money_went_back(s, fact)
    if s.payment_state not in _RETURNS_FROM and fact.source != Source.LOOK_UP and not s.orphan_due:
        return ask(f"The gateway refunded a payment that is {s.payment_state}: it is asked what came before.")
    return _captured_money_went_back(s, fact)


def _our_refund(s: Snapshot, fact: Fact) -> Decision:
    """The movement of a refund we asked for, by void or refund; judged against what was asked."""
    differs = s.asked is not None and fact.money != s.asked
    left = _captured_left(s, fact)
    done = left is not None and fact.money is not None and fact.money.amount_minor >= left and not s.refund_of_review
    return Decision(
        Verdict.REVIEW if differs else Verdict.APPLY,
        f"{fact.money} went back to the payer" + (f"; {s.asked} was asked." if differs else "."),
        payment_to=S.REFUNDED if done and s.payment_state in _RETURNS_FROM else None,
        attempt_to=_void_if_live(s) if fact.kind == FactKind.VOID else None,
        operation_to=OperationState.SUCCEEDED,
        refund_to=RefundState.SUCCEEDED,
        posting=Posting.REFUND,
        review=ReviewKind.AMOUNT_MISMATCH if differs else None,
    )


def _refund_came_back(fact: Fact) -> Decision:
    """A refund was undone before it was settled: the money is with us again, and still owed to the payer."""
    return Decision(
        Verdict.REVIEW,
        f"A refund of {fact.money} was voided at the gateway: the money came back, and the payer has not got it.",
        posting=Posting.SUSPENSE,
        review=ReviewKind.REFUND_FAILED,
    )


def decide_refund_return(s: Snapshot, fact: Fact) -> Decision:
    """A refund that had succeeded came back: the money is with us again, and still owed to the payer."""
    if not s.undoes_refund and fact.source == Source.WEBHOOK and not s.orphan_due:
        return Decision(Verdict.PARK, "A refund is said to have come back, and it is not known to have gone out yet.")
    return Decision(
        Verdict.REVIEW,
        f"A refund of {fact.money} came back: the payer has not got it"
        + (f" ({fact.message})." if fact.message else "."),
        refund_to=RefundState.RETURNED if s.refund_back == RefundState.SUCCEEDED else None,
        posting=Posting.SUSPENSE,
        review=ReviewKind.REFUND_RETURNED,
    )


def decide_refund_failed(s: Snapshot, _fact: Fact) -> Decision:
    """Left over when no refund is known that it could mean; what means one was spelled out as its return or its refusal."""
    if not s.orphan_due:
        return Decision(Verdict.PARK, "A refund is said to have failed that is not known yet.")
    return no_op("No refund of ours is known that it could mean.")
