"""What does a CSV export cost beside bare COPY of the same rows? Contenders take turns in one run; prints JSON.

    python -m bench.export [--rows 1000000] [--rounds 3]

Ours is the journal as people get it: exact decimals, safe text, ISO times, control totals from the same snapshot, digest, into a
file. Bare COPY is what the database does at best: the same rows of the same query in the same order, columns as they are stored,
into a file. The process's memory is read before and at its peak while ours is written.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from tests import services  # before Django: it decides the database

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("LOG_LEVEL", "WARNING")
NOW = datetime(2026, 3, 20, 9, tzinfo=UTC)
FILL = """
SET session_replication_role = replica;
INSERT INTO ledger_account (id, code, currency, gateway, customer, normal_side, memo, open_item, created_at)
VALUES (1, '1110', 'USD', 'nmi', '', 'debit', false, true, now()), (2, '2020', 'USD', '', '', 'credit', false, false, now());
INSERT INTO ledger_journalentry (id, public_id, source_key, content_hash, subject, description, actor, occurred_at, posted_at,
                                 booked_on)
SELECT n, 'je_' || md5(n::text), 'movement:mov_' || md5('m' || n), repeat('0', 64), 'pay_' || md5('p' || n),
       'capture of pay_' || md5('p' || n), '', at, at, at::date
  FROM (SELECT n, timestamptz '2026-01-01' + n * interval '5 seconds' AS at FROM generate_series(1, %(entries)s) AS n) AS drawn;
INSERT INTO ledger_posting (entry_id, account_id, currency, amount_minor, match_key, booked_on, posted_at)
SELECT entry.id, leg.account, 'USD', leg.sign * (100 + entry.id %% 100000),
       CASE WHEN leg.account = 1 THEN entry.subject ELSE '' END, entry.booked_on, entry.posted_at
  FROM ledger_journalentry AS entry, (VALUES (1, 1), (2, -1)) AS leg (account, sign);
"""


def main() -> None:
    options = _arguments()
    services.make_database()
    try:
        import django

        django.setup()
        _fill(options.rows // 2)
        print(json.dumps(measure(options.rounds), indent=2))
    finally:
        from django.db import connections

        connections.close_all()
        services.drop_database()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def _fill(entries: int) -> None:
    import psycopg

    with psycopg.connect(services.owner_url(), autocommit=True, cursor_factory=psycopg.ClientCursor) as owner:
        owner.execute(FILL, {"entries": entries})
        owner.execute("VACUUM (ANALYZE) ledger_journalentry")
        owner.execute("VACUUM (ANALYZE) ledger_posting")
        owner.execute("VACUUM (ANALYZE) ledger_account")


def measure(rounds: int) -> dict[str, object]:
    """Seconds of each, and the median of the ratios within a round; the first round warms up."""
    ours: list[float] = []
    bare: list[float] = []
    rows, size, grown = 0, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds + 1):
            before = _resident()
            took, rows, size = _export(Path(folder) / "ours.csv")
            grown = max(grown, _peak() - before)
            copied = _bare(Path(folder) / "bare.csv")
            if number:
                ours.append(took)
                bare.append(copied)
    return {
        "rows": rows,
        "megabytes": round(size / 1e6, 1),
        "seconds": {"export": round(statistics.median(ours), 2), "copy": round(statistics.median(bare), 2)},
        "time_against_copy": round(statistics.median(a / b for a, b in zip(ours, bare, strict=True)), 3),
        "rows_a_second": round(rows / statistics.median(ours)),
        "memory_grown_mib": round(grown / 1024, 1),
        "rounds": rounds,
    }


def _export(path: Path) -> tuple[float, int, int]:
    from payments.services.actors import SYSTEM
    from reconciliation.services.reporting import export

    _forget_peak()
    began = time.perf_counter()
    with path.open("wb") as file:
        manifest = export("journal", "csv", {}, file, actor=SYSTEM, now=NOW)
    return time.perf_counter() - began, manifest["rows"], manifest["size"]


def _bare(path: Path) -> float:
    from django.db import connection

    from reconciliation.reports.journal import REPORT

    query = REPORT.query({})
    columns = ", ".join("row." + column.name for column in REPORT.columns)
    sql = f"COPY (SELECT {columns} FROM ({query.sql}) AS row ORDER BY row.entry_id, row.posting_id) TO STDOUT (FORMAT csv)"
    began = time.perf_counter()
    with path.open("wb") as file, connection.cursor() as cursor, cursor.copy(sql, query.args) as rows:
        for row in rows:
            file.write(row)
    return time.perf_counter() - began


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    return _status("VmHWM")


def _resident() -> int:
    return _status("VmRSS")


def _status(name: str) -> int:
    """Of this process, in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name + ":"))


if __name__ == "__main__":
    main()
