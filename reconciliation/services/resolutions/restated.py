"""The gateway has restated a closed report: its new word is taken over, the difference booked where the line belongs."""

from __future__ import annotations

from ledger import chart
from payments.errors import NotAllowedNow
from reconciliation.fixes import Fix
from reconciliation.models import Break, LineChange
from reconciliation.services.resolutions.adopt_amount import counter_of
from reconciliation.services.resolutions.base import Answers, By, Carried, Command, money_of, post_difference


def _carry_out(broken: Break, answers: Answers, by: By) -> Carried:
    if not broken.difference_minor:
        return Carried(effects=["The restated report stands; the balance is the same."])
    line = broken.line
    if line is None:
        raise NotAllowedNow("Several lines changed: their own breaks are ended one by one, or book it by hand.")
    change = LineChange.objects.filter(line=line).order_by("-id").first()
    code = chart.GATEWAY_FEES.code if change is not None and _only_fee(change) else counter_of(line.kind)
    post_difference(broken, by, code, text="restated report accepted")
    return Carried(effects=[f"The restated report stands: {money_of(broken, broken.difference_minor)}."])


def _only_fee(change: LineChange) -> bool:
    before, after = change.before.get("gross_minor"), change.after.get("gross_minor")
    return bool(before == after and change.before.get("fee_minor") != change.after.get("fee_minor"))


ACCEPT_RESTATED = Command(
    fix=Fix.ACCEPT_RESTATED,
    label="Accept the restated report",
    explanation="The gateway has changed a closed report. Its new word stands; the difference is booked.",
    carry_out=_carry_out,
)
