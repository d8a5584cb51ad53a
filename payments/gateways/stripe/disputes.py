"""What does one of Stripe's disputes state: where it stands, what it took and gave back, and what it cost?"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime

from ledger.money import Money
from payments.facts import DisputeTold, Fact, FactKind
from payments.gateways.errors import Unreadable
from payments.gateways.stripe.charges import Telling, reference_of, settlement_of
from payments.gateways.stripe.values import (
    Json,
    evidence_of,
    id_in,
    mask,
    moment_in,
    money_in,
    number_in,
    part,
    rows,
    text_in,
)
from payments.states import Certainty, DisputeState

STATES = {
    "warning_needs_response": DisputeState.INQUIRY,
    "warning_under_review": DisputeState.INQUIRY,
    "warning_closed": DisputeState.CLOSED,
    "needs_response": DisputeState.CHARGEBACK,
    "under_review": DisputeState.UNDER_REVIEW,
    "appeal_needs_response": DisputeState.PRE_ARBITRATION,
    "appeal_under_review": DisputeState.PRE_ARBITRATION,
    "won": DisputeState.WON,
    "lost": DisputeState.LOST,
    "prevented": DisputeState.CLOSED,
}


def dispute_facts(dispute: Json, telling: Telling) -> list[Fact]:
    """Its state, then every balance transaction of it: the whole list each time, so that each has its place.

    Raises Unreadable.
    """
    status = text_in(dispute, "status")
    if dispute.get("object") != "dispute" or not id_in(dispute, "id") or status not in STATES:
        raise Unreadable("this is no dispute with a known status")
    return [_standing(dispute, STATES[status], telling), *_money(dispute, telling)]


def _standing(dispute: Json, state: DisputeState, telling: Telling) -> Fact:
    due = part(dispute, "evidence_details")
    told = DisputeTold(
        dispute_id=id_in(dispute, "id"),
        state=state,
        money=money_in(dispute, "amount"),
        reason=mask(text_in(dispute, "reason"))[:60],
        evidence_due_at=moment_in(due, "due_by", absent=telling.at) if due.get("due_by") else None,
    )
    return replace(_fact(dispute, FactKind.DISPUTE, telling.at, telling), dispute=told)


def _money(dispute: Json, telling: Telling) -> list[Fact]:
    """Withdrawal and reinstatement in the payer's currency, their worth beside it; the fee in settlement money."""
    entries = sorted(rows(dispute.get("balance_transactions")), key=lambda entry: number_in(entry, "created") or 0)
    times: Counter[FactKind] = Counter()
    facts: list[Fact] = []
    for entry in entries:
        worth, happened = settlement_of(entry, telling), moment_in(entry, "created", absent=telling.at)
        if not worth.money.is_zero:
            kind = FactKind.CHARGEBACK if worth.money.amount_minor < 0 else FactKind.CHARGEBACK_RETURN
            moved = replace(_fact(dispute, kind, happened, telling), settlement=worth, occurrence=times[kind])
            facts.append(replace(moved, money=_presented(dispute, worth.money)))
            times[kind] += 1
        if not worth.fee.is_zero:
            cost = _fact(dispute, FactKind.FEE, happened, telling)
            facts.append(replace(cost, money=worth.fee, occurrence=times[FactKind.FEE]))
            times[FactKind.FEE] += 1
    return facts


def _presented(dispute: Json, settled: Money) -> Money:
    """In one currency the entry says it itself; in two, the disputed amount is what was taken or given back."""
    disputed = money_in(dispute, "amount")
    return Money(abs(settled.amount_minor), settled.currency) if settled.currency == disputed.currency else disputed


def _fact(dispute: Json, kind: FactKind, happened: datetime, telling: Telling) -> Fact:
    return Fact(
        kind=kind,
        source=telling.source,
        occurred_at=happened,
        gateway_id=id_in(dispute, "id"),
        handle=id_in(dispute, "payment_intent"),
        reference=reference_of(dispute),
        original_gateway_id=id_in(dispute, "charge"),
        certainty=Certainty.TAKEN,
        test_mode=dispute.get("livemode") is False,
        evidence=evidence_of(
            dispute=id_in(dispute, "id"),
            status=text_in(dispute, "status"),
            reason=text_in(dispute, "reason"),
            network_reason_code=text_in(dispute, "network_reason_code"),
        ),
    )
