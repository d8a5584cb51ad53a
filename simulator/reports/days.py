"""Which days does a world have, and when is it which time there? Days of 23 and 25 hours come out of the zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

_SATURDAY = 5


class Days:
    """`day` has most of the business; the days around it have some, those up to `last` what follows from it."""

    def __init__(self, day: date, zone: str) -> None:
        self.day, self.zone = day, ZoneInfo(zone)
        self.first = day - timedelta(days=1)
        self.last = work_days_after(day + timedelta(days=1), 4)

    def all(self) -> list[date]:
        return [self.first + timedelta(days=number) for number in range((self.last - self.first).days + 1)]

    def begin(self, day: date) -> datetime:
        """The first moment of a day, in UTC."""
        return datetime.combine(day, time(), self.zone).astimezone(UTC)

    def at(self, day: date, hour: int, minute: int = 0) -> datetime:
        """That time of the day on its clocks, in UTC."""
        return datetime.combine(day, time(hour, minute), self.zone).astimezone(UTC)

    def hours(self, day: date) -> int:
        """23, 24 or 25."""
        return (self.begin(day + timedelta(days=1)) - self.begin(day)) // timedelta(hours=1)

    def some_time(self, draw: Random, day: date, *, first: int = 0, last: int = 24) -> datetime:
        """A moment of the day, in UTC; `first` and `last` are hours since it began."""
        begin = self.begin(day) + timedelta(hours=first)
        end = min(begin + timedelta(hours=last - first), self.begin(day + timedelta(days=1)))
        if last >= 24:
            end = self.begin(day + timedelta(days=1))
        return begin + timedelta(seconds=draw.randrange(int((end - begin).total_seconds())))

    def never_was(self, at: datetime) -> bool:
        """Read as a time of the zone, its time in UTC is one that the clocks there skipped."""
        shown = at.astimezone(UTC).replace(tzinfo=self.zone)
        return shown.astimezone(UTC).astimezone(self.zone).replace(tzinfo=None) != shown.replace(tzinfo=None)

    def day_of(self, at: datetime) -> date:
        return at.astimezone(self.zone).date()


def work_days_after(day: date, count: int) -> date:
    """Monday to Friday."""
    while count:
        day += timedelta(days=1)
        count -= day.weekday() < _SATURDAY
    return day
