"""Do the books still say what was posted, and is what protects them in place? Re-adds everything; changes nothing.

Every finding names a kind, what it is about, and what is wrong. Whole forgotten entries cannot be seen from inside the
books: the proofs of other apps (settings.LEDGER_PROOFS) compare them with what they record.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

from django.db import connection

from ledger.chart import CHART
from ledger.drafts import content_hash
from ledger.models import ClosedDay, Posting
from ledger.queries.closed_days import day_digest
from ledger.queries.trial_balance import trial_balance

FINDINGS_PER_KIND: Final = 1_000
"""More of one kind are not listed: the books are beyond a list then."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that must not be."""

    kind: str
    subject: str
    detail: str


# Each statement answers (what it is about, what is wrong).
_STATEMENTS: Final[dict[str, str]] = {
    "unbalanced_entry": """
        SELECT entry.public_id, 'debits less credits are ' || posting.currency || ' ' || sum(posting.amount_minor)
          FROM ledger_posting AS posting JOIN ledger_journalentry AS entry ON entry.id = posting.entry_id
         GROUP BY entry.id, posting.currency HAVING sum(posting.amount_minor) <> 0""",
    "unbalanced_memo": """
        SELECT entry.public_id, 'memo lines do not balance among themselves in ' || posting.currency
          FROM ledger_posting AS posting JOIN ledger_journalentry AS entry ON entry.id = posting.entry_id
          JOIN ledger_account AS account ON account.id = posting.account_id AND account.memo
         GROUP BY entry.id, posting.currency HAVING sum(posting.amount_minor) <> 0""",
    "single_legged_entry": """
        SELECT entry.public_id, 'has ' || count(posting.id) || ' postings'
          FROM ledger_journalentry AS entry LEFT JOIN ledger_posting AS posting ON posting.entry_id = entry.id
         GROUP BY entry.id HAVING count(posting.id) < 2""",
    "currency_mismatch": """
        SELECT entry.public_id, 'a posting in ' || posting.currency || ' stands on an account in ' || account.currency
          FROM ledger_posting AS posting JOIN ledger_journalentry AS entry ON entry.id = posting.entry_id
          JOIN ledger_account AS account ON account.id = posting.account_id AND account.currency <> posting.currency""",
    "posting_without_entry": """
        SELECT 'posting ' || posting.id, 'its entry ' || posting.entry_id || ' is gone' FROM ledger_posting AS posting
         WHERE NOT EXISTS (SELECT FROM ledger_journalentry AS entry WHERE entry.id = posting.entry_id)""",
    "posting_without_account": """
        SELECT 'posting ' || posting.id, 'its account ' || posting.account_id || ' is gone'
          FROM ledger_posting AS posting
         WHERE NOT EXISTS (SELECT FROM ledger_account AS account WHERE account.id = posting.account_id)""",
    "late_posting": """
        SELECT entry.public_id, 'posting ' || posting.id || ' was booked on ' || posting.booked_on || ' at '
               || posting.posted_at || ', its entry on ' || entry.booked_on || ' at ' || entry.posted_at
          FROM ledger_posting AS posting JOIN ledger_journalentry AS entry ON entry.id = posting.entry_id
         WHERE posting.booked_on <> entry.booked_on OR posting.posted_at <> entry.posted_at""",
    "missing_match_key": """
        SELECT entry.public_id, 'posting ' || posting.id || ' on open-item account ' || account.code || ' has no match key'
          FROM ledger_posting AS posting JOIN ledger_journalentry AS entry ON entry.id = posting.entry_id
          JOIN ledger_account AS account ON account.id = posting.account_id AND account.open_item
         WHERE posting.match_key = ''""",
    "double_reversal": """
        SELECT original.public_id, 'is reversed by ' || string_agg(reversal.public_id, ', ' ORDER BY reversal.id)
          FROM ledger_journalentry AS reversal JOIN ledger_journalentry AS original ON original.id = reversal.reverses_id
         GROUP BY original.id HAVING count(*) > 1""",
    "dangling_reversal": """
        SELECT reversal.public_id, 'the entry it reverses (row ' || reversal.reverses_id || ') is gone'
          FROM ledger_journalentry AS reversal
         WHERE reversal.reverses_id IS NOT NULL
           AND NOT EXISTS (SELECT FROM ledger_journalentry AS original WHERE original.id = reversal.reverses_id)""",
    "duplicate_source_key": """
        SELECT source_key, 'is booked by ' || string_agg(public_id, ', ' ORDER BY id)
          FROM ledger_journalentry GROUP BY source_key HAVING count(*) > 1""",
    "below_floor": """
        SELECT account.code || ' ' || account.customer || ' ' || account.currency,
               'stands at ' || sums.balance || ', its floor is ' || account.min_balance
          FROM ledger_account AS account, LATERAL (
            SELECT coalesce(sum(amount_minor), 0) * CASE account.normal_side WHEN 'debit' THEN 1 ELSE -1 END AS balance
              FROM ledger_posting WHERE account_id = account.id) AS sums
         WHERE account.min_balance IS NOT NULL AND sums.balance < account.min_balance""",
    "table_owned_by_application": """
        SELECT class.relname, 'belongs to ' || current_user || ', the role that runs: it could switch the triggers off'
          FROM pg_class AS class
         WHERE class.oid IN ('ledger_account'::regclass, 'ledger_journalentry'::regclass, 'ledger_posting'::regclass,
                             'ledger_closedday'::regclass)
           AND pg_has_role(current_user, class.relowner, 'USAGE') ORDER BY class.relname""",
}

