"""The gateway kept something: is it accepted as a cost, or claimed back? The difference leaves the balance either way."""

from __future__ import annotations

from typing import Final

from ledger import chart
from ledger.drafts import PostingDraft
from payments.errors import InvalidInput, NotAllowedNow
from reconciliation.fixes import Fix
from reconciliation.models import Break
from reconciliation.services.resolutions.base import (
    Answers,
    By,
    Carried,
    Command,
    account_of,
    money_of,
    post_for,
)
from reconciliation.services.resolutions.meeting import book_off, off_of
from reconciliation.states import BreakType

TREATMENTS: Final = {
    "variance": (chart.FEE_VARIANCE.code, "accepted as fee variance"),
    "fee": (chart.GATEWAY_FEES.code, "accepted as a gateway fee"),
    "dispute_fee": (chart.DISPUTE_FEES.code, "accepted as a dispute fee"),
    "claim": (chart.GATEWAY_CLAIMS.code, "claimed back from the gateway"),
}
_BOOKED_AS_VARIANCE: Final = frozenset({BreakType.FEE_MISMATCH, BreakType.FEE_TAX_MISMATCH})


def _carry_out(broken: Break, answers: Answers, by: By) -> Carried:
    code, words = treatment_of(answers)
    kept = -off_of(broken)
    if kept:
        words = f"{money_of(broken, kept)} {words}"
        return book_off(broken, by, code, text=words, effect=f"{words}.")
    return _of_booked(broken, answers, by)


def _of_booked(broken: Break, answers: Answers, by: By) -> Carried:
    """The fee is booked as it was charged, the surplus on variance: accepting leaves it there, claiming moves it."""
    code, words = treatment_of(answers)
    if code != chart.GATEWAY_CLAIMS.code:
        return Carried(effects=[f"The {money_of(broken, broken.value_minor)} stay booked as they were charged."])
    if broken.kind not in _BOOKED_AS_VARIANCE:
        raise NotAllowedNow("Nothing of this break stands as a fee in the books: there is nothing to claim.")
    amount = broken.value_minor
    lines = (
        PostingDraft(account_of(code, broken), amount),
        PostingDraft(account_of(chart.FEE_VARIANCE.code, broken), -amount),
    )
    post_for(broken, by, lines, step="claim", text=f"{money_of(broken, amount)} {words}")
    return Carried(effects=[f"{money_of(broken, amount)} {words}."])


def treatment_of(answers: Answers) -> tuple[str, str]:
    """The account and the words of the chosen treatment. Raises: InvalidInput."""
    chosen = TREATMENTS.get(str(answers.get("treatment", "")))
    if chosen is None:
        raise InvalidInput("Say what becomes of the fee: accepted, or claimed.", field="treatment")
    return chosen


def _fits(broken: Break) -> str:
    return "" if broken.difference_minor or broken.value_minor else "No sum is named that could be a fee."


POST_FEE = Command(
    fix=Fix.POST_FEE,
    label="Book it as a fee",
    explanation="Accept what the gateway kept as a cost, or claim it back from the gateway.",
    carry_out=_carry_out,
    fits=_fits,
    fields=("treatment",),
)
