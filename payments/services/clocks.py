"""When is each row looked at again, and on whom does it wait? Sets columns in memory; the caller saves."""

from __future__ import annotations

from datetime import datetime, timedelta

from payments.models import Attempt, GatewayAccount, Operation, Payment, Review
from payments.services.case import Case, hold_alive
from payments.states import (
    AWAITING_STATES,
    FINAL_STATES,
    OPEN_OPERATION_STATES,
    OperationKind,
    OperationState,
    PaymentState,
    RetryState,
    ReviewKind,
    Waits,
)

RETRY_SECONDS = 60  # a void or refund that provably did not happen is asked again after this
REVIEW_HOURS = {ReviewKind.HOLD_ENDING: 8, ReviewKind.LOOKUP_EXHAUSTED: 4}  # the rest: a working day
_POLL_FIRST, _POLL_LAST = 15, 300  # seconds between questions while it is the payer's turn
_LADDER = (30, 60, 120, 240, 300, 600, 1200, 1800, 3600)  # seconds between look-ups, the last for ever


def review_due(kind: ReviewKind, now: datetime) -> datetime:
    return now + timedelta(hours=REVIEW_HOURS.get(kind, 24))


def set_operation_clock(operation: Operation, account: GatewayAccount, now: datetime) -> None:
    """planned: run again; sent: done_before; unknown: the look-up ladder; ended: never."""
    state = OperationState(operation.state)
    if state == OperationState.PLANNED:
        operation.waits_for, wait = Waits.WORKER, timedelta(seconds=account.planned_seconds)
    elif state == OperationState.SENT:
        operation.waits_for, operation.next_check_at = Waits.GATEWAY, operation.done_before
        return
    elif state == OperationState.UNKNOWN:
        operation.waits_for, wait = Waits.LOOK_UP, timedelta(seconds=account.look_up_first_seconds)
    else:
        operation.waits_for, operation.next_check_at = Waits.NOTHING, None
        return
    operation.next_check_at = now + wait


def next_look_up(operation: Operation, now: datetime) -> datetime:
    """The rung of the ladder after the look-ups made so far."""
    asked = operation.look_ups_answered + operation.look_ups_unanswered
    return now + timedelta(seconds=_LADDER[min(asked, len(_LADDER) - 1)])


def set_payment_clock(case: Case, now: datetime, *, ask: bool = False) -> None:
    """Say on whom the payment waits and when it is looked at again; final states wait for nothing."""
    payment = case.payment
    assert payment is not None
    if ask:
        payment.waits_for, payment.next_check_at = Waits.LOOK_UP, now
        return
    state = PaymentState(payment.state)
    if state in FINAL_STATES and not any(attempt.awaits_payer for attempt in case.attempts):
        payment.waits_for, payment.next_check_at = Waits.NOTHING, None
    elif state in {PaymentState.INITIATED, PaymentState.VALIDATED}:
        payment.waits_for = Waits.WORKER
        payment.next_check_at = now + timedelta(seconds=case.account.planned_seconds)
    else:
        _set_open_clock(payment, case, now)


def _set_open_clock(payment: Payment, case: Case, now: datetime) -> None:
    """Pending, authorised or partially paid: an operation, a person, the payer, the merchant, or our own next step."""
    operation = next((o for o in case.operations if o.state in OPEN_OPERATION_STATES), None)
    if operation is not None:
        payment.waits_for, payment.next_check_at = operation.waits_for, operation.next_check_at
        return
    review = next((r for r in case.reviews if r.payment_id == payment.pk), None)
    alive = next((a for a in case.attempts if a.awaits_payer), None)
    if alive is not None and not any(r.kind == ReviewKind.CLOSE_FAILED for r in case.reviews):
        _set_payer_clock(payment, alive, now)
        return
    if payment.state == PaymentState.AUTHORISED and not hold_alive(case):
        payment.waits_for = Waits.OPERATOR if review else Waits.LOOK_UP
        payment.next_check_at = _later(review, now) if review else now + timedelta(hours=1)
        return
    if payment.state == PaymentState.AUTHORISED and payment.cancel_requested_at and not _void_refused(case):
        tried = any(o.kind == OperationKind.VOID for o in case.operations)
        wait = timedelta(seconds=RETRY_SECONDS if tried else 0)
        payment.waits_for, payment.next_check_at = Waits.WORKER, now + wait
    elif payment.state == PaymentState.AUTHORISED:
        payment.waits_for = Waits.OPERATOR if review else Waits.MERCHANT
        payment.next_check_at = _hold_check(payment, case.account, now)
    elif review is not None:
        payment.waits_for, payment.next_check_at = Waits.OPERATOR, _later(review, now)
    elif (retry := payment.retries.filter(state=RetryState.WAITING).first()) is not None:
        payment.waits_for, payment.next_check_at = Waits.RETRY, min(retry.due_at, payment.expires_at)
    else:
        payment.waits_for, payment.next_check_at = Waits.WORKER, now


def _set_payer_clock(payment: Payment, attempt: Attempt, now: datetime) -> None:
    """The payer's turn: asked about often at first; what is over for us is closed at once."""
    over = payment.state not in AWAITING_STATES or payment.cancel_requested_at is not None or now >= payment.expires_at
    if over or attempt.failure_class:
        payment.waits_for, payment.next_check_at = Waits.WORKER, now
        return
    age = (now - attempt.created_at).total_seconds()
    wait = min(max(age / 4, _POLL_FIRST), _POLL_LAST)
    payment.waits_for = Waits.PAYER
    payment.next_check_at = min(now + timedelta(seconds=wait), payment.expires_at)


def _void_refused(case: Case) -> bool:
    return any(r.kind == ReviewKind.VOID_FAILED for r in case.reviews)


def _hold_check(payment: Payment, account: GatewayAccount, now: datetime) -> datetime:
    """A day before the hold ends a case opens; at its end the gateway is asked; past it, again every hour."""
    if payment.hold_until is None:
        return now + timedelta(days=1)
    warning = payment.hold_until - timedelta(seconds=account.hold_warning_seconds)
    if now < warning:
        return warning
    return payment.hold_until if now < payment.hold_until else now + timedelta(hours=1)


def _later(review: Review, now: datetime) -> datetime:
    return max(review.due_at, now + timedelta(hours=1))
