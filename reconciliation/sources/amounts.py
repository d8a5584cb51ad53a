"""What does this text say in minor units? Exactly, or not at all: a wrong mark or too many decimals is never guessed."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from ledger.money import BIGINT_MAX, MoneyError, minor_digits

_SIGNS: Final = {"-": -1, "−": -1, "+": 1}


class BadAmount(ValueError):
    """The text is no amount by the agreed form; the message says why."""


@lru_cache(maxsize=8192)
def minor_of(text: str, currency: str, decimal_mark: str = ".", thousands_mark: str = "") -> int:
    """Minor units of "-1,234.50". An empty `decimal_mark` means the text counts minor units. Raises: BadAmount."""
    text = text.strip()
    sign = _SIGNS.get(text[:1], 0)
    digits = text[1:].lstrip() if sign else text
    found = _form(decimal_mark, thousands_mark).fullmatch(digits)
    if found is None:
        raise BadAmount(_sentence(text, decimal_mark, thousands_mark))
    try:
        places = minor_digits(currency) if decimal_mark else 0
    except MoneyError as wrong:
        raise BadAmount(str(wrong)) from wrong
    whole, fraction = found[1].replace(thousands_mark, "") if thousands_mark else found[1], found[2] or ""
    if len(fraction) > places:
        raise BadAmount(f"{text[:40]!r} has {len(fraction)} decimals, but {currency} has {places or 'none'}.")
    amount = int(whole + fraction.ljust(places, "0"))
    if amount > BIGINT_MAX:
        raise BadAmount(f"{text[:40]!r} is more than the books can hold.")
    return -amount if sign < 0 else amount


@lru_cache(maxsize=64)
def _form(decimal_mark: str, thousands_mark: str) -> re.Pattern[str]:
    grouped = rf"[0-9]{{1,3}}(?:{re.escape(thousands_mark)}[0-9]{{3}})+|" if thousands_mark else ""
    fraction = rf"(?:{re.escape(decimal_mark)}([0-9]{{1,20}}))?" if decimal_mark else "()"
    return re.compile(rf"({grouped}[0-9]{{1,40}}){fraction}")


def _sentence(text: str, decimal_mark: str, thousands_mark: str) -> str:
    if not text:
        return "The amount is empty."
    marks = f"{decimal_mark!r} before decimals" if decimal_mark else "whole minor units"
    groups = f" and {thousands_mark!r} between thousands" if thousands_mark else ""
    return f"{text[:40]!r} is no amount with {marks}{groups}."
