"""How does one drill go, from the first payment to the verdict? The order of things, and nothing else."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

import psycopg

from config.drill.client import Control, DrillError, Merchant
from config.drill.drive import Drive
from config.drill.evidence import gather
from config.drill.faults import TROUBLES, plan, windows
from config.drill.invariants import judge
from config.drill.report import Report, tally
from config.drill.system import System

QUIET_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for. `rate` in payments a second."""

    payments: int
    seed: int
    faults: frozenset[str]
    rate: float


def drill(wish: Wish, system: System, report: Callable[[str], None]) -> Report:
    """Drive, let everything come to its end, and judge. Raises: DrillError if the drill itself can not go on."""
    began = time.monotonic()
    token = system.manage("api_token", f"drill {wish.seed}", "--per-minute", "1000000")["token"]
    with _clients(system, token) as (merchant, control):
        _check_catalogue(control)
        drive = Drive(merchant, control, wish.seed)
        planned = plan(wish.payments, wish.seed, wish.faults)
        drive.take_payments(planned, wish.rate, windows(wish.faults), system.kills(wish.faults, wish.payments))
        report(f"{wish.payments} payments were taken in {time.monotonic() - began:.0f} s")
        _wait_until_quiet(system, control)
        drive.catch_up(planned)
        report("quiet; the gateway's people act late")
        drive.late_acts(planned)
        _wait_until_quiet(system, control)
        control.clear()
        system.stop_clockwork()
        report("quiet again; now time passes")
        settled = system.ask_inside("settle", system.simulator_url)
        report(f"{settled['simulated_days']} days have passed; judging")
        now = datetime.fromisoformat(settled["now"])
        evidence = gather(system.database_url, merchant, control, now=now, ids=sorted(drive.ids.values()))
        evidence.sweep_failures = settled["failed"]
        found = system.manage("verify_ledger", may_fail=True)["findings"]
        evidence.ledger_findings = [str(finding) for finding in found]
        return Report(
            payments=wish.payments,
            seed=wish.seed,
            faults=sorted(wish.faults),
            seconds=round(time.monotonic() - began, 1),
            simulated_days=settled["simulated_days"],
            states=tally([row["state"] for row in evidence.payments]),
            cases=tally([row["kind"] for row in evidence.reviews]),
            done=dict(sorted(drive.done.items())) | {"calls found out without their answer": len(evidence.found_out)},
            struck=control.struck(),
            statuses=dict(sorted(merchant.statuses.items())),
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
