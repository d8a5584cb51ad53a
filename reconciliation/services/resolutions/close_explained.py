"""Nothing has to be booked: somebody found out why it differs, and lays the proof beside it."""

from __future__ import annotations

from payments.errors import NotAllowedNow
from reconciliation.fixes import Fix
from reconciliation.models import Break
from reconciliation.services.resolutions.base import Answers, By, Carried, Command, money_of


def _carry_out(broken: Break, answers: Answers, by: By) -> Carried:
    refused = _fits(broken)
    if refused:
        raise NotAllowedNow(refused)
    return Carried(effects=["Nothing is booked: the balance is not touched by it."])


def _fits(broken: Break) -> str:
    if broken.difference_minor:
        return f"{money_of(broken, broken.difference_minor)} of the balance would stay without explanation."
    return ""


CLOSE_EXPLAINED = Command(
    fix=Fix.CLOSE_EXPLAINED,
    label="Close as explained",
    explanation="The reason is known and the balance is not touched by it. Needs evidence.",
    carry_out=_carry_out,
    fits=_fits,
    evidence=True,
)
