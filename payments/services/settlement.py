"""Which movement does the gateway's settlement money belong to, and is it kept already? Writes the movement's own columns."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal, InvalidOperation

from payments.facts import Fact, FactKind, SettlementKnown, SettlementTold
from payments.models import LookUp, Movement
from payments.services.case import Case
from payments.states import MovementKind

_IN = frozenset({MovementKind.CAPTURE, MovementKind.REFUND_RETURN, MovementKind.CHARGEBACK_RETURN})
_COLUMNS = (
    "settlement_id",
    "settlement_minor",
    "settlement_fee_minor",
    "settlement_currency",
    "exchange_rate",
    "available_at",
)
_OUT = frozenset({MovementKind.REFUND, MovementKind.VOID, MovementKind.CHARGEBACK})


def settlement_known(case: Case, fact: Fact) -> SettlementKnown:
    """What `decide` may know: is there a movement for it, and was its settlement money told before?"""
    told = fact.settlement
    if fact.kind != FactKind.SETTLEMENT_TOLD:
        return SettlementKnown.NO_MOVEMENT
    movement = movement_of(case, fact)
    if movement is None:
        return SettlementKnown.NO_MOVEMENT
    if not movement.settlement_id:
        return SettlementKnown.ASKED if told is None and _asked_since(case, fact) else SettlementKnown.NOTHING
    if told is None:
        return SettlementKnown.THIS
    return SettlementKnown.THIS if _columns(movement) == _values(told)[:4] else SettlementKnown.OTHER


def _asked_since(case: Case, fact: Fact) -> bool:
    """Has the gateway answered about the attempt since it said that there is a worth?"""
    answered = LookUp.objects.filter(operation__attempt=case.attempt, result=LookUp.Result.FOUND)
    return answered.filter(asked_at__gte=fact.occurred_at).exists()


def apart(fact: Fact) -> Fact:
    """What a fact of money says of its worth, as a fact of its own: for a movement that was told by somebody else first."""
    told = fact.settlement
    same_currency = told is not None and fact.money is not None and told.money.currency == fact.money.currency
    money = told.money if told is not None and same_currency and fact.running_total else fact.money
    return replace(fact, kind=FactKind.SETTLEMENT_TOLD, money=money, occurrence=None, running_total=False)


def movement_of(case: Case, fact: Fact) -> Movement | None:
    """The movement a settlement is of: named by its occurrence or amount where the fact says so, else the first without one.

    One transaction may have moved both ways (a charge and its void): the sign of the settlement money tells which.
    """
    told = fact.settlement
    if told is None:
        rows = case.of_transaction(fact.gateway_id, *(_OUT | _IN))
        return next((m for m in rows if not m.settlement_id), rows[0] if rows else None)
    kinds = _OUT if told.money.amount_minor < 0 else _IN
    rows = case.of_transaction(fact.gateway_id, *kinds)
    for row in rows:
        if row.settlement_id == told.settlement_id:
            return row
    if fact.occurrence is not None:
        rows = [m for m in rows if m.occurrence == fact.occurrence]
    if fact.money is not None:
        rows = [m for m in rows if m.money == fact.money] or rows
    return next((m for m in rows if not m.settlement_id), rows[0] if rows else None)


def keep_settlement(case: Case, fact: Fact) -> None:
    """Fill the movement's settlement columns. Idempotent on: the settlement's id; `decide` lets the first word stand."""
    movement, told = movement_of(case, fact), fact.settlement
    assert movement is not None and told is not None
    tell(movement, told)
    movement.save(update_fields=_COLUMNS)


def tell(movement: Movement, told: SettlementTold) -> None:
    """Write it into the row; the caller saves."""
    (
        movement.settlement_id,
        movement.settlement_minor,
        movement.settlement_fee_minor,
        movement.settlement_currency,
        movement.exchange_rate,
    ) = _values(told)
    movement.available_at = told.available_at


def _columns(movement: Movement) -> tuple[str, int | None, int | None, str]:
    return (
        movement.settlement_id,
        movement.settlement_minor,
        movement.settlement_fee_minor,
        movement.settlement_currency,
    )


def _values(told: SettlementTold) -> tuple[str, int, int, str, Decimal | None]:
    return (
        told.settlement_id[:64],
        told.money.amount_minor,
        told.fee.amount_minor,
        told.money.currency,
        _rate(told.exchange_rate),
    )


def _rate(reported: str) -> Decimal | None:
    """As reported, to the ten places we keep; a rate that is none is left out."""
    try:
        rate = Decimal(reported)
    except InvalidOperation:
        return None
    return rate.quantize(Decimal("0.0000000001")) if rate.is_finite() and 0 < rate < Decimal(10) ** 9 else None
