"""What do the calls of the payments API bring about? Pure rules over a call and the payment it names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from simulator.convesiopay.calls import (
    Call,
    Outcome,
    Refusal,
    Told,
    change_body,
    movement,
    payment_body,
    refusal_fields,
)
from simulator.convesiopay.cards import Card, find_card
from simulator.convesiopay.contract import (
    ABANDONED,
    AUTHORISED,
    AWAITING,
    CANCELLED,
    FAILED,
    NETWORK_CODES,
    PENDING,
    REASONS,
    SUCCEEDED,
)
from simulator.convesiopay.model import Change, Payment

NOT_AUTHENTICATED = 11


def open_payment(call: Call) -> Outcome:
    """POST /v1/payments, with a payment token."""
    token = call.text("paymentToken")
    card = find_card(token)
    if card is None:
        raise Refusal("Invalid payment token")
    if token in call.store.used_tokens:
        raise Refusal("The payment token has already been used")
    return _opened(call, card, store=call.wish.get("storePaymentMethod") is True)


def charge_stored_card(call: Call) -> Outcome:
    """POST /v1/payments/stored-card."""
    customer = call.wish.get("customer")
    customer = customer if isinstance(customer, Mapping) else {}
    known = str(customer.get("id", "")), str(customer.get("storedPaymentMethodId", ""))
    card = call.store.stored_cards.get(known)
    if card is None:
        raise Refusal("Unknown stored payment method")
    opened = _opened(call, replace(card, challenged=False), store=False)
    assert opened.payment is not None
    return opened


def _opened(call: Call, card: Card, *, store: bool) -> Outcome:
    for name in ("integration", "orderNumber", "currency"):
        if not call.text(name):
            raise Refusal(f"{name} is required")
    requested = call.amount_minor()
    refusal = call.twist.refusal or card.refusal
    payment = Payment(
        payment_id=call.store.next_id("PSP"),
        order_number=call.text("orderNumber"),
        currency=call.twist.currency or call.text("currency"),
        amount_minor=requested if refusal else max(requested + call.twist.amount_off_minor, 1),
        requested_minor=requested,
        manual=call.wish.get("captureMethod") == "manual",
        status=AWAITING if card.challenged and not refusal else PENDING,
        card=card,
        created_at=call.now,
        payer_email=call.text("email"),
        return_url=call.text("returnUrl"),
        origin=call.origin,
    )
    if store:
        payment = replace(payment, customer_id=call.store.next_id("CUS"), stored_id=call.store.next_id("SPM"))
    used = card.token if card.once else ""
    if payment.status == AWAITING:
        redirect = f"http://{call.host}/convesiopay/_3ds/{payment.payment_id}"
        payment = replace(payment, redirect_url=redirect)
        return Outcome(200, payment_body(payment), payment, used_token=used)
    if card.slow and not refusal:
        return Outcome(200, payment_body(payment), payment, used_token=used)
    return replace(conclude(call, payment, refusal), used_token=used)


def conclude(call: Call, payment: Payment, refusal: int | None) -> Outcome:
    """The issuer has answered: money is taken or held, or the payment has failed."""
    if refusal:
        payment = replace(payment, status=FAILED, refusal=refusal, redirect_url="", customer_id="", stored_id="")
        raw = f"{NETWORK_CODES[refusal]} : {REASONS[refusal]}" if refusal in NETWORK_CODES else ""
        more = {"refusalReasonCode": str(refusal)} | ({"refusalReasonRaw": raw} if raw else {})
        refused = Told(
            "AUTHORISATION", payment.payment_id, payment.amount_minor, success=False, reason=REASONS[refusal], more=more
        )
        return Outcome(402, payment_body(payment), payment, told=(refused,))
    payment = replace(payment, status=AUTHORISED if payment.manual else SUCCEEDED, redirect_url="")
    kind = "authorisation" if payment.manual else "capture"
    told = [Told("AUTHORISATION", payment.payment_id, payment.amount_minor)]
    if payment.stored_id:
        more = {"recurring.recurringDetailReference": payment.stored_id}
        told.append(Told("RECURRING_CONTRACT", payment.stored_id, 0, original=payment.payment_id, more=more))
    body = payment_body(payment)
    if call.twist.untold:
        body = {"id": payment.payment_id, "orderNumber": payment.order_number, "status": PENDING}
    if call.twist.silent:
        body["amount"] = payment.requested_minor
    return Outcome(
        200,
        body,
        payment,
        (movement(payment, kind, payment.opened_as, call.now),),
        tuple(told),
        stored=payment.card if payment.stored_id else None,
    )


def capture(call: Call, payment: Payment) -> Outcome:
    """Once only; what is left of the hold is released."""
    amount_minor = call.amount_minor()
    if not call.force and not payment.holds:
        raise Refusal("Only an authorized payment can be captured")
    if not call.force and amount_minor > payment.amount_minor:
        raise Refusal("The amount is above what was authorized")
    _refuse_by_fault(call)
    change = _change(call, "capture", max(amount_minor + call.twist.amount_off_minor, 1))
    after = payment.after(change, SUCCEEDED)
    told = Told("CAPTURE", change.change_id, change.amount_minor, original=payment.payment_id)
    return _changed(call, after, change, movement(after, "capture", "capture", call.now, change), told)


def refund(call: Call, payment: Payment) -> Outcome:
    """Never more in all than was captured; it has an id of its own."""
    left_minor = payment.captured_minor - payment.sum_of("refund")
    amount_minor = call.amount_minor()
    if amount_minor > left_minor and not call.force:
        raise Refusal("The amount is above what can be refunded")
    _refuse_by_fault(call)
    change = _change(call, "refund", max(amount_minor + call.twist.amount_off_minor, 1))
    after = payment.after(change, payment.status)
    told = Told(
        "REFUND", change.change_id, change.amount_minor, original=payment.payment_id, reference=change.reference
    )
    return _changed(call, after, change, movement(after, "refund", "refund", call.now, change), told)


def cancel(call: Call, payment: Payment) -> Outcome:
    """Of a hold: it is released. Of a payment that waits for its payer: nothing can be taken any more."""
    if payment.status in (AWAITING, PENDING):
        return abandon(call, payment)
    if not payment.holds and not (call.force and payment.status == SUCCEEDED):
        raise Refusal("Only an authorized payment can be cancelled")
    _refuse_by_fault(call)
    amount_minor = payment.captured_minor or payment.amount_minor
    change = _change(call, "cancel", amount_minor)
    releases = "authorisation" if payment.holds else "capture"
    after = payment.after(change, CANCELLED)
    told = Told("CANCELLATION", change.change_id, amount_minor, original=payment.payment_id)
    moved = movement(after, "void", "void", call.now, change, releases=releases)
    return _changed(call, after, change, moved, told)


def abandon(call: Call, payment: Payment) -> Outcome:
    """The payer's step is closed; an approval that comes later finds nothing to approve."""
    change = _change(call, "cancel", payment.amount_minor)
    after = replace(payment.after(change, ABANDONED), redirect_url="", customer_id="", stored_id="")
    told = Told("OFFER_CLOSED", payment.payment_id, payment.amount_minor)
    return Outcome(200, change_body(change, after), after, told=(told,))


