"""What comes of asking the card? Approval, hold, decline or a question to the payer; writes the charge and the intent."""

from __future__ import annotations

import hashlib
from typing import Any

from simulator.stripe import objects
from simulator.stripe.balance import book_capture, move
from simulator.stripe.cards import Card
from simulator.stripe.codes import API_REFUSALS, Refusal
from simulator.stripe.desk import Desk
from simulator.stripe.disputes import open_dispute
from simulator.stripe.errors import ApiError, invalid, rate_limited, refused
from simulator.stripe.store import Json

HOLD_SECONDS = 7 * 86_400
FEES_KNOWN_AFTER_SECONDS = 0.5
DISPUTED_AFTER_SECONDS = 0.5
AUTHENTICATION_FAILED = (
    "The provided PaymentMethod has failed authentication. You can provide payment_method_data or a new PaymentMethod "
    "to attempt to fulfill this PaymentIntent again."
)


def attempt(desk: Desk, intent: Json, refusal: Refusal | None, *, authenticated: bool = False) -> Json:
    """The intent after its card was asked. Raises: ApiError for a decline, whose failed charge stays on the books."""
    card = desk.store.cards[intent["payment_method"]]
    currency = desk.twist.currency or intent["currency"]
    off_minor = 0 if refusal else desk.twist.amount_off_minor
    charge = objects.charge(
        desk.store.next_id("ch"),
        intent,
        card,
        desk.seconds,
        amount_minor=max(intent["amount"] + off_minor, 1),
        currency=currency,
        network_id=_network_id(intent["id"]),
    )
    if authenticated:
        result = {"authentication_flow": "challenge", "result": "authenticated", "version": "2.2.0"}
        charge = _with_card(charge, three_d_secure=result)
    if refusal is not None:
        raise _decline(desk, intent, charge, refusal)
    return _approve(desk, intent, charge, card)


def refuse_outright(desk: Desk, method_id: str) -> None:
    """Raises: ApiError for refusals that are no answer of a card: nothing is begun, no intent and no charge exists."""
    refusal = desk.twist.refusal or desk.store.cards[method_id].refusal
    if refusal is not None and refusal.word in API_REFUSALS:
        raise _no_decline(refusal)


def fail_authentication(desk: Desk, intent: Json) -> Json:
    """The payer's bank said no: nobody asked the card. The intent lives and may be tried with another card."""
    error = {
        "type": "invalid_request_error",
        "code": "payment_intent_authentication_failure",
        "message": AUTHENTICATION_FAILED,
        "payment_method": desk.store.known(intent["payment_method"]),
    }
    return _failed(desk, intent, error)


def _approve(desk: Desk, intent: Json, charge: Json, card: Card) -> Json:
    held = intent["capture_method"] == "manual"
    amount_minor = charge["amount"]
    code = charge["payment_method_details"]["card"]["network_transaction_id"][-6:]
    charge = _with_card(
        charge,
        authorization_code=code,
        capture_before=desk.seconds + HOLD_SECONDS if held else None,
        multicapture={"status": "available" if held and asks_multicapture(intent) else "unavailable"},
    )
    charge = desk.put(
        charge
        | {
            "amount_captured": 0 if held else amount_minor,
            "authorization_code": code,
            "captured": not held,
            "outcome": objects.approved_outcome(),
            "paid": True,
            "status": "succeeded",
        }
    )
    _keep_method(desk, intent)
    now_is: dict[str, Any] = {
        "amount_capturable": amount_minor if held else 0,
        "amount_received": 0 if held else amount_minor,
        "currency": charge["currency"],
        "last_payment_error": None,
        "latest_charge": charge["id"],
        "next_action": None,
        "status": "requires_capture" if held else "succeeded",
    }
    if held:
        desk.store.holds[intent["id"]] = desk.seconds + HOLD_SECONDS
        desk.look_again.append(HOLD_SECONDS)
        move(desk, "authorisation", "auth", charge, amount_minor)
        intent = desk.change(intent["id"], **now_is)
        desk.tell("charge.succeeded", charge)
        desk.tell("payment_intent.amount_capturable_updated", intent)
        return intent
    move(desk, "capture", "sale", charge, amount_minor)
    intent = desk.change(intent["id"], **now_is)
    charge = _book_fees(desk, intent, charge)
    desk.tell("charge.succeeded", charge)
    desk.tell("payment_intent.succeeded", intent)
    if card.after == "dispute":
        desk.after(DISPUTED_AFTER_SECONDS, lambda later: open_dispute(later, later.store.known(charge["id"])))
    return intent


