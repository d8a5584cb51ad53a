"""Settlement money is not what presentment money was worth: the difference becomes a gain or a loss on exchange."""

from __future__ import annotations

from ledger import chart
from reconciliation.fixes import Fix
from reconciliation.models import Break
from reconciliation.services.resolutions.base import Answers, By, Carried, Command, money_of, post_difference


def _carry_out(broken: Break, answers: Answers, by: By) -> Carried:
    gain = broken.difference_minor > 0
    code, word = (chart.FX_GAIN.code, "gain") if gain else (chart.FX_LOSS.code, "loss")
    words = f"exchange {word} of {money_of(broken, abs(broken.difference_minor))}"
    post_difference(broken, by, code, text=words)
    return Carried(effects=[f"It is booked as an {words}."])


def _fits(broken: Break) -> str:
    return "" if broken.difference_minor else "The balance does not differ: a run has booked the exchange already."


POST_EXCHANGE = Command(
    fix=Fix.POST_EXCHANGE,
    label="Book the exchange difference",
    explanation="The report's rate was another one: the difference is a gain or loss on exchange.",
    carry_out=_carry_out,
    fits=_fits,
)