def confirm(call: Call, payment: Payment, *, approved: bool) -> Outcome:
    """The payer has answered their bank. Raises: Refusal when nothing waits for them."""
    if payment.status not in (AWAITING, PENDING):
        raise Refusal("This payment is no longer open", 409)
    return conclude(call, payment, None if approved else NOT_AUTHENTICATED)


def _refuse_by_fault(call: Call) -> None:
    if call.twist.refusal is not None:
        raise _Refused(call.twist.refusal)


class _Refused(Refusal):
    """Refused for one of the numbered reasons."""

    def __init__(self, reason: int) -> None:
        super().__init__(REASONS[reason])
        self.reason = reason

    @property
    def outcome(self) -> Outcome:
        return Outcome(self.status, refusal_fields(self.reason))


def _change(call: Call, kind: str, amount_minor: int) -> Change:
    return Change(
        kind, call.store.next_id("MOD"), amount_minor, call.now, reference=call.text("reference"), origin=call.origin
    )


def _changed(call: Call, after: Payment, change: Change, moved: Any, told: Told) -> Outcome:
    body = change_body(change, after)
    if call.twist.untold:
        body["status"] = PENDING
    if call.twist.silent:
        body["amount"] = call.wish.get("amount")
    return Outcome(200, body, after, (moved,), (told,))
