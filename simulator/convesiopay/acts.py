"""What can be done from ConvesioPay's own side? Dashboard, payer, issuer; reads the wish, the gateway carries it out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from simulator.convesiopay.calls import Told
from simulator.convesiopay.cards import OWN_PREFIX, find_card
from simulator.convesiopay.contract import CANCELLED, FAILED, SUCCEEDED
from simulator.convesiopay.model import Change, Payment
from simulator.convesiopay.store import Store
from simulator.messages import ControlError

OPENING = ("sale", "foreign_sale", "auth")
FOLLOWING = ("capture", "void", "refund")
PAYER = ("payer_approves", "payer_fails", "payer_abandons")
ACTIONS = (*OPENING, *FOLLOWING, *PAYER, "refund_fails", "capture_fails", "expire_hold", "report", "resend_webhook")


def opening_wish(action: str, wish: Mapping[str, Any], store: Store) -> dict[str, Any]:
    """The body that opens what the dashboard was asked for. Raises: ControlError naming the field."""
    foreign = action == "foreign_sale"
    reference = text_of(wish, "reference") or (store.next_id("other") if foreign else "")
    if not reference:
        raise ControlError("reference", "reference is required: the order number of the new payment")
    amount_minor = amount_of(wish, default=4242 if foreign else 0)
    if not amount_minor:
        raise ControlError("amount_minor", "amount_minor is required: a whole number above 0")
    token = OWN_PREFIX + (text_of(wish, "token") or "tok_ok").removeprefix(OWN_PREFIX)
    if find_card(token) is None:
        raise ControlError("token", f"{token!r} is no token of this gateway")
    return {
        "integration": "dashboard",
        "paymentToken": token,
        "orderNumber": reference,
        "amount": amount_minor,
        "currency": text_of(wish, "currency") or "USD",
        "captureMethod": "manual" if action == "auth" else "automatic",
        "email": text_of(wish, "email"),
    }


def following_wish(action: str, wish: Mapping[str, Any], payment: Payment) -> dict[str, Any]:
    """The body of a capture, cancel or refund in the dashboard; without an amount the whole."""
    whole = payment.captured_minor - payment.sum_of("refund") if action == "refund" else payment.amount_minor
    return {"amount": amount_of(wish, default=whole), "reference": text_of(wish, "operation_reference")}


def find_payment(wish: Mapping[str, Any], store: Store) -> Payment:
    """By transaction_id, or the newest of `reference`. Raises: ControlError."""
    payment_id, reference = text_of(wish, "transaction_id"), text_of(wish, "reference")
    if payment_id:
        found = store.get(payment_id)
        if found is None:
            raise ControlError("transaction_id", f"no payment {payment_id}")
        return found
    if not reference:
        raise ControlError("transaction_id", "transaction_id or reference is required")
    named = [payment for payment in store.all() if reference in payment.labels()]
    if not named:
        raise ControlError("reference", f"no payment with order number {reference}")
    return named[-1]


def failed_change(payment: Payment, kind: str) -> tuple[Payment, Change]:
    """The version after the newest capture or refund failed after all. Raises: ControlError."""
    done = [change for change in payment.changes if change.kind == kind and change.status == SUCCEEDED]
    if not done:
        raise ControlError("transaction_id", f"it has no {kind} that could fail")
    failed = replace(done[-1], status=FAILED)
    changes = tuple(failed if change is done[-1] else change for change in payment.changes)
    return replace(payment, changes=changes), failed


def failure_told(payment: Payment, change: Change) -> Told:
    return Told(
        f"{change.kind.upper()}_FAILED",
        change.change_id,
        change.amount_minor,
        original=payment.payment_id,
        reference=change.reference,
        reason="Failed at the bank",
    )


def lapsed(payment: Payment, now: datetime) -> Payment:
    """The version after the issuer let the hold go. Raises: ControlError when there is no open hold."""
    if not payment.holds:
        raise ControlError("transaction_id", f"no open hold: the status is {payment.status}")
    return replace(payment, status=CANCELLED, lapsed_at=now)


def amount_of(wish: Mapping[str, Any], default: int) -> int:
    value = wish.get("amount_minor")
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 10**13:
        raise ControlError("amount_minor", "amount_minor must be a whole number above 0, in minor units")
    return value


def text_of(wish: Mapping[str, Any], name: str) -> str:
    value = wish.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ControlError(name, f"{name} must be a text")
    return value
