"""What does each payment of a drill live through? A seeded plan; the same seed and wishes plan the same drill."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from config.drill.faults import TROUBLES, Trouble
from config.drill.wishes import Wish


@dataclass(frozen=True, slots=True)
class Story:
    """What becomes of a payment: how often (of 100), the calls that come of it, and the gateways that can play it."""

    weight: int
    operations: tuple[str, ...]
    gateways: tuple[str, ...] = ("nmi", "convesiopay", "stripe")


_ASKING = ("convesiopay", "stripe")  # they send the payer to the bank; NMI's token approves by itself
STORIES: dict[str, Story] = {
    "sale": Story(24, ("sale",)),
    "declined": Story(6, ("sale",)),
    "cancelled at once": Story(6, ("sale",)),
    "captured": Story(12, ("auth", "capture")),
    "captured in part": Story(10, ("auth", "capture")),
    "hold cancelled": Story(12, ("auth", "void")),
    "hold forgotten": Story(4, ("auth",)),
    "refunded": Story(14, ("sale", "void")),
    "refunded in part": Story(12, ("sale", "refund")),
    "payer approves": Story(6, ("sale",), _ASKING),
    "payer fails": Story(3, ("sale",), _ASKING),
    "payer leaves": Story(3, ("sale",), _ASKING),
    "payer approves late": Story(3, ("sale",), _ASKING),
    "refund comes back": Story(4, ("sale", "refund"), _ASKING),
    "disputed": Story(4, ("sale",), ("stripe",)),
}
_BY_PAYER = frozenset(name for name in STORIES if name.startswith("payer "))

# A card of each class at each gateway, beside the demo's own token of the class: several cards, so that not all of
# them come to the networks' ceilings.
DECLINES: dict[str, dict[str, str]] = {
    "insufficient_funds": {"nmi": "202", "convesiopay": "12", "stripe": "insufficient_funds+network_51"},
    "soft_decline": {"nmi": "201", "convesiopay": "2", "stripe": "generic_decline+network_05"},
    "hard_decline": {"nmi": "204", "convesiopay": "23", "stripe": "transaction_not_allowed+network_57"},
    "expired_card": {"nmi": "223", "convesiopay": "6", "stripe": "expired_card+network_54"},
    "limit_exceeded": {"nmi": "203", "convesiopay": "28", "stripe": "card_velocity_exceeded+network_65"},
    "fraud": {"nmi": "253", "convesiopay": "20", "stripe": "fraudulent+network_59"},
}
_STRUCK = 0.6  # of the payments
_REPEATED = 0.3  # of the payments are asked for several times under one key
_ROUTED = 0.5  # of the payments go where routing sends them; the others name their gateway
_SINGLE_USE = 0.15  # of the cards that approve are tokens that work once
_UPLOADED = _BY_MERCHANT = 0.12  # of plain sales and declines come out of a spreadsheet, or while no payer is there
PATIENCE_DAYS = 9  # how long a charge of the merchant's own may be tried: ten days see the end of it


@dataclass(frozen=True, slots=True)
class Planned:
    """One payment of the drill: what is asked for, what is done with it, and what goes wrong on the way.

    `gateway` is asked first; `wanted` names it in the request. `door`: api, upload or merchant. `declined_as`: the class in
    which its card refuses everywhere.
    """

    number: int
    reference: str
    payer: str
    amount_minor: int
    token: str
    story: str
    trouble: Trouble | None
    operation: str
    repeats: int
    gateway: str = "nmi"
    wanted: str = ""
    credentials: Mapping[str, str] = field(default_factory=dict)
    door: str = "api"
    declined_as: str = ""

    @property
    def capture(self) -> str:
        """How the API shall capture."""
        return "manual" if "auth" in STORIES[self.story].operations else "automatic"

    @property
    def asks_payer(self) -> bool:
        """Does the card send its payer to the bank, so that they need a way back?"""
        return self.story in _BY_PAYER

    @property
    def part_minor(self) -> int:
        """A part of the amount, never nothing and never all of it."""
        return max(1, self.amount_minor // 3)

    @property
    def method(self) -> dict[str, object]:
        """The payment method as the API takes it."""
        if self.credentials:
            return {"type": "card", "credentials": dict(self.credentials)}
        return {"type": "card", "token": self.token}

    def label(self, gateway: str) -> str:
        """What the gateway's control interface knows the payment by; ConvesioPay is told no order of the merchant's."""
        return self.payer if gateway == "convesiopay" else self.reference


def plan(wish: Wish) -> list[Planned]:
    """The drill of this wish; every chosen fault is used in turn, where a payment's story has a call for it."""
    dice = random.Random(wish.seed)  # noqa: S311 - chance that must repeat, no secret
    turns = [trouble for trouble in TROUBLES if trouble.name in wish.faults and not trouble.window]
    dice.shuffle(turns)
    return [_one(number, wish, dice, turns) for number in range(1, wish.payments + 1)]


