"""Who waits for a comparison and is cut off: is that told apart from a comparison that is under way?"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Queue

import psycopg
import pytest
from django.db import OperationalError, connection, transaction
from psycopg.errors import AdminShutdown, QueryCanceled

from reconciliation.services.comparison_lock import alone, hold_still, wait_for_run

pytestmark = pytest.mark.django_db
ACCOUNT = 4_000_001


def held_by_a_command() -> None:
    """As fixes and closes do it: first of all in a transaction of their own."""
    with transaction.atomic():
        hold_still([ACCOUNT])


def close_own() -> None:
    """The connection of the thread that calls it."""
    connection.close()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as made:
        yield made
        made.submit(close_own).result(60)


def begin(pool: ThreadPoolExecutor, work: Callable[[], None]) -> tuple[Future[None], int]:
    """Let somebody else do it on a connection of their own; what comes of it, and the connection's pid once it waits."""
    pids: Queue[int] = Queue()

    def run() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            pids.put(cursor.fetchone()[0])
        work()

    future = pool.submit(run)
    pid = pids.get(timeout=60)
    for _ in range(6000):
        if asked("SELECT count(*) FROM pg_locks WHERE pid = %s AND locktype = 'advisory' AND NOT granted", pid):
            return future, pid
        time.sleep(0.01)
    raise AssertionError("it never waited")


def asked(query: str, pid: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(query, [pid])
        found: int = cursor.fetchone()[0]
        return found


@pytest.mark.parametrize(
    "waits", [held_by_a_command, lambda: wait_for_run(ACCOUNT)], ids=["hold_still", "wait_for_run"]
)
@pytest.mark.parametrize(
    ("cut_off_by", "cause"), [("pg_terminate_backend", AdminShutdown), ("pg_cancel_backend", QueryCanceled)]
)
def test_a_database_that_goes_away_is_no_comparison_under_way(
    pool: ThreadPoolExecutor, waits: Callable[[], None], cut_off_by: str, cause: type[psycopg.Error]
) -> None:
    with alone(ACCOUNT):
        waiting, pid = begin(pool, waits)
        cut = f"SELECT count({cut_off_by}(pid)) FROM pg_stat_activity WHERE datname = current_database() AND pid = %s"
        assert asked(cut, pid) == 1
        with pytest.raises(OperationalError) as lost:  # a Conflict would be none
            waiting.result(timeout=60)
    assert isinstance(lost.value.__cause__, cause)

    pool.submit(held_by_a_command).result(timeout=60)  # who was cut off left nothing held, and can try again at once
    with alone(ACCOUNT):
        pass
