"""What do create, confirm, capture and cancel do to a payment intent? Rules of the API; the card is asked next door."""

from __future__ import annotations

from typing import Any

from simulator.stripe import money
from simulator.stripe.balance import book_capture, move
from simulator.stripe.charging import asks_multicapture, attempt, refuse_outright
from simulator.stripe.codes import Refusal
from simulator.stripe.desk import Desk
from simulator.stripe.errors import invalid, missing_parameter, refused, unexpected_state
from simulator.stripe.forms import Params
from simulator.stripe.methods import customer_of, method_of
from simulator.stripe.store import Json

CANCELLABLE = ("requires_payment_method", "requires_confirmation", "requires_action", "requires_capture", "processing")
CONFIRMABLE = ("requires_payment_method", "requires_confirmation", "requires_action")
CANCEL_REASONS = ("abandoned", "duplicate", "fraudulent", "requested_by_customer")
_CAPTURE_METHODS = ("automatic", "automatic_async", "manual")
_AT_CONFIRMATION = (
    "allowed_payment_method_types", "capture_method", "confirmation_token", "error_on_requires_action", "mandate_data",
    "off_session", "payment_method", "payment_method_data", "payment_method_options", "payment_method_types",
    "receipt_email", "return_url", "setup_future_usage", "use_stripe_sdk",
)  # fmt: skip
_AT_CREATION = (
    *_AT_CONFIRMATION, "amount", "automatic_payment_methods", "confirm", "confirmation_method", "currency", "customer",
    "description", "metadata", "statement_descriptor", "statement_descriptor_suffix", "transfer_group", "shipping",
)  # fmt: skip
_REDIRECTS = (
    "This PaymentIntent is configured to accept payment methods enabled in your Dashboard. Because some of these payment "
    "methods might redirect your customer off of your page, you must provide a `return_url`. If you don't want to accept "
    "redirect-based payment methods, set `allowed_payment_method_types`, or `automatic_payment_methods[enabled]` to `true` and "
    "`automatic_payment_methods[allow_redirects]` to `never`."
)


def create(desk: Desk, params: Params) -> Json:
    """POST /v1/payment_intents. Raises: ApiError."""
    params.allow(*_AT_CREATION)
    _check_types(params)
    amount_minor, currency = _amount(params)
    confirm_now = params.flag("confirm")
    if confirm_now:
        _check_redirects(params)
    made = _new(desk, params, amount_minor, currency)
    made["customer"] = customer_of(desk, params)
    made["payment_method"] = method_of(desk, params, made["customer"])
    if confirm_now and made["payment_method"] is None:
        text = "You cannot confirm this PaymentIntent because it's missing a payment method."
        raise invalid(text, "payment_method", "parameter_missing")
    if confirm_now:
        refuse_outright(desk, made["payment_method"])
    made["status"] = "requires_confirmation" if made["payment_method"] else "requires_payment_method"
    if desk.origin == "foreign":
        desk.store.foreign.add(made["id"])
    intent = desk.put(made)
    desk.tell("payment_intent.created", intent)
    return _confirm(desk, intent, params) if confirm_now else intent


def confirm(desk: Desk, params: Params, intent: Json) -> Json:
    """POST /v1/payment_intents/{id}/confirm. Raises: ApiError."""
    params.allow(*_AT_CONFIRMATION)
    _check_types(params)
    if intent["status"] not in CONFIRMABLE:
        raise unexpected_state(intent, "confirm", ", ".join(CONFIRMABLE))
    method_id = method_of(desk, params, intent["customer"]) or intent["payment_method"]
    if method_id is None:
        text = "You cannot confirm this PaymentIntent because it's missing a payment method."
        raise refused(text, "payment_intent_unexpected_state", payment_intent=intent)
    refuse_outright(desk, method_id)
    changes: dict[str, Any] = {"payment_method": method_id, "status": "requires_confirmation", "next_action": None}
    for name in ("receipt_email", "setup_future_usage", "capture_method"):
        if params.text(name):
            changes[name] = params.text(name)
    return _confirm(desk, desk.change(intent["id"], **changes), params)


