"""What is a payment's next step? One step at a time under the lock, its calls outside; everything here may run twice at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import transaction

from payments.errors import NotFound
from payments.facts import FactKind
from payments.jobs import ADVANCE_PAYMENT, enqueue, looking_again
from payments.models import Attempt, Payment
from payments.services.attempts import Step, close_attempt, start_attempt, tell
from payments.services.calls import Clock
from payments.services.case import Case, held_hold, hold_alive, lock_payment, nothing_open
from payments.services.clocks import set_payment_clock
from payments.services.following import follow_up, follow_up_part
from payments.services.operations import plan_operation
from payments.services.questions import open_question
from payments.services.resolution import ask_about
from payments.services.retries import begin_retry, waiting_retry
from payments.services.sending import run_operation
from payments.states import (
    AWAITING_STATES,
    OPEN_ATTEMPT_STATES,
    OPEN_OPERATION_STATES,
    AttemptState,
    MovementKind,
    OperationKind,
    OperationState,
    PaymentState,
    ReviewKind,
    Waits,
)

_MOST_STEPS = 12  # a payment makes a handful of steps at a time; more means a circle, which the sweep will show
_MOST_VOIDS = 5  # proven not to have happened this often: a person looks
_ENDED_ATTEMPTS = frozenset({AttemptState.DECLINED, AttemptState.FAILED, AttemptState.VOIDED, AttemptState.LAPSED})


def advance_payment(payment_id: int, clock: Clock) -> None:
    """This function will take a payment as far as it goes by itself now: check, route, send, close, void, ask, expire.

    Raises: NotFound. Idempotent: the lock and the machines let each step happen once, whoever runs it.
    """
    for _ in range(_MOST_STEPS):
        with looking_again(ADVANCE_PAYMENT, payment_id) as nudges:
            step = _next_step(payment_id, clock())
            if step is not None and step.operation_id is not None:
                run_operation(step.operation_id, clock)
                if Payment.objects.filter(pk=payment_id, next_check_at=None).exists():
                    return  # it waits for nothing any more
            elif step is not None and step.ask:
                ask_about(payment_id, clock)
        if step is None:
            if nudges:  # the last look has made something due
                enqueue(ADVANCE_PAYMENT, payment_id)
            return


def _next_step(payment_id: int, now: datetime) -> Step | None:
    with transaction.atomic(durable=True):
        try:
            case = lock_payment(payment_id)
        except Payment.DoesNotExist:
            raise NotFound(f"There is no payment with the number {payment_id}.") from None
        payment = case.payment
        assert payment is not None
        open_operation = next((o for o in case.operations if o.state in OPEN_OPERATION_STATES), None)
        if open_operation is not None and open_operation.state == OperationState.PLANNED:
            waits = open_operation.waits_for == Waits.SWITCH and (open_operation.next_check_at or now) > now
            return None if waits else Step(operation_id=open_operation.pk)
        if payment.waits_for == Waits.LOOK_UP and payment.next_check_at is not None and payment.next_check_at <= now:
            return Step(ask=True)
        if open_operation is not None:
            return None
        step = _choose(case, now)
        if step is None:
            _rest(case, now)
        return step


def _choose(case: Case, now: datetime) -> Step | None:
    """A payment that was just checked goes on in the same transaction."""
    step: Step | None = Step(again=True)
    while step is not None and step.again:
        choose = _BY_STATE.get(PaymentState(case.payment.state)) if case.payment else None
        step = choose(case, now) if choose else None
    return step


def _rest(case: Case, now: datetime) -> None:
    """Nothing to do now: a clock that is still in the past would be found by every sweep."""
    payment = case.payment
    assert payment is not None
    if payment.next_check_at is None or payment.next_check_at > now:
        return
    set_payment_clock(case, now)
    if payment.next_check_at is not None:
        payment.next_check_at = max(payment.next_check_at, now + timedelta(minutes=1))
    payment.save()


def _check(case: Case, now: datetime) -> Step | None:
    """initiated: everything that can be checked without a gateway was checked at the door; what is left is the window."""
    payment = case.payment
    assert payment is not None
    if now >= payment.expires_at:
        tell(case, FactKind.EXPIRY_DUE, now)
        return None
    tell(case, FactKind.CHECKS_PASSED, now, "Amount, currency, method and reference are in order.")
    return Step(again=True)


def _open_attempt(case: Case, now: datetime) -> Step | None:
    payment = case.payment
    assert payment is not None
    if now >= payment.expires_at:
        tell(case, FactKind.EXPIRY_DUE, now)
        return None
    return start_attempt(case, now)


def _follow_pending(case: Case, now: datetime) -> Step | None:
    """pending with no call open: the payer's turn, a retry, what follows a refusal, or a person's decision."""
    payment = case.payment
    assert payment is not None
    alive = _alive(case)
    if alive is not None:
        return _follow_payer(case, alive, now)
    if nothing_open(case) and not case.reviews:
        return _follow_end(case, now)
    if not case.reviews and not _settle_late_money(case, now):
        payment.next_check_at = max(payment.expires_at, now + timedelta(minutes=1))
        payment.save()
        return None
    set_payment_clock(case, now)
    payment.save()
    return None


def _settle_late_money(case: Case, now: datetime) -> bool:
    """Something bars the payment and nobody is asked: a hold that was only noted is asked about again; where all that
    was taken went another way by decision, the payment has failed."""
    if _ask_about_hold(case, now):
        return True
    if any(a.state in OPEN_ATTEMPT_STATES for a in case.attempts):
        return False
    tell(case, FactKind.GIVEN_UP, now, "What had been taken for it went another way.")
    return True


def _ask_about_hold(case: Case, now: datetime) -> bool:
    """A hold that was only noted bars what comes next: a person is asked again, until it is released."""
    hold = next((m for m in case.movements if m.kind == MovementKind.AUTHORISATION and m.released_at is None), None)
    if hold is None or not hold_alive(case):
        return False
    case.turn_to(next(a for a in case.attempts if a.pk == hold.attempt_id))
    because = f"{hold.money} are still held by an attempt that had been given up: release them, or nothing goes on."
    question = open_question(case, ReviewKind.LATE_AUTHORISATION, because, now)
    question.gateway_id = hold.gateway_id
    question.save(update_fields=["gateway_id"])
    return True


def _alive(case: Case) -> Attempt | None:
    """The attempt on which money can still be taken without a call of ours."""
    return next((a for a in case.attempts if a.awaits_payer and a.state == AttemptState.OPEN), None)


def _follow_payer(case: Case, attempt: Attempt, now: datetime) -> Step | None:
    """Their turn: ask now and then. What is over for us is closed at the gateway before anything else happens."""
    payment = case.payment
    assert payment is not None
    case.turn_to(attempt)
    over = payment.state not in AWAITING_STATES or payment.cancel_requested_at is not None
    if over or now >= payment.expires_at or attempt.failure_class:
        return close_attempt(case, attempt, now)
    if payment.next_check_at is not None and payment.next_check_at <= now:
        return Step(ask=True)
    return None


def _follow_end(case: Case, now: datetime) -> Step | None:
    """Nothing is open anywhere and no case waits."""
    payment, attempt = case.payment, case.current_attempt
    assert payment is not None
    if payment.cancel_requested_at is not None:
        tell(case, FactKind.CANCEL_ASKED, now)
        return None
    retry = waiting_retry(payment)
    if retry is not None and retry.due_at <= now < payment.expires_at:
        return begin_retry(case, retry, now)
    if retry is not None and now < payment.expires_at:
        return None
    if now >= payment.expires_at and (retry is not None or attempt is None):
        tell(case, FactKind.EXPIRY_DUE, now)
        return None
    if attempt is not None and attempt.state in _ENDED_ATTEMPTS | {AttemptState.CAPTURED}:  # its part has gone back
        return follow_up(case, now)
    return None


def _follow_part(case: Case, now: datetime) -> Step | None:
    """Partially paid: the rest is under way, planned, or left to the merchant until the window closes."""
    payment = case.payment
    assert payment is not None
    alive = _alive(case)
    if alive is not None:
        return _follow_payer(case, alive, now)
    if case.reviews or not nothing_open(case):
        if not case.reviews:
            _ask_about_hold(case, now)
        set_payment_clock(case, now)
        _not_before(payment, now + timedelta(minutes=1))
        return None
    if payment.cancel_requested_at is not None or now >= payment.expires_at:
        tell(case, FactKind.CANCEL_ASKED if payment.cancel_requested_at else FactKind.EXPIRY_DUE, now)
        return None
    retry = waiting_retry(payment)
    if retry is None:
        step = follow_up_part(case, now)
        if step is not None or case.reviews:
            return step
        retry = waiting_retry(payment)
    elif retry.due_at <= now:
        step = begin_retry(case, retry, now)
        if step is not None or payment.waits_for == Waits.SWITCH:
            return step
        retry = None
    if retry is None:
        payment.waits_for, payment.next_check_at = Waits.MERCHANT, payment.expires_at
        payment.save()
    return None


def _not_before(payment: Payment, at: datetime) -> None:
    if payment.next_check_at is not None:
        payment.next_check_at = max(payment.next_check_at, at)
    payment.save()


def _follow_paid(case: Case, now: datetime) -> Step | None:
    """Paid, or ended otherwise: what the payer could still finish on another attempt is taken away."""
    alive = _alive(case)
    return _follow_payer(case, alive, now) if alive is not None else None


def _follow_authorised(case: Case, now: datetime) -> Step | None:
    payment, attempt = case.payment, case.current_attempt
    assert payment is not None and attempt is not None
    if not hold_alive(case):
        return None  # its money is under review: the decision ends it
    if payment.cancel_requested_at is not None and not any(r.kind == ReviewKind.VOID_FAILED for r in case.reviews):
        return _void(case, attempt, now)
    if payment.hold_until is None or now < payment.hold_until - timedelta(seconds=case.account.hold_warning_seconds):
        return None
    if now < payment.hold_until:
        because = "The hold ends soon: capture it, or cancel and let it go."
        open_question(case, ReviewKind.HOLD_ENDING, because, now)
        set_payment_clock(case, now)
        payment.save()
        return None
    if payment.next_check_at is not None and payment.next_check_at > now:
        return None
    return Step(ask=True)


def _void(case: Case, attempt: Attempt, now: datetime) -> Step | None:
    payment = case.payment
    assert payment is not None
    tried = [o for o in case.operations if o.kind == OperationKind.VOID and o.attempt_id == attempt.pk]
    if tried and payment.next_check_at is not None and payment.next_check_at > now:
        return None
    if len(tried) >= _MOST_VOIDS:
        because = f"The void did not reach the gateway {len(tried)} times. The hold is still there."
        open_question(case, ReviewKind.VOID_FAILED, because, now)
        set_payment_clock(case, now)
        payment.save()
        return None
    hold = held_hold(case, attempt.gateway_id) or payment.money
    operation = plan_operation(case, attempt, OperationKind.VOID, hold, now=now)
    set_payment_clock(case, now)
    payment.save()
    return Step(operation_id=operation.pk)


_Choose = Callable[[Case, datetime], Step | None]
_BY_STATE: dict[PaymentState, _Choose] = {
    **dict.fromkeys(PaymentState, _follow_paid),
    PaymentState.INITIATED: _check,
    PaymentState.VALIDATED: _open_attempt,
    PaymentState.PENDING: _follow_pending,
    PaymentState.PARTIALLY_PAID: _follow_part,
    PaymentState.AUTHORISED: _follow_authorised,
}
