"""By when should somebody have resolved a difference? Steps by value or age, whichever is more urgent. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.money import UnknownCurrency, minor_digits


@dataclass(frozen=True, slots=True)
class Step:
    """From `value` main units (whatever the currency) or `age_hours` on, it is to be resolved within `hours`."""

    value: int
    age_hours: int
    hours: int


def hours_for(value_minor: int, currency: str, age_hours: int, steps: Sequence[Step]) -> int:
    """The shortest time any step gives that its value or its age reaches. Old small ones become urgent too."""
    try:
        unit: int = 10 ** minor_digits(currency)
    except UnknownCurrency:
        unit = 100
    return min(step.hours for step in steps if value_minor >= step.value * unit or age_hours >= step.age_hours)
