"""Which report comes on which night, whole or not, once or twice, in which times? The plan of a world, and what it plants."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from random import Random

from simulator.reports.days import work_days_after
from simulator.reports.settlement import BANKS, unmatched
from simulator.reports.values import BankLine, Label, Row
from simulator.reports.world import World

_SUFFIX = {"nmi": "csv", "convesiopay": "csv", "bank-usd": "xml", "bank-eur": "sta", "bank-jpy": "csv"}
_ONE_DAY = timedelta(days=1)
Lines = list[Row] | list[BankLine]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One file as it comes, on the morning after `night`. `way`: csv, xml, sta, ndjson; or outage, where API fails that night.

    `written`: declared, offset (each time with its own offset) or utc (without saying so). `edition`: whole, first (restated
    later), short (its end is missing and it says so) or cut (without the row that ends it).
    """

    night: date
    account: str
    way: str
    first: date
    last: date
    edition: str = "whole"
    written: str = "declared"
    part: int = 0
    junk: bool = True  # rows that nobody can read are in it, where the day has some

    @property
    def path(self) -> str:
        query = f"last={self.last}&edition={self.edition}&written={self.written}&part={self.part}&junk={int(self.junk)}"
        return f"/_control/reports/{self.account}/{self.first}.{self.way}?{query}"

    @property
    def name(self) -> str:
        return f"{self.account} {self.first} {self.edition} {self.part or ''}".strip() + f".{self.way}"


@dataclass
class Plan:
    """What comes when, other editions of single days, and rows that nobody can read."""

    deliveries: list[Delivery] = field(default_factory=list)
    editions: dict[tuple[str, date, str], Lines] = field(default_factory=dict)
    junk: dict[tuple[str, date], int] = field(default_factory=dict)
    labels: list[Label] = field(default_factory=list)

    def replace(self, account: str, day: date, *instead: Delivery) -> None:
        """Other files in place of the one of a day."""
        self.deliveries = [one for one in self.deliveries if (one.account, one.first) != (account, day)]
        self.deliveries += instead


def plan_of(world: World) -> Plan:
    """Every account reports every day; one is late, one has rows nobody can read; then the twist."""
    draw = Random(world.wish.seed + 1)  # noqa: S311 - a drawn world, no secret
    plan = Plan([_daily(account, day) for account in _SUFFIX for day in world.days.all()])
    day = world.days.day
    _late(plan, world, draw)
    for account in draw.sample(["nmi", "convesiopay"], k=draw.randint(1, 2)):
        plan.junk[account, day] = draw.randint(1, 3)
        plan.labels.append(Label("row_rejected", account, f"report:{day}"))
    twist = {"restated": _restated, "partial": _partial, "duplicated": _duplicated, "rezoned": _rezoned}
    if world.wish.twist in twist:
        twist[world.wish.twist](plan, world, draw)
    plan.deliveries.sort(key=lambda one: (one.night, one.first, one.part))
    return plan


def _daily(
    account: str, day: date, *, night: date | None = None, edition: str = "whole", written: str = "declared", part: int = 0,
    junk: bool = True,
) -> Delivery:  # fmt: skip
    return Delivery(night or day, account, _SUFFIX[account], day, day, edition, written, part, junk)


def _late(plan: Plan, world: World, draw: Random) -> None:
    """One report comes a night to three too late."""
    account = draw.choice(sorted(_SUFFIX))
    day = world.days.day + 2 * _ONE_DAY
    night = min(day + draw.randint(1, 3) * _ONE_DAY, world.days.last - _ONE_DAY)
    plan.replace(account, day, _daily(account, day, night=night))
    plan.labels.append(Label("report_missing", account, f"day:{day}", passing=True))
    if account in ("bank-usd", "bank-eur") and night > day + _ONE_DAY and world.bank_lines(account, day, day):
        # the next one opens with another balance than the last one closed with
        plan.labels.append(Label("report_gap", account, f"day:{day + _ONE_DAY}", passing=True))
    untold = {
        payout.row.payout_id
        for payout in world.payouts
        if payout.gateway == account and world.days.day_of(payout.row.at) == day
    }
    apart = {label.key for label in world.labels if label.type == "bank_unmatched"}
    for line in world.bank:  # until the gateway tells of its payouts, the bank's lines of them stand alone
        if line.of_payout in untold and line.on < night and f"line:{line.ref}" not in apart:
            plan.labels.append(unmatched(line, passing=True))


# --- twists -----------------------------------------------------------------------------------------------------------


def _restated(plan: Plan, world: World, draw: Random) -> None:
    """The report of the day first says other amounts, lacks rows and has some that never were."""
    day = world.days.day
    for account in ("nmi", "convesiopay"):
        first, off = _first_edition(plan, world, draw, account)
        plan.editions[account, day, "first"] = first
        plan.replace(account, day, _daily(account, day, edition="first"), _corrected(plan, account, day))
        for currency, amount in sorted(off.items()):
            plan.labels.append(Label("report_restated", account, f"report:{day}:{currency}", amount, 0, currency))


def _corrected(plan: Plan, account: str, day: date) -> Delivery:
    """The day once more, a night later and without what nobody could read."""
    key = f"report:{day}"
    plan.labels = [
        replace(label, passing=True)
        if (label.type, label.gateway, label.key) == ("row_rejected", account, key)
        else label
        for label in plan.labels
    ]
    return _daily(account, day, night=day + _ONE_DAY, part=1, junk=False)


