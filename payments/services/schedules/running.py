"""Which recurring charges are due? Each date is charged once; what the payer has taken back is not charged at all."""

from __future__ import annotations

import logging
from datetime import date, datetime, timedelta

from django.db import transaction

from payments.errors import DuplicateReference, PaymentsError
from payments.models import DueDate, Payment, Schedule
from payments.services.actors import SYSTEM
from payments.services.calls import Clock
from payments.services.case import lock_payment
from payments.services.commands import cancel_payment
from payments.services.schedules.charging import charge_date
from payments.services.schedules.revocations import refused_for_good, revoked, same_card
from payments.services.schedules.rows import (
    STILL_OPEN,
    business_day,
    dates_between,
    halt,
    keep,
    lock_schedule,
    note,
    set_clock,
    skip_dates,
    why_not_recurring,
)
from payments.services.switches import stopped_charges
from payments.states import PaymentState, ScheduleState

log = logging.getLogger(__name__)

_LOOK_AGAIN = timedelta(hours=1)  # while a charge has not ended, what it came to is looked at this often
_AFTER_ERROR = timedelta(minutes=5)
_WHILE_STOPPED = timedelta(minutes=5)
_NEVER_SENT = (PaymentState.INITIATED, PaymentState.VALIDATED)


def run_due(clock: Clock, *, limit: int = 200) -> int:
    """This function will charge what is due, one payment a date; returns how many schedules were looked at.

    After an outage, of ours or of sending, at most one overdue date of a schedule is charged by itself: the latest. Older
    ones are skipped with the reason, and a person may charge them. What earlier charges came to is heard first.
    Idempotent: (schedule, due date) is unique and decided under the schedule's lock; doubled runs are safe. One
    schedule's error does not stop the others: it is logged, and due again in five minutes.
    """
    due = Schedule.objects.filter(next_check_at__lte=clock()).order_by("next_check_at")
    names = list(due.values_list("public_id", flat=True)[:limit])
    for public_id in names:
        try:
            with transaction.atomic():
                schedule = lock_schedule(public_id)
                _run(schedule, clock())
            if schedule.state == ScheduleState.STOPPED:
                _wake_same_card(schedule, clock())
        except Exception:  # one schedule must not stop the others
            log.exception("The recurring charge %s could not be worked on.", public_id)
            Schedule.objects.filter(public_id=public_id).update(next_check_at=clock() + _AFTER_ERROR)
    return len(names)


def _run(schedule: Schedule, now: datetime) -> None:
    """One look at one schedule, under its lock. Only what people see counts as another version."""
    if schedule.state != ScheduleState.ACTIVE or schedule.next_check_at is None or schedule.next_check_at > now:
        return
    today = business_day(now)
    _hear(schedule, now)
    if schedule.state != ScheduleState.ACTIVE:
        keep(schedule)
    elif schedule.next_due_on is not None and schedule.next_due_on <= today and stopped_charges():
        schedule.next_check_at = now + _WHILE_STOPPED  # undecided: only the latest date runs once sending is resumed
        schedule.save(update_fields=["next_check_at"])
    elif schedule.next_due_on is not None and schedule.next_due_on <= today:
        _charge_what_is_due(schedule, today, now)
        _look_again(schedule, now)
        keep(schedule)
    else:
        set_clock(schedule, since=today)
        _look_again(schedule, now)
        schedule.save(update_fields=["next_check_at"])


def _look_again(schedule: Schedule, now: datetime) -> None:
    if schedule.next_check_at is not None and schedule.due_dates.filter(payment__isnull=False, heard=False).exists():
        schedule.next_check_at = min(schedule.next_check_at, now + _LOOK_AGAIN)


# --- what earlier charges came to -------------------------------------------------------------------------------------


