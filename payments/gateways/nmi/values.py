"""How does NMI write amounts and dates, and what may be kept of it? Readers that refuse what they can not read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from ledger.money import AmountError, Money, UnknownCurrency, minor_digits
from payments.card_numbers import has_card_number
from payments.gateways.errors import Unreadable
from payments.states import OperationKind

# How zero- and three-decimal currencies look on NMI's wire is written nowhere, so none of them is read or sent.
DECIMALS = 2

# NMI states no life of an authorisation. Seven days is the shortest that the card networks promise a merchant.
HOLD_DAYS = 7

# One word of NMI's for each operation; a credit is a refund that names no earlier transaction.
OPERATIONS = {
    "sale": OperationKind.SALE,
    "auth": OperationKind.AUTHORISE,
    "capture": OperationKind.CAPTURE,
    "void": OperationKind.VOID,
    "refund": OperationKind.REFUND,
    "credit": OperationKind.REFUND,
}

_STAMP = "%Y%m%d%H%M%S"
_LONGEST_TEXT = 200
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")  # PostgreSQL's text holds neither NUL nor half a surrogate pair
_CARD_LIKE = re.compile(r"(?<!\d)\d(?:[ -]?\d){12,18}(?!\d)")


def has_two_decimals(currency: str) -> bool:
    try:
        return minor_digits(currency) == DECIMALS
    except UnknownCurrency:
        return False


def money_of(amount: object, currency: object, *, what: str) -> Money:
    """A positive amount in major units, as NMI writes it. Raises Unreadable; nothing is ever read as zero."""
    if not isinstance(amount, str) or not isinstance(currency, str) or not currency.strip():
        raise Unreadable(f"{what}: amount or currency is missing")
    currency = currency.strip().upper()
    if not has_two_decimals(currency):
        raise Unreadable(f"{what}: amounts in {currency[:10]!r} are unconfirmed for NMI")
    try:
        money = Money.parse(amount.strip(), currency)
    except AmountError as wrong:
        raise Unreadable(f"{what}: {wrong}") from wrong
    if money.amount_minor <= 0:
        raise Unreadable(f"{what}: amount {mask(amount)!r} is not above zero")
    return money


def moment_of(stamp: str, *, absent: datetime) -> datetime:
    """YYYYMMDDhhmmss, believed to be UTC; `absent` where NMI gives none. Raises Unreadable."""
    if not stamp:
        return absent
    # strptime alone would take "2024010112000" apart into a date that nobody wrote.
    if len(stamp) != 14 or not (stamp.isascii() and stamp.isdigit()):
        raise Unreadable(f"date {mask(stamp)!r} is not YYYYMMDDhhmmss")
    try:
        return datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
    except ValueError as wrong:
        raise Unreadable(f"date {stamp!r} is no date") from wrong


def stamp_of(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime(_STAMP)


def evidence_of(**facts: object) -> dict[str, object]:
    """Small, masked and JSON-able; what NMI left empty is left out."""
    return {
        name: mask(value) if isinstance(value, str) else value
        for name, value in facts.items()
        if value not in ("", None)
    }


def network_code_of(text: str) -> str:
    """A card network's response code is two or three signs; whatever else a processor passes on is none."""
    text = text.strip()
    return text.upper() if text.isascii() and text.isalnum() and len(text) in (2, 3) else ""


def mask(text: str) -> str:
    """The text without card numbers, which keep their last four. A time of 14 digits is none, whatever Luhn says of it."""
    return _CARD_LIKE.sub(_cut, _UNSTORABLE.sub("", text))[:_LONGEST_TEXT]


def looks_like_card(text: str) -> bool:
    return any(has_card_number(found.group()) for found in _CARD_LIKE.finditer(text))


def text_in(fields: Mapping[str, object], name: str) -> str:
    """A field as text, blanks cut, what cannot be stored replaced; empty where it is missing or no text."""
    value = fields.get(name)
    return _UNSTORABLE.sub("\ufffd", value).strip() if isinstance(value, str) else ""


def _cut(found: re.Match[str]) -> str:
    return f"****{found.group()[-4:]}" if has_card_number(found.group()) else found.group()
