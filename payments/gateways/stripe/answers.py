"""What does the answer to an operation state? One fact; whatever is not plainly Stripe's answer to this command is unknown."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from payments.facts import Fact, FactKind
from payments.gateways.base import CardShown, CodeMeaning, Command, Issued, WireAnswer
from payments.gateways.errors import Unreadable
from payments.gateways.stripe import charges, codes, evidence, intents, reading, refunds
from payments.gateways.stripe.charges import Telling
from payments.gateways.stripe.values import (
    Json,
    evidence_of,
    id_in,
    mask,
    money_in,
    number_in,
    part,
    read_json,
    text_in,
)
from payments.states import COLLECTING, Certainty, FailureClass, OperationKind, Source

# An intent in one of these has taken something, or may: no error beside it is believed.
_MAY_HAVE_TAKEN = ("succeeded", "requires_capture", "processing", "requires_action")
_OUTCOMES = {Certainty.REFUSED: FactKind.DECLINED, Certainty.NOT_SENT: FactKind.NOT_SENT}


def answer(command: Command, wire: WireAnswer, *, at: datetime) -> Fact:
    """The one fact that an answer states."""
    telling = Telling(Source.ANSWER, at)
    try:
        found = read_json(wire.body)
        fact = (
            _succeeded(command, found, telling) if wire.status == 200 else _failed(command, wire.status, found, telling)
        )
    except Unreadable as doubt:
        said = evidence_of(doubt=str(doubt), status=wire.status, content_type=wire.content_type, bytes=len(wire.body))
        fact = _unknown(command, f"http:{wire.status}" if wire.status != 200 else "", telling, said)
    return replace(fact, about=command.kind, reference=_reference(command, fact))


def _reference(command: Command, fact: Fact) -> str:
    """Ours for what made an object of its own; for a capture, void or close the attempt's, as Stripe echoes it."""
    own = command.kind in COLLECTING or command.kind == OperationKind.REFUND
    return command.reference if own else fact.reference


def _unknown(command: Command, code: str, telling: Telling, said: dict[str, object]) -> Fact:
    fact = reading.unknown(command.kind, "", telling, said)
    return replace(fact, code=code, handle=command.handle)


def _succeeded(command: Command, found: Json, telling: Telling) -> Fact:
    if command.kind == OperationKind.REFUND:
        return _refunded(command, found, telling)
    status = reading.status_of(found)
    _refuse_stranger(command, found)
    if command.kind in {OperationKind.VOID, OperationKind.CLOSE}:
        return _cancelled(command, found, status, telling)
    if status == "requires_action" and command.kind in COLLECTING:
        return reading.action_required(found, telling)
    if status == "requires_payment_method" and command.kind in COLLECTING and part(found, "last_payment_error"):
        return reading.refused(found, part(found, "last_payment_error"), telling, alive=False)
    if status in _TOOK[command.kind]:
        return _taken(command, found, telling)
    said = evidence.of_intent(found)
    if status == "processing":
        return replace(
            _unknown(command, "", telling, said), message="Stripe is still working on it", handle=id_in(found, "id")
        )
    raise Unreadable(f"the payment intent is {status} after a {command.kind}")


_TOOK: dict[OperationKind, tuple[str, ...]] = {
    OperationKind.SALE: ("succeeded",),
    OperationKind.AUTHORISE: ("requires_capture",),
    OperationKind.CAPTURE: ("succeeded", "requires_capture"),
}


def _refuse_stranger(command: Command, intent: Json) -> None:
    if command.kind in COLLECTING and charges.reference_of(intent) != command.reference:
        raise Unreadable("answers another reference")
    if command.kind not in COLLECTING and id_in(intent, "id") != command.handle:
        raise Unreadable("answers for another payment intent")


def _taken(command: Command, intent: Json, telling: Telling) -> Fact:
    """Money by the intent's own amounts; the charge names it. What was taken may differ from what was asked."""
    charge = part(intent, "latest_charge") or {"id": id_in(intent, "latest_charge")}
    if not id_in(charge, "id"):
        raise Unreadable("money was taken, but no charge is named")
    fact = replace(reading.of_intent(intent, FactKind.CAPTURE, telling), certainty=Certainty.TAKEN)
    fact = replace(fact, gateway_id=id_in(charge, "id"), evidence=fact.evidence | evidence.of_charge(charge))
    if command.kind == OperationKind.AUTHORISE:
        held = charges.authorisation(
            {**charge, "amount": intent.get("amount_capturable"), "currency": intent.get("currency")}, telling
        )
        return replace(
            held, handle=fact.handle, reference=fact.reference, test_mode=fact.test_mode, evidence=fact.evidence
        )
    worth = charges.worth_told(charge, telling)
    return replace(fact, money=money_in(intent, "amount_received"), running_total=True, settlement=worth)


def _cancelled(command: Command, intent: Json, status: str, telling: Telling) -> Fact:
    if status != "canceled":
        raise Unreadable(f"the payment intent is {status} after a {command.kind}")
    facts = reading.intent_facts(intent, telling)
    ends = [fact for fact in facts if fact.kind in {FactKind.VOID, FactKind.CLOSED}]
    if not ends:
        raise Unreadable("the payment intent is cancelled, and yet something else happened in it")
    return ends[-1]


