"""What does NMI post? Bodies in its form and signatures by its algorithm, made without any code of the product.

Signature: `t=<nonce>,s=<hex of HMAC-SHA256(key, nonce + "." + raw body)>`; `t` is a nonce, not a time.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime

SECRET = "nmi_signing_key_1"
WHEN = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)


def signature(body: bytes, *, secret: str = SECRET, nonce: str | None = None) -> str:
    nonce = nonce or secrets.token_hex(8)
    digest = hmac.new(secret.encode(), nonce.encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"t={nonce},s={digest}"


@dataclass(frozen=True)
class Delivery:
    """One POST as the gateway makes it."""

    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def wsgi(self) -> dict[str, str]:
        """The headers as Django's test client wants them."""
        return {name: value for name, value in self.headers.items() if name != "content-type"}

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "")


def deliver(body: bytes, *, secret: str = SECRET, content_type: str = "application/json") -> Delivery:
    """The body, signed."""
    return Delivery(
        body,
        {
            "content-type": content_type,
            "webhook-signature": signature(body, secret=secret),
            "user-agent": "NMI-Webhooks",
        },
    )


def event_body(event_type: str, body: dict[str, object], *, event_id: str | None = None) -> bytes:
    return json.dumps(
        {"event_id": event_id or str(uuid.uuid4()), "event_type": event_type, "event_body": body}
    ).encode()


def transaction_event(
    kind: str,
    transaction_id: str,
    reference: str,
    *,
    outcome: str = "success",
    amount: str = "12.34",
    currency: str = "USD",
    condition: str = "pendingsettlement",
    event_id: str | None = None,
    response_code: str = "100",
    test_mode: bool = False,
    when: datetime = WHEN,
) -> bytes:
    """transaction.<kind>.<outcome>, with the fields of the fact sheet."""
    body: dict[str, object] = {
        "merchant": {"id": "1234", "name": "Test Merchant"},
        "features": {"is_test_mode": test_mode},
        "transaction_id": transaction_id,
        "transaction_type": "cc",
        "condition": condition,
        "processor_id": "ccprocessora",
        "order_id": reference,
        "order_description": "",
        "currency": currency,
        "requested_amount": amount,
        "authorization_code": "123456",
        "billing_address": {"first_name": "", "last_name": "", "email": ""},
        "card": {
            "cc_number": "411111******1111",
            "cc_exp": "1029",
            "avs_response": "N",
            "csc_response": "M",
            "cc_type": "visa",
        },
        "action": {
            "amount": amount,
            "action_type": kind,
            "date": when.strftime("%Y%m%d%H%M%S"),
            "success": "1" if outcome == "success" else "0",
            "source": "api",
            "response_text": "SUCCESS" if outcome == "success" else "DECLINE",
            "response_code": response_code,
            "processor_response_text": "",
            "processor_response_code": "",
        },
    }
    return event_body(f"transaction.{kind}.{outcome}", body, event_id=event_id)


def sale(transaction_id: str, reference: str, **changes: object) -> Delivery:
    """A signed transaction.sale.success."""
    return deliver(transaction_event("sale", transaction_id, reference, **changes))  # type: ignore[arg-type]


def transaction(kind: str, transaction_id: str, reference: str, **changes: object) -> Delivery:
    return deliver(transaction_event(kind, transaction_id, reference, **changes))  # type: ignore[arg-type]


def batch_settled(batch_id: str, transaction_ids: list[str]) -> Delivery:
    """settlement.batch.complete: names every transaction of the batch."""
    body: dict[str, object] = {
        "batch_id": batch_id,
        "count": str(len(transaction_ids)),
        "amount": "0.00",
        "merchant": {"id": "1234", "name": "Test Merchant"},
        "processor": {"id": "ccprocessora", "name": "A", "type": "cc"},
        "transaction_ids": transaction_ids,
    }
    return deliver(event_body("settlement.batch.complete", body))
