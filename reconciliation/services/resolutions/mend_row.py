"""A row could not be read: the mapping was mended, and the report read again. Is the row a line now?"""

from __future__ import annotations

from payments.errors import NotAllowedNow
from reconciliation.fixes import Fix
from reconciliation.models import Break, Statement
from reconciliation.services.resolutions.base import Answers, By, Carried, Command
from reconciliation.states import StatementState


def _carry_out(broken: Break, answers: Answers, by: By) -> Carried:
    refused = _fits(broken)
    if refused:
        raise NotAllowedNow(refused)
    again = _read_again(broken)
    assert again is not None
    return Carried(effects=[f"Its row was read in {again.name}: {again.lines_read} lines, none rejected."])


def _read_again(broken: Break) -> Statement | None:
    """A later reading of the same report that rejected nothing. The same file is read anew after a change of mapping."""
    first = broken.statement
    if first is None:
        return None
    later = Statement.objects.filter(account=broken.account, pk__gt=first.pk, lines_rejected=0)
    readings = later.filter(state=StatementState.READ)
    if first.starts_on is None:
        return readings.filter(sha256=first.sha256).order_by("-id").first()
    return readings.filter(starts_on__lte=first.starts_on, ends_on__gte=first.ends_on).order_by("-id").first()


def _fits(broken: Break) -> str:
    if broken.statement is None:
        return "No report is named."
    if _read_again(broken) is not None:
        return ""
    return "Mend the account's column mapping and read the report again: then the row is a line, and this ends it."


MEND_ROW = Command(
    fix=Fix.MEND_ROW,
    label="The row was read again",
    explanation="The mapping was mended and the report read again. Ends the break once no row of it is rejected.",
    carry_out=_carry_out,
    fits=_fits,
)
