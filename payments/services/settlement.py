"""Which movement does the gateway's settlement money belong to, and is it kept already? Writes the movement's own columns."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from payments.facts import Fact, FactKind, SettlementKnown, SettlementTold
from payments.models import Movement
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
    if fact.kind != FactKind.SETTLEMENT_TOLD or told is None:
        return SettlementKnown.NO_MOVEMENT
    movement = movement_of(case, fact)
    if movement is None:
        return SettlementKnown.NO_MOVEMENT
    if not movement.settlement_id:
        return SettlementKnown.NOTHING
    return SettlementKnown.THIS if _columns(movement) == _values(told)[:4] else SettlementKnown.OTHER


def movement_of(case: Case, fact: Fact) -> Movement | None:
    """The movement a settlement is of: named by its occurrence or amount where the fact says so, else the first without one.

    One transaction may have moved both ways (a charge and its void): the sign of the settlement money tells which.
    """
    told = fact.settlement
    assert told is not None
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
