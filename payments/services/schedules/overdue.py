"""How is a date charged that was skipped? Only by a person, and above the limit by two."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from django.db import transaction

from payments.errors import NotAllowedNow, NotFound
from payments.models import Approval, DueDate, Payment, Schedule
from payments.services import limits
from payments.services.actors import Actor
from payments.services.approvable import Approvable, Arguments, Line
from payments.services.approvals import ask_approval
from payments.services.schedules.charging import charge_date
from payments.services.schedules.revocations import revoked
from payments.services.schedules.rows import RIGHT, keep, lock_schedule, note, why_not_recurring
from payments.states import ScheduleState

_ACTION = "charge_overdue"
_CREATE = "payments.create_payment"


@dataclass(frozen=True, slots=True)
class Charged:
    """The date's payment; or the request that waits for a second person, `because` says why."""

    payment: Payment | None
    approval: Approval | None = None
    because: str = ""


def charge_overdue(public_id: str, due_on: date, *, reason: str = "", actor: Actor, now: datetime) -> Charged:
    """This function will charge a date that was skipped, by a person's wish; or ask a second person first.

    Raises: NotFound, Forbidden, NotAllowedNow (stopped, revoked, its method can not be charged), PaymentsError of the
    payment's own checks. Idempotent on: (schedule, due date). Writes: payment, due date, history, use of the limit.
    """
    actor.require(RIGHT)
    actor.require(_CREATE)
    with transaction.atomic():
        schedule, row = _find(public_id, due_on)
        if row.payment is not None:
            return Charged(row.payment)
        _refuse(schedule)
        because = limits.spend(_ACTION, {schedule.currency: schedule.amount_minor}, actor=actor, now=now)
        if not because:
            return Charged(_charge(schedule, row, by=actor.label, actor=actor, now=now))
        subject = f"{public_id}/{due_on.isoformat()}"
        return Charged(None, ask_approval(_ACTION, subject, {}, reason=reason, actor=actor, now=now), because)


def preview_overdue(public_id: str, due_on: date, *, actor: Actor, now: datetime) -> tuple[list[Line], str]:
    """What would be charged, and why it needs a second person. Raises: as `charge_overdue`. Writes nothing."""
    lines = _show(f"{public_id}/{due_on.isoformat()}", {}, now)
    schedule = Schedule.objects.get(public_id=public_id)
    money = {schedule.currency: schedule.amount_minor}
    return lines, limits.needs_second_person(_ACTION, money, actor=actor, now=now)


def _find(public_id: str, due_on: date) -> tuple[Schedule, DueDate]:
    schedule = lock_schedule(public_id)
    row = DueDate.objects.select_related("payment").filter(schedule=schedule, due_on=due_on).first()
    if row is None:
        raise NotFound(f"{schedule.public_id} was not due on {due_on:%d %b %Y}.")
    return schedule, row


def _refuse(schedule: Schedule) -> None:
    refused = revoked(schedule) or why_not_recurring(schedule.method)
    if schedule.state == ScheduleState.STOPPED:
        refused = f"This recurring charge has stopped: {schedule.because}"
    if refused:
        raise NotAllowedNow(refused)


def _charge(schedule: Schedule, row: DueDate, *, by: str, actor: Actor, now: datetime) -> Payment:
    payment = charge_date(schedule, row.due_on, request_id="", actor=actor, now=now)  # the due date's row is the key
    row.payment, row.skipped_because, row.decided_at, row.heard = payment, "", now, False
    row.save()
    note(schedule, f"Charged {row.due_on:%d %b %Y} by hand: {payment.public_id}.", by=by, now=now)
    if schedule.state == ScheduleState.ACTIVE:
        schedule.next_check_at = now  # looked at, so that what becomes of it is heard
    keep(schedule)
    return payment


# --- the second person ------------------------------------------------------------------------------------------------


def _show(subject: str, arguments: Arguments, now: datetime) -> list[Line]:
    public_id, _, due_on = subject.partition("/")
    with transaction.atomic():
        schedule, row = _find(public_id, date.fromisoformat(due_on))
        if row.payment is not None:
            raise NotAllowedNow(f"This date has been charged: {row.payment.public_id}.")
        _refuse(schedule)
    return [
        ("Recurring charge", f"{schedule.name} ({schedule.reference})"),
        ("Due", f"{row.due_on:%d %b %Y}"),
        ("Not charged because", row.skipped_because),
        ("Charged now", str(schedule.money)),
        ("Payment method", f"{schedule.method} ({schedule.method.public_id})"),
    ]


def _execute(
    subject: str, arguments: Arguments, *, maker: Actor, checker: Actor, approval: Approval, now: datetime
) -> str:
    public_id, _, due_on = subject.partition("/")
    schedule, row = _find(public_id, date.fromisoformat(due_on))
    _refuse(schedule)
    maker.require(_CREATE)
    by = f"{maker.label}, approved by {checker.label}"
    return f"{_charge(schedule, row, by=by, actor=maker, now=now).public_id} charges it."


CHARGE_OVERDUE = Approvable(title="Charge a date that was skipped", right=RIGHT, show=_show, execute=_execute)
