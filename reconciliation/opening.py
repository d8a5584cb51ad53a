"""Which open items come over from the old system? A CSV file read into positions, every wrong row named. Pure.

Columns: account, gateway, customer, currency, debit, credit, item, date, text. One row is one open item; its other side is
3010. Amounts are plain decimals in the currency's own units; one of debit and credit is filled.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date

from ledger import chart
from ledger.chart import AccountRef, account_spec
from ledger.errors import LedgerError
from ledger.money import Money, MoneyError
from payments.card_numbers import has_card_number

COLUMNS = ("account", "gateway", "customer", "currency", "debit", "credit", "item", "date", "text")
MOST_ROWS = 20_000
_OF_CASES = {
    chart.OPENING_BALANCES.code: "it is the other side of every position",
    chart.SUSPENSE.code: "suspense is the sum of open reviews: let the money come in as an orphan instead",
    chart.DISPUTED_FUNDS.code: "it is the sum of open disputes: import them from the gateway",
    chart.PARTIAL_PAYMENTS.code: "it is the sum of payments paid in part",
    chart.OVERPAYMENTS.code: "it is kept per payment, and the payment is not here",
}


@dataclass(frozen=True, slots=True)
class Position:
    """One open item as the file says it; `money` is signed, debit positive."""

    number: int
    account: AccountRef
    money: Money
    item: str
    on: date
    text: str

    @property
    def source_key(self) -> str:
        """By which it is booked, once for ever."""
        return f"opening/{self.account}/{self.item}"


@dataclass(frozen=True, slots=True)
class WrongRow:
    """A row that can not be taken, with its number (the heading is row 1) and what is wrong with it."""

    number: int
    reason: str


def read(text: str, *, before: date) -> tuple[list[Position], list[WrongRow]]:
    """Every row of the file, good or wrong. `before`: the day the books start on; positions lie before it."""
    rows = csv.reader(text.removeprefix("\ufeff").splitlines(), strict=True)
    good: list[Position] = []
    wrong: list[WrongRow] = []
    try:
        headings = [cell.strip().lower() for cell in next(rows, [])]
        if sorted(headings) != sorted(COLUMNS):
            return [], [WrongRow(1, f"The headings are not the ones expected: {', '.join(COLUMNS)}.")]
        for number, cells in enumerate(rows, start=2):
            if any(cells):
                _take(number, headings, cells, before, good, wrong)
    except csv.Error as error:
        wrong.append(WrongRow(rows.line_num, f"The file can not be read on from here: {error}."))
    return good, [*wrong, *_twice(good), *_too_many(good)]


def _take(
    number: int, headings: list[str], cells: list[str], before: date, good: list[Position], wrong: list[WrongRow]
) -> None:
    if len(cells) != len(headings):
        wrong.append(WrongRow(number, f"It has {len(cells)} cells; the headings are {len(headings)}."))
        return
    try:
        good.append(_position(number, dict(zip(headings, (cell.strip() for cell in cells), strict=True)), before))
    except (ValueError, LedgerError, MoneyError) as error:
        wrong.append(WrongRow(number, str(error)))


def _position(number: int, row: dict[str, str], before: date) -> Position:
    if any(has_card_number(cell) for name, cell in row.items() if name not in ("debit", "credit")):
        raise ValueError("It holds what looks like a card number: such numbers are never kept.")
    _refuse_account(row["account"])
    account = AccountRef(row["account"], row["currency"], gateway=row["gateway"], customer=row["customer"])
    if not row["item"]:
        raise ValueError("item is empty: by what will the open item be found again?")
    on = _day(row["date"])
    if on >= before:
        raise ValueError(f"date {on} is not before {before}, the day the books start on.")
    return Position(number, account, _amount(row), row["item"], on, row["text"])


def _refuse_account(code: str) -> None:
    spec = account_spec(code)
    if code in _OF_CASES:
        raise ValueError(f"account {code} {spec.name} takes no opening position: {_OF_CASES[code]}.")
    if spec.memo:
        raise ValueError(f"account {code} {spec.name} is a memo: it takes no opening position.")


def _amount(row: dict[str, str]) -> Money:
    if bool(row["debit"]) == bool(row["credit"]):
        raise ValueError("One of debit and credit is filled, the other one empty.")
    money = Money.parse(row["debit"] or row["credit"], row["currency"])
    if not money.is_positive:
        raise ValueError("The amount is not above zero: a position on the other side goes into the other column.")
    return money if row["debit"] else -money


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"date {text!r} is no day: write it as 2026-11-20.") from error


def _twice(positions: Collection[Position]) -> Iterator[WrongRow]:
    first: dict[str, int] = {}
    for position in positions:
        seen = first.setdefault(position.source_key, position.number)
        if seen != position.number:
            yield WrongRow(position.number, f"Item {position.item} of {position.account} stands in row {seen} already.")


def _too_many(positions: Collection[Position]) -> Iterator[WrongRow]:
    if len(positions) > MOST_ROWS:
        yield WrongRow(MOST_ROWS + 2, f"More than {MOST_ROWS} positions: split the file.")