# What the enforcement consists of; kept in step with migrations/sql by a test.
_TRIGGERS: Final = {
    "entries_are_append_only": "ledger_refuse_change",
    "postings_are_append_only": "ledger_refuse_change",
    "entries_have_postings": "ledger_check_entry",
    "postings_come_balanced_with_their_entry": "ledger_check_added_postings",
    "accounts_are_kept": "ledger_refuse_account_change",
    "accounts_keep_their_nature": "ledger_refuse_account_change",
    "entries_come_on_open_days": "ledger_check_open_day",
    "closes_are_kept": "ledger_keep_closes",
    "closes_keep_what_they_say": "ledger_keep_closes",
}
_CONSTRAINTS: Final = (
    "a_posting_uses_an_account_of_its_own_currency",
    "a_source_key_is_booked_once",
    "an_entry_is_reversed_once_so_post_a_new_entry_instead",
)
_TRIGGER_STATES: Final = """
SELECT tgname, tgenabled::text, prosrc FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid WHERE tgname = ANY(%s)
"""
_PRESENT: Final = """
SELECT relname FROM pg_class JOIN pg_index ON indexrelid = pg_class.oid WHERE indisvalid AND relname = ANY(%(names)s)
 UNION SELECT conname FROM pg_constraint WHERE convalidated AND conname = ANY(%(names)s)
"""
_FUNCTION: Final = re.compile(r"CREATE (?:OR REPLACE )?FUNCTION (\w+)\(\).*?AS \$\$(.*?)\$\$;", re.DOTALL)
_SQL: Final = Path(__file__).resolve().parent.parent / "migrations" / "sql"


def verify_books(others: Sequence[Callable[[], list[Finding]]] = ()) -> list[Finding]:
    """Every proof of the books, then those of other apps, all over one moment's state."""
    findings: list[Finding] = []
    with _one_moment():
        for proof in (_by_statement, _by_content, _of_closes, _of_nature, _of_totals, _of_protection):
            findings.extend(proof())
        for other in others:
            findings.extend(other())
    return findings


@contextmanager
def _one_moment() -> Iterator[None]:
    """Read one snapshot, so that entries arriving meanwhile are no findings. A caller's transaction is left as it is."""
    if connection.in_atomic_block:
        yield
        return
    connection.set_autocommit(False)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield
    finally:
        connection.rollback()
        connection.set_autocommit(True)


