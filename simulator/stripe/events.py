"""What do Stripe's webhooks say, and how are they signed? Pure but for the moment of signing, which is the real one."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from simulator.stripe.desk import Told
from simulator.stripe.objects import plain
from simulator.stripe.store import Json
from simulator.webhooks import Event

API_VERSION = "2026-10-28.endive"


def sign(secret: str, moment: int, body: bytes) -> str:
    """The Stripe-Signature header: hex HMAC-SHA256 of `t.body`, the key being the whole secret with its whsec_."""
    digest = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={digest}"


def event_of(told: Told, event_id: str, created: int, request_id: str | None, key: str | None) -> Json:
    """The event object, as it is kept and sent. Nobody's request: both ids are null."""
    data = {"object": told.value} | ({"previous_attributes": told.previous} if told.previous else {})
    return {
        "id": event_id,
        "object": "event",
        "api_version": API_VERSION,
        "created": created,
        "data": data,
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": request_id, "idempotency_key": key},
        "type": told.event_type,
    }


def subject_of(value: Mapping[str, object]) -> str:
    """What events are about: the intent, of payouts and the like the object itself."""
    return str(value.get("payment_intent") or value["id"])


@dataclass(frozen=True, slots=True)
class Signer:
    """Wraps events into signed deliveries. Every delivery has a fresh moment, that of the product's clock."""

    secret: str
    clock: Callable[[], float] = field(default=time.time)

    def signed(self, event: Json) -> Event:
        body = json.dumps(event, ensure_ascii=False, indent=2, default=plain).encode()

        def headers() -> Mapping[str, str]:
            signature = sign(self.secret, int(self.clock()), body)
            return {
                "Content-Type": "application/json; charset=utf-8",
                "Stripe-Signature": signature,
                "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            }

        return Event(
            event["id"], event["type"], subject_of(event["data"]["object"]), body, headers(), sign_anew=headers
        )

    def renamed(self, event: Json, event_id: str) -> Event:
        """The same fact under another event id, rightly signed."""
        return self.signed(event | {"id": event_id})

    def forged(self, event: Json, event_id: str) -> Event:
        """Another event id, another amount, signed with a key that is not ours."""
        altered = event["data"]["object"] | {"amount": 99_999_999}
        content = event | {"id": event_id, "data": event["data"] | {"object": altered}}
        return Signer(f"not-{self.secret}", self.clock).signed(content)
