"""The gateway withheld or released a reserve: the money is still ours, on another account."""

from __future__ import annotations

from ledger import chart
from reconciliation.fixes import Fix
from reconciliation.models import Break
from reconciliation.services.resolutions.base import Answers, By, Carried, Command, money_of, post_difference


def _carry_out(broken: Break, answers: Answers, by: By) -> Carried:
    held = broken.difference_minor < 0
    words = f"reserve {'withheld' if held else 'released'}: {money_of(broken, abs(broken.difference_minor))}"
    post_difference(broken, by, chart.GATEWAY_RESERVE.code, text=words)
    return Carried(effects=[f"{words[0].upper()}{words[1:]}."])


def _fits(broken: Break) -> str:
    return "" if broken.difference_minor else "The balance does not differ: the reserve is booked already."


POST_RESERVE = Command(
    fix=Fix.POST_RESERVE,
    label="Book it as reserve",
    explanation="The gateway keeps the money back, or has let it go: it moves between balance and reserve.",
    carry_out=_carry_out,
    fits=_fits,
)
