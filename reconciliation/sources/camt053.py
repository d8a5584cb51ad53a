"""What does a bank say in camt.053 (ISO 20022)? Booked entries and balances, read as a stream; entities are refused.

A booked entry is one line; a collective one whose transactions name amounts that add up to it is a line each. Entries that
are not booked yet are not on the account and say nothing. Lines have no key of their own: banks use a reference twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import BinaryIO, Final
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from ledger.money import MINOR_DIGITS
from reconciliation.errors import UnreadableStatement
from reconciliation.lines import AccountNamed, Balance, ControlTotal, Item, RejectedLine, StatementLine
from reconciliation.sources.amounts import BadAmount, minor_of
from reconciliation.sources.base import Reading, evidence
from reconciliation.sources.local_times import BadTime, LocalTimes
from reconciliation.states import LineKind

_STATEMENTS: Final = "BkToCstmrStmt"
_NOTHING_GIVEN: Final = frozenset({"", "NOTPROVIDED", "NONREF"})
_OPENINGS: Final = frozenset({"OPBD", "PRCD"})
_CLOSING: Final = "CLBD"
_DEEPEST: Final = 40
"""Elements within elements; the schema has half of that."""
_MOST_HELD: Final = 16 * 1024 * 1024
_MOST_PARTS: Final = 500_000
"""Bytes and elements of one entry, which is held whole: some 25,000 transactions. Beyond it the file is no statement."""


class BadEntry(ValueError):
    """An entry lacks what each has to have; the message says what."""


class Camt053:
    """Reader of camt.053, whatever its version."""

    name, words, mapped, tells_all = "camt053", "Bank statement, camt.053", False, True

    def read(self, content: BinaryIO, reading: Reading) -> Iterator[Item]:
        """Lines and balances of every statement in the file. Raises: UnreadableStatement."""
        try:
            yield from _read(content, reading)
        except (ParseError, DefusedXmlException, ValueError, LookupError) as wrong:
            raise UnreadableStatement(
                f"The file is no whole XML document that may be read ({type(wrong).__name__})."
            ) from wrong


CAMT053: Final = Camt053()


def _read(content: BinaryIO, reading: Reading) -> Iterator[Item]:
    path: list[Element] = []
    statement: _Statement | None = None
    seen = False
    metered = _Metered(content)
    for event, element in iterparse(metered, events=("start", "end"), forbid_dtd=True):
        if event == "start":
            path.append(element)
            metered.begin(len(path))
            if len(path) == 2:
                seen = True
                _require(_tag(element))
            if len(path) == 3 and _tag(element) == "Stmt":
                statement = _Statement(reading)
            continue
        path.pop()
        if len(path) == 3 and statement is not None:
            yield from statement.part(element)
            path[-1].remove(element)  # what was read is let go of
            metered.let_go()
        elif len(path) == 2:
            if statement is not None:
                yield from statement.end()
                statement = None
            path[-1].remove(element)
            metered.let_go()
    if not seen:
        raise UnreadableStatement("The file is an XML document without a bank statement.")


class _Metered:
    """The file, and how much of it the parser holds. Raises: UnreadableStatement for more than one entry can need."""

    def __init__(self, content: BinaryIO) -> None:
        self._content = content
        self._held = self._parts = 0

    def read(self, size: int = -1) -> bytes:
        piece = self._content.read(size)
        self._held += len(piece)
        if self._held > _MOST_HELD:
            raise UnreadableStatement(f"An element is larger than {_MOST_HELD // 1024**2} MB: this is no statement.")
        return piece

    def begin(self, depth: int) -> None:
        self._parts += 1
        if depth > _DEEPEST or self._parts > _MOST_PARTS:
            raise UnreadableStatement("Its elements stand deeper or closer than a statement has them.")

    def let_go(self) -> None:
        self._held = self._parts = 0


def _require(tag: str) -> None:
    if tag != _STATEMENTS:
        raise UnreadableStatement(f"The file is no camt.053 statement: it holds {tag[:40]!r}.")


class _Statement:
    """One `Stmt`: its parts in the order of the file. The closing balance is told when all entries are."""

    def __init__(self, reading: Reading) -> None:
        self._times = LocalTimes(reading.zone, "%Y-%m-%d")
        self._zone = reading.zone
        self._closings: list[Balance] = []
        self._opened: set[str] = set()
        self._entries = 0
        self._said: int | None = None
        self._number = 0

    def part(self, element: Element) -> Iterator[Item]:
        """A child of the statement that has just ended."""
        tag = _tag(element)
        if tag == "Acct":
            named = _text(element, "Id", "IBAN") or _text(element, "Id", "Othr", "Id")
            if named:
                yield AccountNamed(named)
        elif tag == "Bal":
            yield from self._balance(element)
        elif tag == "TxsSummry":
            said = _text(element, "TtlNtries", "NbOfNtries")
            self._said = int(said) if said.isascii() and said.isdecimal() else None
        elif tag == "Ntry":
            self._entries += 1
            try:
                yield from self._lines(element)
            except (BadEntry, BadAmount, BadTime) as wrong:
                self._number += 1
                yield RejectedLine(self._number, str(wrong), _raw(element))

    def end(self) -> Iterator[Item]:
        """What can be told only now."""
        yield from self._closings
        if self._said is not None:
            yield ControlTotal("entries", self._said, found=self._entries)

    def _balance(self, element: Element) -> Iterator[Balance]:
        code = _text(element, "Tp", "CdOrPrtry", "Cd")
        if code not in _OPENINGS and code != _CLOSING:
            return
        try:
            amount, currency = _amount(_child(element, "Amt"))
            sign = _sign(element)
        except (BadEntry, BadAmount) as wrong:
            raise UnreadableStatement(f"A balance cannot be read: {wrong}") from wrong
        on = _day(element, "Dt")
        if code == _CLOSING:
            self._closings.append(Balance(opening=False, currency=currency, amount_minor=sign * amount, on=on))
        elif currency not in self._opened:
            self._opened.add(currency)
            yield Balance(opening=True, currency=currency, amount_minor=sign * amount, on=on)

    def _lines(self, entry: Element) -> Iterator[StatementLine]:
        status = _text(entry, "Sts", "Cd") or _text(entry, "Sts")
        if status != "BOOK":
            return
        amount, currency = _amount(_child(entry, "Amt"))
        sign = _sign(entry)
        details = [found for group in _children(entry, "NtryDtls") for found in _children(group, "TxDtls")]
        parts = _parts(details, sign, amount, currency)
        if parts is None:
            yield self._line(entry, details[0] if len(details) == 1 else None, sign * amount, currency)
            return
        for detail, part in zip(details, parts, strict=True):
            yield self._line(entry, detail, part, currency)

    def _line(self, entry: Element, detail: Element | None, gross: int, currency: str) -> StatementLine:
        booked = _text(entry, "BookgDt", "Dt") or _text(entry, "BookgDt", "DtTm")[:10]
        occurred_at: datetime = self._times.read(booked)
        self._number += 1
        end_to_end = _given(_text(detail, "Refs", "EndToEndId")) if detail is not None else ""
        payment = _given(_text(detail, "Refs", "PmtInfId")) if detail is not None else ""
        remittance = (
            " ".join(found.text or "" for found in detail.iter() if _tag(found) == "Ustrd")
            if detail is not None
            else ""
        )
        return StatementLine(
            number=self._number,
            line_key="",
            kind=LineKind.BANK_DEBIT if gross < 0 else LineKind.BANK_CREDIT,
            currency=currency,
            gross_minor=gross,
            occurred_at=occurred_at,
            raw=_raw(entry if detail is None else detail),
            fee_minor=0,
            tax_minor=0,
            net_minor=gross,
            reference=(end_to_end or payment)[:120],
            bank_ref=_given(_text(entry, "AcctSvcrRef") or _text(entry, "NtryRef"))[:140],
            text=(remittance.strip() or _text(entry, "AddtlNtryInf"))[:300],
            available_on=_day(entry, "ValDt"),
        )


def _parts(details: list[Element], sign: int, amount: int, currency: str) -> list[int] | None:
    """The signed amounts of a collective entry's transactions; None where they do not name them or do not add up."""
    if len(details) < 2:
        return None
    parts: list[int] = []
    for detail in details:
        found = _child(detail, "Amt", required=False)
        if found is None:
            found = next((one for one in detail.iter() if _tag(one) == "Amt" and one.get("Ccy") == currency), None)
        if found is None or found.get("Ccy") != currency:
            return None
        own = _sign(detail) if _child(detail, "CdtDbtInd", required=False) is not None else sign
        parts.append(own * _amount(found)[0])
    return parts if sum(parts) == sign * amount else None


