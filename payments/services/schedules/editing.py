"""How is a recurring charge changed? Later dates alone; more money or another card takes a second person above the limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date, datetime
from typing import Any

from django.db import transaction

from ledger.money import Money
from payments.errors import InvalidInput
from payments.models import Approval, Schedule
from payments.services import limits
from payments.services.actors import Actor
from payments.services.approvable import Approvable, Arguments, Line
from payments.services.approvals import ask_approval
from payments.services.schedules.making import ACTION, Made, second_person_because
from payments.services.schedules.requests import Changes, check_end, check_money, check_text, recurring_method
from payments.services.schedules.rows import RIGHT, business_day, keep, lock_schedule, note, refuse_ended, set_clock


def edit_schedule(
    public_id: str, changes: Changes, *, version: int, reason: str = "", actor: Actor, now: datetime
) -> Made:
    """This function will change what later dates charge; dates charged already stay as they are.

    More money, or another payment method, counts against the limit: above it a second person is asked instead.
    Raises: NotFound, Forbidden, Conflict (changed since `version`), NotAllowedNow (it has ended), InvalidInput.
    Writes: the schedule and its history, the use of the limit; or the approval.
    """
    actor.require(RIGHT)
    with transaction.atomic():
        schedule = lock_schedule(public_id, version)
        lines = _lines(schedule, changes)
        because = ""
        if _promises_more(schedule, changes):
            money = _after(schedule, changes)
            because = limits.spend(ACTION, {money.currency: money.amount_minor}, actor=actor, now=now)
        if because:
            approval = ask_approval(
                "edit_schedule", public_id, _arguments(changes), reason=reason, actor=actor, now=now
            )
            return Made(schedule, approval, because)
        _apply(schedule, changes, lines, by=actor.label, now=now)
        return Made(schedule)


def preview_edit(public_id: str, changes: Changes, *, actor: Actor, now: datetime) -> tuple[list[Line], str]:
    """What would change, and why it needs a second person. Raises: NotFound, NotAllowedNow, InvalidInput. Writes nothing."""
    with transaction.atomic():
        schedule = lock_schedule(public_id)
        lines = _lines(schedule, changes)
        if not _promises_more(schedule, changes):
            return lines, ""
        return lines, second_person_because(_after(schedule, changes), actor=actor, now=now)


def _lines(schedule: Schedule, changes: Changes) -> list[Line]:
    """Each change as "before → after". Raises: NotAllowedNow, InvalidInput (nothing would change)."""
    refuse_ended(schedule)
    _check(schedule, changes)
    found: list[Line] = []
    for name in ("name", "mandate"):
        text = getattr(changes, name)
        if text is not None and text.strip() != getattr(schedule, name):
            found.append((name.capitalize(), f"{getattr(schedule, name)} → {text.strip()}"))
    if _after(schedule, changes) != schedule.money:
        found.append(("Each charge", f"{schedule.money} → {_after(schedule, changes)}"))
    if changes.payment_method is not None and changes.payment_method.strip() != schedule.method.public_id:
        after = recurring_method(changes.payment_method)
        before = f"{schedule.method} ({schedule.method.public_id})"
        found.append(("Payment method", f"{before} → {after} ({after.public_id})"))
    ends_on = _end_after(schedule, changes)
    if ends_on != schedule.ends_on:
        found.append(("Last", f"{_end_words(schedule.ends_on)} → {_end_words(ends_on)}"))
    if not found:
        raise InvalidInput("Nothing would change.")
    return found


def _check(schedule: Schedule, changes: Changes) -> None:
    for name in ("name", "mandate"):
        if getattr(changes, name) is not None:
            check_text(name, getattr(changes, name))
    if changes.amount_minor is not None:
        check_money(changes.amount_minor, schedule.currency)
    check_end(changes.ends_on, not_before=schedule.anchor)


def _promises_more(schedule: Schedule, changes: Changes) -> bool:
    another = changes.payment_method is not None and changes.payment_method.strip() != schedule.method.public_id
    return another or _after(schedule, changes).amount_minor > schedule.amount_minor


def _after(schedule: Schedule, changes: Changes) -> Money:
    minor = schedule.amount_minor if changes.amount_minor is None else changes.amount_minor
    return Money(minor, schedule.currency)


def _end_after(schedule: Schedule, changes: Changes) -> date | None:
    return None if changes.endless else changes.ends_on or schedule.ends_on


def _end_words(ends_on: date | None) -> str:
    return f"{ends_on:%d %b %Y}" if ends_on else "until it is stopped"


def _apply(schedule: Schedule, changes: Changes, lines: list[Line], *, by: str, now: datetime) -> None:
    schedule.name = schedule.name if changes.name is None else changes.name.strip()
    schedule.mandate = schedule.mandate if changes.mandate is None else changes.mandate.strip()
    schedule.amount_minor = _after(schedule, changes).amount_minor
    if changes.payment_method is not None:
        schedule.method = recurring_method(changes.payment_method)
    schedule.ends_on = _end_after(schedule, changes)
    set_clock(schedule, since=schedule.next_due_on or business_day(now))
    note(schedule, "; ".join(f"{label}: {value}" for label, value in lines), by=by, now=now)
    keep(schedule)


# --- the second person ------------------------------------------------------------------------------------------------


def _arguments(changes: Changes) -> dict[str, Any]:
    return {**asdict(changes), "ends_on": changes.ends_on.isoformat() if changes.ends_on else None}


def _changes(arguments: Mapping[str, Any]) -> Changes:
    ends_on = date.fromisoformat(arguments["ends_on"]) if arguments["ends_on"] else None
    return Changes(**{**arguments, "ends_on": ends_on})


def _show(subject: str, arguments: Arguments, now: datetime) -> list[Line]:
    schedule = Schedule.objects.select_related("method").get(public_id=subject)
    named = [("Recurring charge", f"{schedule.name} ({schedule.reference})"), ("Paid with", str(schedule.method))]
    return [*named, *_lines(schedule, _changes(arguments))]


def _execute(
    subject: str, arguments: Arguments, *, maker: Actor, checker: Actor, approval: Approval, now: datetime
) -> str:
    schedule, changes = lock_schedule(subject), _changes(arguments)
    by = f"{maker.label}, approved by {checker.label}"
    _apply(schedule, changes, _lines(schedule, changes), by=by, now=now)
    return f"Changed: the next charge is {schedule.money}."


def _lock(subject: str, arguments: Arguments) -> None:
    lock_schedule(subject)


EDIT_SCHEDULE = Approvable(title="Change a recurring charge", right=RIGHT, show=_show, execute=_execute, lock=_lock)
