"""Is this webhook Stripe's own, and what does it state? Signature, event key and translation; nothing is stored.

Sources: the official library's signature check, recomputed in signatures.json of the fixtures; its list of event types.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from payments.facts import Fact, FactKind
from payments.gateways.base import WebhookMessage
from payments.gateways.errors import Unreadable
from payments.gateways.stripe import books, charges, reading
from payments.gateways.stripe.charges import Telling
from payments.gateways.stripe.disputes import dispute_facts
from payments.gateways.stripe.refunds import refund_facts
from payments.gateways.stripe.values import (
    Json,
    id_in,
    mask,
    moment_in,
    money_in,
    number_in,
    part,
    read_json,
    text_in,
)
from payments.states import Certainty, Source

SIGNATURE_HEADER = "stripe-signature"
TOLERANCE_SECONDS = 300
_LONGEST_STAMP = 11
_LONGEST_KEY = 100

Read = Callable[[Json, Json, Telling], list[Fact]]  # the event, its object, who says it


def verify(headers: Mapping[str, str], body: bytes, secrets: tuple[str, ...], *, at: datetime | None) -> bool:
    """Hex HMAC-SHA256 of `t.body` under the whole secret, `whsec_` included; any v1 may fit, one per secret in use.

    Stripe signs each delivery anew, so that a signature older than five minutes is a repetition by somebody else. One
    from the future is only a clock that differs.
    """
    parts = [one.partition("=") for one in headers.get(SIGNATURE_HEADER, "").split(",")]
    stamps = [value for name, _, value in parts if name.strip() == "t"]
    given = [value.encode("utf-8", "replace") for name, _, value in parts if name.strip() == "v1"]
    if len(stamps) != 1 or not _is_stamp(stamps[0]) or not given:
        return False
    if at is not None and at.timestamp() - int(stamps[0]) > TOLERANCE_SECONDS:
        return False
    signed = stamps[0].encode() + b"." + body
    expected = [hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest().encode() for secret in secrets if secret]
    # All are compared, so that the time does not tell which secret fitted.
    return sum(hmac.compare_digest(one, other) for one in expected for other in given) > 0


def _is_stamp(text: str) -> bool:
    return 0 < len(text) <= _LONGEST_STAMP and text.isascii() and text.isdigit()


def event_key(body: bytes) -> str:
    """Stripe's own id of the event, which its redeliveries repeat; a digest of the body where there is none."""
    try:
        found = id_in(read_json(body), "id")
    except Unreadable:
        found = ""
    return found if found and len(found) <= _LONGEST_KEY else f"sha256:{hashlib.sha256(body).hexdigest()}"


def translate(body: bytes, *, received_at: datetime) -> WebhookMessage:
    """The facts of a verified message. Raises Unreadable if it is none of Stripe's, or lacks what its type promises."""
    return event_message(read_json(body), received_at)


def event_message(event: Json, at: datetime) -> WebhookMessage:
    """The facts of one event, as it was delivered or as it is listed later. Raises Unreadable."""
    event_type, subject = mask(text_in(event, "type")), part(event, "data", "object")
    if not event_type or not subject:
        raise Unreadable("type or data.object is missing")
    if event_type in _SILENT:
        return WebhookMessage(event_type, reason=_SILENT[event_type])
    if event_type in _PAYOUTS:
        told = books.told(subject, moment_in(event, "created", absent=at))
        return WebhookMessage(event_type, reason=f"the payout is {told.state}", payouts=(told,))
    read = _READERS.get(event_type)
    if read is None:
        return WebhookMessage(event_type, understood=False, reason="unknown event type")
    telling = Telling(Source.WEBHOOK, moment_in(event, "created", absent=at))
    facts = tuple(_complete(fact, event, event_type) for fact in read(event, subject, telling))
    return WebhookMessage(event_type, facts, reason="" if facts else _why_silent(subject))


def _complete(fact: Fact, event: Json, event_type: str) -> Fact:
    test = fact.test_mode or event.get("livemode") is False
    return replace(fact, test_mode=test, evidence={"event_type": event_type} | fact.evidence)


def _why_silent(subject: Json) -> str:
    status = mask(text_in(subject, "status"))
    return f"it moves no money: the {mask(text_in(subject, 'object')).replace('_', ' ')} is {status or 'unchanged'}"


# --- what each type states --------------------------------------------------------------------------------------------


def _charge(event: Json, charge: Json, telling: Telling) -> list[Fact]:
    return charges.charge_facts(charge, telling)


def _captured(event: Json, charge: Json, telling: Telling) -> list[Fact]:
    """The hold was told before; here what was taken of it counts."""
    facts = charges.charge_facts(charge, telling, held_first=True)
    return [fact for fact in facts if fact.kind != FactKind.AUTHORISATION]


def _lapsed(event: Json, charge: Json, telling: Telling) -> list[Fact]:
    if charge.get("object") != "charge" or not id_in(charge, "id"):
        raise Unreadable("this is no charge")
    return [charges.lapsed(charge, telling, telling.at)]


