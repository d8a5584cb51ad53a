"""What may a gateway charge for a line by its contract, and which kinds of line are booked without a question? Pure.

Minor units; a fee that takes away is positive. `reconciliation/queries/charges.py` says the same to the database: a test
compares the two.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from reconciliation.states import MOVEMENT_KINDS, LineKind

ALWAYS_BOOKED: Final = frozenset({LineKind.FEE, LineKind.PAYOUT, LineKind.PAYOUT_RETURN})
"""The gateway's own fees and payouts: booked from the line whatever the contract says."""
BOOKED_BY_CONTRACT: Final = frozenset({LineKind.RESERVE_HOLD, LineKind.RESERVE_RELEASE, LineKind.ADJUSTMENT})
"""Booked only where a contract rate of that kind is valid; without one a person is asked."""


@dataclass(frozen=True, slots=True)
class Rate:
    """One line of a contract: percent of gross and a fixed part, from a day on, to a last day or on and on."""

    kind: str
    currency: str
    percent: Decimal
    fixed_minor: int
    valid_from: date
    method: str = ""  # empty: every one
    tax_percent: Decimal = Decimal(0)
    tolerance_minor: int = 1
    valid_to: date | None = None
    id: int = 0

    def valid_on(self, day: date) -> bool:
        return self.valid_from <= day and (self.valid_to is None or day <= self.valid_to)


@dataclass(frozen=True, slots=True)
class Expected:
    """What a line should cost: the fee without tax, the tax on it, and how much off is still rounding."""

    fee_minor: int
    tax_minor: int
    tolerance_minor: int

    def fee_differs(self, fee_minor: int) -> bool:
        return abs(fee_minor - self.fee_minor) > self.tolerance_minor

    def tax_differs(self, tax_minor: int) -> bool:
        return abs(tax_minor - self.tax_minor) > self.tolerance_minor


def rate_for(rates: Iterable[Rate], *, kind: str, method: str, currency: str, day: date) -> Rate | None:
    """The rate that is meant: one for just this method before one for every method, then the one valid since latest."""
    fitting = (
        rate
        for rate in rates
        if rate.kind == kind
        and rate.currency == currency
        and rate.valid_on(day)
        and rate.method.lower() in {"", method.lower()}
    )
    return max(fitting, key=lambda rate: (rate.method != "", rate.valid_from, rate.id), default=None)


def expected(rate: Rate, *, kind: str, gross_minor: int) -> Expected:
    """What the rate asks for a line. The percentage is of the money that moved; a line that is itself a fee has none."""
    base = abs(gross_minor) if kind in MOVEMENT_KINDS else 0
    fee_minor = _rounded(base * rate.percent / 100) + rate.fixed_minor
    return Expected(fee_minor, _rounded(fee_minor * rate.tax_percent / 100), rate.tolerance_minor)


def kinds_booked(rates: Iterable[Rate], day: date) -> frozenset[LineKind]:
    """Which kinds are booked from the line itself on that day."""
    named = {rate.kind for rate in rates if rate.valid_on(day)}
    return ALWAYS_BOOKED | {kind for kind in BOOKED_BY_CONTRACT if kind.value in named}


def _rounded(minor: Decimal) -> int:
    """Half a unit goes up, as gateways do it."""
    return int(minor.quantize(Decimal(1), ROUND_HALF_UP))