def update(desk: Desk, params: Params, intent: Json) -> Json:
    """POST /v1/payment_intents/{id}: description, e-mail and metadata."""
    params.allow("description", "metadata", "receipt_email")
    changes = {name: params.text(name) for name in ("description", "receipt_email") if name in params}
    return desk.change(intent["id"], metadata=intent["metadata"] | params.metadata(), **changes)


def capture(desk: Desk, params: Params, intent: Json) -> Json:
    """POST /v1/payment_intents/{id}/capture. Without multicapture what is left of the hold is released."""
    params.allow(
        "amount_to_capture", "final_capture", "metadata", "statement_descriptor", "statement_descriptor_suffix"
    )
    sent = params.metadata()
    if intent["status"] != "requires_capture":
        raise unexpected_state(intent, "capture", "requires_capture")
    capturable_minor = intent["amount_capturable"]
    asked_minor = params.whole("amount_to_capture")
    amount_minor = capturable_minor if asked_minor is None else asked_minor
    final = params.flag("final_capture", default=True)
    if not final and not asks_multicapture(intent):
        raise refused("This PaymentIntent does not support multiple captures.", "", "final_capture")
    releases_rest = final and amount_minor == 0 and intent["amount_received"] > 0
    if amount_minor < 1 and not releases_rest:
        raise invalid("Invalid positive integer", "amount_to_capture", "parameter_invalid_integer")
    if amount_minor > capturable_minor:
        text = f"The amount to capture {amount_minor} is greater than the capturable amount {capturable_minor}."
        raise refused(text, "amount_too_large", "amount_to_capture")
    if desk.twist.refusal is not None:
        raise refused("The capture was refused by the issuer.", "capture_charge_authorization_expired")
    if amount_minor and desk.twist.amount_off_minor:
        amount_minor = max(amount_minor + desk.twist.amount_off_minor, 1)
    return _captured(desk, intent, amount_minor, final=final, sent=sent)


def cancel(desk: Desk, params: Params, intent: Json) -> Json:
    """POST /v1/payment_intents/{id}/cancel. Raises: ApiError, with the intent, when it is too late."""
    params.allow("cancellation_reason")
    reason = params.choice("cancellation_reason", CANCEL_REASONS) or None
    if intent["status"] not in CANCELLABLE:
        raise unexpected_state(intent, "cancel", ", ".join(CANCELLABLE))
    return end(desk, intent, reason)


def end(desk: Desk, intent: Json, reason: str | None) -> Json:
    """Cancelled; a hold is let go. Nothing counts as refunded: since 2025 a cancellation makes no refund."""
    held_minor = intent["amount_capturable"]
    ended = desk.change(
        intent["id"],
        amount_capturable=0,
        canceled_at=desk.seconds,
        cancellation_reason=reason,
        next_action=None,
        status="canceled",
    )
    desk.store.holds.pop(intent["id"], None)
    if held_minor:
        move(desk, "void", "void", desk.store.known(intent["latest_charge"]), held_minor)
    desk.tell("payment_intent.canceled", ended)
    return ended


def _captured(desk: Desk, intent: Json, amount_minor: int, *, final: bool, sent: dict[str, str]) -> Json:
    charge = desk.store.known(intent["latest_charge"])
    before_minor = charge["amount_captured"]
    left_minor = 0 if final else max(intent["amount_capturable"] - amount_minor, 0)
    done = not left_minor
    charge = desk.change(charge["id"], amount_captured=before_minor + amount_minor, captured=True)
    if amount_minor:
        move(desk, "capture", "capture", charge, amount_minor, sent_reference=sent.get("our_ref", ""))
        charge = book_capture(desk, charge["id"], amount_minor, "capture")
    if done:
        desk.store.holds.pop(intent["id"], None)
    intent = desk.change(
        intent["id"],
        amount_capturable=left_minor,
        amount_received=intent["amount_received"] + amount_minor,
        metadata=intent["metadata"] | sent,
        status="succeeded" if done else "requires_capture",
    )
    desk.tell("charge.captured", charge, amount_captured=before_minor, captured=before_minor > 0)
    desk.tell("payment_intent.succeeded" if done else "payment_intent.amount_capturable_updated", intent)
    return intent


