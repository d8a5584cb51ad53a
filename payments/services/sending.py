"""How is one call made? Three phases: planned and committed; sent and committed, then the call outside any transaction; its
outcome recorded as a fact. Everything here may run twice at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db import OperationalError, connection, transaction

from payments.decisions import NOTHING_LEFT
from payments.facts import Fact, FactKind
from payments.gateways.base import Command, Issued, LookUpQuestion
from payments.gateways.errors import GatewayError, NotSent, NotTried, OutcomeUnknown
from payments.jobs import ADVANCE_PAYMENT, enqueue
from payments.models import GatewayAccount, Operation, Payment
from payments.services import declining, health, methods, switches, throttle
from payments.services.accounts import missing_credentials
from payments.services.calls import Clock, adapter_for, ask, call, sender_lock
from payments.services.case import (
    Case,
    has_or_may_take,
    held_hold,
    hold_alive,
    is_voided,
    lock_payment,
    rest_money,
)
from payments.services.clocks import set_operation_clock, set_payment_clock
from payments.services.operations import thaw
from payments.services.recording import Cause, apply_fact, record_fact
from payments.services.settlement import apart
from payments.services.snapshots import snapshot_of
from payments.states import (
    AWAITING_STATES,
    COLLECTING,
    Certainty,
    FailureClass,
    MovementKind,
    OperationKind,
    OperationState,
    PaymentState,
    Source,
    Waits,
)

_STOPPED = timedelta(seconds=30)  # while sending is stopped, a planned call looks again after this


@dataclass(frozen=True, slots=True)
class Ready:
    """Everything phase 2 needs, read under the lock, so that nothing is queried while the call is under way."""

    operation_id: int
    payment_id: int
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
        heard = _send(ready, clock)
        _record_outcome(ready, heard, clock)


def _start(operation_id: int, now: datetime) -> Ready | None:
    """planned -> sent, or the reason why it is not sent any more."""
    with transaction.atomic(durable=True):
        payment_id = Operation.objects.values_list("payment_id", flat=True).get(pk=operation_id)
        case = lock_payment(payment_id)
        operation = next(o for o in case.operations if o.pk == operation_id)
        if operation.state != OperationState.PLANNED:
            return None
        case.operation = operation
        case.turn_to(next(a for a in case.attempts if a.pk == operation.attempt_id))
        refusal = _no_longer_wanted(case, operation, now)
        if refusal is not None:
            fact = Fact(
                FactKind.NOT_SENT,
                Source.SERVICE,
                now,
                certainty=Certainty.NOT_SENT,
                failure_class=refusal.failure_class,
                code=refusal.code,
                message=refusal.words,
            )
            apply_fact(case, snapshot_of(case, fact), fact, Cause(operation_id=operation_id), now)
            return None
        later = _not_yet(case, operation, now)
        if later is not None:
            _postpone(case, operation, now + later)
            return None
        return _mark_sent(case, operation, now)


def _not_yet(case: Case, operation: Operation, now: datetime) -> timedelta | None:
    """It stays planned while sending is stopped, and waits for its turn where calls are capped."""
    stopped = switches.stopped_charges() if operation.kind in COLLECTING else switches.stopped_everything()
    return _STOPPED if stopped else throttle.turn(case.account, now)


def _postpone(case: Case, operation: Operation, until: datetime) -> None:
    assert case.payment is not None
    operation.waits_for, operation.next_check_at = Waits.SWITCH, until
    operation.save(update_fields=["waits_for", "next_check_at"])
    case.payment.waits_for, case.payment.next_check_at = Waits.SWITCH, until
    case.payment.save(update_fields=["waits_for", "next_check_at"])
    enqueue(ADVANCE_PAYMENT, case.payment.pk, at=until)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a planned call is not made any more. Without a class nothing follows from it but the payment's own end."""

    words: str
    failure_class: FailureClass | None = None
    code: str = ""


def _no_longer_wanted(case: Case, operation: Operation, now: datetime) -> Refusal | None:
    """The guard again, right before the call: what changed since it was planned?"""
    payment = case.payment
    assert payment is not None
    if operation.kind in COLLECTING:
        refusal = _may_not_collect(case, payment, operation, now)
        if refusal is not None:
            return refusal
    if operation.kind == OperationKind.CAPTURE and payment.state != PaymentState.AUTHORISED:
        return Refusal(f"the payment is {payment.state}")
    if operation.refund_id is not None and is_voided(case, operation.gateway_id):
        return Refusal("the transaction was voided, nothing is left to give back", code=NOTHING_LEFT)
    if operation.refund_id is not None and _all_went_back(case, operation):
        return Refusal(
            "all that was taken has gone back by another hand, nothing is left to give back", code=NOTHING_LEFT
        )
    held = held_hold(case, operation.gateway_id)
    if operation.kind == OperationKind.VOID and operation.refund_id is None and (held is None or held.is_zero):
        return Refusal("nothing is held any more")
    missing = missing_credentials(case.account)
    return Refusal(f"{missing[0]} is not set", FailureClass.CONFIGURATION_ERROR) if missing else None


def _all_went_back(case: Case, operation: Operation) -> bool:
    """Has everything that the attempt took gone back already? What goes back by this refund is not among it."""
    signs = {MovementKind.CAPTURE: 1, MovementKind.REFUND: -1, MovementKind.REFUND_RETURN: 1}
    rows = [m for m in case.movements if m.attempt_id == operation.attempt_id and m.currency == operation.currency]
    left = sum(signs.get(MovementKind(m.kind), 0) * m.amount_minor for m in rows)
    return any(m.kind == MovementKind.CAPTURE for m in rows) and left <= 0


