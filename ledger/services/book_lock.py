"""Who may post while a day is being closed? Postings hold the book open together; closing waits for them and is alone."""

from __future__ import annotations

from typing import Final

from django.db import connection

BOOK: Final = 4_710_002
"""The advisory lock's number, also in migrations/sql/0002_rules.sql. It ends with the transaction."""


def hold_open() -> None:
    """Wait for a close that is under way, then keep the next one waiting until this transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [BOOK])


def take_alone(*, wait_seconds: int) -> None:
    """Wait until nobody posts, and let nobody post until this transaction ends. Raises: OperationalError after the wait."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{wait_seconds}s"])
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [BOOK])
        cursor.execute("SELECT set_config('lock_timeout', '0', true)")
