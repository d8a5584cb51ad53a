"""How do the books look to people? Frozen values of `ledger.queries` in, rows of text with debit and credit columns out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Final

from django.urls import reverse

from console.links import link_to
from console.values import Amount, Link, Shown
from ledger.chart import AccountRef
from ledger.money import Money
from ledger.queries import AccountStatement, CurrencyTotal, EntryView, TrialBalance, TrialBalanceRow

BLANK: Final = Link("", "")
"""An empty cell, where a dash would say "not known"."""
ENTRY_COLUMNS: Final = ("Account", "Kept for", "Debit", "Credit", "Open item")


@dataclass(frozen=True, slots=True)
class TrialBalanceLine:
    """One row: amounts in main units with the currency's decimals, empty where the column has none."""

    code: str
    name: str
    gateway: str
    currency: str
    debit: str
    credit: str
    account_id: int | None
    """Opens to the account's statement; None on totals and where several accounts are summed up."""
    is_total: bool = False


@dataclass(frozen=True, slots=True)
class StatementRow:
    """One row of an account statement. `balance` carries its side: "12.34 Dr"."""

    booked_on: date
    entry: str
    subject: str
    description: str
    debit: str
    credit: str
    balance: str
    is_total: bool = False


def trial_balance_lines(trial: TrialBalance) -> list[TrialBalanceLine]:
    """Rows of the books with a total per currency; memo accounts follow, never added to the others."""
    return [*_section(trial.rows, trial.totals, "Total"), *_section(trial.memo_rows, trial.memo_totals, "Total, memo")]


def _section(rows: Iterable[TrialBalanceRow], totals: Iterable[CurrencyTotal], label: str) -> list[TrialBalanceLine]:
    lines = [
        TrialBalanceLine(
            code=row.spec.code,
            name=row.spec.name,
            gateway=row.gateway,
            currency=row.currency,
            debit=_column(row.debit_minor, row.currency),
            credit=_column(row.credit_minor, row.currency),
            account_id=row.account_id,
        )
        for row in rows
    ]
    for total in totals:
        debit, credit = (_text(amount, total.currency) for amount in (total.debit_minor, total.credit_minor))
        lines.append(TrialBalanceLine("", label, "", total.currency, debit, credit, account_id=None, is_total=True))
    return lines


def statement_rows(statement: AccountStatement) -> list[StatementRow]:
    """Opening balance, every line with its running balance, closing balance. The opening shows on the first page only
    when the statement starts there; the closing balance when nothing follows."""
    currency = statement.ref.currency
    rows = [
        StatementRow(
            booked_on=line.booked_on,
            entry=line.entry_public_id,
            subject=line.subject,
            description=line.description,
            debit=_column(line.amount_minor, currency),
            credit=_column(-line.amount_minor, currency),
            balance=_with_side(line.balance_minor, currency),
        )
        for line in statement.lines
    ]
    first = statement.lines[0] if statement.lines else None
    if first is None or first.balance_minor - first.amount_minor == statement.opening_minor:
        rows.insert(0, _balance_row(statement.booked_from, "Opening balance", statement.opening_minor, currency))
    if statement.next_page is None:
        rows.append(_balance_row(statement.booked_to, "Closing balance", statement.closing_minor, currency))
    return rows


def _balance_row(day: date, label: str, amount_minor: int, currency: str) -> StatementRow:
    return StatementRow(day, "", "", label, "", "", _with_side(amount_minor, currency), is_total=True)


def _column(amount_minor: int, currency: str) -> str:
    return _text(amount_minor, currency) if amount_minor > 0 else ""


def _with_side(amount_minor: int, currency: str) -> str:
    side = " Dr" if amount_minor > 0 else " Cr" if amount_minor < 0 else ""
    return _text(abs(amount_minor), currency) + side


def _text(amount_minor: int, currency: str) -> str:
    return Money(amount_minor, currency).to_decimal_string()


@dataclass(frozen=True, slots=True)
class EntryTable:
    """An entry as a table of `ENTRY_COLUMNS`: every line leads to its account."""

    entry: EntryView
    rows: tuple[tuple[Shown, ...], ...]


def entry_table(entry: EntryView) -> EntryTable:
    """The entry's lines in debit and credit columns, debits first as bookkeepers write them."""
    lines = sorted(entry.lines, key=lambda line: (line.ref.spec.memo, line.amount_minor < 0, line.posting_id))
    return EntryTable(
        entry,
        tuple(
            (
                account_link(line.account_id, line.ref),
                kept_for(line.ref) or BLANK,
                column(line.amount_minor, line.ref.currency),
                column(-line.amount_minor, line.ref.currency),
                link_to(line.match_key) if line.match_key else BLANK,
            )
            for line in lines
        ),
    )


def account_link(account_id: int, ref: AccountRef) -> Link:
    """The account by code and name, leading to its statement."""
    return Link(f"{ref.code} {ref.spec.name}", reverse("admin:ledger_account_change", args=(account_id,)))


def kept_for(ref: AccountRef) -> str:
    """The gateway or customer an account is kept for; empty if for nobody. Customers are digests: the start is enough."""
    return ref.gateway or (f"{ref.customer[:12]}…" if len(ref.customer) > 12 else ref.customer)


def column(amount_minor: int, currency: str) -> Amount | Link:
    """The amount if it belongs into this column, else an empty cell."""
    return Amount(amount_minor, currency) if amount_minor > 0 else BLANK
