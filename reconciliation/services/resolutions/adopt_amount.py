"""The gateway moved another sum than we booked: its sum is taken over, and the difference leaves or enters sales."""

from __future__ import annotations

from typing import Final

from ledger import chart
from payments.errors import NotAllowedNow
from reconciliation.fixes import Fix
from reconciliation.models import Break
from reconciliation.services.resolutions.base import Answers, By, Carried, Command, money_of
from reconciliation.services.resolutions.meeting import book_off, off_of
from reconciliation.states import LineKind

_AGAINST: Final[dict[str, str]] = {
    LineKind.CHARGEBACK: chart.CHARGEBACK_LOSSES.code,
    LineKind.CHARGEBACK_RETURN: chart.CHARGEBACK_LOSSES.code,
    LineKind.DISPUTE_FEE: chart.DISPUTE_FEES.code,
    LineKind.FEE: chart.GATEWAY_FEES.code,
    LineKind.RESERVE_HOLD: chart.GATEWAY_RESERVE.code,
    LineKind.RESERVE_RELEASE: chart.GATEWAY_RESERVE.code,
}


def counter_of(kind: str) -> str:
    """The account that a line of this kind is booked against, beside the balance; sales where it is the payer's money."""
    return _AGAINST.get(kind, chart.SALES_CLEARING.code)


def _carry_out(broken: Break, answers: Answers, by: By) -> Carried:
    refused = _fits(broken)
    if refused:
        raise NotAllowedNow(refused)
    assert broken.line is not None
    effect = f"The gateway's sum stands: {money_of(broken, off_of(broken))} beside what we booked."
    return book_off(broken, by, counter_of(broken.line.kind), text="the gateway's amount adopted", effect=effect)


def _fits(broken: Break) -> str:
    if broken.line is None:
        return "There is no line whose sum could be taken over."
    return "" if off_of(broken) else "The sums are the same."


ADOPT_AMOUNT = Command(
    fix=Fix.ADOPT_AMOUNT,
    label="Adopt the gateway's amount",
    explanation="The gateway's sum is right: the difference is booked against sales, or whatever the line is about.",
    carry_out=_carry_out,
    fits=_fits,
)
