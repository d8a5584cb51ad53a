"""SIGKILL while a due date is being charged: the date is charged once, by whoever comes next."""

from __future__ import annotations

import psycopg
import pytest

from payments.models import DueDate, Payment
from payments.services.schedules.charging import reference_of
from tests.payments.batches.test_kills import reference_locked
from tests.payments.factories import Clock
from tests.payments.flows.books import assert_books_agree
from tests.payments.kills.conftest import workers
from tests.payments.kills.processes import Workers, wait_for_blocked_worker
from tests.payments.schedules.scenes import fresh, schedule, told, work
from tests.simulator_fixture import SimulatorProcess

__all__ = ["workers"]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture
def clock() -> Clock:
    """The real time, which the workers read too."""
    return Clock()


def test_killed_with_the_payment_half_made(
    simulator: SimulatorProcess, workers: Workers, clock: Clock, owner_connection: psycopg.Connection
) -> None:
    monthly = schedule(clock)
    assert monthly.next_due_on is not None
    with reference_locked(owner_connection, reference_of(monthly, monthly.next_due_on)):
        worker = workers.start("sweep", 1).go()
        wait_for_blocked_worker()
        worker.kill()

    assert (Payment.objects.count(), DueDate.objects.count()) == (0, 0)
    assert fresh(monthly).next_due_on == monthly.next_due_on
    work(clock)
    work(clock)

    assert [state for _, state, _ in told(monthly)] == ["captured"]
    assert len(simulator.movements()) == 1
    assert_books_agree(simulator)


def test_two_workers_meet_at_one_date(
    simulator: SimulatorProcess, workers: Workers, clock: Clock, owner_connection: psycopg.Connection
) -> None:
    monthly = schedule(clock)
    assert monthly.next_due_on is not None
    with reference_locked(owner_connection, reference_of(monthly, monthly.next_due_on)):
        both = [workers.start("sweep", 1).go() for _ in range(2)]
        wait_for_blocked_worker()
    assert [worker.result() for worker in both] == [{"failed": {}}] * 2
    clock.pass_(minutes=10)  # theirs was five ahead
    work(clock)

    assert [state for _, state, _ in told(monthly)] == ["captured"]
    assert Payment.objects.count() == 1
    assert len(simulator.movements()) == 1
