"""What does matching cost beside the bare join? Contenders take turns in one run; prints ratios as JSON.

    python -m bench.matching [--rows 1000000] [--rounds 5]

It makes a database of its own on the servers of the test suite (fsync off) and drops it. As many lines as movements of one
account and day, with a thousand differences among them (a thousandth of the rows where there are fewer): two fifths
movements nobody reports, a fifth each lines nobody knows, other amounts, and lines told twice. Every round asserts their
counts.
  bare    psycopg alone: a full outer join of both tables that finds the differences, and keeps nothing
  kept    psycopg alone: the inner join of what is equal, inserted into a copy of the table of matches, with its indexes
  match   `reconciliation.services.matching.match`: the statement for identities, the engine on the rest; every match kept
  copy    COPY of the lines, as CSV, into a copy of the table of lines with its indexes: the floor of an import
`match_to_bare` is the price of matching, `end_to_end` that of importing and matching: (copy + match) / (copy + bare).
The memory is what Python's private memory grew by at most while `match` ran.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import psutil
import psycopg

from tests import services  # before Django: it decides the database

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
DAY = date(2026, 3, 2)
LAST = date(2026, 3, 12)  # compared up to then: what nobody reported is past its lag
NOW = datetime(2026, 3, 13, 6, tzinfo=UTC)
MIB = 1024 * 1024

# Identities as gateways make them: random to the eye, so that neither table lies in their order by chance.
MOVEMENTS = """
INSERT INTO payments_movement (public_id, gateway_account_id, gateway_id, kind, occurrence, revision, amount_minor, currency,
    of_captured_money, counts, occurred_at, posted_at, entry_source_key, settlement_id, settlement_currency, batch_id)
SELECT 'mov_' || n, %(gateway)s, 'ch_' || substr(md5(n::text), 1, 24), 'capture', 0, 0, 1000 + n %% 9000, 'USD', false, true,
       '2026-03-02 00:00+00'::timestamptz + n * interval '1 day' / (%(rows)s + 1), %(now)s, 'movement:' || n, '', '', ''
  FROM generate_series(1, %(rows)s) AS n
"""
LINES = """
INSERT INTO reconciliation_line (account_id, statement_id, number, line_key, revision, kind, day, occurred_at, gateway_id,
    parent_id, reference, payout_id, bank_ref, currency, gross_minor, fee_minor, net_minor, presentment_currency, status,
    method, text, raw, content_hash, removed)
SELECT %(account)s, %(statement)s, n, 'txn_' || md5((-n)::text), 0, 'charge', %(day)s,
       '2026-03-02 00:00+00'::timestamptz + n * interval '1 day' / (%(rows)s + 1),
       'ch_' || substr(md5((CASE WHEN n <= %(off)s THEN -n WHEN n <= 2 * %(off)s THEN n + 2 * %(off)s ELSE n END)::text), 1, 24),
       '', 'order-' || n, 'po_1', '', 'USD', 1000 + (CASE WHEN n <= 2 * %(off)s THEN n + 2 * %(off)s ELSE n END) %% 9000
         + CASE WHEN n BETWEEN 4 * %(off)s + 1 AND 5 * %(off)s THEN 7 ELSE 0 END, 59,
       941 + (CASE WHEN n <= 2 * %(off)s THEN n + 2 * %(off)s ELSE n END) %% 9000
         + CASE WHEN n BETWEEN 4 * %(off)s + 1 AND 5 * %(off)s THEN 7 ELSE 0 END, '', 'settled', 'visa', '',
       '{"brand": "visa", "order": "a row as it stood there"}', repeat('0', 64), false
  FROM generate_series(1, %(rows)s) AS n
"""
BARE = """
SELECT count(*) FILTER (WHERE l.id IS NULL), count(*) FILTER (WHERE m.id IS NULL),
       count(*) FILTER (WHERE l.gross_minor <> m.amount_minor), count(*)
  FROM (SELECT * FROM reconciliation_line WHERE account_id = %(account)s) AS l
  FULL JOIN (SELECT * FROM payments_movement WHERE gateway_account_id = %(gateway)s AND kind = 'capture') AS m
    ON m.gateway_id = l.gateway_id
 WHERE l.id IS NULL OR m.id IS NULL OR l.gross_minor <> m.amount_minor
"""
KEPT = """
INSERT INTO bare_match (account_id, line_id, movement_id, rule, "group", many_lines, many_movements, matched_at, matched_by,
                        undone_by)
SELECT %(account)s, l.id, m.id, 'gateway_id', '', false, false, %(now)s, '', ''
  FROM reconciliation_line AS l JOIN payments_movement AS m ON m.gateway_id = l.gateway_id AND m.amount_minor = l.gross_minor
 WHERE l.account_id = %(account)s AND m.gateway_account_id = %(gateway)s ON CONFLICT DO NOTHING
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    services.make_database()
    try:
        import django

        django.setup()
        with (
            psycopg.connect(services.owner_url(), autocommit=True) as owner,
            psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as plain,
        ):
            print(json.dumps(measure(owner, plain, options.rows, options.rounds), indent=2))
    finally:
        from django.db import connections

        connections.close_all()
        services.drop_database()