def _first_edition(plan: Plan, world: World, draw: Random, account: str) -> tuple[list[Row], dict[str, int]]:
    rows, off = world.rows_of(account, world.days.day, world.days.day), dict[str, int]()
    known = {told.gateway_id: told for told in world.told[account] if told.kind == "capture" and told.heard}
    counted = [one.gateway_id for one in world.rows[account]]
    apart = {label.key for label in world.labels}
    plain = [
        row for row in rows
        if row.kind == "charge" and row.gateway_id in known and counted.count(row.gateway_id) == 1
        and not row.presented_in and f"line:{row.key}" not in apart and row.gross == known[row.gateway_id].amount_minor
    ]  # fmt: skip
    chosen = draw.sample(plain, k=min(len(plain), 2 * draw.randint(2, 4)))
    changed, missing = chosen[::2], chosen[1::2]
    first = [copy(row) for row in rows if row not in missing]
    for row in missing:
        off[row.currency] = off.get(row.currency, 0) + abs(row.net)
    for row in first:
        if any(row.key == one.key for one in changed):
            less = draw.randint(1, row.gross // 2)
            row.gross -= less
            off[row.currency] = off.get(row.currency, 0) + less
            key = f"line:{row.key}"
            told = known[row.gateway_id]
            between = row.worth - told.amount_minor
            plan.labels.append(
                Label("amount_mismatch", account, key, less, between, row.currency, passing=True, order=told.order)
            )
    for number in range(draw.randint(1, 3)):
        ghost = copy(draw.choice(changed))
        ghost.key, ghost.gateway_id, ghost.reference = f"{ghost.key}ghost{number}", f"{ghost.gateway_id}9{number}", ""
        ghost.at = world.days.at(world.days.day, 18, number)
        off[ghost.currency] = off.get(ghost.currency, 0) + abs(ghost.net)
        first.append(ghost)
    return sorted(first, key=lambda row: (row.at, row.key)), off


def _partial(plan: Plan, world: World, _: Random) -> None:
    """A file whose end is missing, one that says it holds more, an API that is down: the day is told whole a night later."""
    day = world.days.day
    shown = work_days_after(day, 1)
    for account, of, edition in (("nmi", day, "short"), ("convesiopay", day, "cut"), ("bank-usd", shown, "short")):
        later = _daily(account, of, night=of + _ONE_DAY, part=1)
        plan.replace(account, of, _daily(account, of, edition=edition), later)
        late = {
            ("report_missing", f"day:{of}"),
            ("report_gap", f"day:{of + _ONE_DAY}"),
        }  # it comes in time, and is not whole
        plan.labels = [one for one in plan.labels if one.gateway != account or (one.type, one.key) not in late]
        plan.labels.append(Label("report_gap", account, f"day:{of}", passing=True))
    plan.deliveries.append(Delivery(day, "stripe", "outage", day, day))
    plan.labels.append(Label("report_gap", "stripe", f"day:{day}", passing=True))


def _duplicated(plan: Plan, world: World, _: Random) -> None:
    """The same file twice, one file of several days over those of each, and API beside file."""
    day = world.days.day
    for account in _SUFFIX:
        plan.deliveries.append(_daily(account, day, part=1))
    for account in ("nmi", "convesiopay", *BANKS.values()):
        wide = Delivery(day + _ONE_DAY, account, _SUFFIX[account], world.days.first, day + _ONE_DAY, part=2, junk=False)
        plan.deliveries.append(wide)
    plan.deliveries.append(Delivery(day, "nmi", "ndjson", day, day))


def _rezoned(plan: Plan, world: World, _: Random) -> None:
    """One gateway writes each time with an offset of another zone; one has a day in UTC without saying so, then puts it right."""
    day = world.days.day
    plan.deliveries = [
        _daily(one.account, one.first, night=one.night, written="offset") if one.account == "nmi" else one
        for one in plan.deliveries
    ]
    skipped = [row for row in world.rows_of("convesiopay", day, day) if world.days.never_was(row.at)]
    key = f"report:{day}"
    if skipped:  # what the zone's clock never showed is rejected, and read once it is put right
        plan.labels = [label for label in plan.labels if (label.gateway, label.key) != ("convesiopay", key)]
        plan.labels.append(Label("row_rejected", "convesiopay", key))
    for currency in sorted({row.currency for row in skipped}):
        off = sum(abs(row.net) for row in skipped if row.currency == currency)
        plan.labels.append(Label("report_restated", "convesiopay", f"{key}:{currency}", off, 0, currency))
    for row in skipped:
        _without(plan, world, row, skipped)
    wrong = _daily("convesiopay", day, written="utc")
    plan.replace("convesiopay", day, wrong, _corrected(plan, "convesiopay", day))


def _without(plan: Plan, world: World, row: Row, skipped: list[Row]) -> None:
    """While a row is not read: the rest of its capture is too little; and of two alike the one that is read counts as the first."""
    for other in world.rows["convesiopay"]:
        if other in skipped or not row.gateway_id or (other.gateway_id, other.kind) != (row.gateway_id, row.kind):
            continue
        if other.gross == row.gross:
            world.labels = [
                replace(label, key=f"line:{row.key}") if label.key == f"line:{other.key}" else label
                for label in world.labels
            ]
        else:
            key, between = f"line:{other.key}", other.worth - other.gross - row.gross
            label = Label("amount_mismatch", "convesiopay", key, abs(row.gross), between, other.currency, passing=True)
            plan.labels.append(label)
