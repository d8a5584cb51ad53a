"""Is this notification ConvesioPay's own, and what does it state? Signature, event key and translation; nothing is stored.

The form is Adyen's. One body may hold several items; it is believed only if every one of them is rightly signed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ledger.money import Money
from payments.facts import Fact, FactKind
from payments.gateways.base import WebhookMessage
from payments.gateways.convesiopay import codes, contract
from payments.gateways.convesiopay.values import (
    Json,
    evidence_of,
    id_in,
    is_hold,
    mask,
    moment_of,
    money_of,
    own_reference,
    part,
    read_json,
    rows,
    text_in,
)
from payments.gateways.errors import Unreadable
from payments.states import Certainty, FailureClass, OperationKind, Source

_MOST_ITEMS = 500
_LONGEST_TYPE, _LONGEST_REASON = 80, 300


@dataclass(frozen=True, slots=True)
class _Item:
    """One item of a notification, its parts at hand."""

    fields: Json
    live: str
    received_at: datetime

    @property
    def code(self) -> str:
        return text_in(self.fields, "eventCode")

    @property
    def success(self) -> bool:
        return text_in(self.fields, "success") == "true"

    @property
    def more(self) -> Json:
        return part(self.fields, "additionalData")

    @property
    def own_id(self) -> str:
        return id_in(self.fields, "pspReference")

    @property
    def original(self) -> str:
        return id_in(self.fields, "originalReference")

    @property
    def money(self) -> Money:
        amount = part(self.fields, "amount")
        return money_of(amount.get("value"), amount.get("currency"), what=mask(self.code))


def verify(body: bytes, secrets: tuple[str, ...]) -> bool:
    """Base64 HMAC-SHA256 of eight fields of each item, by the hexadecimal key."""
    keys = [key for secret in secrets if (key := _key(secret))]
    try:
        items = _items(read_json(body))
    except Unreadable:
        return False
    return bool(keys) and bool(items) and all(_is_signed(item, keys) for item in items)


def _key(secret: str) -> bytes:
    try:
        return bytes.fromhex(secret)
    except ValueError:
        return b""


def _is_signed(item: Json, keys: list[bytes]) -> bool:
    signed = _signed_text(item)
    given = text_in(part(item, "additionalData"), contract.SIGNATURE).encode("utf-8", "replace")
    if signed is None or not given:
        return False
    expected = [base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()) for key in keys]
    # All are compared, so that the time does not tell which key fitted.
    return sum(hmac.compare_digest(one, given) for one in expected) > 0


def _signed_text(item: Json) -> bytes | None:
    """The fields in their order, "\\" and ":" escaped; None where one of them is no text or number as it should be."""
    amount = part(item, "amount")
    found = {**item, "value": amount.get("value"), "currency": amount.get("currency")}
    fields: list[str] = []
    for name in contract.SIGNED_FIELDS.split(":"):
        value = found.get(name, "")
        if isinstance(value, bool) or not isinstance(value, str | int):
            return None
        fields.append(str(value).replace("\\", "\\\\").replace(":", "\\:"))
    return ":".join(fields).encode("utf-8", "surrogatepass")


def event_key(body: bytes) -> str:
    """There is no id of a notification: a digest of what its items say, however they are laid out."""
    try:
        plain = json.dumps(_items(read_json(body)), sort_keys=True).encode()
    except (Unreadable, ValueError, RecursionError):
        plain = b""
    return f"sha256:{hashlib.sha256(plain if len(plain) > len('[]') else body).hexdigest()}"


def translate(body: bytes, *, received_at: datetime) -> WebhookMessage:
    """The facts of a verified notification. Raises Unreadable if it is none, or lacks what its event code promises."""
    content = read_json(body)
    items = _items(content)
    if not items:
        raise Unreadable("the notification holds no item")
    messages = [_translated(_Item(item, text_in(content, contract.LIVE), received_at)) for item in items]
    kinds, reasons = (dict.fromkeys(getattr(m, name) for m in messages) for name in ("event_type", "reason"))
    return WebhookMessage(
        event_type="+".join(kinds)[:_LONGEST_TYPE],
        facts=tuple(fact for message in messages for fact in message.facts),
        understood=all(message.understood for message in messages),
        reason="; ".join(filter(None, reasons))[:_LONGEST_REASON],
    )


def _items(content: Json) -> list[Json]:
    """Raises Unreadable where an envelope holds something else than items."""
    wrapped = rows(content, "notificationItems")
    if len(wrapped) > _MOST_ITEMS:
        raise Unreadable(f"more than {_MOST_ITEMS} items in one notification")
    items = [part(one, contract.ITEMS) for one in wrapped]
    if not all(items):
        raise Unreadable(f"an item without {contract.ITEMS}")
    return items


def _translated(item: _Item) -> WebhookMessage:
    kind = mask(item.code)
    if not item.code or text_in(item.fields, "success") not in ("true", "false"):
        raise Unreadable("eventCode or success is missing")
    if item.code in _SILENT:
        return WebhookMessage(kind, reason=_SILENT[item.code])
    if item.code not in _RULES:
        return WebhookMessage(kind, understood=False, reason="unknown event code")
    if not item.own_id:
        raise Unreadable(f"{kind}: pspReference is missing")
    message = _RULES[item.code](item)
    return replace(message, event_type=kind)


def _authorisation(item: _Item) -> WebhookMessage:
    held = is_hold(text_in(item.fields, "merchantReference"))
    about = OperationKind.AUTHORISE if held else OperationKind.SALE
    if not item.success:
        return _said(_declined(item, about))
    kind = FactKind.AUTHORISATION if held else FactKind.CAPTURE
    until = _occurred_at(item) + timedelta(days=contract.HOLD_DAYS) if held else None
    return _said(replace(_fact(item, kind, item.own_id), about=about, money=item.money, hold_until=until))


def _capture(item: _Item) -> WebhookMessage:
    if not item.success:
        return WebhookMessage(
            "", reason="a refused capture moves no money; its operation hears of it by answer or look-up"
        )
    return _said(replace(_fact(item, FactKind.CAPTURE, _payment_of(item)), money=item.money))


def _capture_failed(item: _Item) -> WebhookMessage:
    """Nobody says whether the hold lives on after it: a person looks at it in the gateway's own panel."""
    reason = f"a capture of payment {_payment_of(item)} failed after it was accepted"
    return WebhookMessage("", understood=False, reason=reason)


