"""How do Stripe's books look to the control interface? Values in, JSON-ready dictionaries out, as of every gateway."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from simulator.books import Movement
from simulator.stripe.objects import reference_of
from simulator.stripe.store import Json, Store


def movement_view(movement: Movement, store: Store) -> dict[str, Any]:
    """A movement with the present standing of the charge, refund or dispute it belongs to."""
    about = store.known(movement.gateway_id)
    present = {"condition": condition_of(about, store), **_settlement(about, store)}
    return asdict(movement) | present | {"occurred_at": movement.occurred_at.isoformat()}


def transaction_view(value: Json, store: Store, movements: list[Movement]) -> dict[str, Any]:
    """A charge or refund with its amounts in minor units."""
    of_refund = value["object"] == "refund"
    charge = store.known(value["charge"]) if of_refund else value
    card = store.cards[charge["payment_method"]]
    intent = store.known(charge["payment_intent"])
    held = intent["capture_method"] == "manual"
    return {
        "transaction_id": value["id"],
        "payment_intent": intent["id"],
        "reference": reference_of(value),
        "type": "refund" if of_refund else "auth" if held else "sale",
        "condition": condition_of(value, store),
        "currency": value["currency"].upper(),
        "requested_minor": value["amount"] if of_refund else intent["amount"],
        "captured_minor": 0 if of_refund else value["amount_captured"],
        "refunded_minor": 0 if of_refund else value["amount_refunded"],
        "refunds": charge["id"] if of_refund else "",
        **_settlement(value, store),
        "card": card.masked,
        "payer_email": charge["receipt_email"] or "",
        "description": charge["description"] or "",
        "customer_vault_id": charge["customer"] or "",
        "foreign": intent["id"] in store.foreign,
        "lapsed": intent["cancellation_reason"] == "expired",
        "actions": _actions(value, movements),
    }


def intent_view(intent: Json) -> dict[str, Any]:
    """An intent for the answer of an act."""
    names = ("id", "status", "amount", "currency", "latest_charge", "cancellation_reason")
    return {name: intent[name] for name in names} | {"reference": reference_of(intent)}


def condition_of(value: Json, store: Store) -> str:
    """The status as Stripe names it; of a charge that went well, that of its intent."""
    if value["object"] == "charge" and value["status"] == "succeeded":
        return str(store.known(value["payment_intent"])["status"])
    return str(value["status"])


def _settlement(value: Json, store: Store) -> dict[str, Any]:
    line = value.get("balance_transaction")
    if value["object"] == "dispute" and value["balance_transactions"]:
        line = value["balance_transactions"][-1]["id"]
    payout_id = store.payout_of.get(line or "", "")
    return {"batch_id": payout_id, "settled": bool(payout_id)}


def _actions(value: Json, movements: list[Movement]) -> list[dict[str, Any]]:
    done = [
        {
            "action_type": m.operation,
            "kind": m.kind,
            "amount_minor": m.amount_minor,
            "occurred_at": m.occurred_at.isoformat(),
            "success": True,
            "code": "",
            "text": "",
            "reference": m.operation_reference,
        }
        for m in movements
        if m.gateway_id == value["id"]
    ]
    if value["object"] == "charge" and value["status"] == "failed":
        moment = datetime.fromtimestamp(value["created"], UTC).isoformat()
        failed = {"action_type": "sale", "kind": "", "amount_minor": value["amount"], "occurred_at": moment}
        done.append(
            failed
            | {"success": False, "code": value["failure_code"], "text": value["failure_message"], "reference": ""}
        )
    return done
