"""The same task twice: two workers at once, or a broker that delivers again what a killed worker had taken."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from celery import current_app
from redis import Redis

from payments.services.execution import advance_payment
from payments.states import OperationState, PaymentState
from tests.forks import Forked, Forks
from tests.payments.factories import Clock, new_payment, sweep_until_quiet
from tests.payments.flows.books import assert_books_agree
from tests.payments.kills.processes import PATIENCE, Workers
from tests.payments.kills.test_kills import charges, operation_of, sales_asked, state_of
from tests.simulator_fixture import SimulatorProcess, wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
TASK = "payments.advance_payment"


class TestTwoWorkersAtOnce:
    def test_one_of_them_calls_and_the_other_leaves(
        self, simulator: SimulatorProcess, workers: Workers, clock: Clock, redis: Redis
    ):
        simulator.fault("slow:0.5", "sale", times=2)
        payment = new_payment(clock)
        both = [workers.start("advance", payment.pk) for _ in range(2)]

        for worker in both:
            worker.go()
        for worker in both:
            worker.result()

        assert state_of(payment) == PaymentState.CAPTURED
        assert (sales_asked(simulator), charges(simulator)) == (1, 1)
        assert_books_agree(simulator)

    def test_a_second_one_in_the_middle_of_a_call_does_not_take_it_for_abandoned(
        self, simulator: SimulatorProcess, workers: Workers, clock: Clock, redis: Redis
    ):
        simulator.fault("slow:2", "sale", times=1)
        payment = new_payment(clock)
        first = workers.start("advance", payment.pk).go()
        wait_for(lambda: charges(simulator), PATIENCE)

        advance_payment(payment.pk, clock)

        assert operation_of(payment).state == OperationState.SENT
        first.result()
        assert state_of(payment) == PaymentState.CAPTURED
        assert (sales_asked(simulator), charges(simulator)) == (1, 1)
        assert_books_agree(simulator)


@contextmanager
def celery_worker(forks: Forks, log: Path, *options: str, **gateway: str) -> Iterator[Forked]:
    """A real worker on this test's broker; ended with its children."""
    command = ["-A", "config.celery", "worker", "--concurrency", "1", "--loglevel", "INFO", "--without-gossip"]
    with log.open("ab") as output:
        said = output.fileno()
        process = forks.start("celery", *command, "--without-mingle", *options, stdout=said, stderr=said, **gateway)
    try:
        wait_for(lambda: " ready." in log.read_text() or process.poll() is not None, PATIENCE)
        assert process.poll() is None, log.read_text()
        yield process
    finally:
        end_group(process)


def end_group(process: Forked) -> None:
    process.kill_group()
    process.wait(PATIENCE)


class TestTheBrokerDeliversAgain:
    def test_a_task_whose_process_was_killed_comes_back_and_does_not_charge_again(
        self, simulator: SimulatorProcess, forks: Forks, workers: Workers, clock: Clock, redis: Redis, tmp_path: Path
    ):
        simulator.fault("timeout_after", "sale", times=1)
        payment = new_payment(clock)
        redis.flushdb()
        log = tmp_path / "worker.log"
        with celery_worker(forks, log, **workers.gateway) as worker:
            current_app.send_task(TASK, args=(payment.pk,))
            wait_for(lambda: charges(simulator), PATIENCE)
            for child in psutil.Process(worker.pid).children():
                child.kill()
            wait_for(lambda: log.read_text().count(f"{TASK}[") >= 2 and " succeeded in " in log.read_text(), PATIENCE)

        assert operation_of(payment).state == OperationState.SENT
        assert sales_asked(simulator) == 1
        sweep_until_quiet(clock, rounds=6)
        assert state_of(payment) == PaymentState.CAPTURED
        assert (sales_asked(simulator), charges(simulator)) == (1, 1)
        assert_books_agree(simulator)

    def test_a_message_a_dead_worker_never_acknowledged_comes_back_and_does_not_charge_again(
        self, simulator: SimulatorProcess, forks: Forks, workers: Workers, clock: Clock, redis: Redis, tmp_path: Path
    ):
        simulator.fault("slow:20", "sale", times=1)
        payment = new_payment(clock)
        redis.flushdb()
        with celery_worker(forks, tmp_path / "first.log", "--pool", "solo", **workers.gateway) as worker:
            current_app.send_task(TASK, args=(payment.pk,))
            wait_for(lambda: charges(simulator), PATIENCE)
            end_group(worker)
        assert redis.hlen("unacked") >= 1

        redeliver()
        second = tmp_path / "second.log"
        with celery_worker(forks, second, "--pool", "solo", **workers.gateway):
            wait_for(lambda: f"{TASK}[" in second.read_text() and " succeeded in " in second.read_text(), PATIENCE)

        assert operation_of(payment).state == OperationState.SENT
        sweep_until_quiet(clock, rounds=6)
        assert state_of(payment) == PaymentState.CAPTURED
        assert (sales_asked(simulator), charges(simulator)) == (1, 1)
        assert_books_agree(simulator)


def redeliver() -> None:
    """What the broker does once the visibility time-out is over, now instead of in two minutes."""
    with current_app.connection_for_write() as broker:
        qos = broker.default_channel.qos
        qos.visibility_timeout = 0
        qos.restore_visible(num=10)
