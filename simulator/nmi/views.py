"""How do NMI's books look to the control interface? Pure: values in, JSON-ready dictionaries out."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from simulator.books import Movement
from simulator.nmi.model import CANCELED, FAILED, UNKNOWN, Action, Transaction


def movement_view(movement: Movement, transaction: Transaction) -> dict[str, Any]:
    """A movement with the present standing of its transaction."""
    present = {
        "condition": transaction.condition,
        "batch_id": transaction.batch_id,
        "settled": transaction.settled,
    }
    return asdict(movement) | present | {"occurred_at": movement.occurred_at.isoformat()}


def transaction_view(transaction: Transaction, refunded_minor: int) -> dict[str, Any]:
    """A transaction with its amounts in minor units; `refunded_minor` is given, it is the sum of others."""
    alive = transaction.condition not in (FAILED, CANCELED, UNKNOWN)
    money = transaction.money_action
    captured = alive and money.success and money.action_type in ("sale", "capture")
    return {
        "transaction_id": transaction.transaction_id,
        "reference": transaction.order_id,
        "type": transaction.opened_as,
        "condition": transaction.condition,
        "currency": transaction.currency,
        "requested_minor": transaction.requested_minor,
        "captured_minor": money.amount_minor if captured else 0,
        "refunded_minor": refunded_minor,
        "refunds": transaction.refunds,
        "settled": transaction.settled,
        "batch_id": transaction.batch_id,
        "card": transaction.card.masked,
        "payer_email": transaction.payer.email,
        "description": transaction.payer.order_description,
        "customer_vault_id": transaction.vault_id,
        "flags": dict(transaction.flags),
        "foreign": transaction.foreign,
        "lapsed": transaction.lapsed_at is not None,
        "actions": [_action(action) for action in transaction.actions],
    }


def _action(action: Action) -> dict[str, Any]:
    return asdict(action) | {"occurred_at": action.occurred_at.isoformat(), "success": action.success}
