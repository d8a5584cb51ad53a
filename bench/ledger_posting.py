"""What does posting cost beside hand-written SQL? Contenders take turns in one run; prints ratios as JSON.

    python -m bench.ledger_posting [--rounds 7] [--entries 2000] [--singles 300]

It makes a database of its own on the servers of the test suite (fsync off: this weighs code, not the disk) and drops it.
Three ways of the same writes (a header and two postings an entry):
  service   `ledger.services`, into the books
  sql       psycopg alone, into the books: what the triggers cost is in it, what our Python costs is not
  bare      psycopg alone, into copies of the tables with keys and indexes but no triggers: the floor
each in bulk (one transaction, one statement) and one by one (a transaction an entry).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count

import psycopg

from tests import services  # before Django: it decides the database

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
ACCOUNTS = 100  # customers, beside one hot receivable: the shape of a busy day
HEADER_COLUMNS = "public_id, source_key, content_hash, subject, description, actor, occurred_at, posted_at, booked_on"
LINE_COLUMNS = "entry_id, account_id, currency, amount_minor, match_key, booked_on, posted_at"
HASH = "0" * 64
numbers = count(1)

BULK = f"""
WITH header AS (
  INSERT INTO {{prefix}}journalentry ({HEADER_COLUMNS})
  SELECT 'je_' || key, key, %s, 'pay_1', 'capture', '', %s, %s, '2026-03-10' FROM unnest(%s::text[]) AS draft (key)
  ON CONFLICT (source_key) DO NOTHING RETURNING id, source_key)
INSERT INTO {{prefix}}posting ({LINE_COLUMNS})
SELECT header.id, leg.account, 'USD', leg.amount, 'pay_1', '2026-03-10', %s
  FROM unnest(%s::text[], %s::bigint[], %s::bigint[]) AS leg (key, account, amount) JOIN header ON source_key = leg.key
"""
HEADER = f"""INSERT INTO {{prefix}}journalentry ({HEADER_COLUMNS})
VALUES (%s, %s, %s, 'pay_1', 'capture', '', %s, %s, '2026-03-10') RETURNING id"""
LINES = f"""INSERT INTO {{prefix}}posting ({LINE_COLUMNS}) VALUES
  (%s, %s, 'USD', 100, 'pay_1', '2026-03-10', %s), (%s, %s, 'USD', -100, 'pay_1', '2026-03-10', %s)"""
COPIES = """
CREATE TABLE bare_journalentry (LIKE ledger_journalentry INCLUDING ALL);
CREATE TABLE bare_posting (LIKE ledger_posting INCLUDING ALL);
ALTER TABLE bare_posting ADD FOREIGN KEY (entry_id) REFERENCES bare_journalentry (id) DEFERRABLE INITIALLY DEFERRED,
                         ADD FOREIGN KEY (account_id, currency) REFERENCES ledger_account (id, currency);
