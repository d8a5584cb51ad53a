"""Which recurring charges are due? Each date is charged once; what the payer has revoked is not charged at all."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import date, datetime, timedelta

from django.db import transaction

from payments.errors import DuplicateReference, NotAllowedNow, NotFound
from payments.gateways.registry import get_adapter
from payments.models import DueDate, Operation, Payment, PaymentMethod, Schedule
from payments.network_rules import advise
from payments.schedule_dates import due_between
from payments.services.actors import SYSTEM, Actor
from payments.services.calls import Clock
from payments.services.intake import MethodRequest, PayerRequest, PaymentRequest, create_payment
from payments.services.methods import why_blocked, why_unusable
from payments.services.schedules import LOOK_AGAIN, RIGHT, business_day, lock_schedule, set_clock
from payments.states import FINAL_STATES, OperationState, ScheduleState

log = logging.getLogger(__name__)

_WINDOW = timedelta(days=15)  # a charge without its payer may be tried again this long
_AFTER_ERROR = timedelta(minutes=5)
_ALL_OF_METHOD = frozenset({"261"})  # NMI: "stop all recurring", not only this programme


def run_due(clock: Clock, *, limit: int = 200) -> int:
    """This function will charge what is due, one payment a date; returns how many schedules were looked at.

    After an outage at most one overdue date of a schedule is charged by itself, the latest; older ones are skipped with the
    reason, and a person may charge them. Revocations are heard before anything is charged.
    Idempotent: (schedule, due date) is unique and decided under the schedule's lock; doubled runs are safe. One
    schedule's error does not stop the others: it is logged, and due again in five minutes.
    """
    due = (
        Schedule.objects.filter(next_check_at__lte=clock())
        .order_by("next_check_at")
        .values_list("public_id", flat=True)
    )
    worked = 0
    for public_id in due[:limit]:
        try:
            with transaction.atomic():
                _run(lock_schedule(public_id), clock())
        except Exception:  # one schedule must not stop the others
            log.exception("The recurring charge %s could not be worked on.", public_id)
            Schedule.objects.filter(public_id=public_id).update(next_check_at=clock() + _AFTER_ERROR)
        worked += 1
    return worked


def _run(schedule: Schedule, now: datetime) -> None:
    if schedule.state != ScheduleState.ACTIVE or schedule.next_check_at is None or schedule.next_check_at > now:
        return
    revoked = _revoked(schedule)
    if revoked:
        _stop(schedule, revoked)
        return
    today = business_day(now)
    if schedule.next_due_on is not None and schedule.next_due_on <= today:
        _charge_what_is_due(schedule, today, now)
    schedule.version += 1
    _look_again(schedule, now)
    schedule.save()


def _look_again(schedule: Schedule, now: datetime) -> None:
    if schedule.next_check_at is not None and _is_open(schedule):
        schedule.next_check_at = min(schedule.next_check_at, now + LOOK_AGAIN)


def _charge_what_is_due(schedule: Schedule, today: date, now: datetime) -> None:
    assert schedule.next_due_on is not None
    until = min(today, schedule.ends_on or today)
    dates = due_between(schedule.anchor, schedule.interval, schedule.every, since=schedule.next_due_on, until=until)
    for missed in dates[:-1]:
        because = f"It was due while nothing could be charged; {dates[-1]:%d %b %Y} was charged instead."
        _skip(schedule, missed, because, now)
    set_clock(schedule, since=today + timedelta(days=1))
    if dates:
        _charge(schedule, dates[-1], now)


def _skip(schedule: Schedule, due_on: date, because: str, now: datetime) -> None:
    DueDate.objects.get_or_create(
        schedule=schedule, due_on=due_on, defaults={"skipped_because": because[:300], "decided_at": now}
    )


def _charge(schedule: Schedule, due_on: date, now: datetime) -> None:
    """One date's payment, or the reason why there is none; a method that can not be charged pauses the schedule."""
    if DueDate.objects.filter(schedule=schedule, due_on=due_on).exists():
        return
    refused = why_blocked(schedule.method) or why_unusable(schedule.method)
    if refused:
        _skip(schedule, due_on, refused, now)
        if schedule.state == ScheduleState.ACTIVE:
            schedule.mark_paused()
            schedule.because, schedule.next_check_at = refused[:300], None
        return
    try:
        payment = create_payment(_request(schedule, due_on), actor=SYSTEM, now=now)
    except DuplicateReference as there:
        _skip(schedule, due_on, f"It was not charged: {there}", now)
        return
    DueDate.objects.create(schedule=schedule, due_on=due_on, payment=payment, decided_at=now)


