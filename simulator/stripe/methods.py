"""Which card is meant? Payment methods and customers: made out of tokens, stored, attached; refused when used up."""

from __future__ import annotations

from simulator.stripe import objects
from simulator.stripe.cards import Card, find_card
from simulator.stripe.desk import Desk
from simulator.stripe.errors import invalid, no_such, refused
from simulator.stripe.forms import Params
from simulator.stripe.store import Json

_USED_UP = (
    "The provided PaymentMethod was previously used with a PaymentIntent without Customer attachment, shared with a "
    "connected account without Customer attachment, or was detached from a Customer. It may not be used again. To use a "
    "PaymentMethod multiple times, you must attach it to a Customer first."
)


def method_of(desk: Desk, params: Params, customer: str | None) -> str | None:
    """The payment method a request names, None if it names none. A token becomes a method of its own. Raises: ApiError."""
    if "payment_method_data" in params:
        token = _token_of(params.inside("payment_method_data"))
        return str(_make(desk, _card_of(desk, token, "payment_method_data[card][token]"))["id"])
    named = params.text("payment_method")
    if not named:
        return None
    stored = desk.store.get(named)
    if stored is None or stored["object"] != "payment_method":
        return str(_make(desk, _card_of(desk, named, "payment_method"))["id"])
    if stored["customer"] is not None and stored["customer"] != customer:
        text = f"The provided PaymentMethod {named} belongs to a Customer. Please include the Customer in the request."
        raise refused(text, "payment_method_unexpected_state" if customer else "", "payment_method")
    if named in desk.store.spent_methods:
        raise refused(_USED_UP, "", "payment_method")
    return named


def create_method(desk: Desk, params: Params) -> Json:
    """POST /v1/payment_methods with `card[token]`."""
    params.allow("type", "card", "billing_details", "metadata", "allow_redisplay")
    token = _token_of(params)
    method = _make(desk, _card_of(desk, token, "card[token]"))
    return desk.change(method["id"], metadata=params.metadata())


def attach(desk: Desk, params: Params, method_id: str) -> Json:
    """POST /v1/payment_methods/{id}/attach; the path may name a token."""
    params.allow("customer")
    customer = customer_of(desk, params)
    if customer is None:
        raise invalid("Missing required param: customer.", "customer", "parameter_missing")
    stored = desk.store.get(method_id)
    if stored is None:
        card = find_card(method_id)
        if card is None:
            raise no_such("PaymentMethod", method_id)
        stored = _make(desk, _card_of(desk, method_id, "payment_method"))
    if method_id in desk.store.spent_methods:
        raise refused(_USED_UP, "", "payment_method")
    if stored["customer"] not in (None, customer):
        raise refused(
            "The payment method you provided has already been attached to a customer.", "resource_already_exists"
        )
    attached = desk.change(stored["id"], customer=customer)
    desk.tell("payment_method.attached", attached)
    return attached


def detach(desk: Desk, params: Params, method: Json) -> Json:
    """POST /v1/payment_methods/{id}/detach: it is good for nothing more."""
    params.allow()
    if method["customer"] is None:
        text = "The payment method you provided is not attached to a customer so detachment is impossible."
        raise refused(text, "payment_method_unexpected_state")
    desk.store.spent_methods.add(method["id"])
    detached = desk.change(method["id"], customer=None)
    desk.tell("payment_method.detached", detached, customer=method["customer"])
    return detached


def create_customer(desk: Desk, params: Params) -> Json:
    """POST /v1/customers; a payment method named is attached."""
    params.allow("description", "email", "invoice_settings", "metadata", "name", "payment_method", "phone")
    made = objects.customer(
        desk.store.next_id("cus"),
        desk.seconds,
        email=params.text("email"),
        name=params.text("name"),
        description=params.text("description"),
    )
    metadata = params.metadata()
    method_id = method_of(desk, params, None)
    made = desk.put(made | {"metadata": metadata})
    desk.tell("customer.created", made)
    if method_id:
        desk.tell("payment_method.attached", desk.change(method_id, customer=made["id"]))
    return made


def customer_of(desk: Desk, params: Params) -> str | None:
    """The customer a request names. Raises: ApiError when there is none of that id."""
    named = params.text("customer")
    if not named:
        return None
    stored = desk.store.get(named)
    if stored is None or stored["object"] != "customer":
        raise no_such("customer", named, "customer")
    return named


def _token_of(params: Params) -> str:
    card = params.inside("card")
    if "number" in card:
        text = "Sending credit card numbers directly to the Stripe API is generally unsafe. Send card[token]."
        raise invalid(text, "card[number]")
    if params.text("type") != "card":
        raise invalid("Invalid type: must be card", "type")
    return card.required("token")


def _card_of(desk: Desk, token: str, param: str) -> Card:
    card = find_card(token)
    if card is None:
        raise no_such("PaymentMethod", token, param)
    if token in desk.store.spent_tokens:
        raise refused(f"You cannot use a Stripe token more than once: {token}.", "token_already_used", param)
    return card


def _make(desk: Desk, card: Card) -> Json:
    method_id = desk.store.next_id("pm")
    desk.store.cards[method_id] = card
    if card.once:
        desk.store.spent_tokens.add(card.token)
    return desk.put(objects.payment_method(method_id, card, desk.seconds))
