"""What do all steps of a recurring charge share? Its lock, its clock, its history, the business day; and how it comes to rest."""

from __future__ import annotations

from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from django.conf import settings

from payments.errors import Conflict, NotAllowedNow, NotFound
from payments.models import DueDate, PaymentMethod, Schedule, ScheduleChange
from payments.models.schedule import GOES_ON
from payments.schedule_dates import due_between, next_due
from payments.services.methods import why_blocked, why_unusable
from payments.states import FINAL_STATES, PaymentState, ScheduleState

RIGHT = "payments.edit_schedule"
STILL_OPEN = tuple(state.value for state in PaymentState if state not in FINAL_STATES)
"""A payment in one of these may still be refused or taken."""


def business_day(now: datetime) -> date:
    """Today, where the business is."""
    return now.astimezone(ZoneInfo(settings.BUSINESS_TIME_ZONE)).date()


def day_begins(day: date) -> datetime:
    """The first moment of a business day."""
    return datetime.combine(day, time.min, ZoneInfo(settings.BUSINESS_TIME_ZONE))


def lock_schedule(public_id: str, version: int | None = None) -> Schedule:
    """The schedule under its lock; payments are locked after it. Raises: NotFound; Conflict if it changed since `version`."""
    schedule = Schedule.objects.select_for_update().filter(public_id=public_id).first()
    if schedule is None:
        raise NotFound(f"There is no recurring charge {public_id}.")
    if version is not None and schedule.version != version:
        last = schedule.changes.first()
        raise Conflict(
            "This recurring charge was changed since you looked at it. Look at the new values and try again.",
            who=last.by if last else "",
            what=last.what if last else "",
            at=last.at.isoformat() if last else "",
        )
    return schedule


def refuse_ended(schedule: Schedule) -> None:
    """Raises: NotAllowedNow if it is over for good."""
    if schedule.state not in GOES_ON:
        raise NotAllowedNow(f"This recurring charge has {schedule.state}: {schedule.because or 'its time is over.'}")


def why_not_recurring(method: PaymentMethod) -> str:
    """Why the method can not be charged without its payer; empty: it can. A token that works once is gone after the first."""
    refused = why_blocked(method) or why_unusable(method)
    if not refused and not method.credentials.filter(reusable=True).exists():
        return "No gateway keeps a stored credential for it: the payer has to pay once, so that one is made."
    return refused


def set_clock(schedule: Schedule, *, since: date) -> None:
    """The next due date from `since` on, in memory; a running schedule without one has ended."""
    due = next_due(schedule.anchor, schedule.interval, schedule.every, since=since, ends_on=schedule.ends_on)
    schedule.next_due_on = due
    if schedule.state == ScheduleState.ACTIVE and due is None:
        schedule.mark_ended()
    running = schedule.state == ScheduleState.ACTIVE and due is not None
    schedule.next_check_at = day_begins(due) if running and due is not None else None


def dates_between(schedule: Schedule, since: date, until: date) -> list[date]:
    """Its due dates in [since, until], none of them past its end."""
    until = min(until, schedule.ends_on or until)
    return due_between(schedule.anchor, schedule.interval, schedule.every, since=since, until=until)


def skip_dates(schedule: Schedule, dates: list[date], because: str, now: datetime) -> None:
    """Write dates down as not charged, with the reason. Idempotent: a date that is decided stays as it is."""
    rows = [
        DueDate(schedule=schedule, due_on=due_on, skipped_because=because[:300], decided_at=now, heard=True)
        for due_on in dates
    ]
    DueDate.objects.bulk_create(rows, ignore_conflicts=True)


def halt(schedule: Schedule, *, stop: bool, because: str, by: str, now: datetime) -> None:
    """Pause or stop it, in memory, and write down why. `by` empty: nobody did, an answer or a rule."""
    if stop:
        schedule.mark_stopped()
    else:
        schedule.mark_paused()
    schedule.because, schedule.halted_by, schedule.halted_at = because[:300], by[:100], now
    schedule.next_check_at = None
    note(schedule, f"{'Stopped' if stop else 'Paused'}: {because}", by=by, now=now)


def note(schedule: Schedule, what: str, *, by: str, now: datetime) -> None:
    """Append to its history."""
    ScheduleChange.objects.create(schedule=schedule, what=what[:500], by=by[:200], at=now)


def keep(schedule: Schedule) -> None:
    """Save it as another version."""
    schedule.version += 1
    schedule.save()