def _request(schedule: Schedule, due_on: date) -> PaymentRequest:
    payer = schedule.method.payer
    return PaymentRequest(
        amount_minor=schedule.amount_minor,
        currency=schedule.currency,
        reference=f"{schedule.reference}-{due_on.isoformat()}",
        method=MethodRequest(schedule.method.kind, payment_method=schedule.method.public_id),
        payer=PayerRequest(payer.external_id, payer.email, payer.name) if payer else None,
        expires_in_seconds=int(_WINDOW.total_seconds()),
        initiated_by="merchant",
        schedule_id=schedule.pk,
        metadata={"schedule": schedule.public_id, "due_on": due_on.isoformat()},
        request_id=f"{schedule.public_id}:{due_on.isoformat()}",
    )


def charge_overdue(public_id: str, due_on: date, *, actor: Actor, now: datetime) -> Payment:
    """This function will charge a date that was skipped, by a person's wish.

    Raises: NotFound, Forbidden, NotAllowedNow (charged already, the method can not be charged, revoked), PaymentsError of
    the payment's own checks. Idempotent on: (schedule, due date). Writes: payment, due date.
    """
    actor.require(RIGHT)
    actor.require("payments.create_payment")
    with transaction.atomic():
        schedule = lock_schedule(public_id)
        row = DueDate.objects.select_for_update().filter(schedule=schedule, due_on=due_on).first()
        if row is None:
            raise NotFound(f"{schedule.public_id} was not due on {due_on:%d %b %Y}.")
        if row.payment is not None:
            return row.payment
        refused = _revoked(schedule) or why_blocked(schedule.method) or why_unusable(schedule.method)
        if refused:
            raise NotAllowedNow(refused)
        row.payment = create_payment(_request(schedule, due_on), actor=actor, now=now)
        row.skipped_because, row.decided_at = "", now
        row.save()
        return row.payment


# --- revocations ------------------------------------------------------------------------------------------------------


def _revoked(schedule: Schedule) -> str:
    """Has the payer, by their bank, taken back the consent to this charge? The sentence that says so, or empty."""
    own = Payment.objects.filter(due_date__schedule=schedule)
    told = next((o for o in _declined(own) if _revokes(o)), None)
    if told is None:
        others = Payment.objects.filter(due_date__schedule__method__in=_same_card(schedule.method))
        told = next((o for o in _declined(others) if o.code in _ALL_OF_METHOD), None)
    if told is None:
        return ""
    return f"The payer's bank has stopped it: {told.gateway_account.name} answered {told.code or 'so'}: {told.message}"[
        :300
    ]


def _same_card(method: PaymentMethod) -> list[PaymentMethod]:
    if not method.fingerprint:
        return [method]
    return list(PaymentMethod.objects.filter(fingerprint=method.fingerprint))


def _declined(payments: Iterable[Payment]) -> list[Operation]:
    found = Operation.objects.filter(payment__in=payments, state=OperationState.DECLINED)
    return list(found.select_related("gateway_account", "payment__method").order_by("-id"))


def _revokes(operation: Operation) -> bool:
    meaning = get_adapter(operation.gateway_account.provider).codes.get(operation.code)
    if meaning is not None and meaning.revokes:
        return True
    brand = operation.payment.method.brand
    return advise(brand, operation.network_code, operation.network_advice, operation.gateway_advice).revokes


def _stop(schedule: Schedule, because: str) -> None:
    schedule.mark_stopped()
    schedule.because, schedule.next_check_at = because, None
    schedule.version += 1
    schedule.save()


def _is_open(schedule: Schedule) -> bool:
    """Does a charge of it still go on? What it comes to may stop the schedule."""
    over = [state.value for state in FINAL_STATES]
    return schedule.due_dates.filter(payment__isnull=False).exclude(payment__state__in=over).exists()
