"""What time is it in a test of nights and alarms? What the test says: it stands still, and is moved by hand."""

from __future__ import annotations

from datetime import datetime, timedelta


class MovedClock:
    """Begins at `now`, and stays there until it is told how much has passed."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **time: float) -> datetime:
        """Let so much time pass: the moment afterwards."""
        self.now += timedelta(**time)
        return self.now
