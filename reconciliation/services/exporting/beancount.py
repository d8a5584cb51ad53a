"""How is the journal written for another bookkeeping engine? Beancount text: accounts opened, one transaction an entry.

At its end every account's balance is asserted, so that whoever loads the file proves our sums with their own. Only what
falls into the period is in it; a period that begins later than the books holds turnover, not balances.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper

from ledger.money import Money
from ledger.queries.exports import accounts_sql
from reconciliation.reports.base import Given, Query
from reconciliation.reports.days import day_of, text_of
from reconciliation.services.exporting.sink import Sink
from reconciliation.services.exporting.snapshot import rows_of

_ROOTS: Final = {"1": "Assets", "2": "Liabilities", "3": "Equity", "4": "Income", "5": "Expenses", "9": "Equity:Memo"}
_HEAD: Final = ';; -*- mode: beancount; coding: utf-8 -*-\noption "title" "Counterfoil"\n\n'
_UNFIT: Final = re.compile(r"[^A-Za-z0-9-]+")
_ROWS: Final = """
SELECT row.entry_id, row.booked_on, row.entry, row.subject, row.description, row.source_key, row.reverses, row.code, row.name,
       row.gateway, row.customer, row.currency, coalesce(row.debit, -row.credit), row.item
  FROM ({0}) AS row ORDER BY row.entry_id, row.posting_id"""


def write_beancount(own: BaseDatabaseWrapper, query: Query, given: Given, sink: Sink) -> None:
    """The whole text: heading, accounts, transactions in the order they were posted, balances."""
    start, end = day_of(given, "from"), day_of(given, "to")
    accounts, args = accounts_sql(start, end, currency=text_of(given, "currency"))
    sink.write(_HEAD.encode())
    for row in rows_of(own, accounts, args):
        sink.write(_opened(row).encode())
    last = start or end
    for rows in _entries(own, query):
        last = max(rows[0][1], last or rows[0][1])
        sink.write(_transaction(rows).encode())
        for _ in rows:
            sink.count_row()
    if last:
        for row in rows_of(own, accounts, args):
            sink.write(_balanced(row, last + timedelta(days=1)).encode())


def account_name(code: str, name: str, gateway: str, customer: str) -> str:
    """Beancount's name of an account. A part it cannot spell is followed by its bytes, so that no two become one."""
    parts = [_ROOTS[code[0]], f"{code}-{_UNFIT.sub('-', name)}"]
    return ":".join([*parts, *(_spelled(kept_for) for kept_for in (gateway, customer) if kept_for)])


def _spelled(text: str) -> str:
    plain = _UNFIT.sub("-", text).strip("-")
    plain = plain[:1].upper() + plain[1:]
    exact = plain == text[:1].upper() + text[1:] and not text[:1].isupper()
    return plain if exact else f"X{plain}-{text.encode().hex()}"


def _entries(own: BaseDatabaseWrapper, query: Query) -> Iterator[list[Any]]:
    rows = rows_of(own, _ROWS.format(query.sql), query.args)
    for _, entry in groupby(rows, key=itemgetter(0)):
        yield list(entry)


def _opened(row: tuple[Any, ...]) -> str:
    _, code, name, gateway, customer, currency, first, _ = row
    kept = "".join(
        f"  {label}: {_text(value)}\n" for label, value in (("gateway", gateway), ("customer", customer)) if value
    )
    return f"{first} open {_named(code, name, gateway, customer, currency)} {currency}\n{kept}"


def _named(code: str, name: str, gateway: str, customer: str, currency: str) -> str:
    """Ours have one currency each: it is the last part, so that each is opened once."""
    return f"{account_name(code, name, gateway, customer)}:{currency}"


def _balanced(row: tuple[Any, ...], day: date) -> str:
    _, code, name, gateway, customer, currency, _, minor = row
    amount = Money(int(minor), currency).to_decimal_string()
    return f"{day} balance {_named(code, name, gateway, customer, currency)} {amount} ~ 0 {currency}\n"


def _transaction(rows: list[Any]) -> str:
    _, booked_on, entry, subject, description, source_key, reverses, *_ = rows[0]
    lines = [f"\n{booked_on} * {_text(description)}", f"  entry: {_text(entry)}", f"  subject: {_text(subject)}"]
    lines.append(f"  source_key: {_text(source_key)}")
    if reverses:
        lines.append(f"  reverses: {_text(reverses)}")
    for *_, code, name, gateway, customer, currency, minor, item in rows:
        amount = Money(minor, currency).to_decimal_string()
        lines.append(f"  {_named(code, name, gateway, customer, currency)}  {amount} {currency}")
        if item:
            lines.append(f"    item: {_text(item)}")
    return "\n".join(lines) + "\n"


def _text(text: str) -> str:
    escaped = " ".join(text.split()).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
