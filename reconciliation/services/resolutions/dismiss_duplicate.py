"""The report prints one line twice: the second is no money. Its balance is read without it."""

from __future__ import annotations

from payments.errors import NotAllowedNow
from reconciliation.fixes import Fix
from reconciliation.models import Break, Line
from reconciliation.services.resolutions.base import Answers, By, Carried, Command


def _carry_out(broken: Break, answers: Answers, by: By) -> Carried:
    refused = _fits(broken)
    if refused:
        raise NotAllowedNow(refused)
    assert broken.line_id is not None
    line = Line.objects.select_for_update().get(pk=broken.line_id)
    line.removed = True
    line.save(update_fields=["removed"])
    net = line.net_minor if line.net_minor is not None else line.gross_minor
    return Carried(
        effects=[f"Line {line.number} of {line.statement.name} counts no more."],
        gateway_minor=-net,
        removed_lines=[line.pk],
    )


def _fits(broken: Break) -> str:
    line = broken.line
    if line is None or line.removed:
        return "There is no line to dismiss."
    twins = Line.objects.filter(
        account_id=line.account_id, gateway_id=line.gateway_id, kind=line.kind, gross_minor=line.gross_minor,
        currency=line.currency, removed=False,
    ).exclude(pk=line.pk)  # fmt: skip
    if not line.gateway_id or not twins.exists():
        return "No other line of the same transaction and sum stands in the reports: it is not printed twice."
    return ""


DISMISS_DUPLICATE = Command(
    fix=Fix.DISMISS_DUPLICATE,
    label="Dismiss the duplicate row",
    explanation="The report shows one transaction twice; the money moved once.",
    carry_out=_carry_out,
    fits=_fits,
    evidence=True,
)
