"""Which index can answer a query? Asked so that the answer does not hang on what the planner knows of a nearly empty table."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from django.db import connection

from tests import services

MANY = 10_000_000
FEW_VALUES = ["gateway_account_id", "state", "waits_for"]
_ANYTHING_ELSE = "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off"
_BUT_INDEXES_ALONE = "SET LOCAL enable_indexscan = off"
_COLUMNS = "pg_attribute WHERE attrelid = %(table)s::regclass AND attnum > 0 AND NOT attisdropped"
_CLAIM = f"""SELECT pg_restore_relation_stats('schemaname', 'public', 'relname', %(table)s::text,
        'relpages', 1, 'reltuples', %(rows)s::real),
    (SELECT count(pg_restore_attribute_stats('schemaname', 'public', 'relname', %(table)s::text, 'attname', attname::text,
        'inherited', false, 'null_frac', 0::real, 'avg_width', 8,
        'n_distinct', (CASE WHEN attname = ANY(%(few)s) THEN 10 ELSE -1 END)::real)) FROM {_COLUMNS})"""
_FORGET = f"""SELECT pg_clear_relation_stats('public', %(table)s),
    (SELECT count(pg_clear_attribute_stats('public', %(table)s, attname, false)) FROM {_COLUMNS})"""


def plan_by_index(sql: str, *, alone: bool = False) -> str:
    """The plan by indexes, for the rest of this transaction; `alone`: by indexes that hold all that is asked for.

    A way that is switched off is taken only where there is no other, whatever it would cost. So where one index is the only
    one to hold the columns asked for, the plan names it or there is none that does.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"{_ANYTHING_ELSE}; {_BUT_INDEXES_ALONE}" if alone else _ANYTHING_ELSE)
        cursor.execute(f"EXPLAIN {sql}")
        return "\n".join(row[0] for row in cursor.fetchall())


@contextmanager
def as_if_many(*models: str) -> Iterator[None]:
    """The planner takes these tables of payments for ones of ten million rows, nearly each with values of its own.

    Each table has to hold a row: of an empty file the planner knows better.
    """
    tables = [f"payments_{model}" for model in models]
    with psycopg.connect(services.owner_url(), autocommit=True) as owner:
        try:
            for table in tables:
                owner.execute(_FORGET, {"table": table})
                owner.execute(_CLAIM, {"table": table, "rows": MANY, "few": FEW_VALUES})
            yield
        finally:
            for table in tables:
                owner.execute(_FORGET, {"table": table})
