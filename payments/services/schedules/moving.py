"""How does a person pause, resume or stop a recurring charge? Each with a reason, bound to what the person saw."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from payments.errors import InvalidInput, NotAllowedNow
from payments.models import Schedule
from payments.services.actors import Actor
from payments.services.schedules.revocations import revoked
from payments.services.schedules.rows import (
    RIGHT,
    STILL_OPEN,
    business_day,
    dates_between,
    halt,
    keep,
    lock_schedule,
    note,
    refuse_ended,
    set_clock,
    skip_dates,
    why_not_recurring,
)
from payments.states import ScheduleState


def pause_schedule(public_id: str, *, because: str, version: int, actor: Actor, now: datetime) -> Schedule:
    """No date is charged until it is resumed; payments made already go on.

    Raises: NotFound, Forbidden, Conflict, NotAllowedNow (paused or over), InvalidInput (because). Writes: the schedule.
    """
    _require(actor, because)
    with transaction.atomic():
        schedule = lock_schedule(public_id, version)
        refuse_ended(schedule)
        if schedule.state == ScheduleState.PAUSED:
            raise NotAllowedNow("It is paused already.")
        halt(schedule, stop=False, because=because.strip(), by=actor.label, now=now)
        keep(schedule)
        return schedule


def stop_schedule(public_id: str, *, because: str, version: int, actor: Actor, now: datetime) -> Schedule:
    """No date is ever charged again; payments made already go on. Raises and writes: as `pause_schedule`."""
    _require(actor, because)
    with transaction.atomic():
        schedule = lock_schedule(public_id, version)
        refuse_ended(schedule)
        halt(schedule, stop=True, because=because.strip(), by=actor.label, now=now)
        keep(schedule)
        return schedule


def resume_schedule(public_id: str, *, because: str, version: int, actor: Actor, now: datetime) -> Schedule:
    """Dates are charged again, from today on. What fell into the pause is written down as skipped, and may be charged by hand.

    Raises: as `pause_schedule`; NotAllowedNow too if its method can not be charged or the consent is taken back.
    Writes: the schedule, skipped dates.
    """
    _require(actor, because)
    with transaction.atomic():
        schedule = lock_schedule(public_id, version)
        refusal = why_not_resumed(schedule)
        if refusal:
            raise NotAllowedNow(refusal)
        today = business_day(now)
        if schedule.next_due_on is not None:
            missed = dates_between(schedule, schedule.next_due_on, today - timedelta(days=1))
            skip_dates(schedule, missed, f"It was paused then: {schedule.because}", now)
        ended = schedule.due_dates.exclude(payment__state__in=STILL_OPEN)
        ended.update(heard=True)  # whoever resumes it has read why it rests
        schedule.mark_active()
        schedule.because, schedule.halted_by, schedule.halted_at = "", "", None
        set_clock(schedule, since=today)
        note(schedule, f"Resumed: {because.strip()}", by=actor.label, now=now)
        keep(schedule)
        return schedule


def why_not_resumed(schedule: Schedule) -> str:
    """Why it can not be resumed; empty: it can. Reads only. Raises: NotAllowedNow if it is over for good."""
    refuse_ended(schedule)
    if schedule.state == ScheduleState.ACTIVE:
        return "It is running."
    return revoked(schedule) or why_not_recurring(schedule.method)


def _require(actor: Actor, because: str) -> None:
    actor.require(RIGHT)
    if not because.strip():
        raise InvalidInput("Say why.", field="because")
