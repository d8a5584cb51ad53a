"""What does Stripe remember? All versions of all objects, cards and spent tokens; callers hold the lock."""

from __future__ import annotations

import itertools
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from simulator.stripe.cards import Card

Json = dict[str, Any]
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class Store:
    """In memory. An object is never changed in place: a change is a new version, so that events keep what they told.

    Ids never repeat, not even after reset or restart: they start from the time of day.
    """

    def __init__(self) -> None:
        self._ids = itertools.count(time.time_ns() // 1_000_000)
        self.reset()

    def reset(self) -> None:
        self._versions: dict[str, list[tuple[datetime, Json]]] = {}
        self._of_kind: defaultdict[str, list[str]] = defaultdict(list)
        self._belonging: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        self.cards: dict[str, Card] = {}  # by payment method
        self.spent_tokens: set[str] = set()
        self.spent_methods: set[str] = set()
        self.unpaid: dict[str, None] = {}  # balance transactions in no payout yet, oldest first
        self.payout_of: dict[str, str] = {}  # by balance transaction
        self.foreign: set[str] = set()  # intents that are none of ours
        self.holds: dict[str, int] = {}  # intent -> when its hold lapses, earliest first
        self.deadlines: dict[str, int] = {}  # dispute -> when its time to answer is over

    def next_id(self, prefix: str) -> str:
        number, text = next(self._ids), ""
        while number:
            number, digit = divmod(number, 62)
            text = _DIGITS[digit] + text
        return f"{prefix}_3Sim{text.rjust(12, '0')}"

    def put(self, value: Json, visible_at: datetime) -> None:
        """Append a version; look-ups show it from `visible_at`."""
        versions = self._versions.setdefault(value["id"], [])
        versions.append((visible_at, value))
        if len(versions) > 1:
            return
        kind = value["object"]
        self._of_kind[kind].append(value["id"])
        if kind == "balance_transaction":
            self.unpaid[value["id"]] = None
        for parent in ("payment_intent", "charge", "source"):
            if isinstance(value.get(parent), str):
                self._belonging[kind, value[parent]].append(value["id"])

    def pay_out(self, transaction_id: str, payout_id: str) -> None:
        self.unpaid.pop(transaction_id, None)
        self.payout_of[transaction_id] = payout_id

    def get(self, object_id: str) -> Json | None:
        """The true present version."""
        versions = self._versions.get(object_id)
        return versions[-1][1] if versions else None

    def known(self, object_id: str) -> Json:
        """One that is known to exist."""
        return self._versions[object_id][-1][1]

    def shown(self, object_id: str, until: datetime) -> Json | None:
        """The last version that a look-up may see, None before the first."""
        for visible_at, version in reversed(self._versions.get(object_id, ())):
            if visible_at <= until:
                return version
        return None

    def all(self, kind: str) -> Iterator[Json]:
        """The true present versions of a kind, oldest first."""
        return (self.known(found) for found in self._of_kind[kind])

    def ids(self, kind: str) -> list[str]:
        """Oldest first."""
        return self._of_kind[kind]

    def belonging(self, kind: str, parent_id: str) -> list[Json]:
        """Objects of a kind that name this one as their intent, charge or source, oldest first."""
        return [self.known(found) for found in self._belonging[kind, parent_id]]
