"""What happened on one account between two days, line by line with a running balance? Pages by key, never by count."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from django.db import connection

from ledger.chart import AccountRef

# Both run on postings_of_an_account_by_day; the row comparison continues after the cursor's line.
_SUM_BEFORE: Final = """
SELECT coalesce(sum(amount_minor), 0) FROM ledger_posting
 WHERE account_id = %(account)s AND (booked_on, id) < (%(day)s::date, %(id)s::bigint)
   AND (%(known_at)s::timestamptz IS NULL OR posted_at <= %(known_at)s::timestamptz)
"""
_LINES: Final = """
SELECT posting.id, entry.id, entry.public_id, entry.subject, entry.description, posting.booked_on, entry.occurred_at,
       posting.posted_at, posting.match_key, posting.amount_minor
  FROM ledger_posting AS posting JOIN ledger_journalentry AS entry ON entry.id = posting.entry_id
 WHERE posting.account_id = %(account)s
   AND (posting.booked_on, posting.id) > (%(day)s::date, %(id)s::bigint) AND posting.booked_on <= %(to)s::date
   AND (%(known_at)s::timestamptz IS NULL OR posting.posted_at <= %(known_at)s::timestamptz)
 ORDER BY posting.booked_on, posting.id LIMIT %(limit)s
"""
_ACCOUNT: Final = "SELECT code, currency, gateway, customer FROM ledger_account WHERE id = %s"
_BEFORE_ANY_ID: Final = 0


@dataclass(frozen=True, slots=True)
class StatementCursor:
    """The last line of a page: the next one starts after it."""

    booked_on: date
    posting_id: int


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One posting. Amounts in minor units, debit positive."""

    posting_id: int
    entry_id: int
    entry_public_id: str
    subject: str
    description: str
    booked_on: date
    occurred_at: datetime
    posted_at: datetime
    match_key: str
    amount_minor: int
    balance_minor: int
    """Balance of the account after this line."""


@dataclass(frozen=True, slots=True)
class AccountStatement:
    """Opening balance, lines, closing balance of the period; a page of the lines when a limit was given."""

    account_id: int
    ref: AccountRef
    booked_from: date
    booked_to: date
    opening_minor: int
    closing_minor: int
    lines: tuple[StatementLine, ...]
    next_page: StatementCursor | None
    """Where to go on; None when these were the last lines."""


def account_statement(
    account_id: int,
    booked_from: date,
    booked_to: date,
    known_at: datetime | None = None,
    *,
    limit: int | None = None,
    after: StatementCursor | None = None,
) -> AccountStatement | None:
    """The account's postings booked in [booked_from, booked_to], oldest first; None when there is no such account."""
    ref = _ref(account_id)
    if ref is None:
        return None
    opening = _sum_before(account_id, booked_from, _BEFORE_ANY_ID, known_at)
    closing = _sum_before(account_id, date.fromordinal(booked_to.toordinal() + 1), _BEFORE_ANY_ID, known_at)
    start = after or StatementCursor(booked_from, _BEFORE_ANY_ID)
    running = _sum_before(account_id, start.booked_on, start.posting_id + 1, known_at) if after else opening
    lines = _lines(account_id, start, booked_to, known_at, running, None if limit is None else limit + 1)
    more = limit is not None and len(lines) > limit
    lines = lines[:limit]
    return AccountStatement(
        account_id=account_id,
        ref=ref,
        booked_from=booked_from,
        booked_to=booked_to,
        opening_minor=opening,
        closing_minor=closing,
        lines=tuple(lines),
        next_page=StatementCursor(lines[-1].booked_on, lines[-1].posting_id) if more else None,
    )


def _ref(account_id: int) -> AccountRef | None:
    with connection.cursor() as cursor:
        cursor.execute(_ACCOUNT, [account_id])
        row = cursor.fetchone()
    return AccountRef(*row) if row else None


def _sum_before(account_id: int, day: date, posting_id: int, known_at: datetime | None) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_SUM_BEFORE, {"account": account_id, "day": day, "id": posting_id, "known_at": known_at})
        row = cursor.fetchone()
    return int(row[0]) if row else 0


def _lines(
    account_id: int,
    start: StatementCursor,
    booked_to: date,
    known_at: datetime | None,
    running: int,
    limit: int | None,
) -> list[StatementLine]:
    with connection.cursor() as cursor:
        cursor.execute(
            _LINES,
            {
                "account": account_id, "day": start.booked_on, "id": start.posting_id,
                "to": booked_to, "known_at": known_at, "limit": limit,
            },
        )  # fmt: skip
        rows = cursor.fetchall()
    lines = []
    for row in rows:
        running += row[9]
        lines.append(StatementLine(*(*row, running)))
    return lines
