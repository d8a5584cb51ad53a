"""How is an operation put to ConvesioPay, and what does its answer state? It is never believed beyond its words."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta

from ledger.money import Money
from payments.card_numbers import has_card_number
from payments.facts import Fact, FactKind
from payments.gateways.base import CardShown, Command, Issued, WireAnswer, WireRequest
from payments.gateways.convesiopay import codes, contract
from payments.gateways.convesiopay.values import (
    Json,
    evidence_of,
    has_two_decimals,
    id_in,
    is_id,
    mask,
    money_of,
    part,
    payer_page,
    read_json,
    text_in,
)
from payments.gateways.errors import Unreadable
from payments.states import COLLECTING, Certainty, FailureClass, OperationKind, Source

K = OperationKind
VAULT = "vault:"  # a merchant's own stored card, with the customer it belongs to: vault:<customer>/<stored id>
STORED = "stored:"  # a credential of this form is a stored card of the command's customer, any other a payment token

CHANGE_PATHS = {
    K.CAPTURE: contract.CAPTURE_PATH,
    K.REFUND: contract.REFUND_PATH,
    K.VOID: contract.CANCEL_PATH,
    K.CLOSE: contract.CANCEL_PATH,
}
OPERATIONS = COLLECTING | frozenset(CHANGE_PATHS)
MONEY_FACT = {
    K.SALE: FactKind.CAPTURE,
    K.AUTHORISE: FactKind.AUTHORISATION,
    K.CAPTURE: FactKind.CAPTURE,
    K.VOID: FactKind.VOID,
    K.REFUND: FactKind.REFUND,
}
_DONE = {K.SALE: contract.SUCCEEDED, K.AUTHORISE: contract.AUTHORISED}
_GOOD = (200, 201)
_EXPIRY = re.compile(r"(0[1-9]|1[0-2])/(20\d\d)")


def refuses(command: Command) -> str:
    """Why ConvesioPay can not be asked this, or an empty string."""
    if command.kind not in OPERATIONS:
        return f"ConvesioPay knows no {command.kind}"
    if not has_two_decimals(command.money.currency):
        return f"{command.money.currency} is unconfirmed for ConvesioPay: only currencies with two decimals are sent"
    if command.money.amount_minor <= 0:
        return f"the amount must be above zero, not {command.money.to_decimal_string()}"
    if command.kind in COLLECTING:
        return _refuses_credential(command) or ("" if is_id(command.reference) else "a plain reference is needed")
    if not is_id(target_of(command)):
        return f"a {command.kind} needs the id of the payment it acts on"
    own = command.kind != K.REFUND or is_id(command.reference)
    return "" if own else "a refund needs a reference of its own"


def _refuses_credential(command: Command) -> str:
    if not command.credential.removeprefix(STORED):
        return "a payment token or a stored card is needed"
    # A mistyped integration could put the number itself where the token belongs; it must not travel on.
    if has_card_number(command.credential):
        return "the credential looks like a card number"
    if command.credential.startswith(VAULT) and not all(map(is_id, _stored_card(command))):
        return "a stored credential is written vault:<customer>/<stored id>"
    lacks_customer = command.credential.startswith(STORED) and not command.customer
    return "a stored card needs the customer it belongs to" if lacks_customer else ""


def _stored_card(command: Command) -> tuple[str, str]:
    """Customer and stored id of the credential; both empty for a single-use token."""
    if command.credential.startswith(VAULT):
        customer, _, stored = command.credential.removeprefix(VAULT).partition("/")
        return customer, stored
    if command.credential.startswith(STORED):
        return command.customer, command.credential.removeprefix(STORED)
    return "", ""


def target_of(command: Command) -> str:
    """The payment a capture, void, refund or close acts on."""
    return command.handle or command.gateway_id


def request(command: Command) -> WireRequest:
    """The body, without the secret and the integration's id: `sealed` puts those in."""
    amount: dict[str, object] = {"amount": command.money.amount_minor, "currency": command.money.currency}
    if command.kind in CHANGE_PATHS:
        path = CHANGE_PATHS[command.kind].format(id=target_of(command))
        if command.kind in (K.VOID, K.CLOSE):
            return WireRequest("POST", path, json={})
        own = {contract.OWN_REFERENCE: command.reference} if command.kind == K.REFUND else {}
        return WireRequest("POST", path, json={**amount, **own})
    customer, stored = _stored_card(command)
    body = amount | {contract.REFERENCE: order_number(command.kind, command.reference)}
    body |= {contract.METHOD: contract.MANUAL} if command.kind == K.AUTHORISE else {}
    body |= {"returnUrl": command.return_url} if command.return_url else {}
    if stored:
        card = {"id": customer, contract.STORED_ID: stored}
        return WireRequest("POST", contract.STORED_PATH, json=body | {"customer": card})
    body |= {"paymentToken": command.credential}
    body |= {"email": command.payer_email} if command.payer_email else {}
    body |= {contract.STORE: True} if command.store else {}
    return WireRequest("POST", contract.PAY_PATH, json=body)


