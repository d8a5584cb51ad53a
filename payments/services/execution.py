"""What is a payment's next step, and how is one call made? Three phases: planned and committed; sent and committed, then the
call outside any transaction; its outcome recorded as a fact. Everything here may run twice at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import OperationalError, connection, transaction

from payments.decisions import NOTHING_LEFT
from payments.errors import NotFound
from payments.facts import Fact, FactKind
from payments.gateways.base import Command
from payments.gateways.errors import NotSent, OutcomeUnknown
from payments.models import Attempt, GatewayAccount, Operation, Payment
from payments.services.accounts import missing_credentials
from payments.services.calls import Clock, adapter_for, call, sender_lock
from payments.services.case import Case, held_hold, hold_alive, is_voided, lock_payment, nothing_open
from payments.services.clocks import set_operation_clock, set_payment_clock
from payments.services.operations import new_reference, plan_operation, thaw
from payments.services.questions import open_question
from payments.services.recording import Cause, apply_fact, record_fact
from payments.services.resolution import ask_about
from payments.services.routing import Choice, choose_route
from payments.services.snapshots import snapshot_of
from payments.states import (
    COLLECTING,
    OPEN_OPERATION_STATES,
    Certainty,
    FailureClass,
    OperationKind,
    OperationState,
    PaymentState,
    ReviewKind,
    Source,
    Waits,
)

_MOST_STEPS = 8  # a payment makes a handful of steps at a time; more means a circle, which the sweep will show
_MOST_VOIDS = 5  # proven not to have happened this often: a person looks


@dataclass(frozen=True, slots=True)
class Step:
    """What to do next outside the lock: run this operation, or ask the gateway; neither: look again under the lock."""

    operation_id: int | None = None
    ask: bool = False
    again: bool = False


def advance_payment(payment_id: int, clock: Clock) -> None:
    """This function will take a payment as far as it goes by itself now: check, route, send, void, ask, expire.

    Raises: NotFound. Idempotent: the lock and the machines let each step happen once, whoever runs it.
    """
    for _ in range(_MOST_STEPS):
        step = _next_step(payment_id, clock())
        if step is None:
            return
        if step.operation_id is not None:
            run_operation(step.operation_id, clock)
        elif step.ask:
            ask_about(payment_id, clock)


def _next_step(payment_id: int, now: datetime) -> Step | None:
    with transaction.atomic(durable=True):
        if not Payment.objects.filter(pk=payment_id).exists():
            raise NotFound(f"There is no payment with the number {payment_id}.")
        case = lock_payment(payment_id)
        payment = case.payment
        assert payment is not None
        open_operation = next((o for o in case.operations if o.state in OPEN_OPERATION_STATES), None)
        if open_operation is not None and open_operation.state == OperationState.PLANNED:
            return Step(operation_id=open_operation.pk)
        if payment.waits_for == Waits.LOOK_UP and payment.next_check_at is not None and payment.next_check_at <= now:
            return Step(ask=True)
        if open_operation is not None:
            return None
        choose = _BY_STATE.get(PaymentState(payment.state))
        step = choose(case, now) if choose else None
        if step is None:
            _rest(case, now)
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


def _tell(case: Case, kind: FactKind, now: datetime, message: str = "", parent_id: int | None = None) -> int | None:
    fact = Fact(kind, Source.SERVICE, now, message=message)
    return apply_fact(case, snapshot_of(case, fact), fact, Cause(parent_id=parent_id), now).transition_id


def _check(case: Case, now: datetime) -> Step | None:
    """initiated: everything that can be checked without a gateway was checked at the door; what is left is the window."""
    payment = case.payment
    assert payment is not None
    if now >= payment.expires_at:
        _tell(case, FactKind.EXPIRY_DUE, now)
        return None
    _tell(case, FactKind.CHECKS_PASSED, now, "Amount, currency, method and reference are in order.")
    return Step(again=True)


def _open_attempt(case: Case, now: datetime) -> Step | None:
    payment = case.payment
    assert payment is not None
    if now >= payment.expires_at:
        _tell(case, FactKind.EXPIRY_DUE, now)
        return None
    return start_attempt(case, now)


def start_attempt(case: Case, now: datetime, *, repeat_on_purpose: bool = False) -> Step | None:
    """Route, open an attempt and plan its first operation, under the lock. The one way an attempt begins.

    `nothing_open` bars it: no second attempt while an earlier one may have taken or can still take money.
    """
    payment = case.payment
    assert payment is not None and nothing_open(case)
    route = choose_route(payment, now=now)
    if route.account is None:
        _tell(case, FactKind.NO_ROUTE, now, " ".join(route.why)[:400])
        return None
    attempt = _attempt(case, route, now)
    told = _tell(case, FactKind.ATTEMPT_OPENED, now, f"{route.account.name} is asked. {route.why[-1]}")
    kind = OperationKind.SALE if payment.capture_mode == "automatic" else OperationKind.AUTHORISE
    assert route.credential is not None and told is not None
    operation = plan_operation(
        case,
        attempt,
        kind,
        payment.money,
        now=now,
        reference=attempt.reference,
        credential=route.credential.token,
        repeat_on_purpose=repeat_on_purpose,
    )
    set_payment_clock(case, now)
    payment.save()
    return Step(operation_id=operation.pk)


def _attempt(case: Case, route: Choice, now: datetime) -> Attempt:
    assert case.payment is not None and route.account is not None
    attempt = Attempt(
        payment=case.payment,
        number=len(case.attempts) + 1,
        gateway_account=route.account,
        reference=new_reference("cf"),
        route={"why": list(route.why)},
        created_at=now,
    )
    attempt.save()
    case.account = route.account
    case.attempts.append(attempt)
    case.attempt = attempt
    return attempt


def _follow_pending(case: Case, now: datetime) -> Step | None:
    """pending with no call open: cancel or expire past the guard, else wait for the person or the window's end."""
    payment = case.payment
    assert payment is not None
    if nothing_open(case) and not case.reviews:
        if payment.cancel_requested_at is not None:
            _tell(case, FactKind.CANCEL_ASKED, now)
            return None
        if now >= payment.expires_at:
            _tell(case, FactKind.EXPIRY_DUE, now)
            return None
    set_payment_clock(case, now)
    if not case.reviews:
        payment.next_check_at = max(payment.expires_at, now + timedelta(minutes=1))
    payment.save()
    return None


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


