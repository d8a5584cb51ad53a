"""How much, of which currency? Exact amounts in whole minor units; the only arithmetic on money. Pure.

It never rounds, never converts between currencies and knows no float.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import total_ordering
from types import MappingProxyType
from typing import Final

from moneyed import CURRENCIES

BIGINT_MAX: Final = 2**63 - 1
"""Largest amount in minor units, either side of zero: what PostgreSQL's bigint holds."""

_ADDED: Final = {"BTC": 8}  # not in ISO 4217; satoshi
_REGIONAL: Final = {"XAF", "XCD", "XOF", "XPF"}  # the X codes people pay with; the others are metals, funds and tests
_LONGEST_WHOLE: Final = 40
_DECIMAL: Final = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")


class MoneyError(ValueError):
    """An amount or currency the books cannot hold."""


class UnknownCurrency(MoneyError):
    """The code is in no currency table. Currencies are upper-case ISO 4217 codes, and BTC."""

    def __init__(self, code: object) -> None:
        self.code = code
        super().__init__(f"Unknown currency {code!r}: use an upper-case ISO 4217 code such as 'USD', or 'BTC'.")


class CurrencyMismatch(MoneyError):
    """Two currencies met in one sum or comparison. Keep one sum per currency."""

    def __init__(self, left: str, right: str) -> None:
        self.left, self.right = left, right
        super().__init__(f"Cannot put {left} and {right} into one sum or comparison: keep one sum per currency.")


class AmountError(MoneyError):
    """The amount is no exact whole number of minor units inside bigint."""


def _digits_of_sub_unit(sub_unit: int) -> int:
    """1 -> 0, 100 -> 2, 1000 -> 3: how many decimals a currency's main unit shows."""
    return len(str(sub_unit)) - 1


MINOR_DIGITS: Final[Mapping[str, int]] = MappingProxyType(
    {
        code: _digits_of_sub_unit(currency.sub_unit)
        for code, currency in CURRENCIES.items()
        if not code.startswith("X") or code in _REGIONAL
    }
    | _ADDED
)
"""Decimals of each currency: JPY 0, USD 2, KWD 3, BTC 8."""


def minor_digits(code: str) -> int:
    """Decimals of a currency's main unit. Raises: UnknownCurrency."""
    try:
        return MINOR_DIGITS[code]
    except (KeyError, TypeError):
        raise UnknownCurrency(code) from None


def checked_minor(amount_minor: object) -> int:
    """The amount if it is a whole number inside bigint. Raises: AmountError for bool, float, text, larger numbers."""
    if not isinstance(amount_minor, int) or isinstance(amount_minor, bool):
        raise AmountError(f"An amount is a whole number of minor units, not {amount_minor!r}.")
    if abs(amount_minor) > BIGINT_MAX:
        raise AmountError(f"{amount_minor} minor units are more than the books can hold ({BIGINT_MAX}).")
    return amount_minor


@total_ordering
@dataclass(frozen=True, slots=True)
class Money:
    """An amount in whole minor units of one currency. Negative is allowed; its meaning is the caller's."""

    amount_minor: int
    currency: str

    def __post_init__(self) -> None:
        checked_minor(self.amount_minor)
        minor_digits(self.currency)

    @classmethod
    def parse(cls, text: str, currency: str) -> Money:
        """Read "12.34" exactly: digits, at most one point, at most the currency's decimals.

        Raises: AmountError for blanks, signs other than a leading minus, separators, exponents, NaN, too many decimals.
        """
        digits = minor_digits(currency)
        if not _DECIMAL.fullmatch(text):
            raise AmountError(f"{text!r} is not an amount: write digits and at most one decimal point, like '12.34'.")
        whole, _, fraction = text.partition(".")
        if len(fraction) > digits:
            had = "1 decimal" if len(fraction) == 1 else f"{len(fraction)} decimals"
            raise AmountError(f"{text!r} has {had}, but {currency} has {digits or 'none'}.")
        if len(whole) > _LONGEST_WHOLE:  # int() itself gives up at thousands of digits
            raise AmountError(f"{text[:40]!r}… is more than the books can hold.")
        return cls(int(whole + fraction.ljust(digits, "0")), currency)

    def to_decimal_string(self) -> str:
        """The amount in main units with exactly the currency's decimals: "12.34", JPY "1200", KWD "1.234"."""
        digits = minor_digits(self.currency)
        sign = "-" if self.amount_minor < 0 else ""
        text = str(abs(self.amount_minor)).rjust(digits + 1, "0")
        return f"{sign}{text[:-digits]}.{text[-digits:]}" if digits else f"{sign}{text}"

    @property
    def is_zero(self) -> bool:
        return self.amount_minor == 0

    @property
    def is_positive(self) -> bool:
        return self.amount_minor > 0

    def __add__(self, other: Money) -> Money:
        return Money(self.amount_minor + self._same_currency(other), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.amount_minor - self._same_currency(other), self.currency)

    def __neg__(self) -> Money:
        return Money(-self.amount_minor, self.currency)

    def __lt__(self, other: Money) -> bool:
        return self.amount_minor < self._same_currency(other)

    def __str__(self) -> str:
        return f"{self.to_decimal_string()} {self.currency}"

    def _same_currency(self, other: Money) -> int:
        if not isinstance(other, Money):
            raise TypeError(f"Money meets only Money, not {type(other).__name__}.")
        if other.currency != self.currency:
            raise CurrencyMismatch(self.currency, other.currency)
        return other.amount_minor
