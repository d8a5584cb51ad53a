"""What does ConvesioPay remember? All versions of all payments, stored cards and used tokens; callers hold the lock."""

from __future__ import annotations

import itertools
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta

from simulator.convesiopay.cards import Card
from simulator.convesiopay.model import Payment


class Store:
    """In memory. Ids never repeat, not even after reset or restart: they start from the time of day."""

    def __init__(self) -> None:
        self._ids = itertools.count(time.time_ns() // 10_000_000)
        self.reset()

    def reset(self) -> None:
        self._versions: dict[str, list[tuple[datetime, Payment]]] = {}
        self._by_order: defaultdict[str, list[str]] = defaultdict(list)
        self.stored_cards: dict[tuple[str, str], Card] = {}
        self.used_tokens: set[str] = set()

    def next_id(self, prefix: str) -> str:
        return f"{prefix}{next(self._ids):X}"

    def put(self, payment: Payment, visible_at: datetime) -> None:
        """Append a version; look-ups show it from `visible_at`."""
        versions = self._versions.setdefault(payment.payment_id, [])
        versions.append((visible_at, payment))
        if len(versions) == 1:
            self._by_order[payment.order_number].append(payment.payment_id)

    def get(self, payment_id: str) -> Payment | None:
        """The true present version."""
        versions = self._versions.get(payment_id)
        return versions[-1][1] if versions else None

    def all(self) -> Iterator[Payment]:
        """The true present versions, oldest payment first."""
        return (versions[-1][1] for versions in self._versions.values())

    def shown(self, now: datetime, lag_seconds: float, payment_id: str) -> Payment | None:
        """What a look-up may see: the last version visible (by `lag_seconds` later) at `now`."""
        until = now - timedelta(seconds=lag_seconds)
        seen = (version for visible_at, version in reversed(self._versions.get(payment_id, ())) if visible_at <= until)
        return next(seen, None)

    def ids_of_order(self, order_number: str) -> list[str]:
        return self._by_order.get(order_number, [])
