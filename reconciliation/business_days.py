"""Which days does a gateway or bank work, and how many lie between two? Pure."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta, tzinfo

_SATURDAY = 5


def is_business_day(day: date, holidays: Collection[date] = ()) -> bool:
    """Monday to Friday, and no holiday."""
    return day.weekday() < _SATURDAY and day not in holidays


def add_business_days(day: date, count: int, holidays: Collection[date] = ()) -> date:
    """The day that is `count` business days after `day`; `day` itself for 0, whatever it is."""
    while count > 0:
        day += timedelta(days=1)
        count -= is_business_day(day, holidays)
    return day


def day_bounds(day: date, zone: tzinfo) -> tuple[datetime, datetime]:
    """The first moment of a day in a zone and the first of the next, in UTC: 23 or 25 hours apart where clocks change."""
    first, after = (datetime.combine(each, time(), zone) for each in (day, day + timedelta(days=1)))
    return first.astimezone(UTC), after.astimezone(UTC)