def sealed(wire: WireRequest, secret: str, integration: str) -> WireRequest:
    """The request with what only the account knows."""
    opens = wire.json is not None and wire.path in (contract.PAY_PATH, contract.STORED_PATH)
    body = {**wire.json, "integration": integration} if wire.json is not None and opens else wire.json
    return replace(wire, json=body, headers={**wire.headers, contract.AUTH_HEADER: secret})


def order_number(kind: OperationKind, reference: str) -> str:
    """Our reference; one under which a hold is asked for bears the mark of it."""
    return reference + contract.HOLD_MARK if kind == K.AUTHORISE else reference


def answer(command: Command, wire: WireAnswer, *, at: datetime) -> Fact:
    """The one fact that an answer states. Whatever is not plainly an answer to this command is UNKNOWN."""
    if wire.status == contract.UNAUTHENTICATED:
        refused = codes.Refusal(codes.UNAUTHENTICATED, FailureClass.CONFIGURATION_ERROR)
        return _outcome(command, FactKind.NOT_SENT, refused, Certainty.NOT_SENT, at, {"status": wire.status})
    if wire.status not in contract.DECISIVE:
        return _no_answer(command, at, {"status": wire.status}, code=f"http:{wire.status}")
    try:
        said = read_json(wire.body)
        _refuse_foreign(command, said)
        if said.get("error") is True or text_in(said, "status") == contract.FAILED:
            return _refused(command, said, at)
        return _read(command, said, wire.status, at)
    except Unreadable as doubt:
        evidence = evidence_of(doubt=str(doubt), bytes=len(wire.body), content_type=wire.content_type)
        return _no_answer(command, at, evidence)


def _refuse_foreign(command: Command, said: Json) -> None:
    """Raises Unreadable where it answers something else than this very command."""
    if command.kind in COLLECTING:
        given = text_in(said, contract.REFERENCE)
        if given not in ("", order_number(command.kind, command.reference)):
            raise Unreadable("answers another order number")
    elif text_in(said, contract.CHANGE_PAYMENT) not in ("", target_of(command)):
        raise Unreadable("answers for another payment")


def _read(command: Command, said: Json, http_status: int, at: datetime) -> Fact:
    """Raises Unreadable where it is no whole answer."""
    if http_status not in _GOOD:
        raise Unreadable("it names no error")
    status = text_in(said, "status")
    if command.kind in COLLECTING:
        if not id_in(said, "id") or text_in(said, contract.REFERENCE) == "":
            raise Unreadable("no id or no order number")
        if status in contract.WAITING:
            return _waiting(command, said, at)
        if status != _DONE[command.kind]:
            raise Unreadable(f"status {mask(status)!r} does not say that a {command.kind} is done")
    elif status != contract.CHANGES_FINAL:
        raise Unreadable(f"status {mask(status)!r} does not say that the {command.kind} is done")
    if command.kind == K.CLOSE:
        closed = codes.Refusal("", FailureClass.AUTHENTICATION_REQUIRED)
        return _outcome(command, FactKind.CLOSED, closed, Certainty.REFUSED, at, _evidence(command, said))
    if command.kind == K.REFUND and not id_in(said, "id"):
        raise Unreadable("a refund without an id")
    return _taken(command, said, at)


def _waiting(command: Command, said: Json, at: datetime) -> Fact:
    """The payer's bank asks them, or the gateway itself does not know yet."""
    page, evidence = payer_page(said), _evidence(command, said)
    if not page:
        return _no_answer(command, at, evidence | {"doubt": "the gateway has not decided yet"}, said=said)
    asked = codes.Refusal("", FailureClass.AUTHENTICATION_REQUIRED)
    fact = _outcome(command, FactKind.ACTION_REQUIRED, asked, Certainty.UNKNOWN, at, evidence, said=said)
    return replace(fact, action_url=page, alive=True)


