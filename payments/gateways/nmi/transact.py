"""How is an operation put to transact.php, and what does its answer state? It is never believed beyond its words.

Source: docs.nmi.com, Payment API ("Transaction Variables", "Transaction Response Variables").
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from urllib.parse import parse_qsl

from ledger.money import Money
from payments.facts import Fact, FactKind
from payments.gateways.base import Command, Issued, WireAnswer, WireRequest
from payments.gateways.errors import Unreadable
from payments.gateways.nmi import codes
from payments.gateways.nmi.values import (
    DECIMALS,
    HOLD_DAYS,
    evidence_of,
    has_two_decimals,
    looks_like_card,
    mask,
    money_of,
    network_code_of,
)
from payments.states import COLLECTING, Certainty, FailureClass, OperationKind, Source

PATH = "/api/transact.php"
VAULT = "vault:"  # a credential of this form is a customer vault id, any other a Collect.js payment token

TYPES = {
    OperationKind.SALE: "sale",
    OperationKind.AUTHORISE: "auth",
    OperationKind.CAPTURE: "capture",
    OperationKind.VOID: "void",
    OperationKind.REFUND: "refund",
}
MONEY_FACT = {
    OperationKind.SALE: FactKind.CAPTURE,
    OperationKind.AUTHORISE: FactKind.AUTHORISATION,
    OperationKind.CAPTURE: FactKind.CAPTURE,
    OperationKind.VOID: FactKind.VOID,
    OperationKind.REFUND: FactKind.REFUND,
}
_MAY_DIFFER = COLLECTING | {OperationKind.CAPTURE, OperationKind.REFUND}
_ACTS_ON_SAME = frozenset({OperationKind.CAPTURE, OperationKind.VOID})
_DECISIVE = ("response", "response_code", "transactionid", "orderid", "type", "amount_authorized")
_TWO_PLACES = re.compile(r"[0-9]+\.[0-9]{2}")
_REFID = re.compile(r"REFID:\s*(\d{1,20})", re.IGNORECASE)


def refuses(command: Command) -> str:
    """Why NMI can not be asked this, or an empty string."""
    if command.kind not in TYPES:
        return f"NMI knows no {command.kind}"
    if not has_two_decimals(command.money.currency):
        return f"{command.money.currency} is unconfirmed for NMI: only currencies with {DECIMALS} decimals are sent"
    if command.money.amount_minor <= 0:
        return f"the amount must be above zero, not {command.money.to_decimal_string()}"
    if command.kind in COLLECTING:
        return _refuses_credential(command.credential) or ("" if command.reference else "a reference is needed")
    if not command.gateway_id:
        return f"a {command.kind} needs the id of the transaction it acts on"
    return (
        "a refund needs a reference of its own"
        if command.kind == OperationKind.REFUND and not command.reference
        else ""
    )


def _refuses_credential(credential: str) -> str:
    if not credential.removeprefix(VAULT):
        return "a payment token or a vault id is needed"
    # A mistyped integration could put the number itself where the token belongs; it must not travel on.
    return "the credential looks like a card number" if looks_like_card(credential) else ""


def request(command: Command) -> WireRequest:
    """The form, without the security key.

    A capture or void carries no orderid: NMI may write it over the attempt's, by which we look up. `dup_seconds` is
    sent only where an operator decided that an equal payment is meant; else the account's own window stays in force.
    """
    form = {"type": TYPES[command.kind]}
    if command.kind in COLLECTING:
        form |= _card(command.credential) | _amount(command.money)
        form |= {"currency": command.money.currency, "orderid": command.reference}
        form |= {"orderdescription": command.description, "email": command.payer_email}
        form |= {"dup_seconds": "0"} if command.repeat_on_purpose else {}
        form |= _stored_credential(command)
    else:
        form["transactionid"] = command.gateway_id
        if command.kind != OperationKind.VOID:
            form |= _amount(command.money)
        if command.kind == OperationKind.REFUND:
            form["orderid"] = command.reference
    return WireRequest("POST", PATH, {name: value for name, value in form.items() if value})


def _card(credential: str) -> dict[str, str]:
    if credential.startswith(VAULT):
        return {"customer_vault_id": credential.removeprefix(VAULT)}
    return {"payment_token": credential}


def _stored_credential(command: Command) -> dict[str, str]:
    """Whether the card is to be kept, and the networks' flags of a card that is kept or was kept before."""
    keeps = {"customer_vault": "add_customer"} if command.store and not command.credential.startswith(VAULT) else {}
    if not command.stored_credential:
        return keeps
    flags = {"initiated_by": command.initiated_by, "stored_credential_indicator": command.stored_credential}
    flags |= {"billing_method": "recurring"} if command.initiated_by == "merchant" else {}
    refers = command.stored_credential == "used" and command.network_transaction_id
    return keeps | flags | ({"initial_transaction_id": command.network_transaction_id} if refers else {})


