"""Which instant does a file mean by its own date and time? Days of 23 and 25 hours are read by a rule, never by luck.

A time without zone is one of the account's zone. One that was skipped (clocks put forward) never was: the line is rejected.
One that was twice (clocks put back) is the earlier of both, unless the file's order says the later: in a file that goes
forward it is the first that is not before the line above, in one that goes back the last that is not after it. A format
without hours means the beginning of that day in the zone.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

_STRICT: Final = {
    "%Y-%m-%d": r"\d{4}-\d\d-\d\d",
    "%Y-%m-%d %H:%M:%S": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d",
    "%Y-%m-%dT%H:%M:%S": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d",
    "%Y-%m-%dT%H:%M:%S%z": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:?\d\d)",
}  # forms that the fast parser reads as strptime would
_EARLIEST: Final = 1990


class BadTime(ValueError):
    """The text is no moment by the agreed form; the message says why."""


class LocalTimes:
    """Reads the times of one file, in its order. One instance a file: it remembers the line above."""

    def __init__(self, zone: ZoneInfo, date_format: str) -> None:
        self._zone, self._format = zone, date_format
        strict = _STRICT.get(date_format)
        self._strict = re.compile(strict, re.ASCII) if strict else None
        self._is_utc = zone.key == "UTC"
        self._has_hours = any(mark in date_format for mark in ("%H", "%I", "%T", "%X", "%c", "%s"))
        self._above: datetime | None = None
        self._backwards = False
        self._text, self._known = "", datetime.min.replace(tzinfo=UTC)

    def read(self, text: str) -> datetime:
        """The instant, in UTC. Raises: BadTime."""
        text = text.strip()
        if text == self._text and text and not self._has_hours:
            return self._known
        moment = self._parse(text)
        if moment.year < _EARLIEST:
            raise BadTime(f"{text[:40]!r} lies before {_EARLIEST}.")
        found = moment.astimezone(UTC) if moment.tzinfo else self._in_zone(moment, text)
        if self._above is not None and found != self._above:
            self._backwards = found < self._above
        self._above, self._text, self._known = found, text, found
        return found

    def _parse(self, text: str) -> datetime:
        try:
            if self._strict is None:
                return datetime.strptime(text, self._format)  # noqa: DTZ007 - the zone is put on by the rule above
            if self._strict.fullmatch(text):
                return datetime.fromisoformat(text)
        except (ValueError, OverflowError):
            pass
        raise BadTime(f"{text[:40]!r} is no time of the form {self._format!r}." if text else "The time is empty.")

    def _in_zone(self, moment: datetime, text: str) -> datetime:
        if self._is_utc:
            return moment.replace(tzinfo=UTC)
        first = moment.replace(tzinfo=self._zone, fold=0).astimezone(UTC)
        second = moment.replace(tzinfo=self._zone, fold=1).astimezone(UTC)
        if first == second:
            return first
        if first > second:  # fold turns them round where the clock was put forward: neither was on any clock
            if not self._has_hours:
                return first
            raise BadTime(f"{text[:40]!r} never was in {self._zone.key}: the clock was put forward over it.")
        if self._above is None or not self._has_hours:
            return first
        if self._backwards:
            return second if second <= self._above else first
        return first if first >= self._above else second
