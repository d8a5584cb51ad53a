"""How is a CSV file read whose layout people have described? Strictly: what does not fit is rejected, never guessed.

Signs become ours: with `debits_positive`, refunds, chargebacks, fees, payouts and money withheld are written without a
minus and are turned; without it, a refund or chargeback that is not below zero is rejected. `fee` takes away where it is
positive, or, with `fees_negative`, where it has a minus. What of gross, fee, tax and net is told has to agree; of gross and
net alone the fee is the difference. A key may be put together: "{Transaction}:{kind}", where {kind} is our word.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import BinaryIO, Final

from ledger.money import BIGINT_MAX, MINOR_DIGITS
from reconciliation.errors import UnreadableStatement
from reconciliation.lines import ControlTotal, Item, RejectedLine, StatementLine
from reconciliation.sources.amounts import BadAmount, minor_of
from reconciliation.sources.base import LONGEST_LINE, Columns, Reading, evidence
from reconciliation.sources.local_times import BadTime, LocalTimes
from reconciliation.states import BANK_KINDS, LineKind

MONEY_FIELDS: Final = ("gross", "debit", "credit", "fee", "tax", "net", "presentment")
TEXT_FIELDS: Final = ("gateway_id", "parent_id", "reference", "payout_id", "bank_ref", "status", "method", "text")
OTHER_FIELDS: Final = (
    "line_key",
    "kind",
    "currency",
    "occurred_at",
    "available_on",
    "presentment_currency",
    "rate",
    "count",
)
FIELDS: Final = frozenset((*MONEY_FIELDS, *TEXT_FIELDS, *OTHER_FIELDS))
_DEBITS: Final = frozenset(
    {
        LineKind.REFUND,
        LineKind.CHARGEBACK,
        LineKind.DISPUTE_FEE,
        LineKind.FEE,
        LineKind.PAYOUT,
        LineKind.RESERVE_HOLD,
        LineKind.BANK_DEBIT,
    }
)
_MUST_TAKE: Final = frozenset({LineKind.REFUND, LineKind.CHARGEBACK, LineKind.BANK_DEBIT})
_WHOLE_NET: Final = BANK_KINDS | {
    LineKind.FEE,
    LineKind.DISPUTE_FEE,
    LineKind.PAYOUT,
    LineKind.PAYOUT_RETURN,
    LineKind.RESERVE_HOLD,
    LineKind.RESERVE_RELEASE,
    LineKind.ADJUSTMENT,
    LineKind.DECLINE,
}  # no fee is taken from these: net is gross
_TEMPLATE: Final = re.compile(r"\{([^{}]+)\}")


class BadCell(ValueError):
    """A cell does not fit the mapping; the message says which and why."""


class CsvMapped:
    """Reader of CSV by a column mapping."""

    name, words, mapped, tells_all = "csv_mapped", "CSV with a column mapping", True, True

    def read(self, content: BinaryIO, reading: Reading) -> Iterator[Item]:
        """The lines of the file. Raises: UnreadableStatement."""
        if reading.columns is None:
            raise UnreadableStatement("A CSV file needs a column mapping.")
        columns = reading.columns
        rows = _rows(content, columns)
        headings = next(rows, None)
        if headings is None:
            raise UnreadableStatement("The file has no heading line.")
        layout = _Layout(headings, reading, columns)
        ended = not columns.total_row
        for number, cells in enumerate(rows, start=1):
            if columns.total_row and cells[0] == columns.total_row:
                ended = True
                yield from layout.totals(number, cells)
            else:
                yield layout.line(number, cells)
        if not ended:
            raise UnreadableStatement(f"The file ends without its row of totals ({columns.total_row}): it was cut off.")


CSV_MAPPED: Final = CsvMapped()


def _rows(content: BinaryIO, columns: Columns) -> Iterator[list[str]]:
    """Rows that hold anything, as a stream. Raises: UnreadableStatement."""
    try:
        text = io.TextIOWrapper(content, encoding=columns.encoding, newline="")
    except LookupError as wrong:
        raise UnreadableStatement(f"No encoding is called {columns.encoding!r}.") from wrong
    delimiter = "\t" if columns.delimiter == "\\t" else columns.delimiter
    try:
        for row in csv.reader(_short_lines(text), delimiter=delimiter, strict=True):
            cells = [cell.strip() for cell in row]
            if any(cells):
                yield cells
    except UnicodeError as wrong:
        raise UnreadableStatement(f"The file is not in {columns.encoding}: {_where(wrong)}.") from wrong
    except csv.Error as wrong:
        raise UnreadableStatement(f"The file is no CSV: {wrong}.") from wrong
    finally:
        with suppress(ValueError):
            text.detach()  # the file stays open: it is not ours


def _short_lines(text: io.TextIOWrapper) -> Iterator[str]:
    number = 0
    while line := text.readline(LONGEST_LINE):
        number += 1
        if len(line) >= LONGEST_LINE:
            raise UnreadableStatement(
                f"Line {number} is longer than {LONGEST_LINE // 1024} KB: this is no such CSV file."
            )
        yield line


def _where(wrong: UnicodeError) -> str:
    return f"byte {wrong.start} cannot be read" if isinstance(wrong, UnicodeDecodeError) else "it cannot be read"


class _Layout:
    """The columns of one file, found by their headings. Raises: UnreadableStatement if the file lacks one of them."""

    def __init__(self, headings: Sequence[str], reading: Reading, columns: Columns) -> None:
        self._headings = [heading.strip().lstrip("\ufeff") for heading in headings]
        self._columns, self._currency = columns, reading.currency
        self._template = columns.columns.get("line_key", "") if "{" in columns.columns.get("line_key", "") else ""
        self._places = self._find()
        self._texts = [(name, self._places[name]) for name in TEXT_FIELDS if name in self._places]
        self._times = LocalTimes(reading.zone, columns.date_format)
        self._zone, self._day_format = reading.zone, _day_format(columns.date_format)
        self._kinds = {word.strip().casefold(): _kind(ours) for word, ours in columns.kinds.items()}
        self._bank = "debit" in self._places or "credit" in self._places

    def line(self, number: int, cells: list[str]) -> StatementLine | RejectedLine:
        """One row as a line; rejected with the reason where a cell does not fit."""
        try:
            return self._line(number, cells)
        except (BadCell, BadAmount, BadTime) as wrong:
            return RejectedLine(number, str(wrong), self._raw(cells))

    def totals(self, number: int, cells: list[str]) -> Iterator[ControlTotal]:
        """The row of control totals. Raises: UnreadableStatement for one that can not be read: it is there to be relied on."""
        try:
            currency = self._currency_of(cells) if any(self._has(cells, name) for name in MONEY_FIELDS) else ""
            for name in ("gross", "fee", "tax", "net"):
                if self._has(cells, name):
                    amount = self._money(cells, name, currency) or 0
                    sign = -1 if self._columns.fees_negative and name in ("fee", "tax") else 1
                    yield ControlTotal(name, sign * amount, currency)
            if self._has(cells, "count"):
                yield ControlTotal("lines", minor_of(self._cell(cells, "count"), currency, ""))
        except (BadCell, BadAmount) as wrong:
            raise UnreadableStatement(f"The row of totals (row {number}) cannot be read: {wrong}") from wrong

    # --- one line ---

    def _line(self, number: int, cells: list[str]) -> StatementLine:
        if len(cells) != len(self._headings):
            raise BadCell(f"It has {len(cells)} cells, the heading {len(self._headings)}.")
        currency = self._currency_of(cells)
        kind, gross = self._kind_and_gross(cells, currency)
        occurred_at = self._times.read(self._cell(cells, "occurred_at"))
        gross, fee, tax, net = self._sums(cells, kind, currency, gross)
        presented, presented_in = (
            self._presented(cells, gross, currency) if "presentment" in self._places else (None, "")
        )
        texts = {name: cells[place] for name, place in self._texts}
        return StatementLine(
            number=number,
            line_key=self._key(cells, kind),
            kind=kind,
            currency=currency,
            gross_minor=gross,
            occurred_at=occurred_at,
            raw=self._raw(cells),
            fee_minor=fee,
            tax_minor=tax,
            net_minor=net,
            presentment_minor=presented,
            presentment_currency=presented_in,
            rate=self._rate(cells) if "rate" in self._places else None,
            available_on=self._day(cells, "available_on") if "available_on" in self._places else None,
            **texts,
        )

    def _kind_and_gross(self, cells: list[str], currency: str) -> tuple[LineKind, int | None]:
        if self._bank:
            debit, credit = self._money(cells, "debit", currency), self._money(cells, "credit", currency)
            if (debit is None) == (credit is None) or (debit or 0) < 0 or (credit or 0) < 0:
                raise BadCell("One of debit and credit has to hold an amount, without a sign.")
            gross = -debit if debit is not None else credit
            return self._kind_of(cells, gross), gross
        gross = self._money(cells, "gross", currency)
        kind = self._kind_of(cells, gross)
        if gross is None or kind not in _DEBITS:
            return kind, gross
        if self._columns.debits_positive:
            if gross < 0 and kind in _MUST_TAKE:
                raise BadCell(f"A {_words(kind)} has a minus here; the mapping says that they have none.")
            return kind, -gross
        if gross > 0 and kind in _MUST_TAKE:
            raise BadCell(f"A {_words(kind)} is above zero here; the mapping says that they have a minus.")
        return kind, gross

    def _kind_of(self, cells: list[str], gross: int | None) -> LineKind:
        word = self._cell(cells, "kind")
        kind = self._kinds.get(word.casefold())
        if kind is not None:
            return kind
        if word or self._kinds:
            raise BadCell(f"The kind {word[:40]!r} is not in the mapping.")
        return LineKind.BANK_DEBIT if (gross or 0) < 0 else LineKind.BANK_CREDIT

    def _sums(
        self, cells: list[str], kind: LineKind, currency: str, gross: int | None
    ) -> tuple[int, int | None, int | None, int | None]:
        """Gross, fee, tax and net; what follows from the others is worked out, what contradicts them is refused."""
        turn = -1 if self._columns.fees_negative else 1
        fee, tax = self._signed(cells, "fee", currency, turn), self._signed(cells, "tax", currency, turn)
        turned = kind in _DEBITS and self._columns.debits_positive
        net = self._signed(cells, "net", currency, -1 if turned else 1)
        if gross is None:
            if net is None or "gross" in self._places:
                raise BadCell("The gross amount is empty.")
            gross = net + (fee or 0) + (tax or 0)
        if kind in _WHOLE_NET and fee is None and tax is None and net is None:
            return gross, 0, 0, gross
        if net is None:
            return gross, fee, tax, None if fee is None else _checked(gross - fee - (tax or 0))
        if fee is None:
            fee = _checked(gross - net - (tax or 0))
        if net != gross - fee - (tax or 0):
            raise BadCell(f"Net {net} is not gross {gross} less fee {fee} and tax {tax or 0}, in minor units.")
        return gross, fee, tax, net

    def _signed(self, cells: list[str], name: str, currency: str, turn: int) -> int | None:
        amount = self._money(cells, name, currency)
        return None if amount is None else turn * amount

    def _presented(self, cells: list[str], gross: int, currency: str) -> tuple[int | None, str]:
        code = self._cell(cells, "presentment_currency").upper()
        if not code:
            return None, ""
        if code not in MINOR_DIGITS:
            raise BadCell(f"Currency {code[:10]!r} is in no table.")
        amount = self._money(cells, "presentment", code)
        if amount is None or code == currency:
            return None, ""
        return (-abs(amount) if gross < 0 else abs(amount)), code

    def _currency_of(self, cells: list[str]) -> str:
        code = self._cell(cells, "currency").upper() or self._currency
        if code not in MINOR_DIGITS:
            raise BadCell(f"Currency {code[:10]!r} is in no table." if code else "No currency is named.")
        return code

    def _money(self, cells: list[str], name: str, currency: str) -> int | None:
        text = self._cell(cells, name)
        if not text:
            return None
        try:
            return minor_of(text, currency, self._columns.decimal_mark, self._columns.thousands_mark)
        except BadAmount as wrong:
            raise BadCell(f"{self._columns.columns[name]}: {wrong}") from wrong

    def _rate(self, cells: list[str]) -> Decimal | None:
        text = self._cell(cells, "rate")
        if not text:
            return None
        mark = self._columns.decimal_mark or "."
        with suppress(InvalidOperation):
            found = Decimal(text.replace(mark, ".")) if text.isascii() else Decimal("NaN")
            if found.is_finite() and 0 < found < Decimal(10) ** 10:
                return found
        raise BadCell(f"{text[:40]!r} is no rate of exchange.")

    def _day(self, cells: list[str], name: str) -> date | None:
        text = self._cell(cells, name)
        return self._on_its_day(text) if text else None

    def _on_its_day(self, text: str) -> date:
        for form in (self._day_format, self._columns.date_format):
            with suppress(ValueError, OverflowError):
                moment = datetime.strptime(text, form)  # noqa: DTZ007 - without a zone it is a day of the account's
                return (moment.astimezone(self._zone) if moment.tzinfo else moment).date()
        raise BadCell(f"{text[:40]!r} is no day of the mapping's form.")

    def _key(self, cells: list[str], kind: LineKind) -> str:
        if not self._template:
            key = self._cell(cells, "line_key")
            if not key and "line_key" in self._places:
                raise BadCell("What identifies the line is empty.")
            return key
        parts = {
            name: kind.value if name == "kind" else self._by_heading(cells, name) for name in self._template_names()
        }
        if not all(parts.values()):
            raise BadCell("What identifies the line is empty.")
        return _TEMPLATE.sub(lambda found: parts[found[1]], self._template)

    # --- cells ---

    def _find(self) -> dict[str, int]:
        wanted = {ours: theirs for ours, theirs in self._columns.columns.items() if theirs and "{" not in theirs}
        named = [theirs for theirs in self._template_names() if theirs != "kind"]
        missing = [theirs for theirs in [*wanted.values(), *named] if theirs not in self._headings]
        if missing:
            seen = ", ".join(self._headings)[:200]
            raise UnreadableStatement(
                f"The file has no column {', '.join(map(repr, missing[:3]))}. Its first line reads: {seen}. "
                f"Is the delimiter {self._columns.delimiter!r} right?"
            )
        doubled = [theirs for theirs in wanted.values() if self._headings.count(theirs) > 1]
        if doubled:
            raise UnreadableStatement(f"The file has the column {doubled[0]!r} twice.")
        return {ours: self._headings.index(theirs) for ours, theirs in wanted.items()}

    def _template_names(self) -> list[str]:
        return _TEMPLATE.findall(self._template)

    def _by_heading(self, cells: list[str], heading: str) -> str:
        return cells[self._headings.index(heading)]

    def _cell(self, cells: list[str], name: str) -> str:
        place = self._places.get(name)
        return cells[place] if place is not None and place < len(cells) else ""

    def _has(self, cells: list[str], name: str) -> bool:
        return bool(self._cell(cells, name))

    def _raw(self, cells: list[str]) -> dict[str, str]:
        shown = dict(zip(self._headings, cells, strict=False))
        extra = {"further cells": " | ".join(cells[len(self._headings) :])} if len(cells) > len(self._headings) else {}
        return evidence({name: value for name, value in (shown | extra).items() if value})


def _kind(word: str) -> LineKind:
    try:
        return LineKind(word)
    except ValueError:
        raise UnreadableStatement(f"The mapping names the kind {word!r}, which does not exist.") from None


def _words(kind: LineKind) -> str:
    return kind.value.replace("_", " ")


def _checked(amount: int) -> int:
    if abs(amount) > BIGINT_MAX:
        raise BadCell("An amount is more than the books can hold.")
    return amount


def _day_format(date_format: str) -> str:
    """The part of a format that names the day: "%d.%m.%Y %H:%M" has "%d.%m.%Y"."""
    head = re.split(r"[T ]?%[HIpMSfzZ]", date_format, maxsplit=1)[0]
    return head.rstrip(" T") or date_format