def _amount(money: Money) -> dict[str, str]:
    return {"amount": money.to_decimal_string()}


def answer(command: Command, wire: WireAnswer, *, at: datetime) -> Fact:
    """The one fact that an answer states. Whatever is not plainly an answer of NMI to this command is UNKNOWN."""
    if wire.status == 429:
        # Its system-wide limiter stands before the Payment API.
        return _outcome(command, FactKind.NOT_SENT, codes.MEANINGS["301"], at, {"status": wire.status}, code="http:429")
    if wire.status != 200:
        return _no_answer(command, at, f"http:{wire.status}", {"status": wire.status})
    fields = _fields(wire.body)
    foreign = _why_foreign(command, fields)
    if foreign:
        evidence = _evidence(command, fields) | evidence_of(
            doubt=foreign, bytes=len(wire.body), content_type=wire.content_type
        )
        return _no_answer(command, at, fields.get("response_code", codes.NO_CODE)[:20], evidence)
    if fields["response"] == "1":
        return _taken(command, fields, at)
    return _not_taken(command, fields, at)


def _fields(body: bytes) -> dict[str, str]:
    """The pairs of an answer; a pair that decides and comes twice with two values empties all of them."""
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=500)
    except ValueError:
        return {}
    fields: dict[str, str] = {}
    for name, value in pairs:
        if name in _DECISIVE and fields.get(name, value) != value:
            return {}
        fields[name] = value.strip()
    return fields


def _why_foreign(command: Command, fields: dict[str, str]) -> str:
    """Why these fields are not NMI's whole answer to this very command, or an empty string."""
    if "response" not in fields or "response_code" not in fields:
        return "no response and response_code"
    if not codes.agrees(fields["response"], fields["response_code"]):
        return f"response {fields['response']} contradicts response_code {fields['response_code']}"
    if fields.get("type", "") not in ("", TYPES[command.kind]):
        return f"answers a {fields['type']}, not a {TYPES[command.kind]}"
    own_reference = command.kind not in _ACTS_ON_SAME
    if own_reference and fields.get("orderid", "") not in ("", command.reference):
        return "answers another orderid"
    return _why_no_approval(command, fields) if fields["response"] == "1" else ""


def _why_no_approval(command: Command, fields: dict[str, str]) -> str:
    transaction = fields.get("transactionid", "")
    if not transaction.isalnum():
        return "approved without a transactionid"
    if command.kind in _ACTS_ON_SAME and transaction != command.gateway_id:
        return "approved for another transaction"
    authorised = fields.get("amount_authorized", "")
    # Exactly two places: an answer that was cut short must not turn 100.00 into 1.
    if authorised and command.kind in _MAY_DIFFER and not _TWO_PLACES.fullmatch(authorised):
        return "amount_authorized is unreadable"
    return ""


def _taken(command: Command, fields: dict[str, str], at: datetime) -> Fact:
    try:
        money = _money_taken(command, fields)
    except Unreadable as wrong:
        return _no_answer(command, at, codes.APPROVED, _evidence(command, fields) | evidence_of(doubt=str(wrong)))
    return Fact(
        kind=MONEY_FACT[command.kind],
        source=Source.ANSWER,
        occurred_at=at,
        about=command.kind,
        gateway_id=fields["transactionid"],
        reference=_reference(command, fields),
        original_gateway_id=command.gateway_id if command.kind == OperationKind.REFUND else "",
        money=money,
        certainty=Certainty.TAKEN,
        code=codes.APPROVED,
        message=_text(command, fields),
        hold_until=at + timedelta(days=HOLD_DAYS) if command.kind == OperationKind.AUTHORISE else None,
        evidence=_evidence(command, fields),
    )


