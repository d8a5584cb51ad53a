"""Do the books balance, and what stands on each line of the chart? Customers are summed up: wallets show as one total."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from django.db import connection

from ledger.chart import AccountSpec, account_spec

_ROWS: Final = """
SELECT account.code, account.currency, account.gateway,
       CASE WHEN min(account.id) = max(account.id) THEN min(account.id) END,
       coalesce(sum(sums.debit), 0), coalesce(sum(sums.credit), 0)
  FROM ledger_account AS account JOIN (
    SELECT account_id,
           sum(amount_minor) FILTER (WHERE amount_minor > 0) AS debit,
           -sum(amount_minor) FILTER (WHERE amount_minor < 0) AS credit
      FROM ledger_posting
     WHERE (%(booked_to)s::date IS NULL OR booked_on <= %(booked_to)s::date)
       AND (%(known_at)s::timestamptz IS NULL OR posted_at <= %(known_at)s::timestamptz)
     GROUP BY account_id
  ) AS sums ON sums.account_id = account.id
 GROUP BY account.code, account.currency, account.gateway
 ORDER BY account.currency, account.code, account.gateway
"""


@dataclass(frozen=True, slots=True)
class TrialBalanceRow:
    """One line of the chart in one currency (and gateway). Minor units; both columns are never negative."""

    spec: AccountSpec
    currency: str
    gateway: str
    account_id: int | None
    """The account, when the row is a single one; None when customers are summed up."""
    debit_turnover_minor: int
    credit_turnover_minor: int

    @property
    def debit_minor(self) -> int:
        """Balance in the debit column; 0 when it stands on the other side."""
        return max(self.debit_turnover_minor - self.credit_turnover_minor, 0)

    @property
    def credit_minor(self) -> int:
        """Balance in the credit column; 0 when it stands on the other side."""
        return max(self.credit_turnover_minor - self.debit_turnover_minor, 0)


@dataclass(frozen=True, slots=True)
class CurrencyTotal:
    """Sums of the two columns in one currency."""

    currency: str
    debit_minor: int
    credit_minor: int

    @property
    def balances(self) -> bool:
        return self.debit_minor == self.credit_minor


@dataclass(frozen=True, slots=True)
class TrialBalance:
    """All accounts with any posting; memo accounts apart, with totals of their own."""

    booked_to: date | None
    known_at: datetime | None
    rows: tuple[TrialBalanceRow, ...]
    totals: tuple[CurrencyTotal, ...]
    memo_rows: tuple[TrialBalanceRow, ...]
    memo_totals: tuple[CurrencyTotal, ...]

    @property
    def balances(self) -> bool:
        """Both columns are equal in every currency, memo lines by themselves."""
        return all(total.balances for total in self.totals + self.memo_totals)


def trial_balance(booked_to: date | None = None, known_at: datetime | None = None) -> TrialBalance:
    """The trial balance as of an accounting date (inclusive) and as known at a moment; today and now when not given."""
    with connection.cursor() as cursor:
        cursor.execute(_ROWS, {"booked_to": booked_to, "known_at": known_at})
        rows = [
            TrialBalanceRow(account_spec(code), currency, gateway, account_id, int(debit), int(credit))
            for code, currency, gateway, account_id, debit, credit in cursor.fetchall()
        ]
    books = tuple(row for row in rows if not row.spec.memo)
    memo = tuple(row for row in rows if row.spec.memo)
    return TrialBalance(booked_to, known_at, books, _totals(books), memo, _totals(memo))


def _totals(rows: Iterable[TrialBalanceRow]) -> tuple[CurrencyTotal, ...]:
    sums: dict[str, tuple[int, int]] = {}
    for row in rows:
        debit, credit = sums.get(row.currency, (0, 0))
        sums[row.currency] = (debit + row.debit_minor, credit + row.credit_minor)
    return tuple(CurrencyTotal(currency, *sums[currency]) for currency in sorted(sums))
