"""How is a day of the books closed and opened again? Alone with the book: no posting is under way while it happens."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db import connection

from ledger.errors import DayNotClosable, NotInTransaction
from ledger.models import ClosedDay
from ledger.queries import DayDigest, closed_through, day_digest
from ledger.services.book_lock import take_alone
from ledger.services.posting import business_day

WAIT_SECONDS = 20
"""How long a close waits for postings that are under way."""


@dataclass(frozen=True, slots=True)
class Closed:
    """What a close covers. `first_day` None: everything up to `day`."""

    first_day: date | None
    day: date
    entries: DayDigest


def close_book(day: date, *, actor: str, now: datetime) -> Closed:
    """This function will close every day up to and on `day`: later facts of it are booked on the first open day.

    Raises: NotInTransaction; DayNotClosable for a day that is not over, is closed, or leaves an open day before it;
      OperationalError when postings do not end within WAIT_SECONDS.
    Writes: the close with the digest over its entries. Locks: the book, alone, until the transaction ends.
    """
    if not connection.in_atomic_block:
        raise NotInTransaction
    take_alone(wait_seconds=WAIT_SECONDS)
    last = closed_through()
    _refuse(day, last, business_day(now))
    first_day = last + timedelta(days=1) if last else None
    entries = day_digest(first_day, day)
    ClosedDay.objects.create(
        day=day,
        first_day=first_day,
        closed_at=now,
        closed_by=actor,
        entries_count=entries.entries_count,
        entries_digest=entries.digest,
    )
    return Closed(first_day, day, entries)


def reopen_book(day: date, *, actor: str, now: datetime) -> None:
    """This function will open the last closed day again, and with it every day its close covered.

    Raises: NotInTransaction; DayNotClosable where it is not the last closed day. Writes: the reopening on the close.
    """
    if not connection.in_atomic_block:
        raise NotInTransaction
    take_alone(wait_seconds=WAIT_SECONDS)
    last = closed_through()
    if last != day:
        raise DayNotClosable(
            day, f"is not the last closed day; that is {last or 'none'}. Days are reopened from the last one back."
        )
    ClosedDay.objects.filter(day=day, reopened_at__isnull=True).update(reopened_at=now, reopened_by=actor)


def _refuse(day: date, last: date | None, today: date) -> None:
    if day >= today:
        raise DayNotClosable(day, f"is not over yet: today is {today}.")
    if last is not None and day <= last:
        raise DayNotClosable(day, f"is closed already: the books are closed through {last}.")
    if last is not None and day > last + timedelta(days=1):
        raise DayNotClosable(day, f"leaves an open day before it: close {last + timedelta(days=1)} first.")
