"""How do Stripe's books look to the control interface? Values in, JSON-ready dictionaries out, as of every gateway."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from simulator.books import Movement
from simulator.stripe.objects import reference_of
from simulator.stripe.routes import labels_of_object
from simulator.stripe.store import Json, Store


def books_of(store: Store, movements: list[Movement], reference: str) -> dict[str, Any]:
    """Movements, transactions, open holds and disputes, of one reference or all; payouts and lines only of all."""
    ids = [intent["id"] for intent in chosen(store, reference)]
    charges = [charge for found in ids for charge in store.belonging("charge", found)]
    refunds = [refund for found in ids for refund in store.belonging("refund", found)]
    disputes = [dispute for found in ids for dispute in store.belonging("dispute", found)]
    about = {value["id"] for value in (*charges, *refunds, *disputes)}
    moved = [movement for movement in movements if movement.gateway_id in about]
    by_id: defaultdict[str, list[Movement]] = defaultdict(list)
    for movement in moved:
        by_id[movement.gateway_id].append(movement)
    transactions = [transaction_view(value, store, by_id[value["id"]]) for value in (*charges, *refunds)]
    return {
        "movements": [movement_view(movement, store) for movement in moved],
        "transactions": transactions,
        "holds_open": [view for view in transactions if view["condition"] == "requires_capture"],
        "disputes": disputes,
        "payouts": [] if reference else list(store.all("payout")),
        "balance_transactions": [] if reference else list(store.all("balance_transaction")),
    }


def chosen(store: Store, reference: str) -> list[Json]:
    """Intents known by that reference, or one of whose refunds is; all of them when it is empty."""
    return [i for i in store.all("payment_intent") if not reference or reference in _known_by(i, store)]


def _known_by(intent: Json, store: Store) -> set[str]:
    labels = set(labels_of_object(intent["id"], store))
    for refund in store.belonging("refund", intent["id"]):
        labels |= {refund["id"], *refund["metadata"].values()}
    return labels


def movement_view(movement: Movement, store: Store) -> dict[str, Any]:
    """A movement with the present standing of the charge, refund or dispute it belongs to."""
    about = store.known(movement.gateway_id)
    present = {"condition": condition_of(about, store), **_settlement(about, store)}
    return asdict(movement) | present | {"occurred_at": movement.occurred_at.isoformat()}


def transaction_view(value: Json, store: Store, movements: list[Movement]) -> dict[str, Any]:
    """A charge or refund with its amounts in minor units; `movements` are its own."""
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
    ]
    if value["object"] == "charge" and value["status"] == "failed":
        moment = datetime.fromtimestamp(value["created"], UTC).isoformat()
        failed = {"action_type": "sale", "kind": "", "amount_minor": value["amount"], "occurred_at": moment}
        done.append(
            failed
            | {"success": False, "code": value["failure_code"], "text": value["failure_message"], "reference": ""}
        )
    return done