def _refunded(command: Command, refund: Json, telling: Telling) -> Fact:
    if refund.get("object") != "refund" or charges.reference_of(refund) != command.reference:
        raise Unreadable("this is no refund of our reference")
    if command.gateway_id and id_in(refund, "charge") not in ("", command.gateway_id):
        raise Unreadable("answers for another charge")
    facts = refunds.refund_facts(refund, telling)
    money = [fact for fact in facts if fact.kind == FactKind.REFUND]
    if len(money) == 1 and text_in(refund, "status") == "succeeded":
        of = money[0].original_gateway_id or command.gateway_id
        worth = charges.worth_told(refund, telling)
        return replace(money[0], original_gateway_id=of, occurrence=None, settlement=worth)
    if facts and facts[0].kind == FactKind.DECLINED:
        return replace(facts[0], original_gateway_id=command.gateway_id)
    said = evidence.of_refund(refund)
    return replace(_unknown(command, "", telling, said), message=f"the refund is {mask(text_in(refund, 'status'))}")


# --- errors -----------------------------------------------------------------------------------------------------------


def _failed(command: Command, status: int, found: Json, telling: Telling) -> Fact:
    error = part(found, "error")
    if not text_in(error, "type"):
        raise Unreadable("this is no error of Stripe's")
    intent = part(error, "payment_intent")
    error = {**error, **reading.blocked(intent, error)}
    code, meaning = _meaning(command, status, error, intent)
    fact = replace(
        reading.unknown(command.kind, "", telling, {"status": status} | evidence.of_intent(intent)),
        kind=_OUTCOMES.get(meaning.certainty, FactKind.UNKNOWN),
        certainty=meaning.certainty,
        failure_class=meaning.failure_class,
        retry_after_seconds=meaning.retry_after_seconds,
        handle=command.handle or id_in(intent, "id"),
        original_gateway_id=command.gateway_id if command.kind == OperationKind.REFUND else "",
    )
    fact = reading.with_error(fact, error)
    # An error may quote the payment method that it refuses.
    hidden = fact.message
    for secret in filter(None, (command.credential, *intents.method_and_customer(command))):
        hidden = hidden.replace(secret, "[credential]")
    return replace(fact, message=hidden, code=code)


_UNSURE = CodeMeaning(FailureClass.UNKNOWN, Certainty.UNKNOWN)
# Errors that bear no code worth the name; the status says what they are.
_BY_STATUS = {401: "authentication_error", 403: "permission_error", 429: "rate_limit"}
_STATUSES = (400, 401, 402, 403, 404, 429)


def _meaning(command: Command, status: int, error: Json, intent: Json) -> tuple[str, CodeMeaning]:
    """The code a fact carries, and what it means; unsure wherever money may have moved before, or elsewhere."""
    code = mask(reading.code_of(error))[:60]
    limited = code in codes.LIMITERS and status == 400
    taken = command.kind in COLLECTING and text_in(intent, "status") in _MAY_HAVE_TAKEN
    if status not in _STATUSES or code in codes.CONTRADICTED or taken:
        return code, _UNSURE
    if status == 402:
        return code, codes.declined(code)
    if status in _BY_STATUS or limited:
        own = code in ("api_key_expired", *codes.LIMITERS) and (status != 403)
        code = code if own else _BY_STATUS[status]
        return code, codes.SHEET[code]
    known = codes.SHEET.get(code)
    if known is not None:
        return code, known if known.certainty == Certainty.REFUSED else _UNSURE
    # A refusal to make something new took nothing. What acts on money that is there may have been done before.
    return code, codes.SHEET["invalid_request_error"] if command.kind in COLLECTING else _UNSURE


# --- what is kept for later -------------------------------------------------------------------------------------------


def issued(command: Command, wire: WireAnswer) -> Issued | None:
    """The stored payment method with its customer, the network's id and the card, of an intent that took or holds money.

    Of a refusal only the card: declines are counted by it, also where no payment with it ever succeeds.
    """
    try:
        intent = read_json(wire.body)
        if wire.status == 402 and command.kind in COLLECTING:
            return _refused_card(command, part(intent, "error"))
        _refuse_stranger(command, intent)
        if wire.status != 200 or command.kind not in COLLECTING or reading.status_of(intent) not in _TOOK[command.kind]:
            return None
    except Unreadable:
        return None
    return _kept(intent, stored=command.store)


def issued_meanwhile(intent: Json) -> Issued | None:
    """The same, of an intent that was looked up and says itself whether its payment method is to be kept."""
    if text_in(intent, "status") not in ("succeeded", "requires_capture"):
        return None
    return _kept(intent, stored=bool(text_in(intent, "setup_future_usage")))


def _kept(intent: Json, *, stored: bool) -> Issued | None:
    card = part(intent, "latest_charge", "payment_method_details", "card")
    method, customer = id_in(intent, "payment_method"), id_in(intent, "customer")
    stored = stored and bool(method) and bool(customer)
    if not card and not stored:
        return None
    return Issued(
        credential=method if stored else "",
        customer=customer if stored else "",
        network_transaction_id=text_in(card, "network_transaction_id")[:64],
        card=_shown(card) if card else None,
    )


def _refused_card(command: Command, error: Json) -> Issued | None:
    _refuse_stranger(command, part(error, "payment_intent"))
    card = part(error, "payment_method", "card")
    return Issued(card=_shown(card)) if card else None


def _shown(card: Json) -> CardShown:
    year, month = number_in(card, "exp_year"), number_in(card, "exp_month")
    last_four = text_in(card, "last4")
    return CardShown(
        brand=mask(text_in(card, "brand"))[:20],
        last_four=last_four if len(last_four) == 4 and last_four.isdecimal() else "",
        expires=(year, month) if year and month and 2000 <= year <= 2200 and 1 <= month <= 12 else None,
        fingerprint=mask(text_in(card, "fingerprint"))[:64],
    )
