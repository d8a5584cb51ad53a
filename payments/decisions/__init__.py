"""What follows from a fact? `decide(snapshot, fact)`: pure and total. It reads no clock and no table, and changes nothing.

It asks in this order: test mode, novelty, subject, money, state. A contradiction, or anything that would move a machine
backwards, is *ask*: the gateway is looked up first. Money that moved is booked whatever is decided.
"""

from __future__ import annotations

from payments.decisions.disputes import decide_dispute, decide_disputed_money, decide_restated_dispute
from payments.decisions.money import decide_authorisation, decide_capture, decide_nobodys, decide_restated
from payments.decisions.outcomes import DUPLICATE_OF_OTHER, NOT_PENDING_SETTLEMENT, NOTHING_LEFT, decide_outcome
from payments.decisions.process import decide_process, decide_test_mode
from payments.decisions.returns import decide_refund, decide_refund_failed, decide_refund_return, decide_void
from payments.decisions.settlement import decide_settlement_told
from payments.decisions.verdict import Decision, Posting, Verdict, ask, no_op
from payments.facts import DISPUTE_MONEY, MONEY_KINDS, OUTCOME_KINDS, Fact, FactKind, Snapshot
from payments.states import Source

__all__ = ["DUPLICATE_OF_OTHER", "NOTHING_LEFT", "NOT_PENDING_SETTLEMENT", "Decision", "Posting", "Verdict", "decide"]

_BY_MONEY = {
    FactKind.AUTHORISATION: decide_authorisation,
    FactKind.CAPTURE: decide_capture,
    FactKind.VOID: decide_void,
    FactKind.REFUND: decide_refund,
    FactKind.REFUND_RETURN: decide_refund_return,
    FactKind.CHARGEBACK: decide_disputed_money,
    FactKind.CHARGEBACK_RETURN: decide_disputed_money,
    FactKind.FEE: decide_disputed_money,
}
_WITHOUT_MONEY = {
    FactKind.DISPUTE: decide_dispute,
    FactKind.SETTLEMENT_TOLD: decide_settlement_told,
    FactKind.REFUND_FAILED: decide_refund_failed,
}


def decide(snapshot: Snapshot, fact: Fact) -> Decision:
    """The one answer to a fact. Raises nothing for any snapshot; a money kind must carry `money`.

    What a webhook says against our books is asked about; when the gateway was asked long enough, its own list stands.
    """
    decision = _decide(snapshot, fact)
    if decision.verdict == Verdict.ASK and snapshot.orphan_due and fact.source == Source.WEBHOOK:
        return no_op("The gateway was asked about it, and what it says itself stands.")
    return decision


def _decide(snapshot: Snapshot, fact: Fact) -> Decision:
    if fact.kind in OUTCOME_KINDS:
        return decide_outcome(snapshot, fact)
    if fact.kind not in MONEY_KINDS:
        return _WITHOUT_MONEY.get(fact.kind, decide_process)(snapshot, fact)
    if fact.test_mode and snapshot.account_live:
        return decide_test_mode(snapshot, fact)
    if fact.kind == FactKind.VOID and snapshot.came_back and snapshot.known_money is not None:
        return ask(
            "A void is known, and money came to life after it: only the gateway's list can tell which void this is."
        )
    if snapshot.known_money is not None:
        if snapshot.known_money == fact.money:
            return no_op("This movement is already known, with this amount.")
        return (decide_restated_dispute if fact.kind in DISPUTE_MONEY else decide_restated)(snapshot, fact)
    if snapshot.payment_state is None and fact.kind not in DISPUTE_MONEY:
        return decide_nobodys(snapshot, fact)
    return _BY_MONEY[fact.kind](snapshot, fact)
