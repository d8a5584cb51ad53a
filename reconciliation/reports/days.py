"""Between which moments does a period of business days lie? Days begin at midnight in BUSINESS_TIME_ZONE, whatever DST does."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings

from reconciliation.reports.base import Given


def zone() -> ZoneInfo:
    """The business's time zone."""
    return ZoneInfo(settings.BUSINESS_TIME_ZONE)


def business_day(now: datetime) -> date:
    """The day it is there."""
    return now.astimezone(zone()).date()


def begins(day: date) -> datetime:
    """Its first moment."""
    return datetime.combine(day, time(), zone())


def day_of(given: Given, name: str) -> date | None:
    """A parameter that is a day."""
    value = given.get(name)
    return value if isinstance(value, date) else None


def text_of(given: Given, name: str) -> str | None:
    """A parameter that is a word."""
    value = given.get(name)
    return value if isinstance(value, str) else None


def moments(given: Given) -> tuple[datetime | None, datetime | None]:
    """`from` and `to` as [start, end)."""
    start, end = day_of(given, "from"), day_of(given, "to")
    return (begins(start) if start else None), (begins(end + timedelta(days=1)) if end else None)
