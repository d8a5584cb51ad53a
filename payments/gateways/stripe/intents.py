"""How is an operation put to Stripe? Payment intents are created and confirmed in one call, then captured or cancelled."""

from __future__ import annotations

import re

from ledger.money import Money
from payments.card_numbers import has_card_number
from payments.gateways.base import Command, WireRequest
from payments.gateways.stripe.values import is_confirmed, is_id
from payments.states import COLLECTING, OperationKind

INTENTS = "/v1/payment_intents"
REFUNDS = "/v1/refunds"
KINDS = frozenset(OperationKind)

# Stands in a request for a customer that does not exist yet: `sdk.speak` makes one first, and no key of ours names it.
NEW_CUSTOMER = "(new customer)"

_WITH_WORTH = {"expand[0]": "latest_charge.balance_transaction"}  # the charge, and what it is worth

# A merchant's own stored payment method, with the customer it belongs to where it has one.
_VAULT = "vault:"
_STORED = re.compile(r"vault:(?:(?P<customer>cus_[A-Za-z0-9]{1,90})/)?(?P<method>pm_[A-Za-z0-9_]{1,90})")

_CANCEL_REASONS = {OperationKind.VOID: "requested_by_customer", OperationKind.CLOSE: "abandoned"}


def refuses(command: Command) -> str:
    """Why Stripe can not be asked this, or an empty string."""
    if not is_confirmed(command.money.currency):
        return f"how Stripe writes {command.money.currency} is unconfirmed, so it is not sent"
    if command.money.amount_minor <= 0:
        return f"the amount must be above zero, not {command.money.to_decimal_string()}"
    if not command.reference:
        return "a reference is needed"
    if command.kind in COLLECTING:
        return _refuses_credential(command.credential)
    if command.kind == OperationKind.REFUND:
        return "" if command.gateway_id or command.handle else "a refund needs the charge it gives back"
    return "" if is_id(command.handle) else f"a {command.kind} needs the payment intent it acts on"


def _refuses_credential(credential: str) -> str:
    if not credential:
        return "a payment method is needed"
    # A mistyped integration could put the number itself where the token belongs; it must not travel on.
    if has_card_number(credential):
        return "the credential looks like a card number"
    malformed = credential.startswith(_VAULT) and not _STORED.fullmatch(credential)
    return "a stored credential is written vault:pm_… or vault:cus_…/pm_…" if malformed else ""


def method_and_customer(command: Command) -> tuple[str, str]:
    """The payment method to charge, and its customer: those of a stored credential, else as the command names them."""
    stored = _STORED.fullmatch(command.credential)
    return (
        (stored["method"], stored["customer"] or command.customer) if stored else (command.credential, command.customer)
    )


def request(command: Command) -> WireRequest:
    """The form, without the secret key. The idempotency key is our own reference, unique to the operation."""
    headers = {"Idempotency-Key": command.reference}
    if command.kind in COLLECTING:
        return WireRequest("POST", INTENTS, _collect(command), headers=headers)
    if command.kind == OperationKind.REFUND:
        return WireRequest("POST", REFUNDS, _refund(command), headers=headers)
    intent = f"{INTENTS}/{command.handle}"
    if command.kind == OperationKind.CAPTURE:
        return WireRequest("POST", f"{intent}/capture", _capture(command), headers=headers)
    form = {"cancellation_reason": _CANCEL_REASONS[command.kind], "expand[0]": "latest_charge"}
    return WireRequest("POST", f"{intent}/cancel", form, headers=headers)


def _collect(command: Command) -> dict[str, str]:
    manual = command.kind == OperationKind.AUTHORISE
    method, _ = method_and_customer(command)
    form = _amount("amount", command.money) | {
        "currency": command.money.currency.lower(),
        "capture_method": "manual" if manual else "automatic",
        "confirm": "true",
        "payment_method": method,
        "allowed_payment_method_types[0]": "card",
        "description": command.description,
    }
    form |= _WITH_WORTH | _ours(command) | _who_is_there(command) | _kept(command)
    if manual:
        form["payment_method_options[card][request_multicapture]"] = "if_available"
    return {name: value for name, value in form.items() if value}


def _who_is_there(command: Command) -> dict[str, str]:
    """Can the payer be asked to confirm? If nobody is there, or no way leads back, a demand for it is a decline at once."""
    if command.initiated_by == "merchant":
        return {"off_session": "true", "error_on_requires_action": "true"}
    return {"return_url": command.return_url} if command.return_url else {"error_on_requires_action": "true"}


def _kept(command: Command) -> dict[str, str]:
    _, customer = method_and_customer(command)
    if command.store:
        return {"setup_future_usage": "off_session", "customer": customer or NEW_CUSTOMER}
    return {"customer": customer}


def _capture(command: Command) -> dict[str, str]:
    final = {"final_capture": "true" if command.final else "false"}
    return _amount("amount_to_capture", command.money) | final | _WITH_WORTH


def _refund(command: Command) -> dict[str, str]:
    """By the charge where it is known: an attempt's intent may own other charges than the one to give back."""
    of = {"charge": command.gateway_id} if command.gateway_id else {"payment_intent": command.handle}
    return of | _amount("amount", command.money) | _ours(command) | {"expand[0]": "balance_transaction"}


def _amount(name: str, money: Money) -> dict[str, str]:
    return {name: str(money.amount_minor)}


def _ours(command: Command) -> dict[str, str]:
    return {"metadata[our_ref]": command.reference, "metadata[payment]": command.payment_id}
