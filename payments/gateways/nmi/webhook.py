"""Is this webhook NMI's own, and what does it state? Signature, event key and translation; nothing is stored.

Sources: docs.nmi.com, Webhooks ("Verifying", "Event types"); the signature was recomputed from captured deliveries.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from ledger.money import Money
from payments.facts import Fact, FactKind
from payments.gateways.base import WebhookMessage
from payments.gateways.errors import Unreadable
from payments.gateways.nmi import codes
from payments.gateways.nmi.values import (
    HOLD_DAYS,
    OPERATIONS,
    evidence_of,
    mask,
    moment_of,
    money_of,
    network_code_of,
    text_in,
)
from payments.states import Certainty, FailureClass, Source

SIGNATURE_HEADER = "webhook-signature"

_MOVES = {
    "sale": FactKind.CAPTURE,
    "auth": FactKind.AUTHORISATION,
    "capture": FactKind.CAPTURE,
    "void": FactKind.VOID,
    "refund": FactKind.REFUND,
    "credit": FactKind.REFUND,
}
_OUTCOMES = ("success", "failure", "unknown")
# Their refusal names the transaction they acted on, by the attempt's reference: told as a fact it would read as if the
# sale or authorisation itself had been declined. The answer and the look-up of the operation tell it properly.
_ACTS_ON_ANOTHER = ("capture", "void")
_LONGEST_KEY = 200


def verify(headers: Mapping[str, str], body: bytes, secrets: tuple[str, ...]) -> bool:
    """Hex HMAC-SHA256 of `nonce.body`. `t` is a nonce and not a time, so there is no tolerance to judge."""
    parts = [part.partition("=") for part in headers.get(SIGNATURE_HEADER, "").split(",")]
    nonces = [value.strip() for name, _, value in parts if name.strip() == "t"]
    given = [value.strip().lower().encode("utf-8", "replace") for name, _, value in parts if name.strip() == "s"]
    if len(nonces) != 1 or len(given) != 1 or not nonces[0]:
        return False
    signed = nonces[0].encode("utf-8", "replace") + b"." + body
    expected = [hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest().encode() for secret in secrets if secret]
    # All are compared, so that the time does not tell which secret fitted.
    return sum(hmac.compare_digest(one, given[0]) for one in expected) > 0


def event_key(body: bytes) -> str:
    """NMI's own event_id, which its redeliveries repeat; a digest of the body where there is none."""
    try:
        found = text_in(_json(body), "event_id")
    except Unreadable:
        found = ""
    if found and len(found) <= _LONGEST_KEY and found.isprintable() and "\ufffd" not in found:
        return found
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def translate(body: bytes, *, received_at: datetime) -> WebhookMessage:
    """The facts of a verified message. Raises Unreadable if it is none of NMI's, or lacks what its type promises."""
    message = _json(body)
    event_type, content = text_in(message, "event_type"), message.get("event_body")
    if not event_type or not isinstance(content, dict):
        raise Unreadable("event_type or event_body is missing")
    event_type = mask(event_type)
    family, _, rest = event_type.partition(".")
    action, _, outcome = rest.partition(".")
    if family == "transaction" and outcome in _OUTCOMES and action in _MOVES:
        return _transaction(_Event(event_type, action, outcome, content, received_at))
    if event_type in (f"transaction.validate.{known}" for known in _OUTCOMES):
        return WebhookMessage(event_type, reason="a card check moves no money")
    if event_type == "settlement.batch.complete":
        return _batch_complete(event_type, content, received_at)
    if event_type == "settlement.batch.failure":
        reason = "a batch failed to settle; NMI names none of its transactions"
        return WebhookMessage(event_type, reason=reason, batch_failed=True)
    if event_type == "chargeback.batch.complete":
        return WebhookMessage(event_type, understood=False, reason="chargebacks are kept until disputes are handled")
    return WebhookMessage(event_type, understood=False, reason="unknown event type")


@dataclass(frozen=True, slots=True)
class _Event:
    """One transaction event, its parts at hand."""

    event_type: str
    name: str
    outcome: str
    content: Mapping[str, object]
    received_at: datetime

    @property
    def action(self) -> Mapping[str, object]:
        action = self.content.get("action", {})
        if not isinstance(action, dict):
            raise Unreadable(f"{self.event_type}: action is not an object")
        return action

    @property
    def occurred_at(self) -> datetime:
        return moment_of(text_in(self.action, "date"), absent=self.received_at)


