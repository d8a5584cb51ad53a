"""Which trouble does a drill make, and for whom? A table and a seeded plan; the same seed plans the same drill."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

_CALLS = ("sale", "auth", "capture", "void", "refund")
_MONEY = ("sale", "auth", "capture")


@dataclass(frozen=True, slots=True)
class Trouble:
    """One fault as the drill uses it. `window`: switched on for everybody for a few seconds, not aimed at one payment."""

    name: str
    argument: str = ""
    operations: tuple[str, ...] = _CALLS
    window: bool = False

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
    Trouble("decline", "200"),
    Trouble("duplicate", operations=("sale", "auth")),
    Trouble("amount_off", "37", _MONEY),
    Trouble("amount_off", "-25:silent", _MONEY),
    # Not of a capture: a transaction has one currency there, so it would say that the hold was in EUR all along.
    Trouble("currency_off", "EUR", ("sale", "auth")),
    Trouble("communication_error", operations=("sale", "auth")),
    Trouble("test_mode", operations=("sale",)),
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

# What a merchant does with a payment, how often (of 100), and the gateway calls that come of it.
STORIES: dict[str, tuple[int, tuple[str, ...]]] = {
    "sale": (24, ("sale",)),
    "declined": (6, ("sale",)),
    "cancelled at once": (6, ("sale",)),
    "captured": (12, ("auth", "capture")),
    "captured in part": (10, ("auth", "capture")),
    "hold cancelled": (12, ("auth", "void")),
    "hold forgotten": (4, ("auth",)),
    "refunded": (14, ("sale", "void")),
    "refunded in part": (12, ("sale", "refund")),
}
_DECLINES = ("insufficient_funds", "soft_decline", "hard_decline", "expired_card", "limit_exceeded")
_STRUCK = 0.6  # of the payments
_REPEATED = 0.3  # of the payments are asked for several times under one key


class UnknownFaultError(ValueError):
    """A name that is no fault; the message lists those there are."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One payment of the drill: what is asked for, what is done with it, and what goes wrong on the way."""

    number: int
    reference: str
    payer: str
    amount_minor: int
    token: str
    story: str
    trouble: Trouble | None
    operation: str
    repeats: int

    @property
    def capture(self) -> str:
        """How the API shall capture."""
        return "manual" if "auth" in STORIES[self.story][1] else "automatic"

    @property
    def part_minor(self) -> int:
        """A part of the amount, never nothing and never all of it."""
        return max(1, self.amount_minor // 3)


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


def plan(payments: int, seed: int, names: frozenset[str]) -> list[Planned]:
    """The drill of this seed; every chosen fault is used in turn, where a payment's story has a call for it."""
    dice = random.Random(seed)  # noqa: S311 - chance that must repeat, no secret
    turns = [trouble for trouble in TROUBLES if trouble.name in names and not trouble.window]
    dice.shuffle(turns)
    return [_one(number, seed, dice, turns) for number in range(1, payments + 1)]


def _one(number: int, seed: int, dice: random.Random, turns: list[Trouble]) -> Planned:
    story = dice.choices(list(STORIES), [weight for weight, _ in STORIES.values()])[0]
    operations = STORIES[story][1]
    trouble = _next_turn(turns, operations) if dice.random() < _STRUCK else None
    fitting = [operation for operation in operations if trouble and operation in trouble.operations]
    return Planned(
        number=number,
        reference=f"drill-{seed}-{number:05d}",
        payer=f"payer-{seed}-{number:05d}@example.com",
        amount_minor=dice.randrange(300, 60_000),
        token=f"tok_decline_{dice.choice(_DECLINES)}" if story == "declined" else "tok_ok",
        story=story,
        trouble=trouble,
        operation=dice.choice(fitting) if fitting else "",
        repeats=dice.randrange(2, 5) if dice.random() < _REPEATED else 1,
    )


def _next_turn(turns: list[Trouble], operations: Sequence[str]) -> Trouble | None:
    """The first whose turn it is and that can strike one of these calls; it goes to the end of the row."""
    for index, trouble in enumerate(turns):
        if set(trouble.operations) & set(operations):
            turns.append(turns.pop(index))
            return trouble
    return None


def windows(names: frozenset[str]) -> list[Trouble]:
    """The chosen faults that strike everybody for a while."""
    return [trouble for trouble in TROUBLES if trouble.window and trouble.name in names]
