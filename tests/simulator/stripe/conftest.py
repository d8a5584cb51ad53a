"""What do the tests of the simulated Stripe share? A bare client of the wire, so that nothing is hidden by the SDK."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest

from tests.simulator.conftest import Listener
from tests.simulator_fixture import SimulatorProcess

KEY = "sk_test_demo"
SECRET = "whsec_demo"


class Stripe:
    """Every call carries the key; parameters are written as they go on the wire."""

    def __init__(self, simulator: SimulatorProcess, listener: Listener) -> None:
        self.simulator = simulator
        self.listener = listener
        self.url = f"{simulator.url}/stripe"
        self.client = httpx.Client(timeout=60, trust_env=False, headers={"Authorization": f"Bearer {KEY}"})

    def close(self) -> None:
        self.client.close()

    def post(self, path: str, key: str = "", **form: Any) -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        return self.client.post(f"{self.url}/v1/{path}", data=_named(form), headers=headers)

    def done(self, path: str, key: str = "", **form: Any) -> dict[str, Any]:
        answer = self.post(path, key, **form)
        assert answer.status_code == 200, answer.text
        content: dict[str, Any] = answer.json()
        return content

    def error(self, path: str, key: str = "", status: int = 400, **form: Any) -> dict[str, Any]:
        answer = self.post(path, key, **form)
        assert answer.status_code == status, answer.text
        error: dict[str, Any] = answer.json()["error"]
        return error

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        answer = self.client.get(f"{self.url}/v1/{path}", params=_named(query))
        assert answer.status_code == 200, answer.text
        content: dict[str, Any] = answer.json()
        return content

    def refused(self, path: str, status: int, **query: Any) -> dict[str, Any]:
        answer = self.client.get(f"{self.url}/v1/{path}", params=_named(query))
        assert answer.status_code == status, answer.text
        error: dict[str, Any] = answer.json()["error"]
        return error

    def payment(self, reference: str = "ref-1", amount: int = 1234, **more: Any) -> dict[str, Any]:
        """The form of a sale confirmed at once."""
        return {
            "amount": amount,
            "currency": "usd",
            "capture_method": "automatic",
            "confirm": "true",
            "payment_method": "stripe_tok_ok",
            "allowed_payment_method_types[]": "card",
            "metadata[our_ref]": reference,
        } | more

    def sale(self, reference: str = "ref-1", amount: int = 1234, **more: Any) -> dict[str, Any]:
        return self.done("payment_intents", **self.payment(reference, amount, **more))

    def auth(self, reference: str = "ref-1", amount: int = 1234, **more: Any) -> dict[str, Any]:
        return self.sale(reference, amount, capture_method="manual", **more)

    def kinds(self, reference: str = "", without: tuple[str, ...] = ("fee",)) -> list[tuple[str, int]]:
        """Kinds and amounts of what truly moved."""
        moved = self.simulator.movements(reference, "stripe")
        return [(m["kind"], m["amount_minor"]) for m in moved if m["kind"] not in without]

    def types(self) -> set[str]:
        """Types of the events that have arrived, once none is on its way. Their order is as little certain as Stripe's."""
        self.simulator.wait_until_quiet()
        return {one.event["type"] for one in self.listener.received}


@pytest.fixture
def stripe(simulator: SimulatorProcess, listener: Listener) -> Iterator[Stripe]:
    with closing(Stripe(simulator, listener)) as wire:
        yield wire


def _named(fields: dict[str, Any]) -> dict[str, Any]:
    """`created__gte` as `created[gte]`."""
    return {(f"{n.replace('__', '[')}]" if "__" in n else n): value for n, value in fields.items()}
