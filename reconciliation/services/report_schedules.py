"""Which reports make themselves, when, and for which days? By the business's clock, each day's once, however often it is asked.

A report of a day is made on the day after it, of a week on the Monday after it, of a month on the first day after it. What fell
due while nothing ran is made up for, one period after the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction

from payments.errors import Conflict, InvalidInput, NotFound, PaymentsError
from payments.services.actors import Actor
from reconciliation.models import ReportSchedule
from reconciliation.reports.base import Report
from reconciliation.reports.days import zone
from reconciliation.reports.registry import report_named
from reconciliation.services.report_jobs import scheduled_report
from reconciliation.services.reporting import check

RIGHT = "reconciliation.edit_terms"
"""A schedule sends figures out of the house by itself: whoever sets terms may set it."""
MOST_RECIPIENTS = 20
Every = ReportSchedule.Every


@dataclass(frozen=True, slots=True)
class Wanted:
    """A schedule as it shall be. `parameters` leave out the period: each report gets its own."""

    report: str
    format: str
    parameters: Mapping[str, object]
    every: str
    hour: int
    recipients: Sequence[str]


def add_schedule(wanted: Wanted, *, actor: Actor, now: datetime, request_id: str | None = None) -> ReportSchedule:
    """This function will make a schedule; its first report is due at the next such hour.

    Raises: Forbidden; NotFound; InvalidInput naming the field. Idempotent on: request_id. Writes: the schedule.
    """
    actor.require(RIGHT)
    raw = _checked(wanted, actor, now)
    schedule = ReportSchedule(
        report=wanted.report, format=wanted.format, parameters=raw, every=wanted.every, hour=wanted.hour,
        recipients=list(wanted.recipients), made_by=actor.label, request_id=request_id,
        next_check_at=next_firing(wanted.every, wanted.hour, now),
    )  # fmt: skip
    try:
        with transaction.atomic():
            schedule.save()
    except IntegrityError:
        return ReportSchedule.objects.get(request_id=request_id)
    return schedule


def switch_schedule(schedule_id: int, *, enabled: bool, version: int, actor: Actor, now: datetime) -> ReportSchedule:
    """This function will stop a schedule, or let it go on from the next such hour: nothing of the pause is made up for.

    Raises: Forbidden; NotFound; Conflict if it was changed since. Writes: the schedule.
    """
    actor.require(RIGHT)
    with transaction.atomic():
        schedule = ReportSchedule.objects.select_for_update().filter(pk=schedule_id).first()
        if schedule is None:
            raise NotFound("There is no such schedule.")
        if schedule.version != version:
            raise Conflict("Somebody changed this schedule while you were looking.")
        schedule.enabled = enabled
        schedule.next_check_at = next_firing(schedule.every, schedule.hour, now) if enabled else None
        schedule.version += 1
        schedule.save()
    return schedule


def preview_schedule(wanted: Wanted, *, actor: Actor, now: datetime) -> datetime:
    """When its first report would be made. Raises what `add_schedule` raises; writes nothing."""
    actor.require(RIGHT)
    _checked(wanted, actor, now)
    return next_firing(wanted.every, wanted.hour, now)


def _checked(wanted: Wanted, actor: Actor, now: datetime) -> dict[str, str]:
    """The parameters as text, if the schedule can be. Raises: InvalidInput naming the field; NotFound."""
    report = report_named(wanted.report)
    if wanted.every not in Every.values:
        raise InvalidInput(f"It comes every {', '.join(Every.values)}.", field="every")
    if not 0 <= wanted.hour <= 23:
        raise InvalidInput("An hour is from 0 to 23.", field="hour")
    _check_recipients(wanted.recipients)
    raw = {name: str(value) for name, value in wanted.parameters.items() if value not in (None, "", False)}
    fixed = [parameter.name for parameter in report.parameters if parameter.period and parameter.name in raw]
    if fixed:
        raise InvalidInput("A schedule sets the period by itself.", field=fixed[0])
    start, end = period_of(wanted.every, now.astimezone(zone()).date())
    check(wanted.report, wanted.format, raw | period_texts(report, start, end), actor=actor, now=now)
    return raw


def run_schedule(schedule_id: int, now: datetime) -> bool:
    """This function will ask for the report that is due, and set the next hour. Returns whether there was one.

    Idempotent on: schedule and day. Writes: the report's row, the schedule.
    """
    with transaction.atomic():
        due = ReportSchedule.objects.select_for_update(skip_locked=True)
        schedule = due.filter(pk=schedule_id, enabled=True, next_check_at__lte=now).first()
        if schedule is None or schedule.next_check_at is None:
            return False
        fired_on = schedule.next_check_at.astimezone(zone()).date()
        report = report_named(schedule.report)
        start, end = period_of(schedule.every, fired_on)
        try:
            scheduled_report(schedule, schedule.parameters | period_texts(report, start, end), end, now)
        except PaymentsError:  # what was fine when it was made is not any more: it is off, and seen to be off
            schedule.enabled = False
        schedule.last_for = end
        schedule.next_check_at = next_firing(schedule.every, schedule.hour, schedule.next_check_at)
        schedule.version += 1
        schedule.save()
        return True


def next_firing(every: str, hour: int, after: datetime) -> datetime:
    """The first moment after `after` at which it is that hour on a day a report is made.

    An hour that a clock skips is taken when the clock has jumped; one that it shows twice counts the first time.
    """
    day = after.astimezone(zone()).date()
    while True:
        moment = datetime.combine(day, time(hour), zone()).astimezone(UTC)
        if moment > after and _is_firing_day(every, day):
            return moment
        day += timedelta(days=1)


def period_of(every: str, fired_on: date) -> tuple[date, date]:
    """First and last day that a report made on this day is about."""
    last = fired_on - timedelta(days=1)
    if every == Every.WEEK:
        return last - timedelta(days=6), last
    return (last.replace(day=1), last) if every == Every.MONTH else (last, last)


def period_texts(report: Report, start: date, end: date) -> dict[str, str]:
    """The period in the report's own parameters."""
    days = {"start": start.isoformat(), "end": end.isoformat()}
    return {parameter.name: days[parameter.period] for parameter in report.parameters if parameter.period}


def _is_firing_day(every: str, day: date) -> bool:
    if every == Every.WEEK:
        return day.weekday() == 0
    return day.day == 1 if every == Every.MONTH else True


def _check_recipients(recipients: Sequence[str]) -> None:
    if not 1 <= len(recipients) <= MOST_RECIPIENTS:
        raise InvalidInput(f"Name one to {MOST_RECIPIENTS} e-mail addresses.", field="recipients")
    for address in recipients:
        try:
            validate_email(address)
        except ValidationError as refused:
            raise InvalidInput(f"{address!r} is no e-mail address.", field="recipients") from refused
