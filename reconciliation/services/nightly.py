"""Which days have to be compared by themselves, and when? One row an account and day, made at the account's own hour.

Rows are the queue of record: the beat that makes and runs them may be lost, late or doubled. A day whose report is late
waits with growing pauses and rings after a while; days missed while everything stood still are made up for, oldest first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from django.db import connection
from django.db.models import Exists, Min, OuterRef

from payments.errors import PaymentsError
from reconciliation.models import Run, Statement, StatementAccount
from reconciliation.queries.alarms import expected_at, last_due
from reconciliation.services.running import run_day
from reconciliation.states import RunState, StatementState

log = logging.getLogger(__name__)
Clock = Callable[[], datetime]

CATCH_UP_DAYS: Final = 31
"""How far back days are made up for. What is older is found by the comparison of a later day, if not matched by then."""
_SHORTEST, _LONGEST = timedelta(minutes=5), timedelta(hours=12)  # pauses between two tries of one day
_LEASE: Final = timedelta(hours=1)  # a day whose process died is tried again
_AT_ONCE: Final = 100  # days of one call; the beat comes again
_RUNNING: Final = 0x43F << 40 | 0xA2  # session advisory lock of whoever runs the due days
_RETRIED: Final = frozenset({RunState.DUE, RunState.WAITING, RunState.RUNNING, RunState.FAILED})


@dataclass(frozen=True, slots=True)
class Ran:
    """What one call did: days made, days compared to their end, days that wait or failed."""

    planned: int = 0
    done: int = 0
    waiting: int = 0


def tick(clock: Clock) -> Ran:
    """This function will make the days that are due, and compare them: the beat's call. Writes: as `plan` and `run_due`."""
    planned = plan(clock())
    ran = run_due(clock)
    return Ran(planned, ran.done, ran.waiting)


def plan(now: datetime) -> int:
    """This function will make a row for each day that an account should have been compared for; returns how many.

    A day is due from the account's hour of the day after, in its zone. An account that was never compared begins with
    yesterday, or with the day its books start. A day that waits for its report is woken when one has come.
    Idempotent on: account and day. Writes: runs.
    """
    rows: list[Run] = []
    for account in StatementAccount.objects.filter(nightly=True):
        rows += [Run(account=account, day=day, next_check_at=now) for day in _missing(account, now)]
    Run.objects.bulk_create(rows, ignore_conflicts=True)
    _wake(now)
    return len(rows)


def _missing(account: StatementAccount, now: datetime) -> list[date]:
    """Days without a row, oldest first, up to the last one whose hour has come."""
    last = last_due(account, now)
    rows = Run.objects.filter(account=account)
    begun = account.books_start_on or rows.aggregate(first=Min("day"))["first"] or last
    first = max(begun, last - timedelta(days=CATCH_UP_DAYS - 1))
    ran = set(rows.filter(day__gte=first).values_list("day", flat=True))
    days = (first + timedelta(days=number) for number in range((last - first).days + 1))
    return [day for day in days if day not in ran]


def _wake(now: datetime) -> None:
    """A report that came since the day was tried last ends its pause."""
    came = Statement.objects.filter(
        account=OuterRef("account"),
        ends_on__gte=OuterRef("day"),
        state=StatementState.READ,
        complete=True,
        received_at__gt=OuterRef("started_at"),
    )
    waiting = Run.objects.filter(state=RunState.WAITING, next_check_at__gt=now)
    waiting.filter(Exists(came)).update(next_check_at=now)


def run_due(clock: Clock) -> Ran:
    """This function will compare every day that is due, oldest first. One day's trouble does not stop the others.

    A day whose report is late or incomplete, or that failed, is due again after a quarter of the time it has waited, from
    five minutes to twelve hours. Only one process does this at a time; a second call returns at once.
    Writes: as `run_day`; when a run is looked at again.
    """
    done = waiting = 0
    with _alone() as got:
        for run in _due(clock) if got else ():
            finished = _run(run, clock)
            done, waiting = done + finished, waiting + (not finished)
    return Ran(done=done, waiting=waiting)


def _due(clock: Clock) -> Iterator[Run]:
    """One after another, as each changes what is due. Each is taken once a call."""
    taken: set[int] = set()
    while len(taken) < _AT_ONCE:
        due = Run.objects.filter(next_check_at__lte=clock()).exclude(pk__in=taken)
        run = due.order_by("day", "account").select_related("account").first()
        if run is None:
            return
        taken.add(run.pk)
        yield run


def _run(run: Run, clock: Clock) -> bool:
    Run.objects.filter(pk=run.pk).update(next_check_at=clock() + _LEASE)
    trouble = _trouble_of(run, clock)
    now = clock()
    run.refresh_from_db()
    again = now + _pause(run, now) if trouble or run.state in _RETRIED else None
    # What the comparison itself says of its end is more than what it ended with.
    because = trouble if trouble and run.state != RunState.FAILED else run.because
    Run.objects.filter(pk=run.pk).update(next_check_at=again, because=because[:400])
    return again is None


def _trouble_of(run: Run, clock: Clock) -> str:
    """Compare the day; why that broke off, if it did."""
    try:
        run_day(run.account.slug, run.day, clock)
    except PaymentsError as refused:
        return str(refused)
    except Exception as broken:
        log.exception("The comparison of %s for %s broke off", run.account.slug, run.day)
        return f"It broke off: {type(broken).__name__}"
    return ""


def _pause(run: Run, now: datetime) -> timedelta:
    return min(max((now - expected_at(run.account, run.day)) / 4, _SHORTEST), _LONGEST)


@contextmanager
def _alone() -> Iterator[bool]:
    """Beat doubled by mistake, or a run that outlasts the pause between two beats. A killed process frees it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_RUNNING])
        got = bool(cursor.fetchone()[0])
    try:
        yield got
    finally:
        if got and connection.connection is not None and not connection.connection.closed:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [_RUNNING])
