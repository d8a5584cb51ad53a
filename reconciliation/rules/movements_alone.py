"""A movement has met no line: may it still come, is it ours twice, or is it missing at the gateway? Pure."""

from __future__ import annotations

from datetime import date, timedelta

from reconciliation.business_days import add_business_days
from reconciliation.findings import FoundBreak
from reconciliation.rules.base import About, MovementEntry, Terms, our_side, said
from reconciliation.states import BreakType


def judge_movement(movement: MovementEntry, about: About, terms: Terms) -> FoundBreak | None:
    """None: it is inside the account's lag and may still be reported."""
    if movement.day > overdue_to(terms):
        return None
    twin = about.booked_twice(movement)
    money = said(movement.minor, movement.currency)
    if twin is not None:
        kind = BreakType.DUPLICATE_INTERNAL
        because = f"We booked {money} twice, on {twin.day} and {movement.day}; the gateway reports it once."
    else:
        kind = BreakType.MISSING_AT_GATEWAY
        because = f"We booked {money} on {movement.day}; no report up to {terms.day} has it."
    return FoundBreak(
        kind=kind,
        key=f"movement:{movement.id}",
        currency=movement.currency,
        difference_minor=-movement.minor,
        value_minor=abs(movement.minor),
        day=movement.day,
        cause=f"{kind} of {movement.day}",
        because=because,
        ours=our_side(movement),
        movement_id=movement.id,
        payment_id=movement.payment_id,
        payment_public_id=movement.payment_public_id,
    )


def overdue_to(terms: Terms) -> date:
    """The last day whose movements should all have been reported: business days of lag have passed, or the cap has."""
    day = terms.day
    capped = day - timedelta(days=terms.lag_cap_days)
    while day > capped and add_business_days(day, terms.lag_days, terms.holidays) > terms.day:
        day -= timedelta(days=1)
    return day
