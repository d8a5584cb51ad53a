"""How long ago, or how soon, in words? Pure: both moments are arguments, the clock is read by the page."""

from datetime import datetime

_UNITS = ((86_400, "day", 60), (3_600, "h", 48), (60, "min", 120), (1, "s", 90))


def distance_in_words(moment: datetime, now: datetime) -> str:
    """Say the distance as an operator would: "40 s ago", "in 12 min", "3 days ago", old ones as a date.

    Raises: ValueError if one of the moments has no time zone.
    """
    if moment.tzinfo is None or now.tzinfo is None:
        raise ValueError("A moment without a time zone cannot be shown: make it aware first.")
    seconds = int((now - moment).total_seconds())
    size = abs(seconds)
    if size < 5:
        return "just now"
    if size >= 60 * 86_400:
        return f"{moment:%d %b %Y}".lstrip("0")
    amount = _amount(size)
    return f"{amount} ago" if seconds > 0 else f"in {amount}"


def exact(moment: datetime) -> str:
    """Write the moment in full with its offset, as it stands on hover and in evidence: "2026-11-21 05:30:09 UTC"."""
    return f"{moment:%Y-%m-%d %H:%M:%S} {moment.tzname()}"


def _amount(size: int) -> str:
    """Choose the unit that keeps two significant figures: 89 s, then 119 min, then 47 h, then days."""
    for width, unit, limit in reversed(_UNITS):
        count = size // width
        if count < limit:
            return f"{count} {unit}" if unit != "day" else f"{count} {'day' if count == 1 else 'days'}"
    raise AssertionError("distances beyond the largest unit are written as dates")
