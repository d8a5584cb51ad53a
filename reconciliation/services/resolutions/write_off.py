"""The money is given up. Always two people; never for money that the gateway has and we have not."""

from __future__ import annotations

from ledger import chart
from ledger.chart import AccountRef
from ledger.drafts import PostingDraft
from payments.errors import NotAllowedNow
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
from reconciliation.states import BreakState, BreakType


def _carry_out(broken: Break, answers: Answers, by: By) -> Carried:
    refused = _fits(broken)
    if refused:
        raise NotAllowedNow(refused)
    if broken.kind == BreakType.PAYOUT_NOT_IN_BANK and not broken.difference_minor:
        _write_off_payout(broken, by)
        carried = Carried(effects=[f"{money_of(broken, broken.value_minor)} is given up."])
    else:
        effect = f"{money_of(broken, abs(off_of(broken)))} is given up."
        carried = book_off(broken, by, chart.WRITE_OFF.code, text="written off", effect=effect)
    carried.ends_as = BreakState.WRITTEN_OFF
    return carried


def _write_off_payout(broken: Break, by: By) -> None:
    """It left the gateway and never came: it leaves what is on its way."""
    on_its_way = AccountRef(chart.PAYOUTS_IN_TRANSIT.code, broken.currency, gateway=broken.account.slug)
    item = broken.ours.get("payout") or broken.key.removeprefix("payout:")
    lines = (
        PostingDraft(account_of(chart.WRITE_OFF.code, broken), broken.value_minor),
        PostingDraft(on_its_way, -broken.value_minor, item),
    )
    post_for(broken, by, lines, step="payout", text="payout written off")


def _fits(broken: Break) -> str:
    if off_of(broken) > 0:
        return "The gateway has more than our books: there is nothing to give up."
    if not off_of(broken) and broken.kind != BreakType.PAYOUT_NOT_IN_BANK:
        return "The balance does not differ: there is nothing to give up."
    return ""


WRITE_OFF = Command(
    fix=Fix.WRITE_OFF,
    label="Write it off",
    explanation="The money is gone and nobody will bring it back. Two people, a reason and evidence.",
    carry_out=_carry_out,
    fits=_fits,
    two_people=True,
    evidence=True,
)
