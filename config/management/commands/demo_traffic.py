"""Give a demo something to look at: payments through our own HTTP API, as a merchant's system would send them.

It knows the API only. A server that is down is waited for; nothing it meets makes it stop.
"""

import json
import logging
import random
import signal
import sys
import time
import urllib.error
import urllib.request
import uuid
from argparse import ArgumentParser
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from config.mishaps import Mishaps
from config.settings import env_int
from payments.services.tokens import issue_token

log = logging.getLogger(__name__)

DECLINES = ("insufficient_funds", "soft_decline", "hard_decline", "expired_card", "fraud", "limit_exceeded")
PEOPLE = ("Ada Byron", "Grace Murray", "Emmy Noether", "Alan Mathison", "Mary Somerville", "Srinivasa Iyengar")
WAIT_SECONDS = 5.0


@dataclass
class Merchant:
    """A client of the API with a memory of its last payments."""

    address: str
    token: str
    dice: random.Random
    mishaps: Mishaps
    cancelled: list[str] = field(default_factory=list)
    recent: list[dict[str, Any]] = field(default_factory=list)

    def act(self) -> None:
        """One thing a merchant does: mostly a new payment, now and then a capture, a cancel or a refund of one before."""
        chance = self.dice.random()
        if len(self.cancelled) > 1:  # not the newest: its void is still on its way
            self.mishaps.after_cancel(self.cancelled.pop(0))
        if self.recent and chance < 0.25:
            self._follow_up(self.recent.pop(self.dice.randrange(len(self.recent))))
        else:
            self._pay()

    def _pay(self) -> None:
        name = self.dice.choice(PEOPLE)
        declined = self.dice.random() < 0.15
        token = f"tok_decline_{self.dice.choice(DECLINES)}" if declined else "tok_ok"
        made = self._post(
            "/payments",
            {
                "amount_minor": self.dice.randrange(199, 48_000),
                "currency": "USD",
                "reference": f"demo-{uuid.UUID(int=self.dice.getrandbits(128)).hex[:10]}",
                "payer": {
                    "id": name.split()[0].lower(),
                    "name": name,
                    "email": f"{name.split()[0].lower()}@example.com",
                },
                "method": {"type": "card", "token": token},
                "capture": "manual" if self.dice.random() < 0.25 else "automatic",
            },
        )
        if made:
            self.recent = [*self.recent[-30:], made]

    def _follow_up(self, payment: dict[str, Any]) -> None:
        now = self._get(f"/payments/{payment['id']}")
        left = int(now.get("amount_captured_minor", 0)) - int(now.get("amount_refunded_minor", 0))
        if now.get("state") == "authorised":
            done = self.dice.random() < 0.75
            path, body = ("capture", {"amount_minor": now["amount_minor"], "final": True}) if done else ("cancel", {})
            self._post(f"/payments/{payment['id']}/{path}", body)
            if path == "cancel":
                self.cancelled.append(now["reference"])
        elif now.get("state") in {"captured", "settled"} and left > 0 and self.dice.random() < 0.3:
            self._post(f"/payments/{payment['id']}/refunds", {"amount_minor": left, "reason": "returned goods"})

    def _get(self, path: str) -> dict[str, Any]:
        return self._ask("GET", path, None)

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._ask("POST", path, body)

    def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        if method == "POST":
            headers["Idempotency-Key"] = uuid.uuid4().hex
        request = urllib.request.Request(  # noqa: S310 - our own loopback address
            f"{self.address}/api/v1{path}",
            method=method,
            headers=headers,
            data=json.dumps(body).encode() if body is not None else None,
        )
        try:
            with urllib.request.urlopen(request, timeout=15) as answer:  # noqa: S310
                known = json.load(answer)
        except urllib.error.HTTPError as refusal:
            with refusal:
                log.info(
                    "%s %s was answered %s: %s", method, path, refusal.code, refusal.read(300).decode(errors="replace")
                )
            return {}
        return known if isinstance(known, dict) else {}


class Command(BaseCommand):
    """`manage.py demo_traffic [--rate N] [--seed N]`"""

    help = "Send demo payments through the API until stopped."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--rate", type=int, default=env_int("DEMO_RATE", default=12), help="payments a minute")
        parser.add_argument("--address", default=f"http://127.0.0.1:{env_int('PORT', default=8000)}")
        parser.add_argument("--simulator", default=f"http://127.0.0.1:{env_int('SIMULATOR_PORT', default=8100)}")
        parser.add_argument("--seed", type=int, default=None)

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEMO:
            raise CommandError("Demo traffic runs only with DEMO=1.")
        if options["rate"] < 1:
            raise CommandError("--rate is at least 1 payment a minute.")
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        token = issue_token("demo traffic", now=timezone.now()).token
        dice = random.Random(options["seed"])  # noqa: S311 - no secret
        mishaps = Mishaps(options["simulator"], dice)
        mishaps.begin()
        merchant = Merchant(options["address"], token, dice, mishaps)
        while True:
            try:
                merchant.act()
                time.sleep(60 / options["rate"])
            except (OSError, HTTPException, ValueError) as trouble:
                log.info("The server is away (%s); trying again.", type(trouble).__name__)
                time.sleep(WAIT_SECONDS)
