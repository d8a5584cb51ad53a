"""How does ConvesioPay write objects and amounts, and what may be kept of them? Readers that refuse what they can not read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import urlsplit

from ledger.money import Money, UnknownCurrency, minor_digits
from payments.card_numbers import without_card_numbers
from payments.gateways.convesiopay import contract
from payments.gateways.errors import Unreadable

Json = Mapping[str, object]

_LONGEST_TEXT = 200
_LONGEST_URL = 2000
_MOST = 10**12  # minor units
_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
_CURRENCY = re.compile(r"[A-Z]{3}")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")  # PostgreSQL's text holds neither NUL nor half a surrogate pair


def read_json(body: bytes) -> Json:
    """The body as one object; decimals stay text, so that nothing passes through a float. Raises Unreadable."""
    try:
        found = json.loads(body, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError) as wrong:
        raise Unreadable(f"the body is no JSON ({type(wrong).__name__})") from wrong
    if not isinstance(found, dict):
        raise Unreadable("the body is no JSON object")
    return found


def part(source: Json, name: str) -> Json:
    """The object in a field; an empty one where there is none."""
    found = source.get(name)
    return found if isinstance(found, dict) else {}


def rows(source: Json, name: str) -> tuple[Json, ...]:
    """The objects in a field; none where it is missing. Raises Unreadable where it holds anything else."""
    found = source.get(name)
    if found is None:
        return ()
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise Unreadable(f"{name} is no list of objects")
    return tuple(found)


def text_in(source: Json, name: str) -> str:
    """A field as text, blanks cut, what can not be stored replaced; empty where it is missing or no text."""
    value = source.get(name)
    return _UNSTORABLE.sub("\ufffd", value).strip() if isinstance(value, str) else ""


def id_in(source: Json, name: str) -> str:
    """An id: letters, digits, dash and underscore only, for it goes into paths; empty where it is none."""
    value = text_in(source, name)
    return value if is_id(value) else ""


def is_id(value: str) -> bool:
    return _ID.fullmatch(value) is not None


def has_two_decimals(currency: str) -> bool:
    try:
        return minor_digits(currency) == contract.DECIMALS
    except UnknownCurrency:
        return False


def money_of(amount: object, currency: object, *, what: str) -> Money:
    """A positive amount in whole minor units. Raises Unreadable; nothing is ever read as zero."""
    if isinstance(amount, bool) or not isinstance(amount, int) or not 0 < amount < _MOST:
        raise Unreadable(f"{what}: the amount is no whole number of minor units above zero")
    if not isinstance(currency, str) or not _CURRENCY.fullmatch(currency) or not has_two_decimals(currency):
        raise Unreadable(f"{what}: the currency is missing, or unconfirmed for ConvesioPay")
    return Money(amount, currency)


def moment_of(text: str, *, absent: datetime) -> datetime:
    """ISO 8601 with its zone; `absent` where there is none. Raises Unreadable."""
    if not text:
        return absent
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as wrong:
        raise Unreadable(f"date {mask(text)!r} is not ISO 8601") from wrong
    if moment.tzinfo is None:
        raise Unreadable(f"date {mask(text)!r} names no zone")
    try:
        return moment.astimezone(UTC)
    except OverflowError as wrong:
        raise Unreadable(f"date {mask(text)!r} is out of range") from wrong


def payer_page(source: Json) -> str:
    """Where the payer confirms, if it is an address a browser may be sent to; empty otherwise."""
    url = text_in(part(source, "actionRequired"), contract.REDIRECT)
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return ""
    safe = parts.scheme == "https" or (parts.scheme == "http" and host in ("127.0.0.1", "localhost", "::1"))
    return url if safe and host and len(url) <= _LONGEST_URL and url.isprintable() and " " not in url else ""


def mask(text: str) -> str:
    """The text without card numbers, cut to what may be kept."""
    return without_card_numbers(_UNSTORABLE.sub("\ufffd", text))[:_LONGEST_TEXT]


def evidence_of(**facts: object) -> dict[str, object]:
    """Small, masked and JSON-able; what was left empty is left out."""
    return {
        name: mask(value) if isinstance(value, str) else value
        for name, value in facts.items()
        if value not in ("", None)
    }


def own_reference(order_number: str) -> str:
    """Our reference without the mark of a hold."""
    return order_number.removesuffix(contract.HOLD_MARK)


def is_hold(order_number: str) -> bool:
    return order_number.endswith(contract.HOLD_MARK)
