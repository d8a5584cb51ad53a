"""From which moment is a report? A connection of its own, on which everything that is read is of one moment.

Apart from the caller's, so that progress can be written while a report is read. Reads only: the database refuses the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

from reconciliation.reports.base import Query

ROWS_AT_ONCE = 2_000


@contextmanager
def snapshot() -> Iterator[BaseDatabaseWrapper]:
    """Open it, and leave nothing behind."""
    own = connection.copy()
    try:
        own.set_autocommit(False)
        with own.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield own
    finally:
        own.close()


def rows_of(own: BaseDatabaseWrapper, sql: str, args: dict[str, Any]) -> Iterator[tuple[object, ...]]:
    """The rows of a query, fetched a block at a time."""
    with own.chunked_cursor() as cursor:
        cursor.execute(sql, args)
        while rows := cursor.fetchmany(ROWS_AT_ONCE):
            yield from rows


def all_rows(own: BaseDatabaseWrapper, sql: str, args: dict[str, Any]) -> list[tuple[object, ...]]:
    """The rows of a query that has few."""
    with own.cursor() as cursor:
        cursor.execute(sql, args)
        return list(cursor.fetchall())


def expected_rows(query: Query) -> tuple[int, int]:
    """How many rows the planner expects, and at which cost; asked before anything is read."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {query.sql}", query.args)
        plan = cursor.fetchone()[0][0]["Plan"]
    return int(plan["Plan Rows"]), int(plan["Total Cost"])
