"""What time is it at the gateways, and what is due? Real time plus an offset that the control interface may advance."""

from __future__ import annotations

import heapq
import itertools
import sys
import threading
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


class SimulatedClock:
    """Real time plus an offset in seconds, at first `-behind_seconds`; never runs backwards but by reset."""

    def __init__(self, behind_seconds: float = 0.0) -> None:
        self._behind_seconds = behind_seconds
        self.reset()

    def reset(self) -> None:
        """Back to where it started."""
        self.offset_seconds = -self._behind_seconds

    def now(self) -> datetime:
        """The gateways' present moment, in UTC."""
        return datetime.now(UTC) + timedelta(seconds=self.offset_seconds)

    def seconds(self) -> float:
        """The same moment as seconds since 1970."""
        return time.time() + self.offset_seconds


class Agenda:
    """Runs jobs when their simulated time has come, on daemon threads of its own.

    Advancing the clock brings every job due by then forward. A job that raises is reported on standard error and does
    not stop the others.
    """

    def __init__(self, clock: SimulatedClock, threads: int = 1, name: str = "agenda") -> None:
        self._clock = clock
        self._jobs: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        lock = threading.RLock()
        self._changed = threading.Condition(lock)
        self._idle = threading.Condition(lock)
        self._running = 0
        for index in range(threads):
            threading.Thread(target=self._work, name=f"{name}-{index}", daemon=True).start()

    def after(self, seconds: float, job: Callable[[], None]) -> None:
        """Run `job` that many simulated seconds from now."""
        with self._changed:
            heapq.heappush(self._jobs, (self._clock.seconds() + seconds, next(self._order), job))
            self._changed.notify()

    def clear(self, patience_seconds: float = 2.0) -> None:
        """Forget every job that has not begun, and give those that run so many real seconds to end."""
        with self._changed:
            self._jobs.clear()
            self._idle.wait_for(lambda: not self._running, patience_seconds)
            self._jobs.clear()

    def wake(self) -> None:
        """Look at the clock again: it was advanced."""
        with self._changed:
            self._changed.notify_all()

    def pending(self) -> int:
        """How many jobs wait or run."""
        with self._changed:
            return len(self._jobs) + self._running

    def due(self) -> int:
        """How many jobs run or should by now; what comes later is not counted."""
        with self._changed:
            now = self._clock.seconds()
            return self._running + sum(moment <= now for moment, _, _ in self._jobs)

    def _next_job(self) -> Callable[[], None]:
        with self._changed:
            while True:
                wait = self._jobs[0][0] - self._clock.seconds() if self._jobs else None
                if wait is not None and wait <= 0:
                    self._running += 1
                    job = heapq.heappop(self._jobs)[2]
                    if self._jobs:
                        self._changed.notify()
                    return job
                self._changed.wait(wait)

    def _work(self) -> None:
        while True:
            job = self._next_job()
            try:
                job()
            except Exception:  # noqa: BLE001 - one bad job must not end the thread that serves all others
                traceback.print_exc(file=sys.stderr)
            finally:
                with self._changed:
                    self._running -= 1
                    self._idle.notify_all()
