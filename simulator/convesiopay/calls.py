"""What is one call of the payments API, and what may come of it? Values and their makers; pure, the rules are next door."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from simulator.books import Movement
from simulator.convesiopay.cards import OWN_PREFIX, Card
from simulator.convesiopay.contract import ADVICE_CODES, NETWORK_CODES, REASONS
from simulator.convesiopay.model import Change, Payment
from simulator.convesiopay.store import Store
from simulator.messages import Answer


@dataclass(frozen=True, slots=True)
class Twist:
    """What faults change about an outcome. `untold`: taken, but the answer says no more than that it is pending."""

    refusal: int | None = None
    amount_off_minor: int = 0
    silent: bool = False
    currency: str = ""
    untold: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """One notification to send. `psp`: what it is about; `original`: the payment, where `psp` is a change of it."""

    code: str
    psp: str
    amount_minor: int
    success: bool = True
    original: str = ""
    reference: str = ""
    reason: str = ""
    more: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer and what is to be carried out: a version to keep, movements to book, notifications to send."""

    status: int
    body: Mapping[str, Any]
    payment: Payment | None = None
    movements: tuple[Movement, ...] = ()
    told: tuple[Told, ...] = ()
    used_token: str = ""
    stored: Card | None = None

    @property
    def answer(self) -> Answer:
        return Answer(json.dumps(self.body).encode(), self.status, "application/json")


class Refusal(Exception):
    """Refused by the API itself: nothing happened."""

    def __init__(self, text: str, status: int = 422) -> None:
        super().__init__(text)
        self.text = text
        self.status = status

    @property
    def outcome(self) -> Outcome:
        return Outcome(self.status, {"error": True, "message": self.text})


@dataclass(frozen=True, slots=True)
class Call:
    """One request with all it may ask. `force` lets the dashboard contradict the rules."""

    wish: Mapping[str, Any]
    store: Store
    now: datetime
    twist: Twist = Twist()
    origin: str = "api"
    force: bool = False
    host: str = ""

    def text(self, name: str) -> str:
        value = self.wish.get(name)
        return value if isinstance(value, str) else ""

    def amount_minor(self) -> int:
        """Raises: Refusal, the API's own."""
        value = self.wish.get("amount")
        if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
            raise Refusal("amount must be a whole number of minor units above 0")
        return value


def movement(
    payment: Payment, kind: str, operation: str, now: datetime, change: Change | None = None, **more: str
) -> Movement:
    """A movement of the payment, or of one change of it; a refund alone has an id of its own in the books."""
    refund = change is not None and change.kind == "refund"
    return Movement(
        kind=kind,
        operation=operation,
        gateway_id=change.change_id if change and refund else payment.payment_id,
        reference=change.reference or payment.order_number if change and refund else payment.order_number,
        operation_reference=change.reference if change else payment.order_number,
        amount_minor=change.amount_minor if change else payment.amount_minor,
        currency=payment.currency,
        occurred_at=now,
        card=payment.card.masked,
        token=payment.card.token.removeprefix(OWN_PREFIX),
        payer_email=payment.payer_email,
        origin="foreign" if payment.foreign else change.origin if change else payment.origin,
        original_gateway_id=payment.payment_id if refund else "",
        original_reference=payment.order_number if refund else "",
        releases=more.get("releases", ""),
    )


def payment_body(payment: Payment) -> dict[str, Any]:
    """A payment as answers and look-ups show it."""
    body: dict[str, Any] = {
        "id": payment.payment_id,
        "orderNumber": payment.order_number,
        "status": payment.status,
        "amount": payment.amount_minor,
        "currency": payment.currency,
        "captureMethod": "manual" if payment.manual else "automatic",
        "paymentMethodDetails": {"brand": payment.card.brand, "lastFour": payment.card.last_four, "expiry": "03/2030"},
    }
    if payment.stored_id:
        body["customer"] = {"id": payment.customer_id}
        body["paymentMethodDetails"]["storedPaymentMethodId"] = payment.stored_id
    if payment.redirect_url:
        body["actionRequired"] = {"type": "redirect", "redirectUrl": payment.redirect_url}
    for name in ("capture", "refund", "cancel"):
        body[f"{name}s"] = [change_body(change, payment) for change in payment.changes if change.kind == name]
    return body | (refusal_fields(payment.refusal) if payment.refusal else {})


def change_body(change: Change, payment: Payment) -> dict[str, Any]:
    return {
        "id": change.change_id,
        "paymentId": payment.payment_id,
        "status": change.status,
        "amount": change.amount_minor,
        "currency": payment.currency,
        "reference": change.reference,
    }


def refusal_fields(reason: int) -> dict[str, Any]:
    fields = {"error": True, "message": REASONS[reason], "refusalReasonCode": str(reason)}
    if reason in NETWORK_CODES:
        fields["refusalReasonRaw"] = f"{NETWORK_CODES[reason]} : {REASONS[reason]}"
    if reason in ADVICE_CODES:
        fields["merchantAdviceCode"] = ADVICE_CODES[reason]
    return fields
