"""What happened around one day at three gateways and a bank, and what of it was planted? The same seed, the same world."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from random import Random

from simulator.reports import plants_back, plants_money, plants_own
from simulator.reports.contract import PROFILES
from simulator.reports.days import Days
from simulator.reports.maker import Maker
from simulator.reports.settlement import BANKS, Bank, due_in_time, payouts_of, sums_off
from simulator.reports.traffic import ordinary, own_rows
from simulator.reports.values import BankLine, Call, Label, Payout, Row, Story, Told

TWISTS = ("none", "restated", "partial", "duplicated", "rezoned")
_SHARES = {"stripe": 0.4, "nmi": 0.35, "convesiopay": 0.25}
_PLANTS: tuple[Callable[[Maker], Story | None], ...] = (
    plants_money.missing_at_gateway, plants_money.missing_in_payments, plants_money.amount_mismatch,
    plants_money.currency_mismatch, plants_money.status_mismatch, plants_money.duplicate_at_gateway,
    plants_money.fx_difference, plants_money.fx_variance, plants_back.refund_unmatched, plants_back.refund_exceeds,
    plants_back.refund_failed, plants_back.chargeback_unrecorded, plants_back.dual_refund, plants_own.adjustment,
    plants_own.reserve_hold, plants_own.reserve_release,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for. `most`: how many of one type are planted at a gateway, one at least."""

    seed: int
    day: date
    zone: str = "UTC"
    transactions: int = 4_000
    twist: str = "none"
    most: int = 4


@dataclass
class World:
    """All of it. `stated` is what a bank says it opens with, `opened` what the merchant's books say."""

    wish: Wish
    days: Days
    rows: dict[str, list[Row]] = field(default_factory=dict)
    told: dict[str, list[Told]] = field(default_factory=dict)
    calls: dict[str, list[Call]] = field(default_factory=dict)
    payouts: list[Payout] = field(default_factory=list)
    bank: list[BankLine] = field(default_factory=list)
    opened: dict[str, int] = field(default_factory=dict)
    stated: dict[str, int] = field(default_factory=dict)
    labels: list[Label] = field(default_factory=list)

    def rows_of(self, gateway: str, first: date, last: date) -> list[Row]:
        """What is reported of these days, in the order of time."""
        found = [row for row in self.rows[gateway] if first <= self.days.day_of(row.at) <= last]
        return sorted(found, key=lambda row: (row.at, row.key))

    def bank_lines(self, account: str, first: date, last: date) -> list[BankLine]:
        found = [line for line in self.bank if line.account == account and first <= line.on <= last]
        return sorted(found, key=lambda line: (line.on, line.ref))

    def balance(self, account: str, before: date) -> int:
        """What the bank says it had when a day began."""
        return self.stated[account] + sum(
            line.amount for line in self.bank if line.account == account and line.on < before
        )


def make_world(wish: Wish) -> World:
    """Traffic first, then orders that differ, then what is paid out of all of it and what the bank shows."""
    draw = Random(wish.seed)  # noqa: S311 - a drawn world, no secret
    world = World(wish, Days(wish.day, wish.zone))
    for name, share in _SHARES.items():
        _fill(world, Maker(PROFILES[name], world.days, draw), round(wish.transactions * share))
    _banks(world, draw)
    return world


def _fill(world: World, maker: Maker, transactions: int) -> None:
    name, days, draw = maker.profile.name, world.days, maker.draw
    around = (days.first, days.day, days.day, days.day, days.day, days.day + timedelta(days=1))
    stories = [ordinary(maker, draw.choice(around)) for _ in range(transactions)]
    for plant in _PLANTS:
        made = (plant(maker) for _ in range(draw.randint(1, world.wish.most)))
        stories += [story for story in made if story is not None]
    labels = plants_own.fees_off(maker, stories)
    own = [row for day in days.all() for row in own_rows(maker, day)]
    monthly = plants_own.monthly_fee_off(maker.profile, own, days.first.isoformat())
    rows = [row for story in stories for row in story.rows] + own
    payouts = payouts_of(maker, rows)
    labels += sums_off(draw, due_in_time(days, payouts), draw.randint(1, 2))
    world.rows[name] = rows + [payout.row for payout in payouts]
    world.told[name] = [told for story in stories for told in story.told]
    world.calls[name] = [call for story in stories for call in story.calls]
    world.payouts += payouts
    world.labels += [replace(label, order=story.order) for story in stories for label in story.labels] + labels
    world.labels += [monthly] if monthly else []


def _banks(world: World, draw: Random) -> None:
    """Most payouts arrive; of those that are due before the end, some do not, or with something taken off."""
    bank, due = Bank(world.days, draw), due_in_time(world.days, world.payouts)
    by_gateway: defaultdict[str, list[Payout]] = defaultdict(list)
    for payout in due:
        by_gateway[payout.gateway].append(payout)
    apart: dict[int, str] = {}
    for payouts in by_gateway.values():
        chosen = draw.sample(payouts, k=min(2, len(payouts)))
        apart |= {id(payout): way for payout, way in zip(chosen, ("keep", "shorten"), strict=False)}
    for payout in world.payouts:
        way = apart.get(id(payout))
        if way == "keep":
            world.labels.append(bank.keep_back(payout))
        elif way == "shorten":
            world.labels += bank.shorten(payout)
        else:
            bank.show(payout)
    world.labels += [bank.own(currency) for currency in BANKS for _ in range(draw.randint(1, 2))]
    world.bank = bank.lines
    _openings(world, draw)


def _openings(world: World, draw: Random) -> None:
    """One bank opens with another balance than the merchant's books: nothing explains that."""
    for currency, account in BANKS.items():
        world.opened[account] = world.stated[account] = draw.randint(100_000, 900_000) if currency != "JPY" else 0
    currency = draw.choice(["USD", "EUR"])
    drift = draw.choice([-1, 1]) * draw.randint(1, 50_000)
    world.stated[BANKS[currency]] += drift
    label = Label("balance_drift", BANKS[currency], f"balance:{currency}", abs(drift), drift, currency)
    world.labels.append(label)