def _updated(event: Json, charge: Json, telling: Telling) -> list[Fact]:
    """What it is worth, where the event brings that along; what it took was told by other events."""
    return [fact for fact in charges.charge_facts(charge, telling) if fact.kind == FactKind.SETTLEMENT_TOLD]


def _refund(event: Json, refund: Json, telling: Telling) -> list[Fact]:
    return refund_facts(refund, telling)


def _dispute(event: Json, dispute: Json, telling: Telling) -> list[Fact]:
    return dispute_facts(dispute, telling)


def _intent_money(event: Json, intent: Json, telling: Telling) -> list[Fact]:
    """The same as the charge's own event tells, for endpoints that hear only of intents."""
    status, charge = reading.status_of(intent), id_in(intent, "latest_charge")
    if status not in ("succeeded", "requires_capture") or not charge:
        return []
    taken = number_in(intent, "amount_received")
    if not taken and status == "requires_capture":
        held = {"id": charge, "amount": intent.get("amount"), "currency": intent.get("currency")}
        fact = charges.authorisation({**held, "payment_intent": id_in(intent, "id")}, telling)
        return [
            replace(
                fact,
                reference=charges.reference_of(intent),
                evidence=reading.of_intent(intent, fact.kind, telling).evidence,
            )
        ]
    fact = replace(reading.of_intent(intent, FactKind.CAPTURE, telling), certainty=Certainty.TAKEN, gateway_id=charge)
    return [replace(fact, money=money_in(intent, "amount_received"), about=None, running_total=True)]


def _intent_failed(event: Json, intent: Json, telling: Telling) -> list[Fact]:
    """Refused; whether the payer can still go on with it an event does not say, so that it counts as alive."""
    reading.status_of(intent)
    error = part(intent, "last_payment_error")
    if not error:
        raise Unreadable("a payment failed, and no error is named")
    return [reading.refused(intent, error, telling, alive=True)]


def _intent_action(event: Json, intent: Json, telling: Telling) -> list[Fact]:
    asked = reading.status_of(intent) == "requires_action" and reading.action_url(intent)
    return [reading.action_required(intent, telling)] if asked else []


def _intent_cancelled(event: Json, intent: Json, telling: Telling) -> list[Fact]:
    """An intent whose latest charge had not failed held money until now."""
    reading.status_of(intent)
    charge = part(intent, "latest_charge") or {"id": id_in(intent, "latest_charge"), "status": "succeeded"}
    failed = text_in(charge, "status") != "succeeded" or bool(part(intent, "last_payment_error"))
    if not id_in(charge, "id") or failed:
        return [reading.closed(intent, telling)]
    held = {"object": "charge", "amount": intent.get("amount"), "currency": intent.get("currency"), **charge}
    facts = reading.intent_facts({**intent, "latest_charge": {**held, "captured": False}}, telling)
    return [fact for fact in facts if fact.kind != FactKind.AUTHORISATION]


_READERS: dict[str, Read] = {
    "charge.succeeded": _charge,
    "charge.captured": _captured,
    "charge.expired": _lapsed,
    "charge.updated": _updated,
    "refund.created": _refund,
    "refund.updated": _refund,
    "refund.failed": _refund,
    "charge.refund.updated": _refund,
    "charge.dispute.created": _dispute,
    "charge.dispute.updated": _dispute,
    "charge.dispute.closed": _dispute,
    "charge.dispute.funds_withdrawn": _dispute,
    "charge.dispute.funds_reinstated": _dispute,
    "payment_intent.succeeded": _intent_money,
    "payment_intent.amount_capturable_updated": _intent_money,
    "payment_intent.payment_failed": _intent_failed,
    "payment_intent.requires_action": _intent_action,
    "payment_intent.canceled": _intent_cancelled,
}
# What the others repeat is not listed again in a window.
LISTED = frozenset(_READERS) - {
    "charge.refund.updated",
    "charge.updated",
    "payment_intent.succeeded",
    "payment_intent.amount_capturable_updated",
}

# Not listed in a window: the list of payouts itself is asked for every night.
_PAYOUTS = frozenset(
    {
        "payout.created",
        "payout.updated",
        "payout.paid",
        "payout.failed",
        "payout.canceled",
        "payout.reconciliation_completed",
    }
)
_NO_MONEY = "it moves no money"
_SILENT: dict[str, str] = {
    "charge.pending": "Stripe has not finished it",
    "charge.failed": "the payment intent's own event tells why",
    "charge.refunded": "each refund has an event of its own",
    "payment_intent.created": _NO_MONEY,
    "payment_intent.processing": "Stripe has not finished it",
    "payment_intent.partially_funded": _NO_MONEY,
    "balance.available": _NO_MONEY,
    "radar.early_fraud_warning.created": "a warning; a dispute would come with an event of its own",
    "review.opened": "a review in the gateway's own dashboard",
    "review.closed": "a review in the gateway's own dashboard",
    "payment_method.attached": _NO_MONEY,
    "customer.created": _NO_MONEY,
    "customer.updated": _NO_MONEY,
}
