"""How does Stripe write objects, amounts and times, and what may be kept of them? Readers that refuse what they can not read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from ledger.money import Money, UnknownCurrency, minor_digits
from payments.card_numbers import without_card_numbers
from payments.gateways.errors import Unreadable

# Stripe states no life of an authorisation in general; a charge names its own end as capture_before.
HOLD_DAYS = 7

Json = Mapping[str, object]

# Written with two decimals on Stripe's wire although ISO 4217 gives them none: nothing here confirms how.
_UNCONFIRMED = frozenset({"ISK", "UGX"})
_DECIMALS = (0, 2)
_MOST = 10**12  # minor units; Stripe's own limit is eight digits
_LATEST = 10**11  # unix seconds
_LONGEST_TEXT = 200
_LONGEST_ID = 100
_ID = re.compile(r"[A-Za-z0-9_]{1,100}")
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


def part(source: Json, *path: str) -> Json:
    """The object at the end of the path; an empty one where there is none."""
    for name in path:
        found = source.get(name)
        if not isinstance(found, dict):
            return {}
        source = found
    return source


def rows(source: object) -> tuple[Json, ...]:
    """The objects of a list, or of Stripe's list envelope. Raises Unreadable where something else stands among them."""
    found = source.get("data") if isinstance(source, dict) else source
    if found is None:
        return ()
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise Unreadable("a list holds something that is no object")
    return tuple(found)


def text_in(source: Json, name: str) -> str:
    """A field as text without what can not be stored; empty where it is missing or no text."""
    found = source.get(name)
    return _UNSTORABLE.sub("\ufffd", found).strip() if isinstance(found, str) else ""


def id_in(source: Json, name: str) -> str:
    """An id, also of an expanded object; empty where there is none of Stripe's form."""
    found = source.get(name)
    if isinstance(found, dict):
        found = found.get("id")
    return found if isinstance(found, str) and _ID.fullmatch(found) else ""


def is_id(text: str) -> bool:
    return bool(_ID.fullmatch(text)) and len(text) <= _LONGEST_ID


def number_in(source: Json, name: str) -> int | None:
    """A whole number; None where it is missing or anything else."""
    found = source.get(name)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def money_in(source: Json, name: str, *, currency: object = None) -> Money:
    """An amount above zero in minor units, in the object's own currency. Raises Unreadable; nothing is read as zero."""
    money = signed_money_in(source, name, currency=currency)
    if money.amount_minor <= 0:
        raise Unreadable(f"{name} is not above zero")
    return money


def signed_money_in(source: Json, name: str, *, currency: object = None) -> Money:
    """An amount of either sign. Raises Unreadable."""
    amount = number_in(source, name)
    written = source.get("currency") if currency is None else currency
    if amount is None or not -_MOST < amount < _MOST or not isinstance(written, str):
        raise Unreadable(f"{name} or its currency is missing or unreadable")
    code = written.upper()
    if not is_confirmed(code):
        raise Unreadable(f"amounts in {mask(code)[:10]!r} are unconfirmed for Stripe")
    return Money(amount, code)


def is_confirmed(currency: str) -> bool:
    """Is it known how Stripe writes this currency?"""
    try:
        return minor_digits(currency) in _DECIMALS and currency not in _UNCONFIRMED
    except UnknownCurrency:
        return False


def moment_in(source: Json, name: str, *, absent: datetime) -> datetime:
    """Unix seconds; `absent` where Stripe gives none. Raises Unreadable."""
    found = source.get(name)
    if found is None:
        return absent
    seconds = number_in(source, name)
    if seconds is None or not 0 < seconds < _LATEST:
        raise Unreadable(f"{name} is no unix time")
    return datetime.fromtimestamp(seconds, UTC)


def stamp_of(moment: datetime) -> str:
    return str(int(moment.timestamp()))


def evidence_of(**facts: object) -> dict[str, object]:
    """Small, masked and JSON-able; what Stripe left empty is left out."""
    return {
        name: mask(value) if isinstance(value, str) else value
        for name, value in facts.items()
        if value not in ("", None)
    }


def mask(text: str) -> str:
    """The text without card numbers and without what can not be stored, cut to a length that people read."""
    return without_card_numbers(_UNSTORABLE.sub("", text))[:_LONGEST_TEXT]