_BY_STATE: dict[PaymentState, Callable[[Case, datetime], Step | None]] = {
    PaymentState.INITIATED: _check,
    PaymentState.VALIDATED: _open_attempt,
    PaymentState.PENDING: _follow_pending,
    PaymentState.AUTHORISED: _follow_authorised,
}


# --- one call ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ready:
    """Everything phase 2 needs, read under the lock, so that nothing is queried while the call is under way."""

    operation_id: int
    account: GatewayAccount
    command: Command
    send_before: datetime
    done_before: datetime


def run_operation(operation_id: int, clock: Clock) -> None:
    """This function will make one planned call and record its outcome.

    The loser of a race does not call: planned -> sent is a compare-and-set under the payment's lock, committed before the
    first byte. The operation's session lock is held until the outcome stands, so that nobody takes it for abandoned.
    """
    with sender_lock(operation_id) as got:
        if not got:
            return
        ready = _start(operation_id, clock())
        if ready is None:
            return
        fact = _send(ready, clock)
        _record_outcome(ready, fact, clock)


def _start(operation_id: int, now: datetime) -> Ready | None:
    """planned -> sent, or the reason why it is not sent any more."""
    with transaction.atomic(durable=True):
        payment_id = Operation.objects.values_list("payment_id", flat=True).get(pk=operation_id)
        case = lock_payment(payment_id)
        operation = next(o for o in case.operations if o.pk == operation_id)
        if operation.state != OperationState.PLANNED:
            return None
        case.operation = operation
        case.attempt = next(a for a in case.attempts if a.pk == operation.attempt_id)
        case.account = GatewayAccount.objects.get(pk=operation.gateway_account_id)
        refusal = _no_longer_wanted(case, operation, now)
        if refusal:
            nothing_left = operation.refund_id is not None and is_voided(case, operation.gateway_id)
            fact = Fact(
                FactKind.NOT_SENT,
                Source.SERVICE,
                now,
                certainty=Certainty.NOT_SENT,
                failure_class=FailureClass.CONFIGURATION_ERROR if "is not set" in refusal else None,
                code=NOTHING_LEFT if nothing_left else "",
                message=refusal,
            )
            apply_fact(case, snapshot_of(case, fact), fact, Cause(operation_id=operation_id), now)
            return None
        return _mark_sent(case, operation, now)


