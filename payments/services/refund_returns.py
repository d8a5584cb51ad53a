"""Which refund is said to have come back or failed, or was made elsewhere, and what does that come to?"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from ledger.money import Money
from payments.facts import Fact, FactKind
from payments.models import Operation, Refund
from payments.services.case import Case, total
from payments.states import OPEN_OPERATION_STATES, Certainty, FailureClass, MovementKind, OperationKind, Waits

_ABOUT = frozenset({FactKind.REFUND_RETURN, FactKind.REFUND_FAILED})


def spelled_out(case: Case, fact: Fact) -> Fact:
    """The fact with what it leaves to us: which fee of a dispute comes first, and how much a failed refund brings back.

    A refund that had gone out comes back with its whole sum; one still open at the gateway was refused.
    """
    if fact.kind == FactKind.FEE and fact.occurrence is None and fact.money is not None:
        return replace(fact, occurrence=0 if fact.money.amount_minor >= 0 else 1)
    if fact.kind not in _ABOUT:
        return fact
    case.returning = _refund_of(case, fact)
    if fact.kind == FactKind.REFUND_RETURN:
        return fact
    gone = case.of_transaction(fact.gateway_id, MovementKind.REFUND)
    if gone:
        return replace(fact, kind=FactKind.REFUND_RETURN, money=total(gone, gone[0].currency))
    operation = _open_refund(case, fact)
    if operation is None:
        return fact
    case.operation = operation
    return replace(
        fact,
        kind=FactKind.DECLINED,
        about=OperationKind.REFUND,
        certainty=Certainty.REFUSED,
        failure_class=fact.failure_class or FailureClass.HARD_DECLINE,
    )


def _refund_of(case: Case, fact: Fact) -> Refund | None:
    made = case.of_transaction(fact.gateway_id, MovementKind.REFUND)
    refund_id = next((m.refund_id for m in made if m.refund_id), None)
    return next((r for r in case.refunds if r.pk == refund_id), None) or case.refund_of(case.operation)


def _open_refund(case: Case, fact: Fact) -> Operation | None:
    refunds = [o for o in case.operations if o.kind == OperationKind.REFUND and o.state in OPEN_OPERATION_STATES]
    named = [o for o in refunds if fact.gateway_id and o.gateway_id == fact.gateway_id]
    return case.operation if case.operation in refunds else next(iter(named), None)


def external_refund(case: Case, fact: Fact, money: Money, now: datetime) -> Refund:
    """The row of a refund that somebody made at the gateway: it is known only once it has happened. Writes: the refund."""
    assert case.payment is not None and case.attempt is not None
    refund = Refund(
        payment=case.payment,
        attempt=case.attempt,
        origin=Refund.Origin.EXTERNAL,
        amount_minor=money.amount_minor,
        currency=money.currency,
        reason=f"{fact.kind} made at the gateway",
        requested_by="gateway",
        waits_for=Waits.NOTHING,
        created_at=now,
        updated_at=now,
    )
    refund.mark_succeeded()
    refund.save()
    case.refunds.append(refund)
    return refund