def _money_taken(command: Command, fields: dict[str, str]) -> Money:
    """What was moved: not what was asked where NMI says so, as in a partial approval."""
    authorised = fields.get("amount_authorized", "")
    if not authorised or command.kind not in _MAY_DIFFER:
        return command.money
    return money_of(authorised, command.money.currency, what="amount_authorized")


def _not_taken(command: Command, fields: dict[str, str], at: datetime) -> Fact:
    text = _text(command, fields)
    meaning = codes.meaning_of(fields["response_code"], text)
    evidence = _evidence(command, fields)
    if meaning.failure_class == FailureClass.DUPLICATE:
        named = _REFID.search(text)
        evidence |= evidence_of(refid=named.group(1) if named else "")
        return _outcome(command, FactKind.DUPLICATE, meaning, at, evidence, fields=fields)
    kinds = {
        Certainty.REFUSED: FactKind.DECLINED,
        Certainty.NOT_SENT: FactKind.NOT_SENT,
    }
    return _outcome(command, kinds.get(meaning.certainty, FactKind.UNKNOWN), meaning, at, evidence, fields=fields)


def _no_answer(command: Command, at: datetime, code: str, evidence: dict[str, object]) -> Fact:
    meaning = codes.Meaning(FailureClass.UNKNOWN, Certainty.UNKNOWN, code)
    return _outcome(command, FactKind.UNKNOWN, meaning, at, evidence)


def _outcome(
    command: Command,
    kind: FactKind,
    meaning: codes.Meaning,
    at: datetime,
    evidence: dict[str, object],
    *,
    code: str = "",
    fields: dict[str, str] | None = None,
) -> Fact:
    fields = fields or {}
    return Fact(
        kind=kind,
        source=Source.ANSWER,
        occurred_at=at,
        about=command.kind,
        gateway_id=fields.get("transactionid", "") if command.kind not in _ACTS_ON_SAME else command.gateway_id,
        reference=_reference(command, fields),
        original_gateway_id=command.gateway_id if command.kind == OperationKind.REFUND else "",
        certainty=meaning.certainty,
        failure_class=meaning.failure_class,
        retry_after_seconds=meaning.retry_after_seconds,
        code=code or meaning.code,
        message=_text(command, fields),
        network_code=network_code_of(fields.get("processor_response_code", "")),
        evidence=evidence,
    )


def issued(command: Command, wire: WireAnswer) -> Issued | None:
    """The vault id that a first use gave us, if the answer is an approval of this very command.

    Later charges name the transaction that stored the card. An answer tells nothing of the card itself.
    """
    fields = _fields(wire.body) if wire.status == 200 else {}
    vault_id = fields.get("customer_vault_id", "")
    if fields.get("response") != "1" or not vault_id.isalnum() or _why_foreign(command, fields):
        return None
    first = fields["transactionid"] if command.stored_credential == "stored" else ""
    return Issued(credential=f"{VAULT}{vault_id}", network_transaction_id=first)


def _reference(command: Command, fields: dict[str, str]) -> str:
    """Ours for what opens a transaction; for a capture or void the attempt's, as far as NMI echoes it."""
    return fields.get("orderid", "") if command.kind in _ACTS_ON_SAME else command.reference


def _text(command: Command, fields: dict[str, str]) -> str:
    text = fields.get("responsetext", "")
    # A refusal may quote the token it refuses.
    hidden = text.replace(command.credential, "[credential]") if command.credential else text
    return mask(hidden)


def _evidence(command: Command, fields: dict[str, str]) -> dict[str, object]:
    return evidence_of(
        action=TYPES[command.kind],
        response_code=fields.get("response_code"),
        responsetext=_text(command, fields),
        authcode=fields.get("authcode"),
        avs=fields.get("avsresponse"),
        cvv=fields.get("cvvresponse"),
        transaction_id=fields.get("transactionid"),
        partial_payment_id=fields.get("partial_payment_id"),
    )
