"""How is a recurring charge made, changed and ended? People's commands; what is due by itself is in `recurring`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction

from ledger.money import UnknownCurrency, minor_digits
from payments.card_numbers import find_card_number
from payments.errors import CardNumberRefused, Conflict, InvalidInput, NotAllowedNow, NotFound
from payments.models import PaymentMethod, Schedule
from payments.schedule_dates import next_due
from payments.services.actors import Actor
from payments.services.methods import why_blocked, why_unusable
from payments.states import ScheduleState

RIGHT = "payments.edit_schedule"


@dataclass(frozen=True, slots=True)
class ScheduleRequest:
    """A recurring charge as it shall be; amount in minor units, dates as business days."""

    name: str
    reference: str
    payment_method: str
    amount_minor: int
    currency: str
    interval: str
    anchor: date
    mandate: str
    every: int = 1
    ends_on: date | None = None


def business_day(now: datetime) -> date:
    """Today, where the business is."""
    return now.astimezone(ZoneInfo(settings.BUSINESS_TIME_ZONE)).date()


def day_begins(day: date) -> datetime:
    """The first moment of a business day."""
    return datetime.combine(day, time.min, ZoneInfo(settings.BUSINESS_TIME_ZONE))


def make_schedule(request: ScheduleRequest, *, actor: Actor, now: datetime) -> Schedule:
    """This function will set up a recurring charge; the first one is due on its anchor.

    Raises: Forbidden; InvalidInput naming the field (an anchor in the past, a method without a stored credential).
    Writes: the schedule. Idempotent on: reference while it has not ended, if everything else is the same.
    """
    actor.require(RIGHT)
    _check(request, now)
    method = _method(request.payment_method)
    with transaction.atomic():
        PaymentMethod.objects.select_for_update(no_key=True).get(pk=method.pk)
        there = Schedule.objects.filter(reference=request.reference, state__in=_GOES_ON).first()
        if there is not None:
            return _same(there, request, method)
        schedule = Schedule(
            name=request.name.strip(),
            reference=request.reference.strip(),
            method=method,
            amount_minor=request.amount_minor,
            currency=request.currency,
            interval=request.interval,
            every=request.every,
            anchor=request.anchor,
            ends_on=request.ends_on,
            mandate=request.mandate.strip(),
            next_due_on=request.anchor,
            next_check_at=day_begins(request.anchor),
            created_at=now,
            created_by=actor.label,
        )
        schedule.save()
        return schedule


_GOES_ON = (ScheduleState.ACTIVE, ScheduleState.PAUSED)


def _same(there: Schedule, request: ScheduleRequest, method: PaymentMethod) -> Schedule:
    fields = ("amount_minor", "currency", "interval", "every", "anchor", "ends_on")
    if there.method_id == method.pk and all(getattr(there, name) == getattr(request, name) for name in fields):
        return there
    raise InvalidInput(f"{there.public_id} charges under this reference already.", field="reference")


def _check(request: ScheduleRequest, now: datetime) -> None:
    for name in ("name", "reference", "mandate"):
        if not getattr(request, name).strip():
            raise InvalidInput(f"A recurring charge needs a {name}.", field=name)
        if find_card_number(getattr(request, name)):
            raise CardNumberRefused(f"The {name} looks like it holds a card number. Nothing was stored.", field=name)
    _check_money(request.amount_minor, request.currency)
    if request.interval not in Schedule.Interval.values:
        raise InvalidInput(f"It can be due every {', '.join(Schedule.Interval.values)}.", field="interval")
    if not 1 <= request.every <= 400:
        raise InvalidInput("It is due every 1 to 400 intervals.", field="every")
    if request.anchor < business_day(now):
        raise InvalidInput("The first charge can not lie in the past.", field="anchor")
    _check_end(request.anchor, request.ends_on)


def _check_money(amount_minor: int, currency: str) -> None:
    if amount_minor <= 0:
        raise InvalidInput("The amount must be more than zero.", field="amount_minor")
    try:
        minor_digits(currency)
    except UnknownCurrency as error:
        raise InvalidInput(str(error), field="currency") from error


def _check_end(first: date, ends_on: date | None) -> None:
    if ends_on is not None and ends_on < first:
        raise InvalidInput("It would end before it is due.", field="ends_on")


def _method(public_id: str) -> PaymentMethod:
    """A charge without its payer needs a stored credential: a token that works once is gone after the first."""
    method = PaymentMethod.objects.filter(public_id=public_id).first()
    if method is None:
        raise InvalidInput(f"There is no payment method {public_id}.", field="payment_method")
    refused = why_blocked(method) or why_unusable(method)
    if not refused and not method.credentials.filter(reusable=True).exists():
        refused = "No gateway keeps a stored credential for it; the payer has to pay once, so that one is made."
    if refused:
        raise InvalidInput(f"This payment method can not be charged again and again. {refused}", field="payment_method")
    return method


@dataclass(frozen=True, slots=True)
class Changes:
    """What may be changed of a running schedule; None leaves it."""

    name: str | None = None
    amount_minor: int | None = None
    ends_on: date | None = None
    endless: bool = False  # take the end away
    payment_method: str | None = None
    mandate: str | None = None


def edit_schedule(public_id: str, changes: Changes, *, version: int, actor: Actor, now: datetime) -> Schedule:
    """This function will change what later dates charge; dates charged already stay as they are.

    Raises: NotFound, Forbidden, Conflict (changed since `version`), NotAllowedNow (it has ended), InvalidInput.
    Writes: the schedule.
    """
    actor.require(RIGHT)
    with transaction.atomic():
        schedule = lock_schedule(public_id, version)
        _refuse_ended(schedule)
        _apply(schedule, changes)
        set_clock(schedule, since=schedule.next_due_on or business_day(now))
        schedule.version += 1
        schedule.save()
        return schedule


def _apply(schedule: Schedule, changes: Changes) -> None:
    for name in ("name", "mandate"):
        text = getattr(changes, name)
        if text is not None and not text.strip():
            raise InvalidInput(f"A recurring charge needs a {name}.", field=name)
        if text is not None:
            setattr(schedule, name, text.strip())
    if changes.amount_minor is not None:
        _check_money(changes.amount_minor, schedule.currency)
        schedule.amount_minor = changes.amount_minor
    if changes.payment_method is not None:
        schedule.method = _method(changes.payment_method)
    if changes.endless:
        schedule.ends_on = None
    elif changes.ends_on is not None:
        _check_end(schedule.anchor, changes.ends_on)
        schedule.ends_on = changes.ends_on


def pause_schedule(public_id: str, *, because: str, version: int, actor: Actor, now: datetime) -> Schedule:
    """No date is charged until it is resumed. Raises: as `edit_schedule`. Writes: the schedule."""
    return _move(public_id, "pause", because, version, actor, now)


def resume_schedule(public_id: str, *, because: str, version: int, actor: Actor, now: datetime) -> Schedule:
    """Dates are charged again, from today on: what fell into the pause is not made up for.

    Raises: as `edit_schedule`; InvalidInput if its method can not be charged any more. Writes: the schedule.
    """
    return _move(public_id, "resume", because, version, actor, now)


def stop_schedule(public_id: str, *, because: str, version: int, actor: Actor, now: datetime) -> Schedule:
    """No date is ever charged again. Raises: as `edit_schedule`. Writes: the schedule."""
    return _move(public_id, "stop", because, version, actor, now)


def _move(public_id: str, what: str, because: str, version: int, actor: Actor, now: datetime) -> Schedule:
    actor.require(RIGHT)
    if not because.strip():
        raise InvalidInput("Say why.", field="because")
    with transaction.atomic():
        schedule = lock_schedule(public_id, version)
        _refuse_ended(schedule)
        if what == "pause":
            _refuse(schedule.state == ScheduleState.PAUSED, "It is paused already.")
            schedule.mark_paused()
        elif what == "resume":
            _refuse(schedule.state == ScheduleState.ACTIVE, "It is running.")
            _method(schedule.method.public_id)
            schedule.mark_active()
            set_clock(schedule, since=business_day(now))
        else:
            schedule.mark_stopped()
        if schedule.state != ScheduleState.ACTIVE:
            schedule.next_check_at = None
        schedule.because = f"{actor.label}: {because.strip()}"[:300]
        schedule.version += 1
        schedule.save()
        return schedule


def _refuse(when: bool, because: str) -> None:  # noqa: FBT001 - reads as "refuse when"
    if when:
        raise NotAllowedNow(because)


def _refuse_ended(schedule: Schedule) -> None:
    if schedule.state not in _GOES_ON:
        raise NotAllowedNow(f"This recurring charge has {schedule.state}: {schedule.because or 'its time is over'}.")


def lock_schedule(public_id: str, version: int | None = None) -> Schedule:
    """The schedule under its lock. Raises: NotFound; Conflict if it changed since `version`."""
    schedule = Schedule.objects.select_for_update().filter(public_id=public_id).first()
    if schedule is None:
        raise NotFound(f"There is no recurring charge {public_id}.")
    if version is not None and schedule.version != version:
        raise Conflict(
            "This recurring charge was changed since you looked at it. Look at the new values and try again."
        )
    return schedule


def set_clock(schedule: Schedule, *, since: date) -> None:
    """The next due date from `since` on, in memory; a running schedule without one has ended."""
    due = next_due(schedule.anchor, schedule.interval, schedule.every, since=since, ends_on=schedule.ends_on)
    schedule.next_due_on = due
    if schedule.state != ScheduleState.ACTIVE:
        schedule.next_check_at = None
    elif due is None:
        schedule.mark_ended()
        schedule.next_check_at = None
    else:
        schedule.next_check_at = day_begins(due)


LOOK_AGAIN = timedelta(hours=1)  # while a charge of a schedule has not ended, what it came to is looked at this often
