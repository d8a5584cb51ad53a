"""What follows from money having moved? Authorisation and capture here; its way back is in `returns`. Pure."""

from __future__ import annotations

from dataclasses import replace

from ledger.money import Money
from payments.decisions.verdict import Decision, Posting, Verdict, ask, no_op, rest_of
from payments.facts import Fact, FactKind, Snapshot
from payments.states import (
    PAID_STATES,
    AttemptState,
    OperationKind,
    OperationState,
    PaymentState,
    ReviewKind,
    Source,
)

S = PaymentState
# A payment in one of these has sent nothing: money that claims to belong to it has another origin.
_SENT_NOTHING = frozenset({S.INITIATED, S.VALIDATED})
# An attempt in one of these has had its hold, and we know how that ended.
_HELD_BEFORE = frozenset({AttemptState.CAPTURED, AttemptState.VOIDED, AttemptState.LAPSED})
_GIVEN_UP = {
    S.CANCELLED: (ReviewKind.CAPTURED_AFTER_CANCEL, "The gateway captured money for a cancelled payment."),
    S.REFUNDED: (ReviewKind.CAPTURED_AFTER_REFUND, "The gateway captured money after everything had been refunded."),
    S.EXPIRED: (ReviewKind.CAPTURED_AFTER_EXPIRY, "The gateway captured money after the payment had expired."),
    S.CHARGED_BACK: (ReviewKind.SECOND_CAPTURE, "The gateway captured money again after a lost dispute."),
}


def decide_restated(s: Snapshot, fact: Fact) -> Decision:
    """The same movement with another amount: believed from a look-up only, and only the difference is booked."""
    if fact.source != Source.LOOK_UP:
        return ask(
            f"We know this movement as {s.known_money}, the {fact.source} says {fact.money}: the gateway is asked."
        )
    because = f"The gateway's look-up says {fact.money} where {s.known_money} was booked."
    if fact.kind == FactKind.AUTHORISATION:
        held = s.hold is not None and not s.hold.is_zero
        return Decision(
            Verdict.APPLY, because, posting=Posting.HOLD if held else Posting.HOLD_AND_RELEASE, restates=True
        )
    if fact.kind == FactKind.VOID and not _gives_captured_back(s):
        return no_op("A void releases whatever was held, whatever amount it names.")
    other = s.known_money is None or fact.money is None or s.known_money.currency != fact.money.currency
    kind = ReviewKind.CURRENCY_MISMATCH if other else ReviewKind.AMOUNT_MISMATCH
    came_in = fact.kind in {FactKind.CAPTURE, FactKind.REFUND_RETURN}
    posting = Posting.SUSPENSE if came_in else Posting.SUSPENSE_OUT
    return Decision(Verdict.REVIEW, because, posting=posting, review=kind, restates=True)


def _gives_captured_back(s: Snapshot) -> bool:
    return s.captured is not None and not s.captured.is_zero


def decide_nobodys(s: Snapshot, fact: Fact) -> Decision:
    """Money that no payment of ours is known for: parked, later foreign or an orphan."""
    if not s.orphan_due:
        return Decision(Verdict.PARK, "No payment of ours is known for it yet; a webhook can beat our own commit.")
    if s.account_shared:
        return no_op("Foreign: another system shares this gateway account.")
    posting = {
        FactKind.AUTHORISATION: Posting.HOLD,
        FactKind.CAPTURE: Posting.SUSPENSE,
        FactKind.REFUND: Posting.HELD_OUT if s.held else Posting.SUSPENSE_OUT,
        FactKind.VOID: Posting.HELD_OUT if s.held else Posting.HOLD_RELEASE,
        FactKind.REFUND_RETURN: Posting.SUSPENSE,
    }[fact.kind]
    if posting in {Posting.HELD_OUT, Posting.HOLD_RELEASE}:
        return Decision(Verdict.APPLY, "It ends money of nobody that we had booked before.", posting=posting)
    return Decision(
        Verdict.REVIEW,
        "The gateway moved money that no payment of ours explains.",
        posting=posting,
        review=ReviewKind.ORPHAN,
    )


