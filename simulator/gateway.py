"""What must a simulated gateway offer to the server and the control interface? The one protocol; no gateway in here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from simulator.clock import Agenda, SimulatedClock
from simulator.faults import FaultBoard
from simulator.messages import Answer, Request
from simulator.webhooks import WebhookSender


@dataclass(frozen=True, slots=True)
class World:
    """What all gateways share: one clock, one agenda, one board of faults, one sender of webhooks.

    `calendar`: an agenda for what is due in days (holds that lapse); nobody waits for it to be empty.
    """

    clock: SimulatedClock
    agenda: Agenda
    faults: FaultBoard
    webhooks: WebhookSender
    calendar: Agenda


class Gateway(Protocol):
    """One gateway on the wire."""

    name: str
    operations: tuple[str, ...]
    actions: tuple[str, ...]

    def handle(self, request: Request) -> Answer:
        """Answer one request below this gateway's prefix."""

    def books(self, reference: str) -> dict[str, Any]:
        """What truly happened, narrowed down to a reference unless that is empty."""

    def act(self, action: str, wish: Mapping[str, Any]) -> dict[str, Any]:
        """Do something from the gateway's own side. Raises: ControlError."""

    def check_fault(self, name: str, argument: str) -> None:
        """Refuse an argument this gateway cannot act out. Raises: ControlError."""

    def settle_all(self) -> None:
        """Settle and pay out everything due, as the timer of --settle-every does."""

    def reset(self) -> None:
        """Forget everything."""
