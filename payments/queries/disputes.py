"""What does a dispute stand at, and what does it withhold from refunds? Sums of movements; writes nothing."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.money import Money
from payments.models import Dispute, Movement
from payments.states import OPEN_DISPUTE_STATES, DisputeState, MovementKind

_SIGN = {MovementKind.CHARGEBACK.value: 1, MovementKind.CHARGEBACK_RETURN.value: -1}


def standing_of(dispute: Dispute) -> Money | None:
    """What it has taken less what came back, in the currency of the first of it; None if no money has moved."""
    return standing_in(Movement.objects.filter(dispute=dispute, kind__in=list(_SIGN)).order_by("id"))


def standing_in(movements: Iterable[Movement]) -> Money | None:
    """The same of one dispute's movements at hand."""
    rows = [m for m in movements if m.kind in _SIGN]
    if not rows:
        return None
    currency = rows[0].currency
    return Money(sum(_SIGN[m.kind] * m.amount_minor for m in rows if m.currency == currency), currency)


def withheld(dispute: Dispute, standing: Money | None) -> Money:
    """What one dispute withholds: while open all that is disputed, unless it was accepted before money moved; later what it
    has not given back."""
    zero = Money(0, dispute.currency)
    taken = standing if standing is not None and standing.currency == dispute.currency else zero
    pending = dispute.state in OPEN_DISPUTE_STATES and not accepted_inquiry(dispute)
    return max(taken, dispute.money if pending else zero, zero, key=lambda money: money.amount_minor)


def accepted_inquiry(dispute: Dispute) -> bool:
    """The issuer only asks, and we have said that the payer gets the money."""
    return dispute.state == DisputeState.INQUIRY and dispute.accepted_at is not None


def refund_barred_by(disputes: Iterable[Dispute]) -> str:
    """Why nothing of the payment may be refunded now; empty if no dispute stands in the way."""
    for dispute in disputes:
        if dispute.state not in OPEN_DISPUTE_STATES or accepted_inquiry(dispute):
            continue
        if dispute.state == DisputeState.INQUIRY:
            return f"The payer's bank asks about {dispute.money}: accept the inquiry first, then refund."
        return f"A dispute over {dispute.money} is open: it decides what goes back. A refund beside it would pay twice."
    return ""
