"""Who compares an account, and who wants it to stand still? A run is alone with it; fixes and closes hold it together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from django.db import OperationalError, connection, transaction
from psycopg.errors import LockNotAvailable

from payments.errors import Conflict

_LOCK: Final = 0x43F << 40 | 0xE0 << 32  # advisory lock of one account's comparison, with its id below
WAIT_SECONDS: Final = 8
"""How long a person's command waits for a comparison that is under way."""


@contextmanager
def alone(account_id: int) -> Iterator[None]:
    """One comparison of an account at a time; a second waits its turn. Of the session: a killed process frees it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [_LOCK | account_id])
    try:
        yield
    finally:
        if connection.connection is not None and not connection.connection.closed and connection.is_usable():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK | account_id])


def hold_still(account_ids: Iterable[int]) -> None:
    """No comparison of these accounts begins before the caller's transaction ends; one under way is waited for.

    To be called before rows are locked. Raises: Conflict after WAIT_SECONDS. Inside a run's own session it never waits.
    """
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{WAIT_SECONDS}s"])
            for account_id in sorted(set(account_ids)):
                cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [_LOCK | account_id])
            cursor.execute("SELECT set_config('lock_timeout', '0', true)")
    except OperationalError as error:
        if not isinstance(error.__cause__, LockNotAvailable):
            raise  # a database that went away is no comparison under way
        raise Conflict(
            "A comparison of this account is under way, and may change what you see. Try again in a moment.",
            who="a run", what="comparing",
        ) from error  # fmt: skip


def wait_for_run(account_id: int) -> None:
    """Let a comparison that is under way end first, outside of any transaction of the caller's. Raises: Conflict."""
    with transaction.atomic():
        hold_still([account_id])
