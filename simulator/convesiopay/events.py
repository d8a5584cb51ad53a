"""What do ConvesioPay's notifications say, and how are they signed? Pure: values in, signed bytes out.

The form is Adyen's, behind it: one object of `notificationItems`, each item signed with the hexadecimal key over eight of
its fields; the receiver must answer `[accepted]`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from simulator.convesiopay.calls import Told
from simulator.convesiopay.model import Payment
from simulator.webhooks import Event

MERCHANT = "SimulatedMerchant"
ACCEPTED = b"[accepted]"


def sign(key: bytes, item: Mapping[str, Any]) -> str:
    """Base64 HMAC-SHA256 over the eight fields, "\\" and ":" escaped."""
    fields = [
        item["pspReference"],
        item.get("originalReference", ""),
        item["merchantAccountCode"],
        item["merchantReference"],
        str(item["amount"]["value"]),
        item["amount"]["currency"],
        item["eventCode"],
        item["success"],
    ]
    signed = ":".join(field.replace("\\", "\\\\").replace(":", "\\:") for field in fields)
    return base64.b64encode(hmac.new(key, signed.encode(), hashlib.sha256).digest()).decode()


@dataclass(frozen=True, slots=True)
class Signer:
    """Wraps items into signed notifications. Redeliveries repeat the bytes."""

    key: bytes

    @classmethod
    def of(cls, secret: str) -> Signer:
        """Raises: ValueError with a sentence when the secret is not hexadecimal."""
        try:
            return cls(bytes.fromhex(secret))
        except ValueError:
            raise ValueError("GATEWAY_CONVESIOPAY_WEBHOOK_SECRET must be a hexadecimal key") from None

    def event(self, payment: Payment, told: Told, now: datetime, *, test_mode: bool) -> Event:
        item: dict[str, Any] = {
            "additionalData": {"shopperEmail": payment.payer_email, **told.more},
            "amount": {"currency": payment.currency, "value": told.amount_minor},
            "eventCode": told.code,
            "eventDate": now.isoformat(),
            "merchantAccountCode": MERCHANT,
            "merchantReference": told.reference or payment.order_number,
            "paymentMethod": payment.card.brand,
            "pspReference": told.psp,
            "reason": told.reason,
            "success": "true" if told.success else "false",
        }
        if told.original:
            item["originalReference"] = told.original
        return self._signed(item, payment.payment_id, test_mode=test_mode)

    def renamed(self, event: Event, now: datetime) -> Event:
        """The same statement made once more at another moment, rightly signed."""
        item, test_mode = _item_of(event)
        return self._signed(item | {"eventDate": now.isoformat()}, event.subject, test_mode=test_mode)

    def forged(self, event: Event) -> Event:
        """Another amount, signed with a key that is not ours."""
        item, test_mode = _item_of(event)
        forged = item | {"amount": item["amount"] | {"value": 99999999}}
        forger = Signer(b"another key" + self.key)
        return forger._signed(forged, event.subject, test_mode=test_mode)

    def _signed(self, item: Mapping[str, Any], subject: str, *, test_mode: bool) -> Event:
        signed = {**item, "additionalData": {**item["additionalData"], "hmacSignature": sign(self.key, item)}}
        content = {
            "live": "false" if test_mode else "true",
            "notificationItems": [{"NotificationRequestItem": signed}],
        }
        body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json"}
        return Event(str(uuid.uuid4()), item["eventCode"], subject, body, headers, accepted=ACCEPTED)


def _item_of(event: Event) -> tuple[dict[str, Any], bool]:
    content = json.loads(event.body)
    return content["notificationItems"][0]["NotificationRequestItem"], content["live"] == "false"