def _one(number: int, wish: Wish, dice: random.Random, turns: list[Trouble]) -> Planned:
    story = _story(wish, dice)
    gateway, wanted = _gateway(story, wish, dice)
    operations = STORIES[story].operations
    trouble = _next_turn(turns, operations, gateway) if dice.random() < _STRUCK else None
    fitting = [operation for operation in operations if trouble and operation in trouble.operations]
    declined_as = dice.choice(list(DECLINES)) if story == "declined" else ""
    return Planned(
        number=number,
        reference=f"drill-{wish.seed}-{number:05d}",
        payer=f"payer-{wish.seed}-{number:05d}@example.com",
        amount_minor=dice.randrange(300, 60_000),
        token=f"tok_decline_{declined_as}" if declined_as else "tok_3ds" if story in _BY_PAYER else "tok_ok",
        story=story,
        trouble=trouble,
        operation=dice.choice(fitting) if fitting else "",
        repeats=dice.randrange(2, 5) if dice.random() < _REPEATED else 1,
        gateway=gateway,
        wanted=wanted,
        credentials=_credentials(number, story, declined_as, wish, dice),
        door=_door(story, dice),
        declined_as=declined_as,
    )


def _story(wish: Wish, dice: random.Random) -> str:
    can = {name: story for name, story in STORIES.items() if set(story.gateways) & set(wish.gateways)}
    if wish.decline_rate is not None:
        if dice.random() < wish.decline_rate:
            return "declined"
        del can["declined"]
    return dice.choices(list(can), [story.weight for story in can.values()])[0]


def _gateway(story: str, wish: Wish, dice: random.Random) -> tuple[str, str]:
    """Where it goes first, and the name in the request: empty where routing chooses."""
    able = [gateway for gateway in wish.gateways if gateway in STORIES[story].gateways]
    if len(able) == len(wish.gateways) and (len(able) == 1 or dice.random() < _ROUTED):
        return wish.gateways[0], ""
    chosen = dice.choice(able)
    return chosen, chosen


def _credentials(number: int, story: str, declined_as: str, wish: Wish, dice: random.Random) -> dict[str, str]:
    """One for each gateway; empty: the demo's token stands for them."""
    if declined_as and dice.random() < 0.5:
        return {gateway: f"{gateway}_tok_decline_{DECLINES[declined_as][gateway]}" for gateway in wish.gateways}
    if not declined_as and story not in _BY_PAYER and dice.random() < _SINGLE_USE:
        return {gateway: f"{gateway}_once_{wish.seed}_{number}" for gateway in wish.gateways}
    return {}


def _door(story: str, dice: random.Random) -> str:
    if story not in ("sale", "declined"):
        return "api"
    chance = dice.random()
    return "upload" if chance < _UPLOADED else "merchant" if chance < _UPLOADED + _BY_MERCHANT else "api"


def _next_turn(turns: list[Trouble], operations: Sequence[str], gateway: str) -> Trouble | None:
    """The first whose turn it is and that can strike one of these calls there; it goes to the end of the row."""
    for index, trouble in enumerate(turns):
        if gateway in trouble.gateways and set(trouble.operations) & set(operations):
            turns.append(turns.pop(index))
            return trouble
    return None
