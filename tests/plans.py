"""Can this index answer this query? Asked so that the answer does not hang on what the planner thinks of a nearly empty table."""

from __future__ import annotations

import psycopg

from tests import services

_HIDE = """UPDATE pg_index SET indisvalid = false FROM pg_class
    WHERE pg_class.oid = indexrelid AND relnamespace = 'public'::regnamespace AND relname <> ALL (%s)"""


def plan_with(index: str, sql: str) -> str:
    """The plan of a query where there is no other index than this one, and reading whole tables is the last resort.

    A small table costs the same by any index, and then chance decides; here there is nothing to choose. The other indexes are
    hidden in a transaction of the superuser's own that is taken back.
    """
    with psycopg.connect(services.superuser_url()) as connection:
        connection.execute(_HIDE, [[index]])
        connection.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
        plan = "\n".join(row[0] for row in connection.execute(f"EXPLAIN {sql}".replace("%", "%%"), []).fetchall())
        connection.rollback()
    return plan
