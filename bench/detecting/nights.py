"""How is a world played through the product? Reports come as its plan says, each account is compared night for night."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from io import BytesIO
from itertools import count
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from bench.detecting.labels import Label, label_of
from bench.detecting.ours import damage_of, load, open_bank
from bench.detecting.terms import BANKS, GATEWAYS, agree, make_accounts
from payments.models import GatewayAccount
from payments.services.actors import SYSTEM
from reconciliation.models import Run, StatementAccount
from reconciliation.services.ingestion import ingest
from reconciliation.services.running import run_day
from reconciliation.states import RunState
from tests.simulator_fixture import SimulatorProcess

_SOURCES = {"ndjson": "nmi_window"}
_HOUR = 14  # after the hour at which a missing report is called late


@dataclass
class Played:
    """One world, played to its end."""

    wish: dict[str, Any]
    labels: list[Label]
    movements: int = 0
    lines: int = 0
    hours: int = 24
    seconds: float = 0.0
    unbalanced: list[str] = field(default_factory=list)


def play(simulator: SimulatorProcess, wish: dict[str, Any]) -> Played:
    """Make the world, load our side, and live through its days. The database has to be empty."""
    started = time.perf_counter()
    simulator.reset()
    days = _post(simulator, wish)["days"]
    zone, day = ZoneInfo(wish["zone"]), date.fromisoformat(days["day"])
    first, last = date.fromisoformat(days["first"]), date.fromisoformat(days["last"])
    now = datetime.combine(first, datetime.min.time(), zone)
    played = Played(wish, [label_of(one) for one in _get(simulator, "labels")["labels"]])
    begin, end = (datetime.combine(each, datetime.min.time(), zone) for each in (day, day + timedelta(days=1)))
    played.hours = round((end.timestamp() - begin.timestamp()) / 3600)
    make_accounts(wish["zone"], first, now, offsets=wish["twist"] == "rezoned")
    _load_ours(simulator, played, day, zone, now)
    for account in BANKS:
        (row,) = _rows(simulator, f"truth/{account}")
        open_bank(account, row, first - timedelta(days=1), now)
    _live(simulator, played, first, last, zone)
    played.seconds = time.perf_counter() - started
    return played


def _load_ours(simulator: SimulatorProcess, played: Played, day: date, zone: ZoneInfo, now: datetime) -> None:
    draw = Random(played.wish["seed"] + 2)
    for slug in GATEWAYS:
        agree(slug, _rows(simulator, f"contract/{slug}"))
        rows = _rows(simulator, f"truth/{slug}")
        apart = {label.order for label in played.labels}
        damage = damage_of(slug, rows, apart, day, zone, draw)
        played.labels += damage.labels
        played.movements += load(GatewayAccount.objects.get(slug=slug), rows, damage, now)


def _live(simulator: SimulatorProcess, played: Played, first: date, last: date, zone: ZoneInfo) -> None:
    deliveries = _get(simulator, "reports")["deliveries"]
    night = first
    while night <= last:
        at = datetime.combine(night + timedelta(days=1), datetime.min.time(), zone).replace(hour=_HOUR)
        down = False
        for one in deliveries:
            if one["night"] == night.isoformat():
                down = down or one["way"] == "outage"
                _receive(simulator, one, at)
        if down:
            simulator.fault("lookup_down", operation="query", gateway="stripe")
        for number, slug in enumerate((*GATEWAYS, *BANKS)):
            _compare(played, slug, night, at + timedelta(minutes=number))
        if down:
            simulator.clear_faults()
        night += timedelta(days=1)
    played.lines = sum(len(_numbers(slug)) for slug in (*GATEWAYS, *BANKS))


def _receive(simulator: SimulatorProcess, one: dict[str, Any], at: datetime) -> None:
    if one["way"] == "outage":
        return
    answer = simulator.control.get(f"{simulator.url}{one['path']}")
    assert answer.status_code == 200, answer.text
    ingest(
        one["account"], BytesIO(answer.content), name=one["name"], source=_SOURCES.get(one["way"], ""),
        starts_on=date.fromisoformat(one["first"]), ends_on=date.fromisoformat(one["last"]), actor=SYSTEM, now=at,
    )  # fmt: skip


def _compare(played: Played, slug: str, night: date, at: datetime) -> None:
    """The nights that still wait, then this one: what the beat would do."""
    waiting = Run.objects.filter(account__slug=slug, day__lt=night).exclude(state=RunState.DONE).order_by("day")
    clock = _ticking(at)
    for day in [*waiting.values_list("day", flat=True), night]:
        run = run_day(slug, day, clock)
        if run.state not in (RunState.DONE, RunState.WAITING):
            played.unbalanced.append(f"{slug} {day}: {run.because}")


def _ticking(at: datetime) -> Callable[[], datetime]:
    """A clock that shows another moment each time it is read."""
    ticks = count()
    return lambda: at + timedelta(milliseconds=next(ticks))


def _numbers(slug: str) -> list[int]:
    from reconciliation.models import Line

    return list(Line.objects.filter(account=StatementAccount.objects.get(slug=slug)).values_list("pk", flat=True))


def _post(simulator: SimulatorProcess, wish: dict[str, Any]) -> dict[str, Any]:
    answer = simulator.control.post(f"{simulator.url}/_control/reports", json=wish)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def _get(simulator: SimulatorProcess, path: str) -> dict[str, Any]:
    answer = simulator.control.get(f"{simulator.url}/_control/{path}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def _rows(simulator: SimulatorProcess, path: str) -> list[dict[str, Any]]:
    answer = simulator.control.get(f"{simulator.url}/_control/{path}")
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]
