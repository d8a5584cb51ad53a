"""How are the sums and spans of an account's terms written? One number holds for each currency; the first lends its form. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from console.display import money_text

_ANY: Final = "USD"  # lends two decimals where any currency is settled
_HOUR: Final = 3600


def form_currency(currencies: Sequence[str]) -> str:
    """The currency whose decimals a sum is typed with."""
    return currencies[0] if currencies else _ANY


def sum_words(amount_minor: int, currencies: Sequence[str]) -> str:
    """A sum in each currency it holds for: "0.05 USD, 5 JPY"."""
    if not currencies:
        return f"{money_text(amount_minor, _ANY)} of any currency with two decimals"
    return ", ".join(f"{money_text(amount_minor, code)} {code}" for code in currencies)


def hours_text(seconds: int) -> str:
    """Seconds as hours, the least decimals that lead back to the same second: 86400 is "24", 5400 is "1.5"."""
    number = f"{Decimal(seconds) / _HOUR:.4f}"
    return number.rstrip("0").rstrip(".")


def seconds_of(hours: Decimal) -> int:
    """Hours of at most four decimals as whole seconds; what `hours_text` wrote comes back unchanged."""
    return int((hours * _HOUR).to_integral_value())