def decide_authorisation(s: Snapshot, fact: Fact) -> Decision:
    """A hold was made at the gateway."""
    state = s.payment_state
    if state in _SENT_NOTHING:
        return _hold_in_review("A hold for a payment that has sent nothing.", ReviewKind.ORPHAN)
    if not s.attempt_is_current:
        return _hold_in_review(
            "A hold came to life on an attempt that had been given up.", ReviewKind.LATE_AUTHORISATION
        )
    if s.same_transaction and s.attempt_state in _HELD_BEFORE:
        return Decision(
            Verdict.APPLY,
            "We hear of the hold only after its end.",
            operation_to=OperationState.SUCCEEDED,
            posting=Posting.HOLD_AND_RELEASE,
        )
    if state in {S.PENDING, S.FAILED} and s.attempt_state not in _HELD_BEFORE:
        return _authorise(s, fact)
    return _hold_in_review(f"A hold came to life for a payment that is {state}.", ReviewKind.LATE_AUTHORISATION)


def _authorise(s: Snapshot, fact: Fact) -> Decision:
    late = s.payment_state == S.FAILED
    if late and s.sibling_active:
        return _hold_in_review(
            "A hold came late, and another payment of this order lives.", ReviewKind.LATE_AUTHORISATION
        )
    differs = s.asked is not None and fact.money != s.asked
    because = f"The gateway holds {fact.money}" + (f" where {s.asked} was asked." if differs else ".")
    if differs and s.accept_partial and _is_less(fact.money, s.asked):
        differs, because = False, f"{because} The payment takes parts."
    return Decision(
        Verdict.REVIEW if differs else Verdict.APPLY,
        because,
        payment_to=S.AUTHORISED,
        attempt_to=AttemptState.AUTHORISED,
        operation_to=OperationState.SUCCEEDED,
        posting=Posting.HOLD,
        review=ReviewKind.AMOUNT_MISMATCH if differs else None,
        late=late,
    )


def _hold_in_review(because: str, kind: ReviewKind) -> Decision:
    return Decision(Verdict.REVIEW, because, operation_to=OperationState.SUCCEEDED, posting=Posting.HOLD, review=kind)


def decide_capture(s: Snapshot, fact: Fact) -> Decision:
    """Money was taken at the gateway."""
    state = s.payment_state
    if state in _SENT_NOTHING:
        return _in_suspense("Money came for a payment that has sent nothing.", ReviewKind.ORPHAN)
    if s.due is not None and fact.money is not None and fact.money.currency != s.due.currency:
        return _in_suspense(f"The gateway took {fact.money}; {s.due} was due.", ReviewKind.CURRENCY_MISMATCH)
    voided = _voided_before_or_after(s, fact) if s.voided_here else None
    if voided is not None:
        return voided
    doubled = s.paid_elsewhere and state != S.PARTIALLY_PAID  # whatever the other money is for
    if state in PAID_STATES or doubled or (not s.attempt_is_current and s.other_attempt_holds):
        return _second_capture()
    if s.hold_alive and not s.same_transaction:
        return replace(
            _in_suspense(
                "Another transaction of this order took money while the hold lives.", ReviewKind.SECOND_CAPTURE
            ),
            attempt_to=None,
        )
    if state in _GIVEN_UP and not (state == S.EXPIRED and _may_still_pay(s, fact)):
        kind, because = _GIVEN_UP[state]
        return _second_capture() if kind == ReviewKind.SECOND_CAPTURE else _in_suspense(because, kind)
    if state == S.FAILED and s.sibling_active:
        return _in_suspense(
            "A payment given up was taken after all, and another payment of this order lives.",
            ReviewKind.LATE_SUCCESS_SIBLING_PAID,
        )
    return _judge_amount(s, fact)


def _judge_amount(s: Snapshot, fact: Fact) -> Decision:
    if s.payment_state == S.PARTIALLY_PAID and _is_less(rest_of(s), fact.money):
        return _second_capture()
    if _is_part(s, fact):
        return _part(s, fact)
    if not _pays(s, fact):
        return _in_suspense(f"The gateway took {fact.money}; {_expected(s)} was asked.", ReviewKind.AMOUNT_MISMATCH)
    return _capture(s, fact)


