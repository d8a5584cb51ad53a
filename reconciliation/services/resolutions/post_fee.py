"""The gateway kept something: is it accepted as a cost, or claimed back? The difference leaves the balance either way."""

from __future__ import annotations

from typing import Final

from ledger import chart
from ledger.drafts import PostingDraft
from ledger.queries import entry_by_public_id
from payments.errors import InvalidInput, NotAllowedNow
from reconciliation.fixes import Fix
from reconciliation.models import Break, Resolution
from reconciliation.queries.fees import overcharged
from reconciliation.queries.scope import scope_of
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
_BOOKED_ON: Final = {
    BreakType.FEE_MISMATCH: chart.FEE_VARIANCE.code,
    BreakType.FEE_TAX_MISMATCH: chart.RECOVERABLE_TAX.code,
}
"""Where a run has put what was charged beyond the contract."""


def _carry_out(broken: Break, answers: Answers, by: By) -> Carried:
    code, words = treatment_of(answers)
    kept = -off_of(broken)
    if kept:
        words = f"{money_of(broken, kept)} {words}"
        return book_off(broken, by, code, text=words, effect=f"{words}.")
    return _of_booked(broken, answers, by)


def _of_booked(broken: Break, answers: Answers, by: By) -> Carried:
    """The fee is booked as it was charged: accepting leaves it there, claiming moves what was charged too much."""
    code, words = treatment_of(answers)
    if code != chart.GATEWAY_CLAIMS.code:
        return Carried(effects=[f"The {money_of(broken, broken.value_minor)} stay booked as they were charged."])
    booked_on = _BOOKED_ON.get(BreakType(broken.kind))
    if booked_on is None:
        raise NotAllowedNow("Nothing of this break stands as a fee in the books: there is nothing to claim.")
    amount = overcharged(scope_of(broken.account, broken.day), broken.day, broken.key) - _claimed(broken)
    if amount <= 0:
        raise NotAllowedNow("Nothing was charged too much that is not claimed already: the gateway owes nothing here.")
    lines = (PostingDraft(account_of(code, broken), amount), PostingDraft(account_of(booked_on, broken), -amount))
    post_for(broken, by, lines, step="claim", text=f"{money_of(broken, amount)} {words}")
    return Carried(effects=[f"{money_of(broken, amount)} {words}."])


def _claimed(broken: Break) -> int:
    """What earlier fixes have claimed of the same day, kind and method: a later line brings the whole day up again."""
    rows = Resolution.objects.filter(
        command=Fix.POST_FEE, undone_at=None, breaks__broken__account=broken.account, breaks__broken__kind=broken.kind,
        breaks__broken__key=broken.key,
    )  # fmt: skip
    entries = [
        entry_by_public_id(name) for effects in rows.values_list("effects", flat=True) for name in effects["entries"]
    ]
    claims = account_of(chart.GATEWAY_CLAIMS.code, broken)
    return sum(line.amount_minor for entry in entries if entry for line in entry.lines if line.ref == claims)


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
    words={"treatment": {name: words for name, (_, words) in TREATMENTS.items()}},
)
