"""What do sale, auth and validate bring about, and the customer vault? Pure rules over a call.

Duplicates are compared among approved transactions by card, type and requested amount, and only when dup_seconds is
given; which fields the real gateway compares is not documented. Vault answers' texts are assumed.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from simulator.nmi import codes
from simulator.nmi.amounts import CURRENCIES
from simulator.nmi.calls import Call, Outcome, Refusal, answer_fields, conclude, make_action, make_movement, read_amount
from simulator.nmi.cards import Card, find_card
from simulator.nmi.model import COMPLETE, FAILED, PENDING, PENDING_SETTLEMENT, UNKNOWN, Payer, Transaction

LONGEST_DUP_SECONDS = 7_862_400
KNOWN_FLAGS = {
    "initiated_by": ("customer", "merchant"),
    "stored_credential_indicator": ("stored", "used"),
    "billing_method": ("recurring", "installment"),
}


def open_transaction(call: Call) -> Outcome:
    """sale, auth or validate."""
    validate = call.operation == "validate"
    amount_minor = 0 if validate and not call.form.get("amount") else read_amount(call)
    if validate and amount_minor:
        raise Refusal("Validate transactions must have an amount of 0.00")
    if not validate and not amount_minor:
        raise Refusal("Invalid amount")
    currency = _currency(call)
    card, vault_id = _card(call)
    _refuse_duplicate(call, card, amount_minor)
    code = _code(call, card)
    if code in codes.WITHOUT_TRANSACTION:
        raise Refusal(codes.TEXTS[code], code)
    approved = code == codes.APPROVED
    taken_minor = max(amount_minor + call.twist.amount_off_minor, 1) if approved and not validate else amount_minor
    added, vault_id = _added_to_vault(call, card, vault_id, approved=approved)
    transaction = Transaction(
        transaction_id=call.store.next_id(),
        order_id=call.order_id,
        condition=_first_condition(call.operation, code),
        currency=call.twist.currency or currency,
        requested_minor=amount_minor,
        card=card,
        payer=Payer.of(call.form),
        actions=(make_action(call, taken_minor, code),),
        authcode=_authcode(call) if approved else "",
        vault_id=vault_id,
        foreign=call.origin == "foreign",
        flags=_flags(call),
    )
    moved = approved and not validate
    kind = "authorisation" if call.operation == "auth" else "capture"
    outcome = conclude(call, transaction, make_movement(call, transaction, kind) if moved else None)
    return replace(outcome, used_token=card.token if card.once else "", vault=added)


def _flags(call: Call) -> tuple[tuple[str, str], ...]:
    """How the card is said to be stored or used. Raises: Refusal."""
    for name, known in KNOWN_FLAGS.items():
        if call.form.get(name, "") not in ("", *known):
            raise Refusal(f"Invalid {name}")
    names = (*KNOWN_FLAGS, "initial_transaction_id", "customer_vault")
    return tuple((name, call.form[name]) for name in names if call.form.get(name))


def _first_condition(operation: str, code: int) -> str:
    if code != codes.APPROVED:
        return UNKNOWN if code in (420, 421) else FAILED
    return {"sale": PENDING_SETTLEMENT, "auth": PENDING, "validate": COMPLETE}[operation]


def _currency(call: Call) -> str:
    currency = call.form.get("currency") or "USD"
    if currency not in CURRENCIES:
        raise Refusal("Currency not supported for this merchant account")
    return currency


def _card(call: Call) -> tuple[Card, str]:
    """The card of the token or vault record, and the vault id."""
    if call.form.get("ccnumber"):
        raise Refusal("Card numbers are not accepted here: send a payment_token")
    vault_id, token = call.form.get("customer_vault_id", ""), call.form.get("payment_token", "")
    if vault_id and not call.form.get("customer_vault"):
        stored = call.store.vault.get(vault_id)
        if stored is None:
            raise Refusal("Invalid Customer Vault Id")
        return stored, vault_id
    if not token:
        raise Refusal("Required Field payment_token is Missing or Empty")
    card = find_card(token)
    if card is None:
        raise Refusal("Invalid payment token")
    if token in call.store.used_tokens:
        raise Refusal("Payment token has already been used")
    return card, ""


def _refuse_duplicate(call: Call, card: Card, amount_minor: int) -> None:
    """Off unless dup_seconds is given: an account without its own window."""
    text = call.form.get("dup_seconds", "") or "0"
    if not text.isdecimal() or int(text) > LONGEST_DUP_SECONDS:
        raise Refusal("Invalid dup_seconds")
    since = call.now - timedelta(seconds=int(text))
    for earlier in call.store.same_content(card, call.operation, amount_minor):
        if int(text) and earlier.actions[0].occurred_at >= since:
            raise Refusal(f"Duplicate transaction REFID:{earlier.transaction_id}")


def _code(call: Call, card: Card) -> int:
    return call.twist.refusal or card.refusal or codes.APPROVED


def _authcode(call: Call) -> str:
    return f"{int(call.store.next_id()) % 1_000_000:06d}"


def _added_to_vault(call: Call, card: Card, vault_id: str, *, approved: bool) -> tuple[dict[str, Card | None], str]:
    if call.form.get("customer_vault") != "add_customer" or not approved:
        return {}, vault_id
    made = call.form.get("customer_vault_id") or call.store.next_id()
    return {made: replace(card, once=False)}, made


def change_vault(call: Call) -> Outcome:
    """customer_vault without a type: the record alone, no transaction."""
    verb = call.form["customer_vault"]
    vault_id = call.form.get("customer_vault_id", "")
    if verb in ("update_customer", "delete_customer") and vault_id not in call.store.vault:
        raise Refusal("Invalid Customer Vault Id")
    if verb == "delete_customer":
        return Outcome(
            answer_fields(call, codes.APPROVED, "Customer Deleted", vault_id=vault_id), vault={vault_id: None}
        )
    if verb not in ("add_customer", "update_customer"):
        raise Refusal("Invalid Customer Vault action")
    card, _ = _card(call)
    vault_id = vault_id or call.store.next_id()
    text = "Customer Added" if verb == "add_customer" else "Customer Update Successful"
    fields = answer_fields(call, codes.APPROVED, text, vault_id=vault_id)
    return Outcome(fields, used_token=card.token if card.once else "", vault={vault_id: replace(card, once=False)})
