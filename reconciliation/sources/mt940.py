"""What does a bank say in MT940 (SWIFT)? One statement of the file after the other, each taken apart by the mt-940 library.

Lines have no key of their own: banks use a reference twice. A reversal goes the other way: RC takes, RD gives.
"""

from __future__ import annotations

import codecs
import logging
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any, BinaryIO, Final

import mt940

from ledger.money import MINOR_DIGITS
from reconciliation.errors import UnreadableStatement
from reconciliation.lines import AccountNamed, Balance, Item, RejectedLine, Shortfall, StatementLine
from reconciliation.sources.amounts import BadAmount, minor_of
from reconciliation.sources.base import LONGEST_LINE, Reading, evidence
from reconciliation.sources.local_times import LocalTimes
from reconciliation.states import LineKind

logging.getLogger("mt940").setLevel(logging.CRITICAL)  # it writes whole lines, with payers' names, to the log
_BEGINS: Final = ":20:"
_BROKEN: Final = (RuntimeError, ValueError, AssertionError, LookupError, TypeError, AttributeError, ArithmeticError)
"""What the library raises for what it cannot read: it has no common error."""
_LONGEST_STATEMENT: Final = 16 * 1024 * 1024
_SIGNS: Final = {"C": 1, "D": -1, "RC": -1, "RD": 1}
_NOTHING_GIVEN: Final = frozenset({"", "NONREF", "NOTPROVIDED"})
_DETAILS: Final = (
    "transaction_details",
    "purpose",
    "additional_purpose",
    "applicant_name",
    "posting_text",
    "extra_details",
)


class Mt940:
    """Reader of MT940."""

    name, words, mapped, tells_all = "mt940", "Bank statement, MT940", False, True

    def read(self, content: BinaryIO, reading: Reading) -> Iterator[Item]:
        """Lines and balances of every statement in the file. Raises: UnreadableStatement."""
        number, found = 0, False
        for text in _statements(content):
            found = True
            for item in _read(text, reading, number):
                if isinstance(item, (StatementLine, RejectedLine)):
                    number += 1
                yield item
        if not found:
            raise UnreadableStatement("The file holds no MT940 statement: no line begins with :20:.")


MT940: Final = Mt940()


def _statements(content: BinaryIO) -> Iterator[str]:
    """The text of one statement at a time. Banks write UTF-8 or the old Western encoding; which, each line shows."""
    begun = False
    lines: list[str] = []
    size = 0
    while raw := content.readline(LONGEST_LINE):
        size += len(raw)
        if len(raw) >= LONGEST_LINE or size > _LONGEST_STATEMENT:
            raise UnreadableStatement("A line or statement is longer than MT940 has them.")
        line = _decoded(raw.removeprefix(codecs.BOM_UTF8))
        if line.startswith(_BEGINS):
            if begun:
                yield "".join(lines)
            begun, lines, size = True, [], 0
        if begun:
            lines.append(line)
        elif line.startswith(":6"):
            raise UnreadableStatement("The file begins in the middle of a statement: :20: is missing.")
    if begun:
        yield "".join(lines)


def _decoded(raw: bytes) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("cp1252", errors="replace")
    return text.replace("\0", "␀")


def _read(text: str, reading: Reading, number: int) -> Iterator[Item]:
    try:
        parsed = mt940.parse(text)
        data = dict(parsed.data)
        entries = [dict(entry.data) for entry in parsed if entry.data.get("amount") is not None]
    except _BROKEN as wrong:
        raise UnreadableStatement(f"A statement of the file is no MT940 ({type(wrong).__name__}).") from wrong
    if data.get("account_identification"):
        yield AccountNamed(str(data["account_identification"]).strip())
    yield from _balances(data, ("final_opening_balance", "intermediate_opening_balance"), opening=True)
    times = LocalTimes(reading.zone, "%Y-%m-%d")
    for place, entry in enumerate(entries, start=1):
        try:
            yield _line(number + place, entry, times)
        except (BadAmount, ValueError) as wrong:
            yield RejectedLine(number + place, str(wrong), _raw(entry))
    closing = list(_balances(data, ("final_closing_balance", "intermediate_closing_balance"), opening=False))
    yield from closing
    if not closing:
        yield Shortfall("A statement has no closing balance: it was cut off.")
    written = sum(line.startswith(":61:") for line in text.splitlines())
    if written != len(entries):
        yield Shortfall(f"{written} lines are written in a statement, but {len(entries)} could be read.")


def _balances(data: dict[str, Any], names: tuple[str, ...], *, opening: bool) -> Iterator[Balance]:
    told = next((data[name] for name in names if data.get(name) is not None), None)
    if told is None:
        return
    try:
        minor = _minor(told.amount.amount, told.amount.currency)
    except (BadAmount, ValueError) as wrong:
        raise UnreadableStatement(f"A balance cannot be read: {wrong}") from wrong
    on = date(told.date.year, told.date.month, told.date.day) if told.date else None
    yield Balance(opening=opening, currency=told.amount.currency, amount_minor=minor, on=on)


def _line(number: int, entry: dict[str, Any], times: LocalTimes) -> StatementLine:
    amount, status = entry["amount"], str(entry.get("status") or "")
    if status not in _SIGNS:
        raise ValueError(f"The mark {status[:10]!r} is neither credit nor debit.")
    gross = _SIGNS[status] * abs(_minor(amount.amount, amount.currency))
    booked = entry.get("entry_date") or entry["date"]
    valued = entry["date"]
    return StatementLine(
        number=number,
        line_key="",
        kind=LineKind.BANK_DEBIT if gross < 0 else LineKind.BANK_CREDIT,
        currency=amount.currency,
        gross_minor=gross,
        occurred_at=times.read(date(booked.year, booked.month, booked.day).isoformat()),
        raw=_raw(entry),
        fee_minor=0,
        tax_minor=0,
        net_minor=gross,
        reference=(_given(entry, "end_to_end_reference") or _given(entry, "customer_reference"))[:120],
        bank_ref=_given(entry, "bank_reference")[:140],
        text=" ".join(filter(None, (_given(entry, name) for name in _DETAILS))).replace("\n", " ")[:300],
        available_on=date(valued.year, valued.month, valued.day),
    )


def _minor(amount: Decimal, currency: str) -> int:
    """Exact minor units; zeros beyond the currency's decimals say nothing."""
    if currency not in MINOR_DIGITS:
        raise BadAmount(f"Currency {str(currency)[:10]!r} is in no table.")
    text = f"{amount:f}"
    whole, point, fraction = text.partition(".")
    places = MINOR_DIGITS[currency]
    kept = fraction[:places] + fraction[places:].rstrip("0")
    return minor_of(whole + (point + kept if kept else ""), currency)


def _given(entry: dict[str, Any], name: str) -> str:
    text = str(entry.get(name) or "").strip()
    return "" if text in _NOTHING_GIVEN else text


def _raw(entry: dict[str, Any]) -> dict[str, str]:
    return evidence({name: value for name, value in entry.items() if value not in (None, "")})