def _may_not_collect(case: Case, payment: Payment, operation: Operation, now: datetime) -> Refusal | None:
    if payment.cancel_requested_at is not None:
        return Refusal("cancelled before it was sent")
    if now >= payment.expires_at:
        return Refusal("the payment's window closed before it was sent")
    if payment.state not in AWAITING_STATES:
        return Refusal(f"the payment is {payment.state}")
    if operation.amount_minor > rest_money(case).amount_minor:
        return Refusal(f"only {rest_money(case)} is missing by now")
    unhealthy = _taken_elsewhere(case) or health.why_not(case.account, payment_id=payment.pk, now=now)
    if unhealthy:  # another gateway or a later try may follow
        return Refusal(unhealthy, FailureClass.GATEWAY_UNAVAILABLE)
    # Other payments of the same card may have been refused since this one was planned.
    by = "merchant" if len(case.attempts) > 1 else payment.initiated_by
    barred = declining.ceiling_reached(payment.method, operation.money, now, initiated_by=by)
    barred = barred or methods.why_blocked(payment.method)
    return Refusal(barred, FailureClass.HARD_DECLINE) if barred else None


def _taken_elsewhere(case: Case) -> str:
    """Has an earlier attempt come to life since this one was planned? Then nothing is collected on top of it."""
    for attempt in case.attempts:
        if attempt is not case.attempt and has_or_may_take(case, attempt):
            return f"{attempt.gateway_account.name} has taken money for it, or still may"
    if hold_alive(case):
        held = next(m for m in case.movements if m.kind == MovementKind.AUTHORISATION and m.released_at is None)
        return f"money is held at {held.gateway_account.name} already"
    return ""


def _mark_sent(case: Case, operation: Operation, now: datetime) -> Ready:
    assert case.payment is not None
    account = case.account
    operation.mark_sent()
    operation.sent_at = now
    operation.send_before = now + timedelta(seconds=account.send_window_seconds)
    operation.done_before = now + timedelta(seconds=account.call_seconds)
    set_operation_clock(operation, account, now)
    set_payment_clock(case, now)
    case.payment.save(update_fields=["waits_for", "next_check_at"])
    if operation.kind in COLLECTING:
        method = case.payment.method
        operation.fingerprint = method.fingerprint or f"pm:{method.public_id}"
        method.credentials.filter(gateway_account=account).update(used_at=now)
    operation.save()
    return Ready(
        operation.pk, case.payment.pk, account, thaw(operation.request), operation.send_before, operation.done_before
    )


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of a call: the fact, what was issued for later, and whether it says anything about the gateway's health."""

    fact: Fact
    issued: Issued | None = None
    tells_health: bool = True


def _send(ready: Ready, clock: Clock) -> Heard:
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
        return Heard(_not_sent(error, clock()), tells_health=not isinstance(error, NotTried))
    except OutcomeUnknown as error:
        return Heard(Fact(FactKind.UNKNOWN, Source.ANSWER, clock(), message=str(error)[:300], evidence=_raw(error)))
    fact = _asked_again(ready, adapter.answer(ready.command, answer, at=clock()), clock)
    return Heard(fact, adapter.issued(ready.command, answer))


def _asked_again(ready: Ready, fact: Fact, clock: Clock) -> Fact:
    """A vague refusal in the words of the gateway's own record: a block by the gateway itself must not be tried again.

    Where the record tells no more, or nobody answers, what was said first stands: nothing was taken.
    """
    adapter, command = adapter_for(ready.account), ready.command
    vague = fact.code in adapter.capabilities.vague_codes and not fact.network_code
    if fact.kind != FactKind.DECLINED or not vague or not fact.handle or command.kind not in COLLECTING:
        return fact
    question = LookUpQuestion(command.kind, command.reference, command.money, handle=fact.handle)
    try:
        told = adapter.look_up_answer(
            question, ask(ready.account, adapter.look_up_request(question), clock), at=clock()
        )
    except GatewayError:
        return fact
    refusal = next((one for one in told.facts if one.kind == FactKind.DECLINED), None)
    if refusal is None or refusal.failure_class != FailureClass.FRAUD:
        return fact
    return replace(fact, failure_class=refusal.failure_class, code=refusal.code, message=refusal.message)


def _not_sent(error: NotSent, now: datetime) -> Fact:
    return Fact(
        FactKind.NOT_SENT,
        Source.ANSWER,
        now,
        certainty=Certainty.NOT_SENT,
        failure_class=FailureClass.GATEWAY_UNAVAILABLE,
        message=str(error)[:300],
        evidence=_raw(error),
    )


def _raw(error: GatewayError) -> dict[str, object]:
    """The machine's own words: a detail of the timeline, no sentence of a page."""
    return {"raw": error.raw} if error.raw else {}


def _record_outcome(ready: Ready, heard: Heard, clock: Clock) -> None:
    """Phase 3. A database that went away during the call is tried once more: the answer is worth it, and a look-up would
    find the same."""
    try:
        _record(ready, heard, clock)
    except OperationalError:
        connection.close()
        _record(ready, heard, clock)
    if heard.tells_health:
        health.note_outcome(
            ready.account.pk,
            certainty=heard.fact.certainty,
            message=heard.fact.message,
            now=clock(),
            payment_id=ready.payment_id,
        )


def _record(ready: Ready, heard: Heard, clock: Clock) -> None:
    cause = Cause(operation_id=ready.operation_id)
    with transaction.atomic():
        recorded = record_fact(heard.fact, account_id=ready.account.pk, cause=cause, now=clock())
        if heard.fact.settlement is not None and not recorded.changed:  # a webhook was faster, and told the money alone
            record_fact(apart(heard.fact), account_id=ready.account.pk, cause=Cause(), now=clock())
        if heard.issued is not None:
            methods.keep_issued(ready.operation_id, heard.issued, clock())
