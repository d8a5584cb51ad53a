"""How is a decision carried out? Movement, entry, machines, review, refund: all inside the caller's transaction, under the
payment's lock. It decides nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from ledger.money import Money
from ledger.services import post_entries
from payments.accounting import SUSPENSE, Booking, entry_for
from payments.decisions import Decision, Posting
from payments.facts import MONEY_KINDS, Fact, FactKind
from payments.models import Attempt, Movement, Operation, Payment, Refund
from payments.services.case import (
    Case,
    held_hold,
    known_money,
    movement_time,
    next_occurrence,
    part_money,
    reviews_holding,
)
from payments.services.cases import answer_reviews, give_back, open_review, settle_review
from payments.services.clocks import RETRY_SECONDS, set_operation_clock
from payments.services.disputes import (
    ABOUT_DISPUTES,
    TURNS,
    book_turn,
    dispute_id,
    end_dispute_step,
    keep_dispute,
    payment_reopens,
    reopen_payment,
)
from payments.services.methods import record_block
from payments.services.moves import ATTEMPT_MOVES, OPERATION_MOVES, PAYMENT_MOVES, REFUND_MOVES, drop_retries
from payments.services.parts import answers_case, book_short, freed_to, owe_part, uncount
from payments.services.refund_returns import external_refund
from payments.services.settlement import keep_settlement, tell
from payments.states import (
    COLLECTING,
    AttemptState,
    Certainty,
    FailureClass,
    MovementKind,
    OperationState,
    PaymentState,
    RefundState,
    ReviewKind,
    Waits,
)

# Ends a hold, unless the decision keeps what is left of it for further captures.
_ENDS_HOLD = frozenset({Posting.HOLD_RELEASE, Posting.CAPTURE, Posting.PART, Posting.SUSPENSE, Posting.OVERPAYMENT})
_OF_PARTS = frozenset({Posting.PART_OWED, Posting.SHORT_ACCEPTED})
_ABOUT_HOLDS = frozenset(
    {ReviewKind.LATE_AUTHORISATION, ReviewKind.HOLD_ENDING, ReviewKind.VOID_FAILED, ReviewKind.CAPTURE_FAILED}
)
_REFUSALS = frozenset({FactKind.DECLINED, FactKind.NOT_SENT, FactKind.ABSENT})
_GOES_BACK = frozenset({Posting.REFUND, Posting.REFUND_EXTERNAL})
# Part of the payment's amounts. Money under review is not, nor what a review gives back of it.
_COUNTS = _GOES_BACK | {
    Posting.CAPTURE,
    Posting.PART,
    Posting.HOLD,
    Posting.HOLD_AND_RELEASE,
    Posting.HOLD_RELEASE,
    Posting.CHARGEBACK,
    Posting.CHARGEBACK_LOST,
    Posting.CHARGEBACK_RETURN,
    Posting.CHARGEBACK_RETURN_LOST,
    Posting.DISPUTE_FEE,
}


@dataclass(frozen=True, slots=True)
class Done:
    """What was written beside the machines."""

    movements: tuple[Movement, ...] = ()
    entry_source_key: str = ""


def carry_out(case: Case, fact: Fact, decision: Decision, *, now: datetime, actor: str) -> Done:
    """Write what the decision names. Idempotent on nothing: `record_fact` has asked for novelty before."""
    keep_dispute(case, fact, decision, now)
    done = _book(case, fact, decision, now=now, actor=actor)
    if decision.settles_movement:
        _settle(case, fact, now)
    if fact.kind == FactKind.SETTLEMENT_TOLD and fact.settlement is not None:
        keep_settlement(case, fact)
    _move_operation(case, fact, decision, now)
    _move_attempt(case, fact, decision, now)
    _move_refund(case, fact, decision, now)
    if decision.review is not None:
        open_review(case, fact, decision, now=now)
    _move_payment(case, fact, decision, now)
    end_dispute_step(case, now)
    return done


# --- movement and entry -----------------------------------------------------------------------------------------------


def _book(case: Case, fact: Fact, decision: Decision, *, now: datetime, actor: str) -> Done:
    if decision.posting == Posting.NONE:
        return Done()
    if decision.posting in TURNS:
        booking = _booking(case, fact, "", hold=None, actor=actor, now=now)
        return Done(entry_source_key=book_turn(case, fact, decision, booking, now))
    if fact.kind not in MONEY_KINDS:
        return _book_without_movement(case, fact, decision, now=now, actor=actor)
    assert fact.money is not None
    hold = held_hold(case, fact.gateway_id)
    movements = []
    for money in _parts(case, fact, decision):
        movement = _movement(case, fact, decision, money, now)
        released = _released(hold, money, decision)
        booking = _booking(case, fact, movement.entry_source_key, hold=released, actor=actor, now=now)
        draft = entry_for(decision.posting, money, booking)
        assert draft is not None
        post_entries([draft], now=now)
        movement.save()
        case.movements.append(movement)
        movements.append(movement)
    _end_hold(case, fact, decision, now)
    if decision.posting == Posting.HELD_OUT:
        give_back(case, fact, fact.money, now)
    return Done(tuple(movements), movements[0].entry_source_key)


def _released(hold: Money | None, money: Money, decision: Decision) -> Money | None:
    """What of the hold ends with this movement: all of it, or only the part that was taken."""
    if not decision.keeps_hold or hold is None or hold.currency != money.currency:
        return hold
    return min(hold, money, key=lambda part: part.amount_minor)


def _parts(case: Case, fact: Fact, decision: Decision) -> list[Money]:
    """One amount, or for a restated movement the difference: two when the currency itself was restated."""
    assert fact.money is not None
    known = known_money(case, fact.gateway_id, MovementKind(fact.kind.value), occurrence=fact.occurrence)
    if not decision.restates or known is None:
        return [fact.money]
    if known.currency == fact.money.currency:
        return [fact.money - known]
    return [-known, fact.money]


def _movement(case: Case, fact: Fact, decision: Decision, money: Money, now: datetime) -> Movement:
    kind = MovementKind(fact.kind.value)
    occurrence = fact.occurrence if fact.occurrence is not None else next_occurrence(case, fact)
    if decision.restates:
        occurrence = fact.occurrence or 0
    revision = sum(1 for m in case.of_transaction(fact.gateway_id, kind) if m.occurrence == occurrence)
    refund = _refund_meant(case)
    if decision.posting == Posting.REFUND_EXTERNAL:
        refund = external_refund(case, fact, money, now)
    attempt = case.attempt
    suffix = (f":{occurrence}" if occurrence else "") + (f":r{revision}" if revision else "")
    movement = Movement(
        gateway_account=case.account,
        gateway_id=fact.gateway_id,
        kind=kind,
        occurrence=occurrence,
        revision=revision,
        payment=case.payment,
        attempt=attempt,
        operation=case.operation,
        refund=refund,
        amount_minor=money.amount_minor,
        currency=money.currency,
        of_captured_money=kind == MovementKind.VOID and decision.posting in _GOES_BACK,
        counts=decision.posting in _COUNTS and not (refund is not None and refund.review_id),
        occurred_at=movement_time(fact, now),
        posted_at=now,
        entry_source_key=f"movement:{case.account.slug}:{fact.gateway_id}:{kind}{suffix}",
        released_at=now if decision.posting == Posting.HOLD_AND_RELEASE else None,
        dispute=case.dispute,
    )
    if fact.settlement is not None:
        tell(movement, fact.settlement)
    return movement


def _refund_meant(case: Case) -> Refund | None:
    """The refund whose call the fact answers, or the one that it has made true by another hand."""
    return case.returning or case.refund_of(case.operation) or case.promised


def _booking(case: Case, fact: Fact, source_key: str, *, hold: Money | None, actor: str, now: datetime) -> Booking:
    payment = case.payment
    holding = reviews_holding(case, fact)
    refund = _refund_meant(case)
    subject = payment.public_id if payment else f"{case.account.slug}:{fact.gateway_id}"
    return Booking(
        source_key=source_key,
        subject=subject,
        description=f"{fact.kind.replace('_', ' ')} {fact.gateway_id}",
        occurred_at=movement_time(fact, now),
        gateway=case.account.slug,
        match_key=subject,
        actor=actor,
        hold=hold,
        asked=refund.money if refund else None,
        held_on=holding[0].held_on if holding else SUSPENSE,
        disputed=dispute_id(fact) if fact.kind in ABOUT_DISPUTES else "",
        partly=payment is not None and payment.state == PaymentState.PARTIALLY_PAID,
        earlier=part_money(case) if payment is not None and payment.accept_partial else None,
    )


def _book_without_movement(case: Case, fact: Fact, decision: Decision, *, now: datetime, actor: str) -> Done:
    """A hold that lapsed, or a reserved refund refused for good: booked by their own key, no money moved."""
    if decision.posting in _OF_PARTS:
        booking = _booking(case, fact, "", hold=None, actor=actor, now=now)
        if decision.posting == Posting.PART_OWED:
            return Done(entry_source_key=owe_part(case, booking, now, requested_by=actor))
        return Done(entry_source_key=book_short(case, booking, now))
    hold = held_hold(case, fact.gateway_id)
    refund = case.refund_of(case.operation)
    if decision.posting == Posting.REFUND_FREED:
        assert refund is not None
        key, money = f"refund:{refund.public_id}:freed", refund.money
        held_on = freed_to(refund)
        if held_on and refund.review is None:
            uncount(case, refund)
    else:
        assert case.attempt is not None and hold is not None
        key, money, held_on = f"hold:{case.attempt.public_id}:{fact.gateway_id}:lapsed", hold, ""
    booking = _booking(case, fact, key, hold=hold, actor=actor, now=now)
    booking = Booking(**{**{name: getattr(booking, name) for name in booking.__slots__}, "held_on": held_on})
    draft = entry_for(decision.posting, money, booking)
    assert draft is not None
    post_entries([draft], now=now)
    _end_hold(case, fact, decision, now)
    return Done(entry_source_key=key)


def _end_hold(case: Case, fact: Fact, decision: Decision, now: datetime) -> None:
    if decision.posting not in _ENDS_HOLD or decision.keeps_hold:
        return
    for movement in case.of_transaction(fact.gateway_id, MovementKind.AUTHORISATION):
        if movement.released_at is None:
            movement.released_at = now
            movement.save(update_fields=["released_at"])
    for review in case.reviews:  # a question about a hold that lives no more
        here = review.gateway_id == fact.gateway_id and review.gateway_account_id == case.account.pk
        if review.kind in _ABOUT_HOLDS and here:
            settle_review(review, now, "The hold has ended at the gateway.")


def _settle(case: Case, fact: Fact, now: datetime) -> None:
    for movement in case.of_transaction(fact.gateway_id, MovementKind.CAPTURE, MovementKind.REFUND):
        if movement.settled_at is None:
            movement.settled_at, movement.batch_id = movement_time(fact, now), fact.batch_id
            movement.save(update_fields=["settled_at", "batch_id"])


# --- machines ---------------------------------------------------------------------------------------------------------


def _move_operation(case: Case, fact: Fact, decision: Decision, now: datetime) -> None:
    operation, target = case.operation, decision.operation_to
    if operation is None or target is None:
        return
    if operation.state == target:
        _learn_transaction(operation, fact)
        return
    OPERATION_MOVES[target](operation)
    operation.certainty = _CERTAINTY[target]
    operation.failure_class = fact.failure_class or ""
    operation.code, operation.message = fact.code[:60], fact.message[:300]
    operation.network_code, operation.network_advice = fact.network_code[:10], fact.network_advice[:10]
    operation.gateway_advice = fact.gateway_advice[:40]
    if fact.retry_after_seconds is not None:
        operation.retry_not_before = now + timedelta(seconds=fact.retry_after_seconds)
    operation.gateway_id = fact.gateway_id or operation.gateway_id
    operation.ended_at = None if target == OperationState.UNKNOWN else now
    set_operation_clock(operation, case.account, now)
    operation.save()
    if target == OperationState.DECLINED and fact.failure_class == FailureClass.FRAUD:
        _block_method(case, operation, now)
    if target == OperationState.FAILED and operation.kind in COLLECTING and case.payment is not None:
        _give_token_back(case.payment, operation)
    if target != OperationState.UNKNOWN:
        answer_reviews(case, operation, now)


def _learn_transaction(operation: Operation, fact: Fact) -> None:
    """A call that sent the payer to their bank has no transaction before they have confirmed."""
    if operation.kind in COLLECTING and not operation.gateway_id and fact.gateway_id:
        operation.gateway_id = fact.gateway_id
        operation.save(update_fields=["gateway_id"])


def _give_token_back(payment: Payment, operation: Operation) -> None:
    """It never reached the gateway: a single-use token is as good as new."""
    spent = payment.method.credentials.filter(gateway_account_id=operation.gateway_account_id, reusable=False)
    spent.update(used_at=None)


def _block_method(case: Case, operation: Operation, now: datetime) -> None:
    """A fraud answer blocks the method at every gateway: no route takes it from now on."""
    assert case.payment is not None
    because = f"{case.account.name} answered {operation.code}: {operation.message}"
    record_block(case.payment.method, because=because, by="", now=now)


_CERTAINTY = {
    OperationState.SUCCEEDED: Certainty.TAKEN,
    OperationState.DECLINED: Certainty.REFUSED,
    OperationState.FAILED: Certainty.NOT_SENT,
    OperationState.UNKNOWN: Certainty.UNKNOWN,
}


def _move_attempt(case: Case, fact: Fact, decision: Decision, now: datetime) -> None:
    attempt, target = case.attempt, decision.attempt_to
    if attempt is None:
        return
    tells_id = fact.kind in {FactKind.AUTHORISATION, FactKind.CAPTURE, FactKind.VOID}
    learns_id = tells_id and bool(fact.gateway_id) and not attempt.gateway_id
    if learns_id:
        attempt.gateway_id = fact.gateway_id
    learns_handle = bool(fact.handle) and not attempt.handle
    if learns_handle:
        attempt.handle = fact.handle
    moves = target is not None and attempt.state != target
    if moves:
        assert target is not None
        ATTEMPT_MOVES[target](attempt)
    lives = _live_on(case, attempt, fact, decision, now)
    if moves or learns_id or learns_handle or lives:
        attempt.save()


def _live_on(case: Case, attempt: Attempt, fact: Fact, decision: Decision, now: datetime) -> bool:
    """Can money still be taken on it without a call of ours? And how was it refused, if it was?"""
    before = (attempt.awaits_payer, attempt.action_url, attempt.failure_class)
    refused = decision.keeps_alive or decision.attempt_to in {AttemptState.DECLINED, AttemptState.FAILED}
    if refused and fact.kind in _REFUSALS and not attempt.failure_class:
        attempt.failure_class, attempt.code = fact.failure_class or FailureClass.UNKNOWN, fact.code[:60]
    if decision.keeps_alive:
        attempt.awaits_payer = True
        attempt.action_url = fact.action_url or attempt.action_url
    elif attempt.state != AttemptState.OPEN:
        attempt.awaits_payer, attempt.action_url = False, ""
        for review in case.reviews:
            if review.kind == ReviewKind.CLOSE_FAILED:
                settle_review(review, now, "It has ended at the gateway.")
    return before != (attempt.awaits_payer, attempt.action_url, attempt.failure_class)


def _move_refund(case: Case, fact: Fact, decision: Decision, now: datetime) -> None:
    refund, target = _refund_meant(case), decision.refund_to
    if refund is None or target is None or refund.state == target:
        return
    REFUND_MOVES[target](refund)
    refund.updated_at = now
    refund.waits_because = ""
    if target == RefundState.WAITING:
        refund.waits_for, refund.next_check_at = Waits.WORKER, now + timedelta(seconds=RETRY_SECONDS)
        refund.waits_because = decision.because[:200]
    elif target == RefundState.UNKNOWN:
        refund.waits_for, refund.next_check_at = Waits.LOOK_UP, None  # its operation carries the clock
    else:
        refund.waits_for, refund.next_check_at = Waits.NOTHING, None
    refund.save()
    if answers_case(case):
        for review in case.reviews:
            if review.kind == ReviewKind.PART_TO_RETURN:
                settle_review(review, now, "The money went back at the gateway.")


def _move_payment(case: Case, fact: Fact, decision: Decision, now: datetime) -> None:
    payment, target = case.payment, decision.payment_to
    if payment is None:
        return
    if decision.cancel_requested and payment.cancel_requested_at is None:
        payment.cancel_requested_at = now
    payment.late_success = payment.late_success or decision.late
    if target is None or payment.state == target:
        return
    if payment_reopens(case, target):
        reopen_payment(case)
    elif target == PaymentState.AUTHORISED:
        payment.mark_authorised(fact.hold_until)
    else:
        PAYMENT_MOVES[target](payment)
    if target not in {PaymentState.VALIDATED, PaymentState.PENDING}:
        drop_retries(payment, now)
    if decision.posting == Posting.SHORT_ACCEPTED and _every_capture_is_settled(case):
        payment.mark_settled()


def _every_capture_is_settled(case: Case) -> bool:
    return all(m.settled_at for m in case.movements if m.kind == MovementKind.CAPTURE and m.counts)
