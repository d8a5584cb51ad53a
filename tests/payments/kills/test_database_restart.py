"""PostgreSQL goes away in the middle of a call and comes back: the charge that happened is booked once."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.embedded import APP, OWNER, TEST_TUNING, Postgres, wipe
from tests.payments.kills.processes import PATIENCE, Workers
from tests.payments.kills.test_kills import charges, sales_asked
from tests.services import ROOT
from tests.simulator_fixture import SimulatorProcess, wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
DATABASE = "restarted"


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """A server of this module's own, migrated: the suite's servers are others' too."""
    folder = Path(tempfile.mkdtemp(prefix="cf-restart-"))
    server = Postgres(folder / "postgres", tuning=TEST_TUNING, log=folder / "postgres.log")
    try:
        server.start()
        server.prepare(DATABASE)
        urls = {"DATABASE_URL": server.url(DATABASE, APP), "DATABASE_OWNER_URL": server.url(DATABASE, OWNER)}
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "--skip-checks", "--verbosity", "0"],
            cwd=ROOT, env={**os.environ, **urls}, check=True,
        )  # fmt: skip
        yield server
    finally:
        server.stop()
        wipe([folder])


@pytest.fixture
def elsewhere(workers: Workers, postgres: Postgres) -> Workers:
    """Drivers on that server."""
    workers.env["DATABASE_URL"] = postgres.url(DATABASE, APP)
    return workers


def their_books(simulator: SimulatorProcess) -> list[list[object]]:
    return sorted([m["gateway_id"], m["kind"], m["amount_minor"]] for m in simulator.movements())


def test_a_restart_during_the_call_loses_nothing(simulator: SimulatorProcess, elsewhere: Workers, postgres: Postgres):
    simulator.fault("slow:4", "sale", times=1)
    payment = elsewhere.run("new", "order-restarted")["payment"]
    worker = elsewhere.start("advance", payment).go()
    wait_for(lambda: charges(simulator), PATIENCE)

    postgres.stop()
    postgres.start()

    worker.result()
    told = elsewhere.run("report", payment)
    assert told["state"] == "captured"
    assert told["operations"] == ["succeeded"]
    assert [row for row in told["movements"] if row[0] == simulator.movements()[0]["gateway_id"]] == their_books(
        simulator
    )
    assert told["findings"] == []
    assert (sales_asked(simulator), charges(simulator)) == (1, 1)


def test_away_when_the_answer_comes_the_look_up_finds_the_charge_afterwards(
    simulator: SimulatorProcess, elsewhere: Workers, postgres: Postgres
):
    simulator.fault("slow:1", "sale", times=1)
    payment = elsewhere.run("new", "order-away")["payment"]
    worker = elsewhere.start("advance", payment).go()
    wait_for(lambda: charges(simulator), PATIENCE)

    postgres.stop()
    assert worker.exit_code() != 0  # it says so; it does not swallow the answer's loss
    postgres.start()

    assert elsewhere.run("report", payment)["operations"] == ["sent"]
    assert elsewhere.run("sweep", 6) == {"failed": {}}
    told = elsewhere.run("report", payment)
    assert told["state"] == "captured"
    assert [row for row in told["movements"] if row[0] == simulator.movements()[0]["gateway_id"]] == their_books(
        simulator
    )
    assert told["findings"] == []
    assert (sales_asked(simulator), charges(simulator)) == (1, 1)
