"""How does a sender freeze in the middle of its call? Phase by phase, with its lock held by a session of its own, as in life."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

from payments.services import sending
from payments.services.calls import _LOCK_SPACE


@dataclass
class Frozen:
    """A sender that sleeps: before its first byte, or with the answer in its hand."""

    ready: sending.Ready
    session: BaseDatabaseWrapper | None
    heard: sending.Heard | None = None

    def wake_up(self, clock: Callable[[], datetime]) -> None:
        """It does what it was about to do, whatever the time; without its session it does not know that it lost it."""
        heard = self.heard or sending._send(self.ready, clock)
        sending._record_outcome(self.ready, heard, clock)
        self.lose_session()

    def lose_session(self) -> None:
        """The database drops its connection, and the lock goes with it."""
        if self.session is not None:
            self.session.close()
            self.session = None


def fall_asleep(operation_id: int, clock: Callable[[], datetime], *, answered: bool) -> Frozen | None:
    """Begin one planned call and stop in it. None: it was not wanted any more, or has to wait."""
    session = connection.copy()
    with session.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK_SPACE | operation_id])
        assert cursor.fetchone()[0]
    ready = sending._start(operation_id, clock())
    if ready is None:
        session.close()
        return None
    return Frozen(ready, session, sending._send(ready, clock) if answered else None)
