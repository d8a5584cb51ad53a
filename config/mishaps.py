"""What goes wrong at the demo's gateway? Faults at low rates and, now and then, money that must not come; through the simulator's
control panel, as anybody could. It knows nothing of our own tables."""

from __future__ import annotations

import json
import logging
import random
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.parse import quote

log = logging.getLogger(__name__)

RATES = (
    ("sale", "lost_response", 0.04),
    ("sale", "dropped_request", 0.01),
    ("sale", "amount_off:150", 0.01),
    ("auth", "lost_response", 0.03),
    ("any", "webhook_duplicate:2", 0.05),
    ("any", "webhook_delayed:20", 0.05),
)
LATE_CAPTURE = 0.3  # of the holds that were cancelled: enough that the first case comes within minutes


@dataclass
class Mishaps:
    """The gateway's own side of the demo."""

    address: str
    dice: random.Random

    def begin(self) -> None:
        """Switch the rates on, once, in place of whatever was on. A simulator that is away is left alone."""
        self._ask("DELETE", "faults", {"gateway": "nmi"})
        for operation, fault, rate in RATES:
            self._ask("POST", "faults", {"gateway": "nmi", "operation": operation, "fault": fault, "rate": rate})

    def after_cancel(self, reference: str) -> None:
        """Somebody captures the voided hold in the gateway's dashboard: money for a cancelled payment."""
        if self.dice.random() > LATE_CAPTURE:
            return
        known = self._ask("GET", f"books/nmi?reference={quote(reference)}", None).get("transactions", [])
        for transaction in known:
            if transaction.get("condition") == "canceled":
                act = {"gateway": "nmi", "action": "capture", "transaction_id": transaction["transaction_id"]}
                self._ask("POST", "act", {**act, "force": True})

    def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310 - the simulator on our own loopback
            f"{self.address}/_control/{path}",
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
                known = json.load(answer)
        except (OSError, HTTPException, ValueError) as trouble:
            log.info("The simulator did not take %s %s: %s", method, path, type(trouble).__name__)
            return {}
        return known if isinstance(known, dict) else {}
