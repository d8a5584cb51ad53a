"""Which rows do the books give to reports? SQL with named arguments; whoever runs it decides about order, decimals and file.

Amounts are minor units: debits and credits in columns of their own, empty where the other one is filled.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import Any, Final

from ledger.chart import CHART

Sql = tuple[str, dict[str, Any]]

_NAMES: Final = "(VALUES " + ", ".join(f"('{spec.code}', '{spec.name}')" for spec in CHART.values()) + ")"
_CHART: Final = f"{_NAMES} AS chart (code, name)"
_FILTER: Final = """
   AND (%(code)s::text IS NULL OR account.code = %(code)s) AND (%(gateway)s::text IS NULL OR account.gateway = %(gateway)s)
   AND (%(currency)s::text IS NULL OR account.currency = %(currency)s)
   AND (%(customer)s::text IS NULL OR account.customer = %(customer)s)"""
_JOURNAL: Final = f"""
SELECT posting.id AS posting_id, posting.entry_id, entry.booked_on, entry.public_id AS entry, entry.subject,
       entry.description, account.code, chart.name, account.gateway, account.customer, posting.currency,
       CASE WHEN posting.amount_minor > 0 THEN posting.amount_minor END AS debit,
       CASE WHEN posting.amount_minor < 0 THEN -posting.amount_minor END AS credit, posting.match_key AS item,
       entry.occurred_at, entry.posted_at, entry.actor, entry.source_key, reversed.public_id AS reverses
  FROM ledger_posting AS posting JOIN ledger_journalentry AS entry ON entry.id = posting.entry_id
  JOIN ledger_account AS account ON account.id = posting.account_id LEFT JOIN {_CHART} ON chart.code = account.code
  LEFT JOIN ledger_journalentry AS reversed ON reversed.id = entry.reverses_id
 WHERE (%(from)s::date IS NULL OR posting.booked_on >= %(from)s) AND (%(to)s::date IS NULL OR posting.booked_on <= %(to)s)
{_FILTER}"""  # noqa: S608 - made of our own constants
_TRIAL_BALANCE: Final = f"""
SELECT account.code, min(chart.name) AS name, account.gateway, account.currency, bool_or(account.memo) AS memo,
       sum(sums.debit) AS debit_turnover, sum(sums.credit) AS credit_turnover,
       greatest(sum(sums.debit) - sum(sums.credit), 0) AS debit, greatest(sum(sums.credit) - sum(sums.debit), 0) AS credit
  FROM ledger_account AS account LEFT JOIN {_CHART} ON chart.code = account.code
  JOIN (SELECT account_id, coalesce(sum(amount_minor) FILTER (WHERE amount_minor > 0), 0) AS debit,
               coalesce(-sum(amount_minor) FILTER (WHERE amount_minor < 0), 0) AS credit
          FROM ledger_posting WHERE %(day)s::date IS NULL OR booked_on <= %(day)s GROUP BY account_id) AS sums
    ON sums.account_id = account.id
 WHERE true {_FILTER} GROUP BY account.code, account.currency, account.gateway"""  # noqa: S608 - made of our own constants
_OPEN_ITEMS: Final = f"""
SELECT account.code, chart.name, account.gateway, account.currency, item.key AS item, item.since,
       %(day)s::date - item.since AS age_days, CASE WHEN item.amount > 0 THEN item.amount END AS debit,
       CASE WHEN item.amount < 0 THEN -item.amount END AS credit
  FROM (SELECT account_id, match_key AS key, sum(amount_minor) AS amount, min(booked_on) AS since FROM ledger_posting
         WHERE match_key <> '' AND booked_on <= %(day)s GROUP BY account_id, match_key HAVING sum(amount_minor) <> 0) AS item
  JOIN ledger_account AS account ON account.id = item.account_id AND account.open_item
  LEFT JOIN {_CHART} ON chart.code = account.code
 WHERE true {_FILTER}"""  # noqa: S608 - made of our own constants
# Opening and closing balance of each account stand as rows of their own around its lines.
_STATEMENT: Final = f"""
WITH account AS MATERIALIZED (
  SELECT account.id, account.code, account.gateway, account.customer, account.currency, chart.name,
         coalesce((SELECT sum(amount_minor) FROM ledger_posting AS earlier
                    WHERE earlier.account_id = account.id AND earlier.booked_on < %(from)s), 0) AS opening
    FROM ledger_account AS account LEFT JOIN {_CHART} ON chart.code = account.code WHERE true {_FILTER}
), line AS (
  SELECT account.id, 1 AS place, posting.booked_on, posting.id AS posting_id, entry.public_id AS entry, entry.subject,
         entry.description, posting.match_key, posting.amount_minor AS amount
    FROM account JOIN ledger_posting AS posting ON posting.account_id = account.id
    JOIN ledger_journalentry AS entry ON entry.id = posting.entry_id
   WHERE (%(from)s::date IS NULL OR posting.booked_on >= %(from)s) AND (%(to)s::date IS NULL OR posting.booked_on <= %(to)s)
  UNION ALL SELECT id, 0, %(from)s::date, 0, '', '', 'Opening balance', '', NULL FROM account
  UNION ALL SELECT id, 2, %(to)s::date, 0, '', '', 'Closing balance', '', NULL FROM account
)
SELECT account.id AS account_id, line.place, line.posting_id, account.code, account.name, account.gateway,
       account.customer, account.currency, line.booked_on, line.entry, line.subject, line.description, line.match_key AS item,
       CASE WHEN line.amount > 0 THEN line.amount END AS debit, CASE WHEN line.amount < 0 THEN -line.amount END AS credit,
       account.opening + coalesce(sum(line.amount) OVER (
         PARTITION BY account.id ORDER BY line.place, line.booked_on, line.posting_id), 0) AS balance
  FROM line JOIN account USING (id)"""  # noqa: S608 - made of our own constants
_HANDED: Final = f"""
SELECT posting.id AS posting_id, posting.entry_id, entry.booked_on, entry.public_id AS entry, entry.subject,
       entry.description, account.code, chart.name, account.gateway, posting.currency,
       CASE WHEN posting.amount_minor > 0 THEN posting.amount_minor END AS debit,
       CASE WHEN posting.amount_minor < 0 THEN -posting.amount_minor END AS credit, entry.occurred_at, entry.source_key
  FROM ledger_posting AS posting JOIN ledger_journalentry AS entry ON entry.id = posting.entry_id
  JOIN ledger_account AS account ON account.id = posting.account_id AND account.code = ANY(%(codes)s)
  LEFT JOIN {_CHART} ON chart.code = account.code"""  # noqa: S608 - made of our own constants
_TOUCHING: Final = """
SELECT DISTINCT posting.entry_id FROM ledger_posting AS posting
  JOIN ledger_account AS account ON account.id = posting.account_id AND account.code = ANY(%(codes)s)
 WHERE posting.booked_on <= %(day)s"""
_ACCOUNTS: Final = f"""
SELECT account.id, account.code, chart.name, account.gateway, account.customer, account.currency, min(posting.booked_on),
       sum(posting.amount_minor)
  FROM ledger_account AS account LEFT JOIN {_CHART} ON chart.code = account.code
  JOIN ledger_posting AS posting ON posting.account_id = account.id
 WHERE (%(from)s::date IS NULL OR posting.booked_on >= %(from)s) AND (%(to)s::date IS NULL OR posting.booked_on <= %(to)s)
{_FILTER}
 GROUP BY account.id, chart.name ORDER BY account.code, account.gateway, account.customer, account.currency"""  # noqa: S608 - made of our own constants


def _narrowed(code: str | None, gateway: str | None, currency: str | None, customer: str | None) -> dict[str, Any]:
    return {"code": code, "gateway": gateway, "currency": currency, "customer": customer}


def journal_sql(
    start: date | None = None,
    end: date | None = None,
    *,
    code: str | None = None,
    gateway: str | None = None,
    currency: str | None = None,
) -> Sql:
    """One row a posting booked from `start` to `end`; order by entry_id, posting_id."""
    return _JOURNAL, {"from": start, "to": end, **_narrowed(code, gateway, currency, None)}


def accounts_sql(start: date | None = None, end: date | None = None, *, currency: str | None = None) -> Sql:
    """id, code, name, gateway, customer, currency, first day and sum of every account with a posting in the period."""
    return _ACCOUNTS, {"from": start, "to": end, **_narrowed(None, None, currency, None)}


def trial_balance_sql(day: date | None, *, gateway: str | None = None, currency: str | None = None) -> Sql:
    """One row a code, gateway and currency as of the end of `day`; order by currency, code, gateway."""
    return _TRIAL_BALANCE, {"day": day, **_narrowed(None, gateway, currency, None)}


def open_items_sql(
    day: date, *, code: str | None = None, gateway: str | None = None, currency: str | None = None
) -> Sql:
    """Match keys that do not come to zero as of the end of `day`; order by code, since, item."""
    return _OPEN_ITEMS, {"day": day, **_narrowed(code, gateway, currency, None)}


def statement_sql(
    start: date | None,
    end: date | None,
    *,
    code: str,
    gateway: str | None = None,
    currency: str | None = None,
    customer: str | None = None,
) -> Sql:
    """Lines of every account of a code with opening, running and closing balance (debit positive); order by account_id,
    place, booked_on, posting_id."""
    return _STATEMENT, {"from": start, "to": end, **_narrowed(code, gateway, currency, customer)}


def lines_on_sql(codes: Collection[str]) -> Sql:
    """Every posting on accounts of these codes, with its entry: to be joined with the entries wanted."""
    return _HANDED, {"codes": list(codes)}


def entries_on_sql(codes: Collection[str], day: date) -> Sql:
    """Ids of entries that touch one of these codes, booked up to and on `day`."""
    return _TOUCHING, {"codes": list(codes), "day": day}
