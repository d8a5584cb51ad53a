"""What do the simulated gateways charge, and in which money do they settle? Minor units; the merchant has it in writing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any


@dataclass(frozen=True, slots=True)
class Rate:
    """Percent of what was settled and a fixed part, for one kind of row; tax is a percentage of the fee."""

    kind: str
    currency: str
    method: str = ""
    percent: Decimal = Decimal(0)
    fixed_minor: int = 0
    tax_percent: Decimal = Decimal(0)

    def fee(self, gross: int) -> int:
        return rounded(abs(gross) * self.percent / 100) + self.fixed_minor

    def tax(self, fee: int) -> int:
        return rounded(fee * self.tax_percent / 100)


@dataclass(frozen=True, slots=True)
class Profile:
    """One gateway. `settles`: the payer's currency to that of settlement, the most frequent first."""

    name: str
    settles: Mapping[str, str]
    methods: tuple[str, ...]
    rates: tuple[Rate, ...]
    dispute_fee_minor: int
    tells_settlement: bool = False  # its messages say what money is worth in settlement
    tells_status: bool = True  # its rows have a status
    tells_tax: bool = True
    reserves: bool = False  # the contract allows it to withhold
    cut_off_hour: int = 24  # what is taken later settles the day after
    bank_name: str = ""

    def rate(self, kind: str, method: str, currency: str) -> Rate | None:
        """The one for just this method before the one for all."""
        fitting = [r for r in self.rates if (r.kind, r.currency) == (kind, currency) and r.method in ("", method)]
        return max(fitting, key=lambda rate: rate.method != "", default=None)

    def cost(self, kind: str, method: str, currency: str, gross: int) -> tuple[int, int]:
        """Fee and tax of a row by the contract."""
        rate = self.rate(kind, method, currency)
        fee = rate.fee(gross) if rate else 0
        return fee, rate.tax(fee) if rate else 0


def rounded(minor: Decimal) -> int:
    """Half a unit goes up."""
    return int(minor.quantize(Decimal(1), ROUND_HALF_UP))


def _charge(currency: str, percent: str, fixed: int, method: str = "", tax: str = "0") -> Rate:
    return Rate("charge", currency, method, Decimal(percent), fixed, Decimal(tax))


STRIPE = Profile(
    "stripe", {"USD": "USD", "EUR": "USD", "JPY": "USD"}, ("visa", "mastercard", "amex"),
    (_charge("USD", "2.9", 30), _charge("USD", "3.5", 30, "amex"), Rate("fee", "USD", fixed_minor=2500)),
    1500, tells_settlement=True, tells_status=False, bank_name="STRIPE TECHNOLOGY",
)  # fmt: skip
NMI = Profile(
    "nmi", {"USD": "USD", "EUR": "EUR", "GBP": "USD"}, ("visa", "mastercard", "discover"),
    (_charge("USD", "1.95", 10), _charge("EUR", "1.45", 9, "visa"), _charge("EUR", "1.6", 9),
     Rate("fee", "USD", fixed_minor=1995)),
    2500, tells_tax=False, cut_off_hour=20, bank_name="NMI ACQUIRING",
)  # fmt: skip
CONVESIOPAY = Profile(
    "convesiopay", {"USD": "USD", "JPY": "JPY", "EUR": "USD"}, ("visa", "mastercard", "klarna"),
    (_charge("USD", "2.4", 20, tax="19"), _charge("USD", "3.9", 35, "klarna", "19"), _charge("JPY", "3.25", 15, tax="19"),
     Rate("reserve_hold", "USD"), Rate("reserve_release", "USD")),
    2000, reserves=True, bank_name="CONVESIOPAY PAYMENTS",
)  # fmt: skip
PROFILES: Mapping[str, Profile] = {one.name: one for one in (STRIPE, NMI, CONVESIOPAY)}

DECIMALS = {"USD": 2, "EUR": 2, "GBP": 2, "JPY": 0}
_IN_DOLLARS = {"USD": Decimal(1), "EUR": Decimal("1.08"), "GBP": Decimal("1.27"), "JPY": Decimal("0.0067")}


def exchange_rate(presented_in: str, currency: str) -> Decimal:
    """What one main unit of the payer's money is in that of settlement."""
    return _IN_DOLLARS[presented_in] / _IN_DOLLARS[currency]


def converted(minor: int, presented_in: str, currency: str, rate: Decimal) -> int:
    """Minor units of settlement, the sign kept."""
    scale = Decimal(10) ** (DECIMALS[currency] - DECIMALS[presented_in])
    whole = rounded(abs(minor) * rate * scale)
    return -whole if minor < 0 else whole


def text_of(minor: int, currency: str, mark: str = ".") -> str:
    """As reports write it: 1234.50, or 1234 where there are no cents."""
    places = DECIMALS[currency]
    digits = str(abs(minor)).rjust(places + 1, "0")
    written = f"{digits[:-places]}{mark}{digits[-places:]}" if places else digits
    return f"-{written}" if minor < 0 else written


def contract_of(profile: Profile) -> list[dict[str, Any]]:
    """The contract as it is handed out."""
    return [
        {
            "object": "rate", "kind": rate.kind, "method": rate.method, "currency": rate.currency,
            "percent": str(rate.percent), "fixed_minor": rate.fixed_minor, "tax_percent": str(rate.tax_percent),
        }
        for rate in profile.rates
    ]  # fmt: skip
