"""What do NMI's webhooks say, and how are they signed? Pure: values in, signed bytes out."""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from simulator.nmi.amounts import write_amount, write_moment
from simulator.nmi.codes import PROCESSOR_CODES
from simulator.nmi.model import Transaction
from simulator.webhooks import Event

MERCHANT = {"id": "1000001", "name": "Simulated merchant"}
PROCESSOR = {"id": "simulated", "name": "Simulated processor", "type": "simulator"}


def sign(secret: str, nonce: str, body: bytes) -> str:
    """The Webhook-Signature header: hex HMAC-SHA256 of `nonce.body`; t is a nonce, not a time."""
    digest = hmac.new(secret.encode(), nonce.encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"t={nonce},s={digest}"


@dataclass(frozen=True, slots=True)
class Signer:
    """Wraps event bodies into signed events. Redeliveries repeat the nonce, as the gateway's own do."""

    secret: str

    def event(self, event_type: str, subject: str, event_body: Mapping[str, Any], now: datetime) -> Event:
        event_id = str(uuid.uuid4())
        content = {"event_id": event_id, "event_type": event_type, "event_body": event_body}
        return self._signed(event_id, event_type, subject, content, now)

    def renamed(self, event: Event, now: datetime) -> Event:
        """The same movement under another event id, rightly signed."""
        content = json.loads(event.body) | {"event_id": str(uuid.uuid4())}
        return self._signed(content["event_id"], event.event_type, event.subject, content, now)

    def forged(self, event: Event, now: datetime) -> Event:
        """Another event id, another amount, signed with a key that is not ours."""
        content = json.loads(event.body) | {"event_id": str(uuid.uuid4())}
        if "action" in content["event_body"]:
            content["event_body"]["action"]["amount"] = "999999.99"
        forger = Signer(f"not-{self.secret}")
        return forger._signed(content["event_id"], event.event_type, event.subject, content, now)

    def _signed(self, event_id: str, event_type: str, subject: str, content: Mapping[str, Any], now: datetime) -> Event:
        body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
        signature = sign(self.secret, str(int(now.timestamp())), body)
        headers = {"Content-Type": "application/json", "Webhook-Signature": signature}
        return Event(event_id, event_type, subject, body, headers)


def transaction_body(transaction: Transaction, *, test_mode: bool, hide_outcome: bool = False) -> dict[str, Any]:
    """The event_body of transaction.*; with `hide_outcome` as in *.unknown: condition unknown, success 0."""
    card, action, payer = transaction.card, transaction.actions[-1], transaction.payer
    name = {"first_name": payer.first_name, "last_name": payer.last_name}
    return {
        "merchant": MERCHANT,
        "features": {"is_test_mode": test_mode},
        "transaction_id": transaction.transaction_id,
        "transaction_type": "cc",
        "condition": "unknown" if hide_outcome else transaction.condition,
        "processor_id": PROCESSOR["id"],
        "ponumber": "",
        "order_id": transaction.order_id,
        "order_description": payer.order_description,
        "currency": transaction.currency,
        "requested_amount": write_amount(transaction.requested_minor),
        "tax": "0.00",
        "surcharge": "0.00",
        "tip": "0.00",
        "customer_vault_id": transaction.vault_id,
        "authorization_code": transaction.authcode,
        "billing_address": {**name, "email": payer.email},
        "shipping_address": {**name, "email": payer.email},
        "merchant_defined_fields": {str(number): value for number, value in payer.fields},
        "card": {
            "cc_number": card.masked,
            "cc_exp": card.expiry,
            "avs_response": "Y" if action.success else "",
            "csc_response": "M" if action.success else "",
            "entry_mode": "Keyed",
            "cc_bin": card.first_six,
            "cc_type": card.brand,
        },
        "action": {
            "amount": write_amount(action.amount_minor),
            "action_type": action.action_type,
            "date": write_moment(action.occurred_at),
            "success": "0" if hide_outcome or not action.success else "1",
            "ip_address": payer.ip_address,
            "source": action.source,
            "response_text": "Communication error" if hide_outcome else action.text,
            "response_code": "420" if hide_outcome else str(action.code),
            "processor_response_text": "",
            "processor_response_code": PROCESSOR_CODES.get(action.code, ""),
        },
    }


def batch_body(batch_id: str, transactions: Sequence[Transaction]) -> dict[str, Any]:
    """The event_body of settlement.batch.complete: sales add, refunds take away."""
    by_type: dict[str, list[int]] = {}
    for transaction in transactions:
        by_type.setdefault(transaction.card.brand, []).append(_settled_minor(transaction))
    return {
        "batch_id": batch_id,
        "count": str(len(transactions)),
        "amount": write_amount(sum(map(_settled_minor, transactions))),
        "merchant": MERCHANT,
        "processor": PROCESSOR,
        "by_card_type": {
            brand: {"count": str(len(amounts)), "amount": write_amount(sum(amounts))}
            for brand, amounts in sorted(by_type.items())
        },
        "transaction_ids": [transaction.transaction_id for transaction in transactions],
    }


def batch_failure_body(batch_id: str) -> dict[str, Any]:
    """The event_body of settlement.batch.failure: it names no transaction."""
    return {"batch_id": batch_id, "merchant": MERCHANT, "processor": PROCESSOR}


def _settled_minor(transaction: Transaction) -> int:
    amount_minor = transaction.money_action.amount_minor
    return -amount_minor if transaction.refunds else amount_minor
