"""PostgreSQL goes away in the middle of a call and comes back: the charge that happened is booked once."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.embedded import APP, TEST_TUNING, Postgres, _postgres_binary, wipe
from tests import services
from tests.conftest import environment_of_a_process
from tests.forks import Forks
from tests.payments.kills.processes import PATIENCE, Workers
from tests.payments.kills.test_kills import charges, sales_asked
from tests.simulator_fixture import SimulatorProcess, wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
DATABASE = "restarted"


@pytest.fixture(scope="module")
def postgres(django_db_setup: None) -> Iterator[Postgres]:
    """A server of this module's own with a copy of the migrated template: the suite's servers are others' too."""
    folder = Path(tempfile.mkdtemp(prefix="cf-restart-"))
    server = Postgres(folder / "postgres", tuning=TEST_TUNING, log=folder / "postgres.log")
    try:
        server.start()
        server.prepare(DATABASE)
        template = services.POSTGRES.url(os.environ["TEST_TEMPLATE"])
        dumped = subprocess.run([_postgres_binary("pg_dump"), template], stdout=subprocess.PIPE, check=True).stdout
        subprocess.run(
            [_postgres_binary("psql"), "--quiet", "--set", "ON_ERROR_STOP=1", server.url(DATABASE)],
            input=dumped, stdout=subprocess.DEVNULL, check=True,
        )  # fmt: skip
        yield server
    finally:
        server.stop()
        wipe([folder])


@pytest.fixture(scope="module")
def forks(postgres: Postgres) -> Iterator[Forks]:
    """Starts processes on that server."""
    env = environment_of_a_process(services.DATA_DIR)
    made = Forks({**env, "DATABASE_URL": postgres.url(DATABASE, APP)})
    yield made
    made.end()


def their_books(simulator: SimulatorProcess) -> list[list[object]]:
    return sorted([m["gateway_id"], m["kind"], m["amount_minor"]] for m in simulator.movements())


def test_a_restart_during_the_call_loses_nothing(simulator: SimulatorProcess, workers: Workers, postgres: Postgres):
    simulator.fault("slow:4", "sale", times=1)
    payment = workers.run("new", "order-restarted")["payment"]
    worker = workers.start("advance", payment).go()
    wait_for(lambda: charges(simulator), PATIENCE)

    postgres.stop()
    postgres.start()

    worker.result()
    told = workers.run("report", payment)
    assert told["state"] == "captured"
    assert told["operations"] == ["succeeded"]
    assert [row for row in told["movements"] if row[0] == simulator.movements()[0]["gateway_id"]] == their_books(
        simulator
    )
    assert told["findings"] == []
    assert (sales_asked(simulator), charges(simulator)) == (1, 1)


def test_away_when_the_answer_comes_the_look_up_finds_the_charge_afterwards(
    simulator: SimulatorProcess, workers: Workers, postgres: Postgres
):
    simulator.fault("slow:1", "sale", times=1)
    payment = workers.run("new", "order-away")["payment"]
    worker = workers.start("advance", payment).go()
    wait_for(lambda: charges(simulator), PATIENCE)

    postgres.stop()
    assert worker.exit_code() != 0  # it says so; it does not swallow the answer's loss
    postgres.start()

    assert workers.run("report", payment)["operations"] == ["sent"]
    assert workers.run("sweep", 6) == {"failed": {}}
    told = workers.run("report", payment)
    assert told["state"] == "captured"
    assert [row for row in told["movements"] if row[0] == simulator.movements()[0]["gateway_id"]] == their_books(
        simulator
    )
    assert told["findings"] == []
    assert (sales_asked(simulator), charges(simulator)) == (1, 1)
