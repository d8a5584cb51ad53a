"""What changed one account per gateway, entry by entry? Statements others join to what they record; reads only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from django.db import connection

IS_BOOKED: Final = "EXISTS (SELECT FROM ledger_journalentry AS booked_entry WHERE booked_entry.source_key = {key})"
"""Of a column that holds a source key: something was posted under it."""
_CHANGES: Final = """
SELECT entry.source_key, entry.public_id, posting.booked_on, posting.currency, sum(posting.amount_minor)::bigint, entry.occurred_at
  FROM ledger_account AS account JOIN ledger_posting AS posting ON posting.account_id = account.id
  JOIN ledger_journalentry AS entry ON entry.id = posting.entry_id
 WHERE account.code = %(code)s AND account.gateway = %(gateway)s
   AND (%(currency)s::text IS NULL OR account.currency = %(currency)s::text)
   AND posting.booked_on >= %(first)s AND (%(last)s::date IS NULL OR posting.booked_on <= %(last)s::date)
 GROUP BY entry.id, posting.booked_on, posting.currency HAVING sum(posting.amount_minor) <> 0 ORDER BY entry.id
"""


@dataclass(frozen=True, slots=True)
class Change:
    """What one entry changed the account by, in minor units, debit positive."""

    source_key: str
    entry: str
    booked_on: date
    currency: str
    amount_minor: int
    occurred_at: datetime


def changes(
    code: str, gateway: str, *, first: date, last: date | None = None, currency: str | None = None
) -> Iterator[Change]:
    """Entries that changed an account of a gateway, booked from `first` to `last` (None: on and on), as they were posted."""
    named = {"code": code, "gateway": gateway, "currency": currency, "first": first, "last": last}
    with connection.cursor() as cursor:
        cursor.execute(_CHANGES, named)
        while rows := cursor.fetchmany(2_000):
            yield from (Change(*row) for row in rows)