def _transaction(event: _Event) -> WebhookMessage:
    if not text_in(event.content, "transaction_id"):
        raise Unreadable(f"{event.event_type}: transaction_id is missing")
    doubt = _contradiction(event)
    if doubt or event.outcome == "unknown":
        unknown = _fact(event, FactKind.UNKNOWN, failure=FailureClass.UNKNOWN, doubt=doubt)
        return WebhookMessage(event.event_type, (unknown,), reason=doubt)
    if event.outcome == "success":
        return WebhookMessage(event.event_type, (_fact(event, _MOVES[event.name], money=_money(event)),))
    if event.name in _ACTS_ON_ANOTHER:
        reason = f"a refused {event.name} moves no money; its operation hears of it by answer or look-up"
        return WebhookMessage(event.event_type, reason=reason)
    code = text_in(event.action, "response_code")
    meaning = codes.meaning_of(code, text_in(event.action, "response_text"))
    failure = meaning.failure_class if code else FailureClass.UNKNOWN
    return WebhookMessage(event.event_type, (_fact(event, FactKind.DECLINED, failure=failure, code=meaning.code),))


def _contradiction(event: _Event) -> str:
    """Does the body say something else than the type? Then the gateway is asked, and neither is believed."""
    success, named = text_in(event.action, "success"), text_in(event.action, "action_type").lower()
    if named and named != event.name:
        return f"{event.event_type} tells of a {mask(named)}"
    said = {"success": "1", "failure": "0"}.get(event.outcome, success)
    if success and success != said:
        return f"{event.event_type} with success {mask(success)}"
    return ""


def _money(event: _Event) -> Money:
    amount = text_in(event.action, "amount")
    if event.name in ("refund", "credit"):
        # Exports show money going back with or without a minus sign; the kind of the action says the direction.
        amount = amount.removeprefix("-")
    if event.name == "void" and not amount.strip("0."):
        # A void often shows no amount of its own: then it released what the transaction was for.
        amount = text_in(event.content, "requested_amount")
    return money_of(amount, event.content.get("currency"), what=f"{event.event_type}, amount")


def _fact(
    event: _Event,
    kind: FactKind,
    *,
    money: Money | None = None,
    failure: FailureClass | None = None,
    code: str = "",
    doubt: str = "",
) -> Fact:
    certainty = {FactKind.UNKNOWN: Certainty.UNKNOWN, FactKind.DECLINED: Certainty.REFUSED}.get(kind, Certainty.TAKEN)
    hold_until = event.occurred_at + timedelta(days=HOLD_DAYS) if kind == FactKind.AUTHORISATION else None
    return Fact(
        kind=kind,
        source=Source.WEBHOOK,
        occurred_at=event.occurred_at,
        gateway_id=text_in(event.content, "transaction_id"),
        reference=text_in(event.content, "order_id"),
        about=OPERATIONS[event.name],
        money=money,
        certainty=certainty,
        failure_class=failure,
        code=code or mask(text_in(event.action, "response_code")),
        message=mask(text_in(event.action, "response_text")),
        network_code=network_code_of(text_in(event.action, "processor_response_code")) if failure else "",
        hold_until=hold_until,
        test_mode=_is_test(event.content),
        evidence=_evidence(event) | evidence_of(doubt=doubt),
    )


def _evidence(event: _Event) -> dict[str, object]:
    card = event.content.get("card")
    card = card if isinstance(card, dict) else {}
    return evidence_of(
        event_type=event.event_type,
        action=event.name,
        condition=text_in(event.content, "condition"),
        response_code=text_in(event.action, "response_code"),
        responsetext=text_in(event.action, "response_text"),
        authcode=text_in(event.content, "authorization_code"),
        avs=text_in(card, "avs_response"),
        cvv=text_in(card, "csc_response"),
        card=text_in(card, "cc_number"),
    )


def _batch_complete(event_type: str, content: Mapping[str, object], received_at: datetime) -> WebhookMessage:
    batch_id, ids = text_in(content, "batch_id"), content.get("transaction_ids")
    if not batch_id or not isinstance(ids, list) or not all(isinstance(one, str) and one.strip() for one in ids):
        raise Unreadable(f"{event_type}: batch_id or transaction_ids is missing or not of strings")
    facts = tuple(
        Fact(
            kind=FactKind.SETTLED,
            source=Source.WEBHOOK,
            occurred_at=received_at,  # the body bears no date
            gateway_id=transaction_id,
            certainty=Certainty.TAKEN,
            batch_id=batch_id,
            test_mode=_is_test(content),
            evidence=evidence_of(event_type=event_type, batch_id=batch_id),
        )
        for transaction_id in sorted({one.strip() for one in ids})
    )
    return WebhookMessage(event_type, facts, reason="" if facts else f"batch {mask(batch_id)} holds no transaction")


def _is_test(content: Mapping[str, object]) -> bool:
    features = content.get("features")
    flag = features.get("is_test_mode") if isinstance(features, dict) else None
    return flag is True or str(flag).strip().lower() in ("1", "true")


def _json(body: bytes) -> dict[str, object]:
    """The message as an object; numbers stay text, so that no amount passes through a float."""
    try:
        message = json.loads(body, parse_float=str, parse_int=str)
    except (ValueError, RecursionError) as wrong:
        raise Unreadable(f"the body is no JSON ({type(wrong).__name__})") from wrong
    if not isinstance(message, dict):
        raise Unreadable("the body is no JSON object")
    return message
