"""It is only late: the line or movement is expected until a day, and a break again afterwards."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

from payments.errors import InvalidInput
from reconciliation.fixes import Fix
from reconciliation.models import Break
from reconciliation.services.resolutions.base import Answers, By, Carried, Command, money_of

LONGEST: Final = timedelta(days=60)


def _carry_out(broken: Break, answers: Answers, by: By) -> Carried:
    until = until_of(answers)
    if not by.now.date() < until <= by.now.date() + LONGEST:
        raise InvalidInput(f"Expected until a day ahead, within {LONGEST.days} days.", field="until")
    shown = money_of(broken, broken.difference_minor) if broken.currency else "It"
    return Carried(
        effects=[f"{shown} stands among what is expected until {until:%d %b %Y}; then the break opens again."],
        timing_minor=broken.difference_minor,
        expected_until=until,
    )


def until_of(answers: Answers) -> date:
    """Raises: InvalidInput."""
    try:
        return date.fromisoformat(str(answers.get("until", "")))
    except ValueError:
        raise InvalidInput("Until which day is it expected?", field="until") from None


MARK_TIMING = Command(
    fix=Fix.MARK_TIMING,
    label="Mark as timing",
    explanation="It is on its way: expected until a day you name, and a break again if it has not come by then.",
    carry_out=_carry_out,
    fields=("until",),
)
