"""How much stands on an account: now, as of an accounting date, as known at a moment? Sums over one covering index."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from django.db import connection

from ledger.chart import AccountRef, Side

# Index-only: account, booked_on, id, amount_minor and posted_at all stand in postings_of_an_account_by_day.
_BALANCES: Final = """
SELECT account.id, account.code, account.currency, account.gateway, account.customer,
       coalesce(sums.debit, 0), coalesce(sums.credit, 0)
  FROM ledger_account AS account, LATERAL (
    SELECT sum(amount_minor) FILTER (WHERE amount_minor > 0) AS debit,
           -sum(amount_minor) FILTER (WHERE amount_minor < 0) AS credit
      FROM ledger_posting AS posting
     WHERE posting.account_id = account.id
       AND (%(booked_to)s::date IS NULL OR posting.booked_on <= %(booked_to)s::date)
       AND (%(known_at)s::timestamptz IS NULL OR posting.posted_at <= %(known_at)s::timestamptz)
  ) AS sums
 WHERE (%(codes)s::text[] IS NULL OR account.code = ANY(%(codes)s::text[]))
   AND (%(ids)s::bigint[] IS NULL OR account.id = ANY(%(ids)s::bigint[]))
   AND (%(currency)s::text IS NULL OR account.currency = %(currency)s::text)
   AND (%(gateway)s::text IS NULL OR account.gateway = %(gateway)s::text)
   AND (%(customer)s::text IS NULL OR account.customer = %(customer)s::text)
 ORDER BY account.code, account.currency, account.gateway, account.customer
"""
_OPEN_ITEMS: Final = """
SELECT account.id, account.code, account.currency, account.gateway, account.customer,
       posting.match_key, sum(posting.amount_minor), min(posting.booked_on)
  FROM ledger_account AS account JOIN ledger_posting AS posting ON posting.account_id = account.id
 WHERE account.code = %(code)s
   AND (%(currency)s::text IS NULL OR account.currency = %(currency)s::text)
   AND (%(gateway)s::text IS NULL OR account.gateway = %(gateway)s::text)
 GROUP BY account.id, posting.match_key HAVING sum(posting.amount_minor) <> 0
 ORDER BY min(posting.booked_on), account.id, posting.match_key
"""


@dataclass(frozen=True, slots=True)
class AccountBalance:
    """An account's turnover and balance in minor units. `account_id` is None while nothing was ever posted to it."""

    account_id: int | None
    ref: AccountRef
    debit_minor: int
    """Sum of all debits."""
    credit_minor: int
    """Sum of all credits, as a positive number."""

    @property
    def amount_minor(self) -> int:
        """Debits less credits: the sign convention of the books."""
        return self.debit_minor - self.credit_minor

    @property
    def natural_minor(self) -> int:
        """The balance seen from the account's normal side: a wallet of 5.00 is +500."""
        return self.amount_minor if self.ref.spec.normal_side is Side.DEBIT else -self.amount_minor


@dataclass(frozen=True, slots=True)
class OpenItem:
    """What is unsettled under one match key. Debit positive."""

    account_id: int
    ref: AccountRef
    match_key: str
    amount_minor: int
    open_since: date


def balance(ref: AccountRef, *, booked_to: date | None = None, known_at: datetime | None = None) -> AccountBalance:
    """The balance of one account; zero when it was never used.

    `booked_to`: accounting date, inclusive. `known_at`: only what had been posted by then.
    """
    found = balances(
        [ref.code], currency=ref.currency, gateway=ref.gateway, customer=ref.customer,
        booked_to=booked_to, known_at=known_at,
    )  # fmt: skip
    return found[0] if found else AccountBalance(None, ref, 0, 0)


def balances(
    codes: Collection[str] | None = None,
    *,
    account_ids: Collection[int] | None = None,
    currency: str | None = None,
    gateway: str | None = None,
    customer: str | None = None,
    booked_to: date | None = None,
    known_at: datetime | None = None,
) -> list[AccountBalance]:
    """Balances of the accounts in use that pass every filter given, in order of code, currency, gateway, customer."""
    parameters = {
        "codes": None if codes is None else list(codes),
        "ids": None if account_ids is None else list(account_ids),
        "currency": currency,
        "gateway": gateway,
        "customer": customer,
        "booked_to": booked_to,
        "known_at": known_at,
    }
    with connection.cursor() as cursor:
        cursor.execute(_BALANCES, parameters)
        rows = cursor.fetchall()
    return [AccountBalance(row[0], AccountRef(*row[1:5]), int(row[5]), int(row[6])) for row in rows]


def open_items(code: str, *, currency: str | None = None, gateway: str | None = None) -> list[OpenItem]:
    """Match keys of an open-item account that do not come to zero, oldest first. Reads the account's postings."""
    with connection.cursor() as cursor:
        cursor.execute(_OPEN_ITEMS, {"code": code, "currency": currency, "gateway": gateway})
        rows = cursor.fetchall()
    return [OpenItem(row[0], AccountRef(*row[1:5]), row[5], int(row[6]), row[7]) for row in rows]
