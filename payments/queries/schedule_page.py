"""What does the page of a recurring charge show? Its state, its dates with what became of them, the next ones, its history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice, takewhile

from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse

from console.values import Amount, Chip, KeyValue, Link, QueueRow, Shown, Tone, WorkQueue
from payments.models import DueDate, PaymentMethod, Schedule
from payments.queries.queues import MOST_COUNTED, MOST_SHOWN, capped
from payments.schedule_dates import due_dates
from payments.states import ScheduleState

DATE_COLUMNS = ("Due", "Payment", "Amount", "What became of it")
CHANGE_COLUMNS = ("When", "By", "What")
SCHEDULE_COLUMNS = ("Recurring charge", "Each charge", "Due", "Next", "State")
_MOST_DATES = 60
_MOST_CHANGES = 40
_NEXT = 5
_STATES = {
    ScheduleState.ACTIVE: Chip("active", Tone.GOOD, "autorenew", "The next date is charged by itself."),
    ScheduleState.PAUSED: Chip("paused", Tone.WARN, "pause_circle", "No date is charged until somebody resumes it."),
    ScheduleState.STOPPED: Chip("stopped", Tone.QUIET, "block", "No date is ever charged again."),
    ScheduleState.ENDED: Chip("ended", Tone.QUIET, "done_all", "Its last date has come."),
}
_RESTS = Chip("paused by itself", Tone.BAD, "person_alert", "It can not be charged as it is: a person has to look.")


@dataclass(frozen=True, slots=True)
class SchedulePage:
    """Everything the page of one recurring charge shows, but what may be done."""

    chip: Chip
    notice: str
    facts: tuple[KeyValue, ...]
    dates: tuple[tuple[Shown, ...], ...]
    more_dates: bool
    upcoming: tuple[tuple[Shown, ...], ...]
    changes: tuple[tuple[Shown, ...], ...]


def schedule_chip(schedule: Schedule) -> Chip:
    """Does it run? One that paused itself waits for a person."""
    if schedule.state == ScheduleState.PAUSED and not schedule.halted_by:
        return Chip(_RESTS.text, _RESTS.tone, _RESTS.icon, schedule.because)
    chip = _STATES[ScheduleState(schedule.state)]
    return Chip(chip.text, chip.tone, chip.icon, schedule.because or chip.hint)


def interval_words(schedule: Schedule) -> str:
    """ "every month on the 31st, or the month's last day"."""
    what = f"every {schedule.interval}" if schedule.every == 1 else f"every {schedule.every} {schedule.interval}s"
    if schedule.interval == Schedule.Interval.MONTH:
        rest = ", or the month's last day" if schedule.anchor.day > 28 else ""
        return f"{what} on day {schedule.anchor.day}{rest}"
    return what


def day(of: date | None) -> str | None:
    """A business day as people read it, on one line."""
    return f"{of:%d\xa0%b\xa0%Y}" if of else None


def next_dates(schedule: Schedule, count: int = _NEXT) -> list[date]:
    """The dates that come next, if it goes on as it is."""
    if schedule.next_due_on is None or schedule.state not in (ScheduleState.ACTIVE, ScheduleState.PAUSED):
        return []
    coming = due_dates(schedule.anchor, schedule.interval, schedule.every, since=schedule.next_due_on)
    ends_on = schedule.ends_on
    return list(islice(takewhile(lambda due: ends_on is None or due <= ends_on, coming), count))


def schedule_page(schedule: Schedule, *, payer: str) -> SchedulePage:
    """Build the page out of its rows, in a constant number of queries. `payer` names the payer as far as people may read it."""
    dates = list(schedule.due_dates.select_related("payment").order_by("-due_on")[: _MOST_DATES + 1])
    return SchedulePage(
        chip=schedule_chip(schedule),
        notice=_notice(schedule),
        facts=_facts(schedule, payer),
        dates=tuple(_date_cells(row) for row in dates[:_MOST_DATES]),
        more_dates=len(dates) > _MOST_DATES,
        upcoming=tuple((day(due), Amount(schedule.amount_minor, schedule.currency)) for due in next_dates(schedule)),
        changes=tuple(
            (change.at, change.by or "itself", change.what) for change in schedule.changes.all()[:_MOST_CHANGES]
        ),
    )


def skipped_dates(schedule: Schedule) -> list[DueDate]:
    """Dates that a person may still charge, the newest first."""
    return list(schedule.due_dates.filter(payment=None).order_by("-due_on")[:_MOST_DATES])


def schedules_of(method: PaymentMethod) -> tuple[tuple[Shown, ...], ...]:
    """The recurring charges of one payment method, the newest first."""
    return tuple(
        (
            Link(schedule.name, schedule_url(schedule)),
            Amount(schedule.amount_minor, schedule.currency),
            interval_words(schedule),
            day(schedule.next_due_on) if schedule.state == ScheduleState.ACTIVE else None,
            schedule_chip(schedule),
        )
        for schedule in method.schedules.order_by("-id")[:20]
    )


def schedule_url(schedule: Schedule) -> str:
    """Where its page is."""
    return reverse("admin:payments_schedule_change", args=(schedule.public_id,))


def schedules_resting(request: HttpRequest, now: datetime) -> WorkQueue | None:
    """The heap of the home page: recurring charges that paused themselves; no heap at all while there is none."""
    if not request.user.has_perm("payments.view_schedule"):
        return None
    found = _resting()[: MOST_COUNTED + 1]
    rows: Sequence[Schedule] = list(found)
    if not rows:
        return None
    return WorkQueue(
        title="Recurring charges that paused themselves",
        url=f"{reverse('admin:payments_schedule_changelist')}?state__exact={ScheduleState.PAUSED.value}",
        rows=[_queue_row(schedule) for schedule in rows[:MOST_SHOWN]],
        more=len(rows) > MOST_SHOWN,
        count=capped(len(rows)),
    )


def _resting() -> QuerySet[Schedule]:
    resting = Schedule.objects.filter(state=ScheduleState.PAUSED.value, halted_by="", halted_at__isnull=False)
    return resting.order_by("halted_at", "id")


def _queue_row(schedule: Schedule) -> QueueRow:
    assert schedule.halted_at is not None
    return QueueRow(
        title=Link(schedule.name, schedule_url(schedule)),
        why=schedule.because,
        since=schedule.halted_at,
        amount=Amount(schedule.amount_minor, schedule.currency),
        suggestion="Give it another payment method, then resume it",
    )


def _notice(schedule: Schedule) -> str:
    if schedule.state == ScheduleState.PAUSED:
        who = f"{schedule.halted_by} paused it" if schedule.halted_by else "It paused itself"
        return f"{who}: {schedule.because}"
    if schedule.state == ScheduleState.STOPPED:
        who = f"{schedule.halted_by} stopped it" if schedule.halted_by else "It stopped for good"
        return f"{who}: {schedule.because}"
    return ""


def _facts(schedule: Schedule, payer: str) -> tuple[KeyValue, ...]:
    method = schedule.method
    address = reverse("admin:payments_paymentmethod_change", args=(method.public_id,))
    return (
        KeyValue("Each charge", Amount(schedule.amount_minor, schedule.currency)),
        KeyValue("Due", interval_words(schedule)),
        KeyValue("First", day(schedule.anchor)),
        KeyValue("Last", f"not after {day(schedule.ends_on)}" if schedule.ends_on else "until it is stopped"),
        KeyValue(
            "Paid with",
            Link(str(method), address),
            f"good until {method.expires_on:%m/%Y}" if method.expires_on else "",
        ),
        KeyValue("Network's reference", _network_reference(method), "Of the first payment; each charge refers to it."),
        KeyValue("Payer", payer or None),
        KeyValue("Mandate", schedule.mandate),
        KeyValue("Reference", schedule.reference, "Its payments bear it and their due date."),
        KeyValue("Set up", schedule.created_at, f"by {schedule.created_by}" if schedule.created_by else ""),
    )


def _network_reference(method: PaymentMethod) -> str | None:
    known = method.credentials.exclude(network_transaction_id="").values_list("gateway_account__name", flat=True)
    names = ", ".join(known)
    return f"known at {names}" if names else None


def _date_cells(row: DueDate) -> tuple[Shown, ...]:
    payment = row.payment
    if payment is None:
        return (day(row.due_on), Chip("skipped", Tone.WARN, "event_busy"), None, row.skipped_because)
    address = reverse("admin:payments_payment_change", args=(payment.public_id,))
    link = Link(payment.public_id, address, code=True)
    return (
        day(row.due_on), link, Amount(payment.amount_minor, payment.currency), payment.state.replace("_", " "),
    )  # fmt: skip