def measure(owner: psycopg.Connection, plain: psycopg.Connection, rows: int, rounds: int) -> dict[str, Any]:
    """Seconds (medians), ratios (medians of the rounds' own) and memory."""
    names = _fill(owner, rows)
    off = names["off"]
    with tempfile.TemporaryDirectory(dir=services.FOLDER) as folder:
        file = _lines_as_csv(owner, Path(folder) / "lines.csv")
        grew: list[float] = []
        contenders: dict[str, Callable[[], None]] = {
            "bare": lambda: _bare(plain, names, off),
            "kept": lambda: _kept(owner, names),
            "match": lambda: _match(names, off, grew),
            "copy": lambda: _copy(owner, file),
        }
        times: dict[str, list[float]] = {name: [] for name in contenders}
        order = list(contenders)
        for number in range(rounds + 1):
            shift = number % len(order)
            for name in order[shift:] + order[:shift]:  # nobody always runs after the same neighbour
                owner.execute("TRUNCATE bare_match, bare_line, reconciliation_match")
                started = time.perf_counter()
                contenders[name]()
                if number:  # the first round warms up
                    times[name].append(time.perf_counter() - started)
    together = [
        (copy + match) / (copy + bare)
        for copy, match, bare in zip(times["copy"], times["match"], times["bare"], strict=True)
    ]
    return {
        "rows": rows,
        "rounds": rounds,
        "differences": 5 * off,
        "seconds": {name: round(statistics.median(taken), 2) for name, taken in times.items()},
        "match_to_bare": _ratio(times, "match", "bare"),
        "match_to_kept": _ratio(times, "match", "kept"),
        "end_to_end": round(statistics.median(together), 2),
        "python_grew_mib": round(max(grew), 1),
    }


def _ratio(times: dict[str, list[float]], above: str, below: str) -> float:
    return round(statistics.median(a / b for a, b in zip(times[above], times[below], strict=True)), 2)


def _fill(owner: psycopg.Connection, rows: int) -> dict[str, Any]:
    from payments.services.accounts import ensure_gateway_account
    from reconciliation.models import Run, Statement, StatementAccount

    gateway = ensure_gateway_account("stripe", "stripe", "Stripe")
    account = StatementAccount.objects.create(
        slug="stripe", name="Stripe", kind="gateway", gateway_account=gateway, source="csv"
    )
    statement = Statement.objects.create(
        account=account, source="csv", name="bench", sha256="0" * 64, state="read", complete=True, closed=True,
        starts_on=DAY, ends_on=LAST, received_at=NOW,
    )  # fmt: skip
    run = Run.objects.create(account=account, day=LAST)
    off = min(1000, rows // 1000) // 5
    names = {
        "gateway": gateway.pk, "account": account.pk, "statement": statement.pk, "run": run.pk, "rows": rows, "day": DAY,
        "now": NOW, "off": off,
    }  # fmt: skip
    with psycopg.connect(services.superuser_url(), autocommit=True) as able:
        able.execute("SET session_replication_role = replica")  # rows as they would be; nothing here is about triggers
        able.execute(MOVEMENTS, names)
        able.execute(LINES, names)
        able.execute("VACUUM ANALYZE payments_movement")
        able.execute("VACUUM ANALYZE reconciliation_line")
    owner.execute("CREATE TABLE bare_match (LIKE reconciliation_match INCLUDING ALL)")
    owner.execute("CREATE TABLE bare_line (LIKE reconciliation_line INCLUDING ALL)")
    return names


def _lines_as_csv(owner: psycopg.Connection, path: Path) -> Path:
    with (
        path.open("wb") as file,
        owner.cursor() as cursor,
        cursor.copy("COPY reconciliation_line TO STDOUT CSV") as rows,
    ):
        for block in rows:
            file.write(block)
    return path


def _bare(plain: psycopg.Connection, names: dict[str, Any], off: int) -> None:
    found = plain.execute(BARE, names).fetchone()
    assert found is not None
    assert found[:3] == (2 * off, off, off), found  # told twice is not even seen by a join


def _kept(owner: psycopg.Connection, names: dict[str, Any]) -> None:
    owner.execute(KEPT, names)


def _match(names: dict[str, Any], off: int, grew: list[float]) -> None:
    from collections import Counter

    from reconciliation.models import Run
    from reconciliation.queries.scope import scope_of, terms_of
    from reconciliation.services.matching import match

    run = Run.objects.select_related("account__gateway_account").get(pk=names["run"])
    with _memory(grew):
        result = match(run, scope_of(run.account, LAST), terms_of(run.account, LAST, NOW), NOW)
    kinds = Counter(one.found.kind.value for one in result.breaks)
    expected = dict.fromkeys(("missing_in_payments", "amount_mismatch", "duplicate_at_gateway"), off)
    expected["missing_at_gateway"] = 2 * off
    assert kinds == expected, kinds


@contextmanager
def _memory(grew: list[float]) -> Iterator[None]:
    process, done = psutil.Process(), threading.Event()
    before, most = process.memory_full_info().uss, [0]

    def watch() -> None:
        while not done.wait(0.02):
            most[0] = max(most[0], process.memory_full_info().uss - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
        grew.append(most[0] / MIB)


def _copy(owner: psycopg.Connection, file: Path) -> None:
    with file.open("rb") as source, owner.cursor() as cursor, cursor.copy("COPY bare_line FROM STDIN CSV") as rows:
        while block := source.read(1 << 20):
            rows.write(block)


if __name__ == "__main__":
    main()
