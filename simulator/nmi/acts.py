"""What can be done from NMI's own side? Dashboard, batch, issuer; reads the wish, the gateway carries it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from simulator.messages import ControlError
from simulator.nmi.amounts import CURRENCIES, write_amount
from simulator.nmi.cards import OWN_PREFIX, find_card
from simulator.nmi.model import CANCELED, COMPLETE, PENDING, PENDING_SETTLEMENT, Action, Transaction
from simulator.nmi.store import Store

DASHBOARD = ("sale", "foreign_sale", "auth", "capture", "void", "refund")
ACTIONS = (*DASHBOARD, "batch_settle", "batch_fail", "expire_hold", "resend_webhook")


def dashboard_form(action: str, wish: Mapping[str, Any], store: Store) -> dict[str, str]:
    """The transact form that does what the dashboard was asked. Raises: ControlError naming the field."""
    if action in ("sale", "foreign_sale", "auth"):
        return _new_form(action, wish, store)
    transaction = find_transaction(wish, store)
    amount_minor = _amount(wish, default=transaction.actions[0].amount_minor if action == "capture" else 0)
    # A refund made in the dashboard keeps the order id of what it refunds, unless somebody types another.
    order_id = _text(wish, "operation_reference") or (transaction.order_id if action == "refund" else "")
    form = {"type": action, "transactionid": transaction.transaction_id, "orderid": order_id}
    return form | ({"amount": write_amount(amount_minor)} if amount_minor else {})


def find_transaction(wish: Mapping[str, Any], store: Store) -> Transaction:
    """By transaction_id, or the newest sale or authorisation of `reference`. Raises: ControlError."""
    transaction_id, reference = _text(wish, "transaction_id"), _text(wish, "reference")
    if transaction_id:
        found = store.get(transaction_id)
        if found is None:
            raise ControlError("transaction_id", f"no transaction {transaction_id}")
        return found
    if not reference:
        raise ControlError("transaction_id", "transaction_id or reference is required")
    named = [t for t in store.by_reference(reference) if not t.refunds]
    if not named:
        raise ControlError("reference", f"no transaction with order id {reference}")
    return named[-1]


def due_for_batch(wish: Mapping[str, Any], store: Store) -> dict[str, list[Transaction]]:
    """What the next batch takes, by currency; narrowed down by transaction_id or reference. Raises: ControlError."""
    narrowed = _text(wish, "transaction_id") or _text(wish, "reference")
    candidates = [find_transaction(wish, store)] if narrowed else list(store.all())
    batches: dict[str, list[Transaction]] = {}
    for transaction in candidates:
        if transaction.condition == PENDING_SETTLEMENT:
            batches.setdefault(transaction.currency, []).append(transaction)
    return dict(sorted(batches.items()))


def settled(transaction: Transaction, batch_id: str, now: datetime) -> Transaction:
    """The version after its batch closed."""
    amount_minor = transaction.money_action.amount_minor
    action = Action("settle", amount_minor, now, 100, "SUCCESS", "internal", batch_id=batch_id)
    stamped = tuple(replace(earlier, batch_id=batch_id) for earlier in transaction.actions)
    return replace(transaction, actions=stamped).after(action, COMPLETE)


def lapsed(transaction: Transaction, now: datetime) -> Transaction:
    """The version after the issuer let the hold go: cancelled, with no action that says by whom.

    No webhook and no movement comes of it: nobody did anything. Raises: ControlError when there is no open hold.
    """
    if transaction.condition != PENDING or transaction.opened_as != "auth":
        raise ControlError("transaction_id", f"no open hold: the condition is {transaction.condition}")
    return replace(transaction, condition=CANCELED, lapsed_at=now)


def open_holds(transactions: Sequence[Transaction]) -> list[Transaction]:
    """Authorisations neither captured nor voided."""
    return [t for t in transactions if t.condition == PENDING and t.opened_as == "auth"]


def _new_form(action: str, wish: Mapping[str, Any], store: Store) -> dict[str, str]:
    foreign = action == "foreign_sale"
    reference = _text(wish, "reference") or (f"other-{store.next_id()}" if foreign else "")
    if not reference:
        raise ControlError("reference", "reference is required: the order id of the new transaction")
    amount_minor = _amount(wish, default=4242 if foreign else 0)
    if not amount_minor:
        raise ControlError("amount_minor", "amount_minor is required: a whole number above 0")
    currency = _text(wish, "currency") or "USD"
    if currency not in CURRENCIES:
        raise ControlError("currency", f"{currency!r} is not a currency this gateway takes")
    token = OWN_PREFIX + (_text(wish, "token") or "tok_ok").removeprefix(OWN_PREFIX)
    if find_card(token) is None:
        raise ControlError("token", f"{token!r} is no token of this gateway")
    return {
        "type": "auth" if action == "auth" else "sale",
        "amount": write_amount(amount_minor),
        "currency": currency,
        "orderid": reference,
        "payment_token": token,
        "email": _text(wish, "email"),
    }


def _amount(wish: Mapping[str, Any], default: int) -> int:
    value = wish.get("amount_minor")
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 10**13:
        raise ControlError("amount_minor", "amount_minor must be a whole number above 0, in minor units")
    return value


def _text(wish: Mapping[str, Any], name: str) -> str:
    value = wish.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ControlError(name, f"{name} must be a text")
    return value
