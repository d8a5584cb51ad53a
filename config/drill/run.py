"""How does one drill go, from the first payment to the verdict? The order of things, and nothing else."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import psycopg

from config.drill.client import Control, DrillError, Merchant
from config.drill.drive import Drive
from config.drill.evidence import Evidence, gather
from config.drill.faults import TROUBLES, Trouble, windows
from config.drill.inside import ORDINARY_DAYS
from config.drill.invariants import judge
from config.drill.late import LateActs
from config.drill.plan import Planned, plan
from config.drill.report import Report, tally
from config.drill.system import System
from config.drill.wishes import Wish

QUIET_SECONDS = 20.0
SETTLE_DAYS = 10.0
_AGAIN_SECONDS = 2.0


def drill(wish: Wish, system: System, report: Callable[[str], None]) -> Report:
    """Drive, let everything come to its end, and judge. Raises: DrillError if the drill itself can not go on."""
    began = time.monotonic()
    token = system.manage("api_token", f"drill {wish.seed}", "--per-minute", "1000000")["token"]
    planned = plan(wish)
    with _clients(system, token) as (merchant, control):
        _check_catalogue(control)
        drive = Drive(merchant, control, wish.seed, wish.gateways)
        _feed(wish, system, drive, planned)
        report(f"{wish.payments} payments were taken in {time.monotonic() - began:.0f} s")
        _wait_until_quiet(system, control)
        drive.find_orders(planned)
        drive.catch_up(planned)
        report("quiet; the gateways' people act late")
        LateActs(control, planned, wish.seed, drive.done).act(wish.gateways)
        _wait_until_quiet(system, control)
        control.clear()
        system.stop_clockwork()
        report("quiet again; now time passes")
        days = SETTLE_DAYS if wish.settle else ORDINARY_DAYS
        settled = system.ask_inside("settle", system.simulator_url, ",".join(wish.gateways), str(days))
        report(f"{settled['simulated_days']} days have passed; judging")
        now = datetime.fromisoformat(settled["now"])
        evidence = gather(
            system.database_url, merchant, control, gateways=wish.gateways, planned=planned, now=now,
            ids=sorted(drive.ids.values()),
        )  # fmt: skip
        evidence.settled, evidence.sweep_failures = wish.settle, settled["failed"]
        found = system.manage("verify_ledger", may_fail=True)["findings"]
        evidence.ledger_findings = [str(finding) for finding in found]
        return _told(wish, evidence, drive, system, settled["simulated_days"], time.monotonic() - began)


def _feed(wish: Wish, system: System, drive: Drive, planned: Sequence[Planned]) -> None:
    """The merchant's requests, and beside them the spreadsheet and the charges without a payer."""
    with ThreadPoolExecutor(1) as inside:
        inner = inside.submit(_order_inside, system, drive.orders_inside(planned))
        drive.take_payments(
            planned,
            wish.rate,
            _windows(wish),
            system.kills(wish.faults, wish.payments),
            wish.outage,
        )
        inner.result()


def _order_inside(system: System, orders: Mapping[str, object]) -> None:
    """A restart of the database may cut it off: what is asked again goes on where it ended. Raises: DrillError."""
    if not (orders["rows"] or orders["charges"]):
        return
    for last in (False, False, True):
        try:
            system.ask_inside("orders", told=json.dumps(orders))
        except DrillError:
            if last:
                raise
            time.sleep(_AGAIN_SECONDS)
        else:
            return


def _windows(wish: Wish) -> list[tuple[str, Trouble]]:
    """A gateway that is away for long has no short outage beside it, which would end the long one."""
    away = wish.outage.gateway if wish.outage else ""
    chosen = windows(wish.faults, wish.gateways, wish.payments)
    return [(gateway, trouble) for gateway, trouble in chosen if (gateway, trouble.name) != (away, "outage")]


def _told(wish: Wish, evidence: Evidence, drive: Drive, system: System, days: float, seconds: float) -> Report:
    retried = tally([row["state"] for row in evidence.retries])
    return Report(
        payments=wish.payments,
        seed=wish.seed,
        gateways=wish.gateways,
        decline_rate=wish.decline_rate,
        outage=str(wish.outage) if wish.outage else None,
        settled=wish.settle,
        faults=sorted(wish.faults),
        seconds=round(seconds, 1),
        simulated_days=days,
        states=tally([row["state"] for row in evidence.payments]),
        cases=tally([row["kind"] for row in evidence.reviews]),
        attempts=tally([f"{row['gateway']} {row['state']}" for row in evidence.attempts]),
        declines=tally([row["failure_class"] for row in evidence.attempts if row["state"] == "declined"]),
        failovers=sum(row["number"] > 1 for row in evidence.attempts) - retried.get("done", 0),
        retries=retried,
        done=dict(sorted(drive.done.items())) | {"calls found out without their answer": len(evidence.found_out)},
        struck=drive.control.struck(),
        statuses=dict(sorted(drive.merchant.statuses.items())),
        notes=tally(system.notes),
        invariants=judge(evidence),
    )


@contextlib.contextmanager
def _clients(system: System, token: str) -> Iterator[tuple[Merchant, Control]]:
    merchant, control = Merchant(system.url, token), Control(system.simulator_url)
    try:
        yield merchant, control
    finally:
        merchant.close()
        control.close()


def _check_catalogue(control: Control) -> None:
    """A drill that knows not all of the simulator's faults would call itself complete and not be it."""
    unknown = set(control.catalogue()) - {trouble.name for trouble in TROUBLES}
    if unknown:
        raise DrillError(f"The simulator knows faults that the drill does not use: {', '.join(sorted(unknown))}.")


def _wait_until_quiet(system: System, control: Control) -> None:
    """Until no webhook is on its way, no event unread, no call in flight; what takes longer is left to simulated time."""
    until = time.monotonic() + QUIET_SECONDS
    busy = (
        "SELECT (SELECT count(*) FROM payments_operation WHERE state IN ('planned', 'sent'))"
        " + (SELECT count(*) FROM payments_inboundevent WHERE state = 'stored')"
    )
    with psycopg.connect(system.database_url, autocommit=True) as connection:
        while time.monotonic() < until:
            row = connection.execute(busy).fetchone()
            if row == (0,) and not control.webhooks_waiting():
                return
            time.sleep(0.5)