def _by_statement() -> Iterator[Finding]:
    for kind, statement in _STATEMENTS.items():
        with connection.cursor() as cursor:
            cursor.execute(statement)
            for subject, detail in cursor.fetchmany(FINDINGS_PER_KIND):
                yield Finding(kind, subject, detail)


def _by_content() -> Iterator[Finding]:
    """Hash every entry again: an edited, removed or added line, a changed subject. Constant memory."""
    rows = Posting.objects.order_by("entry_id").values_list(
        "entry__public_id", "entry__content_hash", "entry__subject", "entry__reverses__public_id",
        "account__code", "account__currency", "account__gateway", "account__customer", "amount_minor", "match_key",
    )  # fmt: skip
    found = 0
    for (public_id, stored, subject, reverses), lines in groupby(rows.iterator(chunk_size=5_000), lambda row: row[:4]):
        if content_hash(subject, reverses or "", (row[4:] for row in lines)) == stored:
            continue
        yield Finding(
            "content_hash_mismatch", public_id, "a line was changed, removed or added after posting, or the subject was"
        )
        found += 1
        if found >= FINDINGS_PER_KIND:
            return


def _of_closes() -> Iterator[Finding]:
    """The entries of a closed day are the ones it was closed with: none came, went or changed since."""
    for closed in ClosedDay.objects.filter(reopened_at__isnull=True).order_by("day"):
        now = day_digest(closed.first_day, closed.day)
        if (now.entries_count, now.digest) != (closed.entries_count, closed.entries_digest):
            detail = f"was closed with {closed.entries_count} entries and now has {now.entries_count}, or others"
            yield Finding("closed_day_changed", str(closed.day), detail)


def _of_nature() -> Iterator[Finding]:
    """An account's row must say what the chart says: side, memo and open item decide every sum above."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT code, normal_side, memo, open_item FROM ledger_account ORDER BY code")
        for code, side, memo, open_item in cursor.fetchall():
            spec = CHART.get(code)
            if spec is None or (spec.normal_side.value, spec.memo, spec.open_item) != (side, memo, open_item):
                yield Finding("account_off_chart", code, "its row differs from the chart of accounts, or is not in it")


def _of_totals() -> Iterator[Finding]:
    balance = trial_balance()
    for total in balance.totals + balance.memo_totals:
        if not total.balances:
            difference = total.debit_minor - total.credit_minor
            yield Finding("trial_balance_off", total.currency, f"debits less credits are {difference} minor units")


def _of_protection() -> Iterator[Finding]:
    """Triggers there, switched on, and with the functions of our migrations; unique keys and foreign keys there."""
    sources = _function_bodies()
    with connection.cursor() as cursor:
        cursor.execute(_TRIGGER_STATES, [list(_TRIGGERS)])
        triggers = {name: (enabled, source) for name, enabled, source in cursor.fetchall()}
        cursor.execute(_PRESENT, {"names": list(_CONSTRAINTS)})
        present = {row[0] for row in cursor.fetchall()}
    for trigger, function in _TRIGGERS.items():
        enabled, source = triggers.get(trigger, ("", ""))
        if not enabled:
            yield Finding("missing_trigger", trigger, "is gone: the database no longer refuses what it stood for")
        elif enabled not in "OA":
            yield Finding("disabled_trigger", trigger, "is switched off: ALTER TABLE … ENABLE TRIGGER as the owner")
        elif source != sources[function]:
            yield Finding("changed_function", function, f"differs from our migrations; {trigger} runs it")
    for name in _CONSTRAINTS:
        if name not in present:
            yield Finding("missing_constraint", name, "is gone or not validated")


def _function_bodies() -> dict[str, str]:
    """The trigger functions as our migrations define them; a later file overrides an earlier one."""
    forward = [file for file in sorted(_SQL.glob("*.sql")) if not file.stem.endswith("_undo")]
    return {name: body for file in forward for name, body in _FUNCTION.findall(file.read_text())}