def _confirm(desk: Desk, intent: Json, params: Params) -> Json:
    card = desk.store.cards[intent["payment_method"]]
    stored = desk.store.known(intent["payment_method"])["customer"] is not None
    asks = card.asks == "always" or (card.asks == "until_stored" and not stored)
    off_session = params.text("off_session") not in ("", "false")
    if desk.twist.refusal is not None or not asks:
        return attempt(desk, intent, desk.twist.refusal or card.refusal)
    if off_session or params.flag("error_on_requires_action"):
        return attempt(desk, intent, Refusal("authentication_required"))
    asked = desk.change(
        intent["id"], next_action=_next_action(desk, intent, params.text("return_url")), status="requires_action"
    )
    desk.tell("payment_intent.requires_action", asked)
    return asked


def _next_action(desk: Desk, intent: Json, return_url: str) -> Json:
    """A page of ours; without a return_url the browser library would have to show it, but its address is the same."""
    url = f"{desk.base_url}/_3ds/{intent['id']}"
    if return_url:
        return {"type": "redirect_to_url", "redirect_to_url": {"return_url": return_url, "url": url}}
    return {"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect", "stripe_js": url}}


def _amount(params: Params) -> tuple[int, str]:
    amount_minor = params.whole("amount")
    if amount_minor is None:
        raise missing_parameter("amount")
    currency = params.required("currency").lower()
    if currency not in money.RATES:
        raise invalid(f"Invalid currency: {currency}.", "currency")
    if amount_minor < 1:
        raise invalid("This value must be greater than or equal to 1.", "amount", "parameter_invalid_integer")
    if amount_minor > money.LARGEST_MINOR:
        raise invalid("Amount must be no more than $999,999.99", "amount", "amount_too_large")
    if money.too_small(amount_minor, currency):
        raise invalid("Amount must convert to at least 50 cents.", "amount", "amount_too_small")
    return amount_minor, currency


def _check_types(params: Params) -> None:
    """The parameter of old was taken away with this version of the API; allowed_payment_method_types stands alone."""
    if "payment_method_types" in params:
        text = "payment_method_types is no longer supported. Use allowed_payment_method_types."
        raise invalid(text, "payment_method_types", "payment_method_types_no_longer_supported")
    if "allowed_payment_method_types" in params and "automatic_payment_methods" in params:
        text = "You may only specify one of these parameters: allowed_payment_method_types, automatic_payment_methods."
        raise invalid(text, "allowed_payment_method_types", "parameters_exclusive")


def _check_redirects(params: Params) -> None:
    """A confirmation on the server must say where payers come back to, or that nobody is redirected."""
    never = params.inside("automatic_payment_methods").text("allow_redirects") == "never"
    cards_alone = params.items("allowed_payment_method_types") == ["card"]
    if not (params.text("return_url") or cards_alone or never):
        raise invalid(_REDIRECTS, "return_url")


def _new(desk: Desk, params: Params, amount_minor: int, currency: str) -> Json:
    intent_id = desk.store.next_id("pi")
    return {
        "id": intent_id,
        "object": "payment_intent",
        "allowed_payment_method_types": params.items("allowed_payment_method_types") or None,
        "amount": amount_minor,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": params.inside("automatic_payment_methods").tree or None,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": params.choice("capture_method", _CAPTURE_METHODS, "automatic_async"),
        "client_secret": f"{intent_id}_secret_{desk.store.next_id('x')[2:]}",
        "confirmation_method": params.choice("confirmation_method", ("automatic", "manual"), "automatic"),
        "created": desk.seconds,
        "currency": currency,
        "customer": None,
        "description": params.text("description") or None,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "metadata": params.metadata(),
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_options": {"card": params.inside("payment_method_options").inside("card").tree},
        "payment_method_types": ["card"],
        "processing": None,
        "receipt_email": params.text("receipt_email") or None,
        "review": None,
        "setup_future_usage": params.choice("setup_future_usage", ("off_session", "on_session")) or None,
        "shipping": None,
        "statement_descriptor": params.text("statement_descriptor") or None,
        "statement_descriptor_suffix": params.text("statement_descriptor_suffix") or None,
        "status": "requires_payment_method",
        "transfer_data": None,
        "transfer_group": None,
    }