def _amount(element: Element | None) -> tuple[int, str]:
    """Minor units, without a sign, and the currency. Zeros beyond the currency's decimals say nothing."""
    currency = (element.get("Ccy") or "") if element is not None else ""
    if element is None or currency not in MINOR_DIGITS:
        raise BadEntry(f"Currency {currency[:10]!r} is in no table." if currency else "An amount names no currency.")
    whole, point, fraction = (element.text or "").strip().partition(".")
    places = MINOR_DIGITS[currency]
    kept = fraction[:places] + fraction[places:].rstrip("0")
    amount = minor_of(whole + (point + kept if kept else ""), currency)
    if amount < 0:
        raise BadEntry("An amount has a minus: camt.053 says credit or debit beside it.")
    return amount, currency


def _sign(element: Element) -> int:
    """1 for money coming in. A reversal names the side it is on itself."""
    side = _text(element, "CdtDbtInd")
    if side not in ("CRDT", "DBIT"):
        raise BadEntry(f"{side[:10]!r} is neither credit nor debit.")
    return 1 if side == "CRDT" else -1


def _day(element: Element, name: str) -> date | None:
    text = _text(element, name, "Dt") or _text(element, name, "DtTm")[:10]
    return date.fromisoformat(text) if text else None


def _raw(element: Element) -> dict[str, str]:
    """Its texts by their path."""
    cells: dict[str, object] = {}
    _flatten(element, "", cells)
    return evidence(cells)


def _flatten(element: Element, path: str, cells: dict[str, object]) -> None:
    for child in element:
        name = f"{path}/{_tag(child)}".lstrip("/")
        if len(child):
            _flatten(child, name, cells)
        elif child.text and child.text.strip():
            cells.setdefault(name, f"{child.text.strip()} {child.get('Ccy') or ''}".strip())


def _given(text: str) -> str:
    return "" if text in _NOTHING_GIVEN else text


def _tag(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _children(element: Element, name: str) -> Iterator[Element]:
    return (child for child in element if _tag(child) == name)


def _child(element: Element, name: str, *, required: bool = True) -> Element | None:
    found = next(_children(element, name), None)
    if found is None and required:
        raise BadEntry(f"An entry or balance has no {name}.")
    return found


def _text(element: Element, *path: str) -> str:
    found: Element | None = element
    for name in path:
        found = next(_children(found, name), None) if found is not None else None
    return (found.text or "").strip() if found is not None else ""
