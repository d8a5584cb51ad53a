"""How do events reach the merchant? Delivered until a 2xx; making and signing them is each gateway's affair."""

from __future__ import annotations

import http.client
import itertools
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from simulator.clock import Agenda, SimulatedClock
from simulator.faults import Strike

SEND_TIMEOUT_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class RetryPlan:
    """First pause in seconds, doubled each time up to `cap_seconds`; `tries` deliveries in all."""

    first_seconds: float = 0.2
    cap_seconds: float = 30.0
    tries: int = 20

    def pause(self, attempts: int) -> float:
        return float(min(self.cap_seconds, self.first_seconds * 2 ** (attempts - 1)))


@dataclass(frozen=True, slots=True)
class Event:
    """One event, signed: the exact bytes and headers of every delivery of it. `accepted`: what a 2xx must say, if anything.

    `sign_anew`: the headers of one delivery, where the gateway signs each delivery with its own moment.
    """

    event_id: str
    event_type: str
    subject: str
    body: bytes
    headers: Mapping[str, str]
    accepted: bytes = b""
    sign_anew: Callable[[], Mapping[str, str]] | None = None


@dataclass(slots=True)
class Delivery:
    """One event on its way. `state`: waiting, delivered, given_up, suppressed or no_endpoint."""

    number: int
    gateway: str
    event: Event
    note: str
    created_at: datetime
    max_tries: int
    state: str = "waiting"
    attempts: list[str] = field(default_factory=list)
    releases: list[Delivery] = field(default_factory=list)
    held: bool = False
    generation: int = 0
    sent_headers: Mapping[str, str] | None = None

    def view(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "event_id": self.event.event_id,
            "event_type": self.event.event_type,
            "subject": self.event.subject,
            "note": self.note,
            "state": self.state,
            "attempts": list(self.attempts),
            "created_at": self.created_at.isoformat(),
        }

    def full_view(self) -> dict[str, Any]:
        headers = dict(self.sent_headers or self.event.headers)
        return self.view() | {"headers": headers, "body": self.event.body.decode()}


class WebhookSender:
    """Delivers the events of all gateways to `<base>/<gateway>/`, several at once, and keeps the log."""

    def __init__(self, clock: SimulatedClock, base_url: str, plan: RetryPlan, threads: int = 8) -> None:
        self._clock = clock
        self.base_url = base_url.rstrip("/")
        self._plan = plan
        self._agenda = Agenda(clock, threads, "webhooks")
        self._log: list[Delivery] = []
        self._held: dict[tuple[str, str], Delivery] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._generation = 0

    def emit(
        self, gateway: str, event: Event, strikes: list[Strike], variants: Callable[[Strike], list[Event]]
    ) -> None:
        """Queue an event as the faults want it; `variants` makes the forged or renamed copies of a strike."""
        by_name = {strike.name: strike for strike in strikes}
        delivery = self._enter(gateway, event, "")
        self._release_held_behind(delivery)
        if "webhook_missing" in by_name:
            delivery.state, delivery.note = "suppressed", "webhook_missing"
        elif "webhook_reordered" in by_name:
            self._hold(delivery, by_name["webhook_reordered"].seconds)
        else:
            delayed = by_name.get("webhook_delayed")
            self._schedule(delivery, delayed.seconds if delayed else 0.0)
        if (copies := by_name.get("webhook_duplicate")) is not None:
            for _ in range(copies.number):
                self._schedule(self._enter(gateway, event, "webhook_duplicate"), 0.0)
        for strike in strikes:
            for variant in variants(strike):
                forged = strike.name == "webhook_forged"
                self._schedule(self._enter(gateway, variant, strike.name, 1 if forged else None), 0.0)

    def resend(self, gateway: str, wanted: Callable[[Delivery], bool]) -> int:
        """Deliver the wanted events once more, same bytes, same id, each once; returns how many."""
        with self._lock:
            genuine = {d.event.event_id: d for d in self._log if d.gateway == gateway and d.note != "webhook_forged"}
        events = [d.event for d in genuine.values() if wanted(d)]
        for event in events:
            self._schedule(self._enter(gateway, event, "resent"), 0.0)
        return len(events)

    def log(self, gateway: str) -> list[Delivery]:
        with self._lock:
            return [delivery for delivery in self._log if delivery.gateway == gateway]

    def waiting(self) -> int:
        """How many deliveries are still to come."""
        with self._lock:
            return sum(delivery.state == "waiting" for delivery in self._log)

    def due(self) -> int:
        """How many are on their way or should be by now."""
        return self._agenda.due()

    def wake(self) -> None:
        self._agenda.wake()

    def reset(self) -> None:
        """Forget every event; one that is on its way arrives first, however slow its receiver is, and is not followed up."""
        with self._lock:
            self._generation += 1
            self._log.clear()
            self._held.clear()
        self._agenda.clear(SEND_TIMEOUT_SECONDS)

    def _enter(self, gateway: str, event: Event, note: str, tries: int | None = None) -> Delivery:
        with self._lock:
            delivery = Delivery(
                number=next(self._numbers),
                gateway=gateway,
                event=event,
                note=note,
                created_at=self._clock.now(),
                max_tries=tries or self._plan.tries,
                generation=self._generation,
            )
            self._log.append(delivery)
            return delivery

    def _schedule(self, delivery: Delivery, seconds: float) -> None:
        if not self.base_url:
            delivery.state = "no_endpoint"
            return
        self._agenda.after(seconds, lambda: self._attempt(delivery))

    def _hold(self, delivery: Delivery, seconds: float) -> None:
        delivery.note, delivery.held = "webhook_reordered", True
        with self._lock:
            self._held[delivery.gateway, delivery.event.subject] = delivery
        self._agenda.after(seconds, lambda: self._release(delivery))

    def _release_held_behind(self, delivery: Delivery) -> None:
        with self._lock:
            held = self._held.pop((delivery.gateway, delivery.event.subject), None)
        if held is not None:
            delivery.releases.append(held)

    def _release(self, delivery: Delivery) -> None:
        with self._lock:
            was_held, delivery.held = delivery.held, False
        if was_held:
            self._schedule(delivery, 0.0)

    def _attempt(self, delivery: Delivery) -> None:
        if delivery.generation != self._generation:
            return
        event = delivery.event
        delivery.sent_headers = event.sign_anew() if event.sign_anew else event.headers
        result = self._post(event, delivery.sent_headers, f"{self.base_url}/{delivery.gateway}/")
        with self._lock:
            if delivery.generation != self._generation:
                return  # reset while it was on its way
            delivery.attempts.append(result)
            if result.startswith("2"):
                delivery.state = "delivered"
            elif len(delivery.attempts) >= delivery.max_tries:
                delivery.state = "given_up"
        for follower in delivery.releases:
            self._release(follower)
        if delivery.state == "waiting":
            self._schedule(delivery, self._plan.pause(len(delivery.attempts)))

    def _post(self, event: Event, headers: Mapping[str, str], url: str) -> str:
        """One delivery: the HTTP status as text, or the name of the trouble."""
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=SEND_TIMEOUT_SECONDS)
        try:
            connection.request("POST", parts.path, event.body, {**headers, "Connection": "close"})
            response = connection.getresponse()
            said = response.read()
        except (OSError, http.client.HTTPException) as error:
            return type(error).__name__
        finally:
            connection.close()
        taken = 200 <= response.status < 300 and event.accepted in said
        return str(response.status) if taken or response.status >= 300 else f"not accepted: {response.status}"
