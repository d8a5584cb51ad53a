"""Which trouble can a drill make, and at which gateway? A table and a choice out of it; who is struck is planned elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from config.drill.wishes import GATEWAYS

_CALLS = ("sale", "auth", "capture", "void", "refund")
_MONEY = ("sale", "auth", "capture")
_NMI, _NOT_STRIPE = ("nmi",), ("nmi", "convesiopay")
LONG_DRILL = 150  # payments from which on every gateway has every window; fewer would meet nothing else


@dataclass(frozen=True, slots=True)
class Trouble:
    """One fault as the drill uses it. `window`: switched on for everybody for a few seconds, not aimed at one payment."""

    name: str
    argument: str = ""
    operations: tuple[str, ...] = _CALLS
    window: bool = False
    gateways: tuple[str, ...] = GATEWAYS  # those that have an answer like it

    @property
    def text(self) -> str:
        """As the simulator wants it."""
        return f"{self.name}:{self.argument}" if self.argument else self.name


TROUBLES: tuple[Trouble, ...] = (
    Trouble("lost_response"),
    Trouble("dropped_request"),
    Trouble("server_error"),
    Trouble("server_error_after"),
    Trouble("timeout"),
    Trouble("timeout_after"),
    Trouble("slow", "2"),
    Trouble("empty_body"),
    Trouble("empty_body_after"),
    Trouble("html_body"),
    Trouble("html_body_after"),
    Trouble("rate_limited"),
    Trouble("late_authorisation", "5"),
    Trouble("late_authorisation", "2700"),  # after its absence has been proven
    Trouble("decline", "soft_decline"),
    Trouble("duplicate", operations=("sale", "auth"), gateways=_NMI),
    Trouble("amount_off", "37", _MONEY),
    Trouble("amount_off", "-25:silent", _MONEY),
    # Not of a capture: a transaction has one currency there, so it would say that the hold was in EUR all along.
    Trouble("currency_off", "EUR", ("sale", "auth")),
    Trouble("communication_error", operations=("sale", "auth"), gateways=_NOT_STRIPE),
    Trouble("test_mode", operations=("sale",), gateways=_NOT_STRIPE),
    Trouble("lookup_lag", "8"),
    Trouble("webhook_duplicate", "2"),
    Trouble("webhook_delayed", "6"),
    Trouble("webhook_missing"),
    Trouble("webhook_reordered", "4"),
    Trouble("webhook_forged"),
    Trouble("webhook_other_id", "2"),
    Trouble("outage", window=True),
    Trouble("lookup_down", window=True),
)
KILLS = ("kill_worker", "restart_database")
NAMES = tuple(dict.fromkeys([*(trouble.name for trouble in TROUBLES), *KILLS]))


class UnknownFaultError(ValueError):
    """A name that is no fault; the message lists those there are."""


def chosen_faults(wish: str) -> frozenset[str]:
    """`all`, `none`, or names with commas between. Raises: UnknownFaultError."""
    if wish == "all":
        return frozenset(NAMES)
    if wish in ("", "none"):
        return frozenset()
    names = [name.strip() for name in wish.split(",") if name.strip()]
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise UnknownFaultError(f"There is no fault {unknown[0]!r}: all, none, or some of {', '.join(NAMES)}.")
    return frozenset(names)


def windows(names: frozenset[str], gateways: Sequence[str] = ("nmi",), payments: int = 1) -> list[tuple[str, Trouble]]:
    """The chosen faults that strike everybody for a while, each at one gateway; in a long drill at every one."""
    lasting = [trouble for trouble in TROUBLES if trouble.window and trouble.name in names]
    if payments >= LONG_DRILL:
        return [(gateway, trouble) for gateway in gateways for trouble in lasting]
    return [(gateways[turn % len(gateways)], trouble) for turn, trouble in enumerate(lasting)]
