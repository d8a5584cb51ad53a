"""Where is one request worked on? The store, the moment, the faults, and what comes of it: events, movements, later work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from simulator.books import Movement
from simulator.stripe.codes import Refusal
from simulator.stripe.store import Json, Store


@dataclass(frozen=True, slots=True)
class Twist:
    """What faults change about an outcome."""

    refusal: Refusal | None = None
    amount_off_minor: int = 0
    silent: bool = False
    currency: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """Something that happened to an object, as an event will tell it."""

    event_type: str
    value: Json
    previous: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Later:
    """Work that the gateway does by itself after so many seconds."""

    seconds: float
    work: Callable[[Desk], object]


@dataclass(slots=True)
class Desk:
    """One request, act or piece of later work. `origin`: api, dashboard or foreign.

    `take_lag_seconds` is asked at the first change. `look_again`: in how many seconds something begun here is over.
    What was put stays put even when the request ends in an error: a decline leaves a failed charge.
    """

    store: Store
    now: datetime
    base_url: str = ""
    twist: Twist = field(default_factory=Twist)
    origin: str = "api"
    take_lag_seconds: Callable[[], float] = lambda: 0.0
    told: list[Told] = field(default_factory=list)
    moved: list[Movement] = field(default_factory=list)
    later: list[Later] = field(default_factory=list)
    look_again: list[float] = field(default_factory=list)
    _lag: timedelta | None = None

    @property
    def seconds(self) -> int:
        """The moment as Stripe writes it."""
        return int(self.now.timestamp())

    def put(self, value: Json) -> Json:
        """Keep an object, or the next version of one."""
        if self._lag is None:
            self._lag = timedelta(seconds=self.take_lag_seconds())
        self.store.put(value, self.now + self._lag)
        return value

    def change(self, object_id: str, **changes: Any) -> Json:
        """The next version of an object."""
        return self.put(self.store.known(object_id) | changes)

    def tell(self, event_type: str, value: Json, **previous: Any) -> None:
        """`previous`: what the changed fields were, as `data.previous_attributes`."""
        self.told.append(Told(event_type, value, previous))

    def after(self, seconds: float, work: Callable[[Desk], object]) -> None:
        self.later.append(Later(seconds, work))
