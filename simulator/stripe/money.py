"""What does Stripe keep of an amount, and what is it in the currency of settlement? Integers and decimals, never a float."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal

SETTLEMENT = "usd"
FEE_SHARE, FEE_FIXED_MINOR = Decimal("0.029"), 30
DISPUTE_FEE_MINOR = 1500
LARGEST_MINOR = 99_999_999
_SMALLEST_SETTLEMENT_MINOR = 50

_WITHOUT_DECIMALS = "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf"
_WITH_THREE_DECIMALS = "bhd jod kwd omr tnd"
ZERO_DECIMAL = frozenset(_WITHOUT_DECIMALS.split())
_THREE_DECIMAL = frozenset(_WITH_THREE_DECIMALS.split())

# What one major unit is worth in US dollars. Fixed: a rate that moves would make amounts untestable.
_RATES = """
usd:1 eur:1.08 gbp:1.27 chf:1.12 cad:0.73 aud:0.66 nzd:0.61 jpy:0.0067 krw:0.00075 vnd:0.00004 inr:0.012 sgd:0.74
hkd:0.128 twd:0.031 cny:0.14 thb:0.028 php:0.0175 idr:0.000064 myr:0.22 sek:0.095 nok:0.094 dkk:0.145 pln:0.25
czk:0.043 huf:0.0028 ron:0.217 bgn:0.552 try:0.031 ils:0.27 aed:0.272 sar:0.267 zar:0.054 mxn:0.058 brl:0.2 clp:0.0011
cop:0.00026 pen:0.27 ars:0.0011 uyu:0.025 kes:0.0077 ngn:0.00068 kwd:3.25 bhd:2.65 jod:1.41 omr:2.6 tnd:0.32
xof:0.00165 xaf:0.00165
"""
RATES: Mapping[str, Decimal] = {
    code: Decimal(rate) for code, _, rate in (pair.partition(":") for pair in _RATES.split())
}


def exponent(currency: str) -> int:
    """Decimal places of a minor unit at Stripe."""
    if currency in ZERO_DECIMAL:
        return 0
    return 3 if currency in _THREE_DECIMAL else 2


def settlement_minor(amount_minor: int, currency: str) -> int:
    """The amount in cents of settlement, half a cent rounded up; the sign is kept."""
    cents = abs(amount_minor) * RATES[currency] * 100 / 10 ** exponent(currency)
    whole = int(cents.quantize(Decimal(1), ROUND_HALF_UP))
    return -whole if amount_minor < 0 else whole


def exchange_rate(currency: str) -> Decimal | None:
    """None when nothing was exchanged."""
    return None if currency == SETTLEMENT else RATES[currency]


def processing_fee_minor(settled_minor: int) -> int:
    """2.9 % and 30 cents, in cents of settlement."""
    return int((settled_minor * FEE_SHARE).quantize(Decimal(1), ROUND_HALF_UP)) + FEE_FIXED_MINOR


def too_small(amount_minor: int, currency: str) -> bool:
    """Stripe takes no less than about half a dollar."""
    return settlement_minor(amount_minor, currency) < _SMALLEST_SETTLEMENT_MINOR
