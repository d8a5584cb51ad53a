"""Is it only rounding? Booked within the account's tolerance, per line and in all per day; by a person or by the rule."""

from __future__ import annotations

from datetime import date
from typing import Final

from django.db.models import F, Func, Sum

from ledger import chart
from payments.errors import NotAllowedNow
from reconciliation.fixes import Fix
from reconciliation.models import Booking, Break, StatementAccount
from reconciliation.services.resolutions.base import Answers, By, Carried, Command, money_of
from reconciliation.services.resolutions.meeting import book_off, off_of

STEP: Final = "rounding"


def _carry_out(broken: Break, answers: Answers, by: By) -> Carried:
    lock_rounding(broken)
    refused = why_no_rounding(broken)
    if refused:
        raise NotAllowedNow(refused)
    effect = f"{money_of(broken, off_of(broken))} is rounding."
    return book_off(broken, by, chart.ROUNDING.code, step=STEP, text="rounding within tolerance", effect=effect)


def lock_rounding(broken: Break) -> None:
    """One at a time for an account: two at once would each see room for one."""
    StatementAccount.objects.select_for_update(no_key=True).get(pk=broken.account_id)


def why_no_rounding(broken: Break) -> str:
    """Why it can not pass as rounding; empty: it can."""
    off, line = off_of(broken), broken.line
    if not off or line is None:
        return "There is no line whose sum is off by a little."
    return too_much(broken, line.day, off)


def too_much(broken: Break, day: date, off_minor: int) -> str:
    """Why so much of a line of this day is more than rounding; empty: it is not."""
    account, size = broken.account, abs(off_minor)
    if not account.tolerance_minor:
        return f"{account.name} accepts no rounding: its terms name no tolerance."
    if size > account.tolerance_minor:
        return f"It is more than the {money_of(broken, account.tolerance_minor)} a line that may pass as rounding."
    if booked_on(account, broken.currency, day) + size > account.tolerance_day_minor:
        return f"With it the day would have more than {money_of(broken, account.tolerance_day_minor)} of rounding."
    return ""


def booked_on(account: StatementAccount, currency: str, day: date) -> int:
    """Minor units that passed as rounding of a day so far, both ways added up."""
    rows = Booking.objects.filter(
        account=account, currency=currency, kind="resolution", undone_at=None, entry_source_key__endswith=f":{STEP}"
    )
    sizes = rows.filter(line__day=day).aggregate(all=Sum(Func(F("amount_minor"), function="abs")))
    return int(sizes["all"] or 0)


ROUNDING = Command(
    fix=Fix.ROUNDING,
    label="Accept as rounding",
    explanation="A difference inside the account's tolerance and its cap for the day.",
    carry_out=_carry_out,
    fits=why_no_rounding,
)