def _taken(command: Command, said: Json, at: datetime) -> Fact:
    gateway_id = target_of(command) if command.kind in (K.CAPTURE, K.VOID) else id_in(said, "id")
    hold_until = at + timedelta(days=contract.HOLD_DAYS) if command.kind == K.AUTHORISE else None
    return Fact(
        kind=MONEY_FACT[command.kind],
        source=Source.ANSWER,
        occurred_at=at,
        about=command.kind,
        gateway_id=gateway_id,
        handle=target_of(command) or gateway_id,
        reference="" if command.kind in (K.CAPTURE, K.VOID) else command.reference,
        original_gateway_id=target_of(command) if command.kind == K.REFUND else "",
        money=_money(command, said),
        certainty=Certainty.TAKEN,
        hold_until=hold_until,
        evidence=_evidence(command, said),
    )


def _money(command: Command, said: Json) -> Money:
    """What was moved: not what was asked where the answer says so. Raises Unreadable."""
    if said.get("amount") is None or command.kind == K.VOID:
        return command.money
    return money_of(said["amount"], said.get("currency") or command.money.currency, what="amount")


def _refused(command: Command, said: Json, at: datetime) -> Fact:
    refusal = codes.refusal_of(said, text_in(said, contract.ERROR))
    evidence = _evidence(command, said)
    return _outcome(command, FactKind.DECLINED, refusal, Certainty.REFUSED, at, evidence, said=said)


def _no_answer(
    command: Command, at: datetime, evidence: dict[str, object], *, code: str = "", said: Json | None = None
) -> Fact:
    unknown = codes.Refusal(code, FailureClass.UNKNOWN)
    return _outcome(command, FactKind.UNKNOWN, unknown, Certainty.UNKNOWN, at, evidence, said=said)


def _outcome(
    command: Command,
    kind: FactKind,
    refusal: codes.Refusal,
    certainty: Certainty,
    at: datetime,
    evidence: dict[str, object],
    *,
    said: Json | None = None,
) -> Fact:
    payment_id = id_in(said or {}, "id") if command.kind in COLLECTING else target_of(command)
    return Fact(
        kind=kind,
        source=Source.ANSWER,
        occurred_at=at,
        about=command.kind,
        gateway_id="" if command.kind == K.REFUND else payment_id,
        handle=payment_id,
        reference=command.reference if command.kind in COLLECTING | {K.REFUND} else "",
        original_gateway_id=target_of(command) if command.kind == K.REFUND else "",
        certainty=certainty,
        failure_class=refusal.failure_class,
        code=refusal.code,
        message=_text(command, said or {}),
        network_code=refusal.network_code,
        network_advice=refusal.network_advice,
        evidence=evidence,
    )


def issued(command: Command, wire: WireAnswer) -> Issued | None:
    """The stored card that a first use gave us, and what the answer shows of the card."""
    try:
        said = read_json(wire.body) if wire.status in _GOOD else {}
        _refuse_foreign(command, said)
    except Unreadable:
        return None
    status = text_in(said, "status")
    if command.kind not in COLLECTING or status not in (contract.SUCCEEDED, contract.AUTHORISED, *contract.WAITING):
        return None
    return kept_of(said)


def kept_of(payment: Json) -> Issued | None:
    """The stored card that a payment names with its customer, once it has taken or holds money, and what it shows of it."""
    status, details = text_in(payment, "status"), part(payment, "paymentMethodDetails")
    stored, (flat, nested) = id_in(details, contract.STORED_ID), contract.CUSTOMER
    customer = id_in(payment, flat) or id_in(part(payment, nested), "id")
    credential = f"{STORED}{stored}" if stored and customer and status not in contract.WAITING else ""
    card = _card(details)
    if not credential and card is None:
        return None
    return Issued(credential=credential, customer=customer if credential else "", card=card)


def _card(details: Json) -> CardShown | None:
    brand, last_four, expiry = (text_in(details, name) for name in contract.CARD_FIELDS)
    found = _EXPIRY.fullmatch(expiry)
    four = last_four if len(last_four) == 4 and last_four.isascii() and last_four.isdigit() else ""
    shown = CardShown(brand=mask(brand)[:20], last_four=four, expires=(int(found[2]), int(found[1])) if found else None)
    return None if shown == CardShown() else shown


def _text(command: Command, said: Json) -> str:
    text = text_in(said, contract.ERROR)
    # A refusal may quote the token it refuses.
    for secret in filter(None, (command.credential, *_stored_card(command))):
        text = text.replace(secret, "[credential]")
    return mask(text)


def _evidence(command: Command, said: Json) -> dict[str, object]:
    return evidence_of(
        id=id_in(said, "id"),
        status=text_in(said, "status"),
        message=_text(command, said),
        refusal=mask(str(said.get(contract.REASON_CODE) or "")),
    )
