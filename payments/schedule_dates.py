"""On which days is a recurring charge due? Counted from its first day, so that a short month moves no later one. Pure."""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import count, takewhile

INTERVALS = ("day", "week", "month", "year")
_MONTHS = {"month": 1, "year": 12}
_DAYS = {"day": 1, "week": 7}


def due_date(anchor: date, interval: str, every: int, number: int) -> date:
    """The due date after `number` steps; 0 is the first.

    Months keep the first date's day, or their last day where they have no such day: 31 January, 28 February, 31 March.
    Raises: ValueError for an unknown interval or a step that is not positive, OverflowError past the calendar.
    """
    if every < 1 or number < 0:
        raise ValueError(f"every {every} {interval}s, step {number}: both must go forward")
    if interval in _DAYS:
        return anchor + timedelta(days=_DAYS[interval] * every * number)
    if interval not in _MONTHS:
        raise ValueError(f"no interval {interval!r}: there is {', '.join(INTERVALS)}")
    months = anchor.month - 1 + _MONTHS[interval] * every * number
    year, month = anchor.year + months // 12, months % 12 + 1
    if year > date.max.year:
        raise OverflowError("the calendar ends before that date")
    return date(year, month, min(anchor.day, calendar.monthrange(year, month)[1]))


def due_dates(anchor: date, interval: str, every: int, *, since: date) -> Iterator[date]:
    """Every due date from `since` on, in order, up to the end of the calendar."""
    for number in count(_first_step(anchor, interval, every, since)):
        try:
            due = due_date(anchor, interval, every, number)
        except OverflowError:
            return
        if due >= since:
            yield due


def next_due(anchor: date, interval: str, every: int, *, since: date, ends_on: date | None) -> date | None:
    """The first due date from `since` on; None if it lies past the end."""
    due = next(due_dates(anchor, interval, every, since=since), None)
    return None if due is None or (ends_on is not None and due > ends_on) else due


def due_between(anchor: date, interval: str, every: int, *, since: date, until: date) -> list[date]:
    """Every due date in [since, until]."""
    return list(takewhile(lambda due: due <= until, due_dates(anchor, interval, every, since=since)))


def _first_step(anchor: date, interval: str, every: int, since: date) -> int:
    """A step at or before the first one wanted, so that years gone by are not walked through."""
    if since <= anchor:
        return 0
    if interval in _DAYS:
        return (since - anchor).days // (_DAYS[interval] * every)
    months = (since.year - anchor.year) * 12 + since.month - anchor.month
    return max(months // (_MONTHS.get(interval, 1) * every) - 1, 0)