def _book_fees(desk: Desk, intent: Json, charge: Json) -> Json:
    """At once, or under automatic_async a moment later, told by charge.updated."""
    if intent["capture_method"] != "automatic_async":
        return book_capture(desk, charge["id"], charge["amount"], "sale")

    def book(later: Desk) -> None:
        booked = book_capture(later, charge["id"], charge["amount"], "sale")
        later.tell("charge.updated", booked, balance_transaction=None)

    desk.after(FEES_KNOWN_AFTER_SECONDS, book)
    return charge


def _keep_method(desk: Desk, intent: Json) -> None:
    """Store the card with the customer if that was asked; else it has been used and is good for nothing more."""
    method = desk.store.known(intent["payment_method"])
    if method["customer"] is not None:
        return
    if intent["customer"] and intent["setup_future_usage"]:
        desk.change(method["id"], customer=intent["customer"])
    else:
        desk.store.spent_methods.add(method["id"])


def _decline(desk: Desk, intent: Json, charge: Json, refusal: Refusal) -> ApiError:
    """The error of a declined charge. A card that was never stored is good for nothing after a decline."""
    charge = desk.put(
        charge
        | {
            "failure_code": refusal.code,
            "failure_message": refusal.text,
            "outcome": objects.refused_outcome(refusal),
            "status": "failed",
        }
    )
    method = desk.store.known(intent["payment_method"])
    if method["customer"] is None:
        desk.store.spent_methods.add(method["id"])
    told = {
        "advice_code": refusal.advice_code,
        "charge": charge["id"],
        "code": refusal.code,
        "decline_code": refusal.decline_code,
        "message": refusal.text,
        "network_advice_code": refusal.network_advice_code,
        "network_decline_code": charge["outcome"]["network_decline_code"],
        "type": "card_error",
    }
    error = {name: value for name, value in told.items() if value} | {"payment_method": method}
    desk.tell("charge.failed", charge)
    intent = _failed(desk, intent, error, latest_charge=charge["id"])
    return ApiError(402, error | {"payment_intent": intent})


def _failed(desk: Desk, intent: Json, error: Json, **more: Any) -> Json:
    """The intent waits for another card."""
    intent = desk.change(
        intent["id"],
        last_payment_error=error,
        next_action=None,
        payment_method=None,
        status="requires_payment_method",
        **more,
    )
    desk.tell("payment_intent.payment_failed", intent)
    return intent


def _no_decline(refusal: Refusal) -> ApiError:
    """The whole answer, in the words of the API."""
    if refusal.word == "rate_limit":
        return rate_limited()
    if refusal.word == "lock_timeout":
        text = "This object cannot be accessed right now because another API request is currently accessing it."
        return ApiError(429, {"type": "invalid_request_error", "code": "lock_timeout", "message": text}, kept=False)
    if refusal.word == "api_error":
        return ApiError(500, {"type": "api_error", "message": "An unknown error occurred."})
    if refusal.word == "testmode_charges_only":
        return refused("Your account can only make test charges.", "testmode_charges_only")
    return invalid("Invalid payment_method_options", "payment_method_options", "payment_intent_invalid_parameter")


def asks_multicapture(intent: Json) -> bool:
    options = intent["payment_method_options"].get("card") or {}
    return options.get("request_multicapture") == "if_available"


def _with_card(charge: Json, **fields: Any) -> Json:
    details = charge["payment_method_details"]
    return charge | {"payment_method_details": details | {"card": details["card"] | fields}}


def _network_id(text: str) -> str:
    """Fifteen digits, as Visa writes its transaction ids."""
    return f"{int(hashlib.sha256(text.encode()).hexdigest(), 16) % 10**15:015d}"