def _hear(schedule: Schedule, now: datetime) -> None:
    """Stop it if the consent is taken back; pause it if its card is refused for good, once for each payment."""
    told = revoked(schedule)
    if told:
        halt(schedule, stop=True, because=told, by="", now=now)
        _cancel_open(schedule, now)
        return
    ended = schedule.due_dates.filter(payment__isnull=False, heard=False).exclude(payment__state__in=STILL_OPEN)
    for row in ended.select_related("payment").order_by("due_on"):
        row.heard = True
        row.save(update_fields=["heard"])
        assert row.payment is not None
        failed = row.payment.state in {PaymentState.FAILED, PaymentState.EXPIRED}
        because = refused_for_good(row.payment) if failed else ""
        if because and schedule.state == ScheduleState.ACTIVE:
            halt(schedule, stop=False, because=because, by="", now=now)


def _cancel_open(schedule: Schedule, now: datetime) -> None:
    """What may still be tried of a revoked schedule is not: retries, and what was never sent. Calls in flight are followed."""
    for payment in Payment.objects.filter(due_date__schedule=schedule, state__in=STILL_OPEN).order_by("id"):
        try:
            cancel_payment(payment.public_id, actor=SYSTEM, now=now)
        except PaymentsError as refusal:
            log.info("%s is not cancelled: %s", payment.public_id, refusal)


def _wake_same_card(schedule: Schedule, now: datetime) -> None:
    """A revocation may end every charge of the card: let the others hear it now. A lost call delays what their pages say."""
    others = Schedule.objects.filter(method__in=same_card(schedule.method), state=ScheduleState.ACTIVE)
    others.filter(next_check_at__gt=now).update(next_check_at=now)


# --- what is due ------------------------------------------------------------------------------------------------------


def _charge_what_is_due(schedule: Schedule, today: date, now: datetime) -> None:
    assert schedule.next_due_on is not None
    dates = dates_between(schedule, schedule.next_due_on, today)
    if dates:
        missed = (
            f"It was due while nothing could be charged; of the missed dates only {dates[-1]:%d %b %Y} ran by itself."
        )
        skip_dates(schedule, dates[:-1], missed, now)
        _take_back_unsent(schedule, dates[-1], now)
        _charge(schedule, dates[-1], now)
    if schedule.state == ScheduleState.ACTIVE:
        set_clock(schedule, since=today + timedelta(days=1))
        if schedule.state == ScheduleState.ENDED:
            note(schedule, "Ended: its last date has come.", by="", now=now)


def _take_back_unsent(schedule: Schedule, due_on: date, now: datetime) -> None:
    """An older date whose payment never left us would now be charged beside this one: cancelled, and written as skipped."""
    older = schedule.due_dates.filter(due_on__lt=due_on, payment__state__in=[state.value for state in _NEVER_SENT])
    for row in older.select_related("payment"):
        assert row.payment is not None
        payment = lock_payment(row.payment.pk).payment
        if payment is None or payment.state not in _NEVER_SENT:
            continue
        cancelled = cancel_payment(payment.public_id, actor=SYSTEM, now=now)
        row.payment, row.decided_at, row.heard = None, now, True
        row.skipped_because = (
            f"{cancelled.public_id} could not be sent before the next date was due, and was cancelled."
        )
        row.save()


def _charge(schedule: Schedule, due_on: date, now: datetime) -> None:
    """One date's payment, or the reason why there is none; what would refuse the next date as well pauses the schedule."""
    if DueDate.objects.filter(schedule=schedule, due_on=due_on).exists():
        return
    refused = why_not_recurring(schedule.method)
    if not refused:
        try:
            payment = charge_date(
                schedule, due_on, request_id=f"{schedule.public_id}:{due_on.isoformat()}", actor=SYSTEM, now=now
            )
        except DuplicateReference as there:
            skip_dates(schedule, [due_on], f"It was not charged: {there}", now)
            return
        except PaymentsError as refusal:
            refused = refusal.detail
        else:
            DueDate.objects.create(schedule=schedule, due_on=due_on, payment=payment, decided_at=now)
            return
    skip_dates(schedule, [due_on], refused, now)
    set_clock(schedule, since=due_on + timedelta(days=1))
    if schedule.state == ScheduleState.ACTIVE:
        halt(schedule, stop=False, because=refused, by="", now=now)
