"""What truly happened? Each gateway's own record of money moving and of requests seen; reset alone takes away."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Movement:
    """Money that truly moved (or was held or released) at a gateway.

    `kind`: authorisation, capture, void or refund; refund_return (a refund that failed after all), chargeback,
    chargeback_return, fee (in the currency of settlement). `operation`: sale, auth, capture, void, refund or dispute.
    `reference`: the order id of the transaction; `operation_reference`: the one sent with this operation, may be empty.
    `original_gateway_id` and `original_reference`: for a refund, dispute or fee, the transaction it is about.
    `releases`: for a void, the kind of movement it undoes. `origin`: api, dashboard or foreign.
    """

    kind: str
    operation: str
    gateway_id: str
    reference: str
    operation_reference: str
    amount_minor: int
    currency: str
    occurred_at: datetime
    card: str
    token: str
    payer_email: str
    origin: str
    original_gateway_id: str = ""
    original_reference: str = ""
    releases: str = ""


class Books:
    """Movements in the order in which they happened, and counts of requests by endpoint and outcome."""

    def __init__(self) -> None:
        self._movements: list[Movement] = []
        self._requests: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, movement: Movement) -> None:
        with self._lock:
            self._movements.append(movement)

    def count(self, name: str) -> None:
        with self._lock:
            self._requests[name] += 1

    def movements(self) -> list[Movement]:
        with self._lock:
            return list(self._movements)

    def requests(self) -> dict[str, int]:
        with self._lock:
            return dict(sorted(self._requests.items()))

    def reset(self) -> None:
        with self._lock:
            self._movements.clear()
            self._requests.clear()