def _no_longer_wanted(case: Case, operation: Operation, now: datetime) -> str:
    """The guard again, right before the call: what changed since it was planned?"""
    payment = case.payment
    assert payment is not None
    if operation.kind in COLLECTING:
        if payment.cancel_requested_at is not None:
            return "cancelled before it was sent"
        if now >= payment.expires_at:
            return "the payment's window closed before it was sent"
        if payment.state != PaymentState.PENDING:
            return f"the payment is {payment.state}"
    if operation.kind == OperationKind.CAPTURE and payment.state != PaymentState.AUTHORISED:
        return f"the payment is {payment.state}"
    if operation.refund_id is not None and is_voided(case, operation.gateway_id):
        return "the transaction was voided, nothing is left to give back"
    held = held_hold(case, operation.gateway_id)
    if operation.kind == OperationKind.VOID and operation.refund_id is None and (held is None or held.is_zero):
        return "nothing is held any more"
    missing = missing_credentials(case.account)
    return f"{missing[0]} is not set" if missing else ""


def _mark_sent(case: Case, operation: Operation, now: datetime) -> Ready:
    assert case.payment is not None
    account = case.account
    operation.mark_sent()
    operation.sent_at = now
    operation.send_before = now + timedelta(seconds=account.send_window_seconds)
    operation.done_before = now + timedelta(seconds=account.call_seconds)
    set_operation_clock(operation, account, now)
    operation.save()
    set_payment_clock(case, now)
    case.payment.save()
    if operation.kind in COLLECTING:
        case.payment.method.credentials.filter(gateway_account=account).update(used_at=now)
    return Ready(operation.pk, account, thaw(operation.request), operation.send_before, operation.done_before)


def _send(ready: Ready, clock: Clock) -> Fact:
    """The call itself. Its errors are facts as well: provably not sent, or unknown."""
    adapter = adapter_for(ready.account)
    try:
        answer = call(
            ready.account,
            adapter.request(ready.command),
            send_before=ready.send_before,
            done_before=ready.done_before,
            clock=clock,
        )
    except NotSent as error:
        return Fact(
            FactKind.NOT_SENT,
            Source.ANSWER,
            clock(),
            certainty=Certainty.NOT_SENT,
            failure_class=FailureClass.GATEWAY_UNAVAILABLE,
            message=str(error)[:300],
        )
    except OutcomeUnknown as error:
        return Fact(FactKind.UNKNOWN, Source.ANSWER, clock(), message=str(error)[:300])
    return adapter.answer(ready.command, answer, at=clock())


def _record_outcome(ready: Ready, fact: Fact, clock: Clock) -> None:
    """Phase 3. A database that went away during the call is tried once more: the answer is worth it, and a look-up would
    find the same."""
    cause = Cause(operation_id=ready.operation_id)
    try:
        record_fact(fact, account_id=ready.account.pk, cause=cause, now=clock())
    except OperationalError:
        connection.close()
        record_fact(fact, account_id=ready.account.pk, cause=cause, now=clock())
