"""How does the drill speak to the system? As a merchant over the API, and as a gateway's staff over the simulator's control.

A merchant repeats what got no answer, under the same key: that is the contract under test. Nothing here decides.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

ANSWER_SECONDS = 20.0
TRIES = 12
PAUSE_SECONDS = 0.5


class DrillError(Exception):
    """The drill itself can not go on: something does not answer, or not as it promised."""


class RefusedError(DrillError):
    """The simulator answered, and does not do what was asked."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of the API."""

    status: int
    body: dict[str, Any]
    raw: bytes

    @property
    def accepted(self) -> bool:
        return self.status in (200, 202)


@dataclass
class Merchant:
    """A client of the API. `answers` keeps every definite answer by key, so that repetitions can be compared."""

    url: str
    token: str
    answers: dict[str, list[bytes]] = field(default_factory=dict)
    statuses: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        # The environment may name a proxy; loopback needs none.
        self._http = httpx.Client(timeout=ANSWER_SECONDS, trust_env=False)

    def close(self) -> None:
        self._http.close()

    def post(self, path: str, body: Mapping[str, object], *, key: str) -> Answer:
        """Post until there is a definite answer. Raises: DrillError after the last try."""
        for _ in range(TRIES):
            answer = self._once("POST", path, dict(body), {"Idempotency-Key": key})
            if answer is not None:
                with self._lock:
                    self.answers.setdefault(key, []).append(answer.raw)
                return answer
            time.sleep(PAUSE_SECONDS)
        raise DrillError(f"POST {path} was not answered in {TRIES} tries.")

    def get(self, path: str) -> Answer:
        """Read until there is an answer. Raises: DrillError after the last try."""
        for _ in range(TRIES):
            answer = self._once("GET", path, None, {})
            if answer is not None:
                return answer
            time.sleep(PAUSE_SECONDS)
        raise DrillError(f"GET {path} was not answered in {TRIES} tries.")

    def _once(self, method: str, path: str, body: dict[str, object] | None, headers: dict[str, str]) -> Answer | None:
        """None: no definite answer, the same request may be made again."""
        headers["Authorization"] = f"Bearer {self.token}"
        try:
            got = self._http.request(method, f"{self.url}/api/v1{path}", json=body, headers=headers)
        except httpx.TransportError:
            self._count("no answer")
            return None
        self._count(f"{method} {got.status_code}")
        if got.status_code >= 500 or got.status_code == 429:
            return None
        document = got.json()
        return Answer(got.status_code, document if isinstance(document, dict) else {}, got.content)

    def _count(self, what: str) -> None:
        with self._lock:
            self.statuses[what] += 1


@dataclass
class Control:
    """The simulator's control interface: faults, acts from the gateway's own side, and its books."""

    url: str

    def __post_init__(self) -> None:
        self._http = httpx.Client(timeout=ANSWER_SECONDS, trust_env=False)

    def close(self) -> None:
        self._http.close()

    def fault(self, gateway: str, fault: str, operation: str = "any", **more: object) -> None:
        """Switch one on; `more`: times, rate, reference. Raises: DrillError if it is refused."""
        self._ask("POST", "faults", {"gateway": gateway, "operation": operation, "fault": fault, **more})

    def clear(self, gateway: str = "", fault: str = "") -> None:
        """Switch one name off at one gateway, or all."""
        self._ask("DELETE", "faults", {"gateway": gateway, "fault": fault} if gateway else {})

    def struck(self) -> dict[str, int]:
        """How often each fault has struck."""
        return dict(self._ask("GET", "faults")["struck"])

    def catalogue(self) -> list[str]:
        """Every fault the simulator knows."""
        return [line["name"] for line in self._ask("GET", "faults")["faults"]]

    def act(self, gateway: str, action: str, **more: object) -> dict[str, Any]:
        """Do something from the gateway's side. Raises: DrillError if the gateway refuses."""
        return self._ask("POST", "act", {"gateway": gateway, "action": action, **more})

    def may_act(self, gateway: str, action: str, **more: object) -> bool:
        """The same, where trouble may have left nothing to act on; whether it was done."""
        try:
            self.act(gateway, action, **more)
        except RefusedError:
            return False
        return True

    def pass_time(self, seconds: float) -> None:
        """Advance the clock that all simulated gateways share."""
        self.act("nmi", "advance_clock", seconds=seconds)

    def books(self, gateway: str) -> dict[str, Any]:
        """What truly happened."""
        return self._ask("GET", f"books/{gateway}")

    def webhooks(self, gateway: str) -> list[dict[str, Any]]:
        """Every delivery, with its exact body."""
        found: list[dict[str, Any]] = self._ask("GET", f"webhooks/{gateway}")["webhooks"]
        return found

    def webhooks_waiting(self) -> int:
        """How many webhooks are still to come; a late processing that will send more is not among them."""
        return int(self._ask("GET", "health")["webhooks_waiting"])

    def _ask(self, method: str, path: str, wish: Mapping[str, object] | None = None) -> dict[str, Any]:
        try:
            got = self._http.request(
                method, f"{self.url}/_control/{path}", json=dict(wish) if wish is not None else None
            )
        except httpx.TransportError as trouble:
            raise DrillError(f"The simulator at {self.url} does not answer: {type(trouble).__name__}.") from trouble
        if got.status_code >= 400:
            raise RefusedError(f"The simulator refused {method} {path}: {got.text.strip()[:300]}")
        answer: dict[str, Any] = got.json()
        return answer