def _voided_before_or_after(s: Snapshot, fact: Fact) -> Decision | None:
    """A void is known. Was this undone by it, or did it come to life afterwards? None: take it as new money."""
    if fact.source == Source.LOOK_UP and fact.undone:
        return Decision(
            Verdict.APPLY,
            f"We hear of the {fact.money} that were taken only after their void: they went back at once.",
            operation_to=OperationState.SUCCEEDED,
            posting=Posting.CAPTURE_AND_BACK,
        )
    if fact.source == Source.WEBHOOK and not s.orphan_due:
        return ask("A void of this transaction is known: only the gateway's list can tell which of the two came first.")
    return None


def _expected(s: Snapshot) -> object:
    """What was asked of the gateway; without an open question of ours, what is due."""
    return s.asked if s.asked is not None else s.due


def _pays(s: Snapshot, fact: Fact) -> bool:
    return fact.money == (rest_of(s) if s.payment_state == S.PARTIALLY_PAID else _expected(s))


def _may_still_pay(s: Snapshot, fact: Fact) -> bool:
    return s.inside_grace and not s.sibling_active and _pays(s, fact) and not _is_part(s, fact)


def _is_less(money: Money | None, than: Money | None) -> bool:
    same = money is not None and than is not None and money.currency == than.currency
    return same and money.amount_minor < than.amount_minor  # type: ignore[union-attr]  # asked for just above


def _is_part(s: Snapshot, fact: Fact) -> bool:
    """Did less than is due come in where that is allowed? More than was asked is another question, and so is a merchant
    who took less than was held for them: the rest is theirs to leave."""
    if not s.accept_partial or fact.money is None or not fact.money.is_positive or not _is_less(fact.money, rest_of(s)):
        return False
    if s.operation_kind == OperationKind.CAPTURE and (not s.operation_final or _is_less(fact.money, s.hold)):
        return False
    return not _is_less(s.asked, fact.money)


def _part(s: Snapshot, fact: Fact) -> Decision:
    rest = rest_of(s)
    assert rest is not None and fact.money is not None
    late = s.payment_state == S.FAILED
    return Decision(
        Verdict.APPLY,
        f"The gateway took {fact.money}{_belatedly(s, late=late)} {rest - fact.money} is still missing.",
        payment_to=S.PARTIALLY_PAID,
        attempt_to=AttemptState.CAPTURED,
        operation_to=OperationState.SUCCEEDED,
        posting=Posting.PART,
        late=late,
    )


def _capture(s: Snapshot, fact: Fact) -> Decision:
    more_to_come = s.operation_kind == OperationKind.CAPTURE and not s.operation_final
    late = s.payment_state in {S.FAILED, S.EXPIRED}
    return Decision(
        Verdict.APPLY,
        f"The gateway took {fact.money}" + _belatedly(s, late=late),
        payment_to=None if more_to_come else S.CAPTURED,
        attempt_to=None if more_to_come else AttemptState.CAPTURED,
        operation_to=OperationState.SUCCEEDED,
        posting=Posting.CAPTURE,
        late=late,
        keeps_hold=more_to_come,
    )


def _belatedly(s: Snapshot, *, late: bool) -> str:
    if late:
        return ", late, after the payment had been given up."
    return "." if s.attempt_is_current else ", on an attempt that had been given up: the payment is paid by it."


def _second_capture() -> Decision:
    return Decision(
        Verdict.REVIEW,
        "More money was taken than is due: it is owed to the payer until somebody says otherwise.",
        attempt_to=AttemptState.CAPTURED,
        operation_to=OperationState.SUCCEEDED,
        posting=Posting.OVERPAYMENT,
        review=ReviewKind.SECOND_CAPTURE,
    )


def _in_suspense(because: str, kind: ReviewKind) -> Decision:
    return Decision(
        Verdict.REVIEW,
        because,
        attempt_to=AttemptState.CAPTURED,
        operation_to=OperationState.SUCCEEDED,
        posting=Posting.SUSPENSE,
        review=kind,
    )
