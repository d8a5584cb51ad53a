"""How is a recurring charge set up? By one person, or by two where the amount is above what one may promise alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from django.db import connection, transaction

from ledger.money import Money
from payments.errors import InvalidInput
from payments.models import Approval, PaymentMethod, Schedule
from payments.models.schedule import GOES_ON
from payments.services import limits
from payments.services.actors import Actor
from payments.services.approvable import Approvable, Arguments, Line
from payments.services.approvals import ask_approval
from payments.services.schedules.requests import ScheduleRequest, check_request
from payments.services.schedules.revocations import revoked_before
from payments.services.schedules.rows import RIGHT, day_begins, note

ACTION = "edit_schedule"
"""The limit that new and raised amounts count against."""


@dataclass(frozen=True, slots=True)
class Made:
    """The schedule; or the request that waits for a second person, `because` says why."""

    schedule: Schedule | None
    approval: Approval | None = None
    because: str = ""


def second_person_because(money: Money, *, actor: Actor, now: datetime) -> str:
    """Why promising this amount needs a second person; empty: the actor may do it alone. Reads only."""
    return limits.needs_second_person(ACTION, {money.currency: money.amount_minor}, actor=actor, now=now)


def make_schedule(request: ScheduleRequest, *, reason: str = "", actor: Actor, now: datetime) -> Made:
    """This function will set up a recurring charge, the first one due on its anchor; or ask a second person first.

    Raises: Forbidden; InvalidInput naming the field (an anchor in the past, a method without a stored credential, a
    reference that is taken). Idempotent on: reference while it has not ended, if everything else is the same.
    Writes: the schedule and its history, the use of the limit; or the approval.
    """
    actor.require(RIGHT)
    with transaction.atomic():
        _lock_reference(request.reference.strip())
        there = _there(request)
        if there is not None:
            return Made(there)
        check_request(request, now)
        money = {request.currency: request.amount_minor}
        because = limits.spend(ACTION, money, actor=actor, now=now)
        if not because:
            return Made(_make(request, by=actor.label, now=now))
        arguments = _arguments(request)
        approval = ask_approval(
            "make_schedule", request.reference.strip(), arguments, reason=reason, actor=actor, now=now
        )
        return Made(None, approval, because)


def preview_schedule(request: ScheduleRequest, now: datetime) -> tuple[list[Line], str]:
    """What a second person would be shown, and what to beware of. Raises: InvalidInput. Writes nothing."""
    method = _require_possible(request, now)
    return _lines(request, method), revoked_before(method)


def interval_words(interval: str, every: int) -> str:
    """ "every month", "every 2 weeks"."""
    return f"every {interval}" if every == 1 else f"every {every} {interval}s"


def _make(request: ScheduleRequest, *, by: str, now: datetime) -> Schedule:
    schedule = Schedule.objects.create(
        name=request.name.strip(),
        reference=request.reference.strip(),
        method=check_request(request, now),
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
        created_by=by[:100],
    )
    how = interval_words(schedule.interval, schedule.every)
    note(schedule, f"Made: {schedule.money} {how} from {schedule.anchor:%d %b %Y} on.", by=by, now=now)
    return schedule


def _lock_reference(reference: str) -> None:
    """Two of one reference at once: the second waits, then sees the first."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 19))", [reference])


def _there(request: ScheduleRequest) -> Schedule | None:
    """The same schedule, made before. Raises: InvalidInput if another one has the reference."""
    there = Schedule.objects.filter(reference=request.reference.strip(), state__in=GOES_ON).select_related("method")
    schedule = there.first()
    if schedule is None:
        return None
    same = ("amount_minor", "currency", "interval", "every", "anchor", "ends_on")
    if schedule.method.public_id == request.payment_method.strip() and all(
        getattr(schedule, name) == getattr(request, name) for name in same
    ):
        return schedule
    raise InvalidInput(f"{schedule.public_id} charges under this reference already.", field="reference")


def _require_possible(request: ScheduleRequest, now: datetime) -> PaymentMethod:
    method = check_request(request, now)
    if _there(request) is not None:
        raise InvalidInput("This recurring charge is there already.", field="reference")
    return method


# --- the second person ------------------------------------------------------------------------------------------------


def _arguments(request: ScheduleRequest) -> dict[str, Any]:
    ends_on = request.ends_on.isoformat() if request.ends_on else None
    return {**asdict(request), "anchor": request.anchor.isoformat(), "ends_on": ends_on}


def _request(arguments: Mapping[str, Any]) -> ScheduleRequest:
    ends_on = date.fromisoformat(arguments["ends_on"]) if arguments["ends_on"] else None
    return ScheduleRequest(**{**arguments, "anchor": date.fromisoformat(arguments["anchor"]), "ends_on": ends_on})


def _show(subject: str, arguments: Arguments, now: datetime) -> list[Line]:
    request = _request(arguments)
    return _lines(request, _require_possible(request, now))


def _lines(request: ScheduleRequest, method: PaymentMethod) -> list[Line]:
    return [
        ("Name", request.name.strip()),
        ("Reference", request.reference.strip()),
        ("Payment method", f"{method} ({method.public_id})"),
        ("Each charge", str(request.money)),
        ("Due", interval_words(request.interval, request.every)),
        ("First", f"{request.anchor:%d %b %Y}"),
        ("Last", f"not after {request.ends_on:%d %b %Y}" if request.ends_on else "until it is stopped"),
        ("Mandate", request.mandate.strip()),
    ]


def _execute(
    subject: str, arguments: Arguments, *, maker: Actor, checker: Actor, approval: Approval, now: datetime
) -> str:
    schedule = _make(_request(arguments), by=f"{maker.label}, approved by {checker.label}", now=now)
    return f"{schedule.public_id} is set up: first charge on {schedule.anchor:%d %b %Y}."


def _lock(subject: str, arguments: Arguments) -> None:
    _lock_reference(subject)


MAKE_SCHEDULE = Approvable(title="Set up a recurring charge", right=RIGHT, show=_show, execute=_execute, lock=_lock)
