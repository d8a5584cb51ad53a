"""What follows when the gateway says what a movement is worth in settlement money? Pure; nothing is booked by it.

What was told first stands: a payout is compared with it later, and a silent change would hide the difference.
"""

from __future__ import annotations

from payments.decisions.verdict import Decision, Verdict, ask, no_op
from payments.facts import Fact, SettlementKnown, Snapshot


def decide_settlement_told(s: Snapshot, fact: Fact) -> Decision:
    """Kept with the movement once; parked while the movement itself is not known."""
    told = fact.settlement
    if fact.test_mode and s.account_live:
        return no_op("It says nothing of settlement money of ours.")
    if s.settlement == SettlementKnown.NO_MOVEMENT:
        if s.orphan_due:
            return no_op("The movement it speaks of has never become known.")
        return Decision(Verdict.PARK, "The movement it speaks of is not known yet.")
    if told is None:
        return _named_only(s)
    if s.settlement == SettlementKnown.THIS:
        return no_op("Its settlement money is known.")
    if s.settlement == SettlementKnown.OTHER:
        return no_op(f"Other settlement money was told before, and stands; {told.settlement_id} says {told.money}.")
    rate = f" at {told.exchange_rate}" if told.exchange_rate else ""
    return Decision(Verdict.APPLY, f"It is {told.money} in settlement money{rate}, less a fee of {told.fee}.")


def _named_only(s: Snapshot) -> Decision:
    """The gateway has the worth of it and does not say it: asked once, unless we know it already."""
    if s.settlement == SettlementKnown.NOTHING:
        return ask("Its settlement money is known at the gateway and not said: the gateway is asked.")
    if s.settlement == SettlementKnown.ASKED:
        return no_op("The gateway was asked for its settlement money, and did not tell it.")
    return no_op("Its settlement money is known.")
