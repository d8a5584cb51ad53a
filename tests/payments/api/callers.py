"""What does a merchant's system look like in a test? A caller with a token, and processes and threads to call from."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.test import Client

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Response

_keys = itertools.count(1)

CARD = "4111111111111111"


def intent(**changes: Any) -> dict[str, Any]:
    """A body that creates a payment; `changes` replace members, None takes one away."""
    body: dict[str, Any] = {
        "amount_minor": 1234,
        "currency": "USD",
        "reference": "order-17",
        "method": {"type": "card", "token": "tok_ok"},
    }
    return {name: value for name, value in (body | changes).items() if value is not None}


@dataclass
class MerchantSystem:
    """Calls the API through Django's own handler."""

    token: str
    client: Client = field(default_factory=Client)

    def post(self, path: str, body: object, *, key: str | None = None, **headers: str) -> Response:
        """POST JSON below /api/v1 under a key, by default a new one; `body` may be raw bytes. key="" sends none."""
        key = f"key-{next(_keys)}" if key is None else key
        sent = {"Authorization": f"Bearer {self.token}"} | ({"Idempotency-Key": key} if key else {}) | headers
        return self.client.post(
            f"/api/v1{path}",
            body if isinstance(body, bytes) else json.dumps(body),
            content_type=sent.pop("Content-Type", "application/json"),
            headers=sent,
        )

    def get(self, path: str, query: dict[str, Any] | None = None) -> Response:
        """GET below /api/v1."""
        return self.client.get(f"/api/v1{path}", query or {}, headers={"Authorization": f"Bearer {self.token}"})

    def create(self, **changes: Any) -> str:
        """Create a payment and say its id."""
        response = self.post("/payments", intent(**changes))
        assert response.status_code == 202, response.content
        created: str = response.json()["id"]
        return created


def assert_problem(response: Response, status: int, code: str, field: str | None = None) -> dict[str, Any]:
    """The answer is problem+json of this status, code and field; its members come back."""
    body: dict[str, Any] = json.loads(response.content)
    assert (response.status_code, body.get("code"), body.get("field")) == (status, code, field), body
    assert response.headers["Content-Type"] == "application/problem+json"
    assert body["type"] == f"urn:counterfoil:problem:{code}"
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    return body
