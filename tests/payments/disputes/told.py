"""What a gateway says of a disputed charge, as facts; and how to record it. Times are days after the charge."""

from __future__ import annotations

from datetime import datetime, timedelta

from ledger.money import Money
from payments.facts import DisputeTold, Fact, FactKind, SettlementTold
from payments.models import Dispute, GatewayAccount
from payments.services.recording import Cause, Recorded, record_fact
from payments.states import DisputeState, Source
from tests.payments.factories import Clock, nmi_account

CHARGE, DISPUTE = "ch_1", "du_1"
DUE = Money(1000, "USD")


def word(
    state: DisputeState,
    at: datetime,
    *,
    charge: str,
    money: Money = DUE,
    dispute: str = DISPUTE,
    due_at: datetime | None = None,
    reason: str = "fraudulent",
) -> Fact:
    """Where the dispute stands."""
    return Fact(
        FactKind.DISPUTE,
        Source.WEBHOOK,
        at,
        gateway_id=dispute,
        original_gateway_id=charge,
        dispute=DisputeTold(dispute, state, money, reason, due_at),
    )


def moved(
    kind: FactKind,
    at: datetime,
    *,
    charge: str,
    money: Money = DUE,
    dispute: str = DISPUTE,
    occurrence: int | None = 0,
) -> Fact:
    """Money that the dispute took, gave back or cost."""
    return Fact(
        kind,
        Source.WEBHOOK,
        at,
        gateway_id=dispute,
        original_gateway_id=charge,
        money=money,
        occurrence=occurrence,
    )


def settlement(
    gateway_id: str, money: Money, fee: Money, *, at: datetime, settlement_id: str = "txn_1", rate: str = ""
) -> Fact:
    """What a movement is worth in settlement money."""
    told = SettlementTold(settlement_id, money, fee, rate, at + timedelta(days=2))
    return Fact(FactKind.SETTLEMENT_TOLD, Source.WEBHOOK, at, gateway_id=gateway_id, settlement=told)


def record(fact: Fact, clock: Clock, *, orphan_due: bool = False, account: GatewayAccount | None = None) -> Recorded:
    """As the inbox does."""
    at = account or nmi_account()
    return record_fact(fact, account_id=at.pk, cause=Cause(), now=clock(), orphan_due=orphan_due)


def the_dispute() -> Dispute:
    return Dispute.objects.get()
