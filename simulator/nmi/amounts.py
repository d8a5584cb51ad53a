"""How does NMI write amounts and times? Decimal major units with two places, UTC digits; exact, never a float."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_AMOUNT = re.compile(r"(\d{1,13})(?:\.(\d{1,2}))?")

# Only currencies of two decimals: how NMI writes the others is not documented, so they are refused here.
_CODES = """
AED ARS AUD BAM BDT BGN BOB BRL CAD CHF CNY COP CZK DKK DOP EGP EUR GBP GEL GTQ HKD HNL HUF IDR ILS INR JMD KES LKR MAD
MXN MYR NGN NIO NOK NZD PAB PEN PHP PKR PLN QAR RON RSD RUB SAR SEK SGD THB TRY TTD TWD UAH USD UYU ZAR
"""
CURRENCIES = frozenset(_CODES.split())


def parse_amount(text: str) -> int | None:
    """Minor units of a decimal amount; None when the text is none."""
    match = _AMOUNT.fullmatch(text)
    if match is None:
        return None
    return int(match[1]) * 100 + int((match[2] or "").ljust(2, "0"))


def write_amount(amount_minor: int) -> str:
    """`1234` -> `12.34`."""
    sign = "-" if amount_minor < 0 else ""
    return f"{sign}{abs(amount_minor) // 100}.{abs(amount_minor) % 100:02d}"


def write_moment(moment: datetime) -> str:
    """YYYYMMDDhhmmss in UTC."""
    return moment.astimezone(UTC).strftime("%Y%m%d%H%M%S")


def parse_moment(text: str) -> datetime | None:
    """The moment of YYYYMMDDhhmmss or YYYYMMDD in UTC; None when the text is none."""
    for pattern, length in (("%Y%m%d%H%M%S", 14), ("%Y%m%d", 8)):
        if len(text) == length and text.isdecimal():
            try:
                return datetime.strptime(text, pattern).replace(tzinfo=UTC)
            except ValueError:
                return None
    return None