"""


def main() -> None:
    options = _arguments()
    services.make_database()
    try:
        import django

        django.setup()
        with psycopg.connect(services.owner_url(), autocommit=True) as owner:
            owner.execute(COPIES)
        with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as plain:
            print(json.dumps(measure(plain, options.rounds, options.entries, options.singles), indent=2))
    finally:
        from django.db import connections

        connections.close_all()
        services.drop_database()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--entries", type=int, default=2000)
    parser.add_argument("--singles", type=int, default=300)
    return parser.parse_args()


def measure(
    plain: psycopg.Connection[tuple[object, ...]], rounds: int, entries: int, singles: int
) -> dict[str, object]:
    """Microseconds an entry: the median of the rounds, and the median of the ratios within a round."""
    accounts = _accounts(plain)
    contenders: dict[str, Callable[[], None]] = {
        "service_bulk": lambda: _service_bulk(entries),
        "sql_bulk": lambda: _sql_bulk(plain, "ledger_", accounts, entries),
        "bare_bulk": lambda: _sql_bulk(plain, "bare_", accounts, entries),
        "service_single": lambda: _service_single(singles),
        "sql_single": lambda: _sql_single(plain, "ledger_", accounts, singles),
        "bare_single": lambda: _sql_single(plain, "bare_", accounts, singles),
    }
    times: dict[str, list[float]] = {name: [] for name in contenders}
    names = list(contenders)
    for number in range(rounds + 1):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:  # nobody always runs after the same neighbour
            started = time.perf_counter()
            contenders[name]()
            spent = (time.perf_counter() - started) * 1e6 / (entries if name.endswith("bulk") else singles)
            if number:  # the first round warms up
                times[name].append(spent)
    return {
        "microseconds_an_entry": {name: round(statistics.median(taken), 1) for name, taken in times.items()},
        "speed_against_sql": {way: _ratio(times, f"sql_{way}", f"service_{way}") for way in ("bulk", "single")},
        "speed_of_sql_against_bare": {way: _ratio(times, f"bare_{way}", f"sql_{way}") for way in ("bulk", "single")},
        "rounds": rounds,
        "entries_a_round": {"bulk": entries, "single": singles},
    }


def _ratio(times: dict[str, list[float]], faster: str, slower: str) -> float:
    return round(statistics.median(a / b for a, b in zip(times[faster], times[slower], strict=True)), 2)


def _accounts(plain: psycopg.Connection[tuple[object, ...]]) -> list[tuple[int, int]]:
    """Post once to every account, so that all contenders find them; return (receivable, wallet) ids."""
    _service_bulk(ACCOUNTS)
    rows = plain.execute(
        """SELECT receivable.id, wallet.id FROM ledger_account AS receivable, ledger_account AS wallet
            WHERE receivable.code = '1110' AND wallet.code = '2010' ORDER BY wallet.id"""
    ).fetchall()
    return [(int(str(receivable)), int(str(wallet))) for receivable, wallet in rows]


def _drafts(amount: int) -> list:  # type: ignore[type-arg]
    from ledger import chart
    from ledger.chart import AccountRef
    from ledger.drafts import EntryDraft, credit, debit
    from ledger.money import Money

    money, drafts = Money(100, "USD"), []
    for number in (next(numbers) for _ in range(amount)):
        receivable = AccountRef(chart.GATEWAY_RECEIVABLE.code, "USD", gateway="nmi")
        wallet = AccountRef(chart.WALLET.code, "USD", customer=f"cus_{number % ACCOUNTS}")
        lines = (debit(receivable, money, "pay_1"), credit(wallet, money))
        drafts.append(EntryDraft(f"bench:{number}", "pay_1", NOW, "capture", lines))
    return drafts


def _service_bulk(amount: int) -> None:
    from django.db import transaction

    from ledger.services import post_entries

    drafts = _drafts(amount)
    with transaction.atomic():
        post_entries(drafts, now=NOW)


def _service_single(amount: int) -> None:
    from django.db import transaction

    from ledger.services import post_entry

    for draft in _drafts(amount):
        with transaction.atomic():
            post_entry(draft, now=NOW)


def _sql_bulk(
    plain: psycopg.Connection[tuple[object, ...]], prefix: str, accounts: list[tuple[int, int]], amount: int
) -> None:
    keys = [f"bench:{next(numbers)}" for _ in range(amount)]
    sides = [accounts[number % len(accounts)] for number in range(amount)]
    legs = [key for key in keys for _ in range(2)]
    ids = [account for pair in sides for account in pair]
    with plain.transaction():
        plain.execute(BULK.format(prefix=prefix).encode(), [HASH, NOW, NOW, keys, NOW, legs, ids, [100, -100] * amount])


def _sql_single(
    plain: psycopg.Connection[tuple[object, ...]], prefix: str, accounts: list[tuple[int, int]], amount: int
) -> None:
    header, lines = HEADER.format(prefix=prefix).encode(), LINES.format(prefix=prefix).encode()
    for number in range(amount):
        key = f"bench:{next(numbers)}"
        receivable, wallet = accounts[number % len(accounts)]
        with plain.transaction():
            row = plain.execute(header, [f"je_{key}", key, HASH, NOW, NOW]).fetchone()
            assert row is not None
            plain.execute(lines, [row[0], receivable, NOW, row[0], wallet, NOW])


if __name__ == "__main__":
    main()