def _cancellation(item: _Item) -> WebhookMessage:
    if not item.success:
        return WebhookMessage(
            "", reason="a refused cancel moves no money; its operation hears of it by answer or look-up"
        )
    return _said(replace(_fact(item, FactKind.VOID, _payment_of(item)), money=item.money))


def _refund(item: _Item) -> WebhookMessage:
    refund = _fact(item, FactKind.REFUND, item.own_id)
    refund = replace(refund, original_gateway_id=_payment_of(item), about=OperationKind.REFUND)
    return _said(replace(refund, money=item.money)) if item.success else _said(_refund_failure(refund, item))


def _refund_failed(item: _Item) -> WebhookMessage:
    refund = _fact(item, FactKind.REFUND_FAILED, item.own_id)
    refund = replace(refund, original_gateway_id=_payment_of(item), about=OperationKind.REFUND)
    return _said(_refund_failure(refund, item))


def _refund_failure(refund: Fact, item: _Item) -> Fact:
    failed = replace(refund, kind=FactKind.REFUND_FAILED, certainty=Certainty.REFUSED)
    return replace(failed, failure_class=FailureClass.UNKNOWN, message=mask(text_in(item.fields, contract.REASON)))


def _cancel_or_refund(item: _Item) -> WebhookMessage:
    done = text_in(item.more, contract.MODIFICATION)
    if done in ("cancel", "refund"):
        return _cancellation(item) if done == "cancel" else _refund(item)
    return WebhookMessage("", understood=False, reason="it does not say whether it was a cancel or a refund")


def _offer_closed(item: _Item) -> WebhookMessage:
    closed = replace(_fact(item, FactKind.CLOSED, item.own_id), certainty=Certainty.REFUSED)
    return _said(replace(closed, failure_class=FailureClass.AUTHENTICATION_REQUIRED))


_RULES: dict[str, Callable[[_Item], WebhookMessage]] = {
    "AUTHORISATION": _authorisation,
    "CAPTURE": _capture,
    "CAPTURE_FAILED": _capture_failed,
    "CANCELLATION": _cancellation,
    "REFUND": _refund,
    "REFUND_FAILED": _refund_failed,
    "CANCEL_OR_REFUND": _cancel_or_refund,
    "OFFER_CLOSED": _offer_closed,
}
_SILENT = {
    "RECURRING_CONTRACT": "a card was stored; it moves no money",
    "REPORT_AVAILABLE": "a report is ready; it moves no money",
}


def _said(fact: Fact) -> WebhookMessage:
    return WebhookMessage("", (fact,))


def _payment_of(item: _Item) -> str:
    if not item.original:
        raise Unreadable(f"{mask(item.code)}: originalReference is missing")
    return item.original


def _declined(item: _Item, about: OperationKind) -> Fact:
    text = text_in(item.fields, contract.REASON)
    refusal = codes.refusal_of(item.more, text)
    return replace(
        _fact(item, FactKind.DECLINED, item.own_id),
        about=about,
        certainty=Certainty.REFUSED,
        failure_class=refusal.failure_class,
        code=refusal.code,
        message=mask(text),
        network_code=refusal.network_code,
        network_advice=refusal.network_advice,
    )


def _occurred_at(item: _Item) -> datetime:
    return moment_of(text_in(item.fields, contract.EVENT_DATE), absent=item.received_at)


def _fact(item: _Item, kind: FactKind, gateway_id: str) -> Fact:
    return Fact(
        kind=kind,
        source=Source.WEBHOOK,
        occurred_at=_occurred_at(item),
        gateway_id=gateway_id,
        handle=item.original or item.own_id,
        reference=own_reference(text_in(item.fields, "merchantReference")),
        certainty=Certainty.TAKEN,
        test_mode=item.live == "false",
        evidence=evidence_of(
            event_code=item.code,
            psp_reference=item.own_id,
            original_reference=item.original,
            reason=text_in(item.fields, contract.REASON),
        ),
    )
