"""SIGKILL at each step of a row: claimed, made, planned, sent. Every row is charged once, and the upload comes to its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import psycopg
import pytest

from payments.models import Batch, BatchRow, Operation, Payment
from payments.queries.batch_page import RowOutcome, shares_of
from payments.services.sweep import sweep
from payments.states import BatchState, OperationState, PaymentState, RowState
from tests.payments.batches.uploads import started
from tests.payments.factories import Clock, nmi_account, sweep_until_quiet
from tests.payments.flows.books import assert_books_agree, open_reviews
from tests.payments.kills.conftest import busy_gateway, workers
from tests.payments.kills.processes import PATIENCE, BusyGateway, Workers, row_locked, wait_for_blocked_worker
from tests.simulator_fixture import SimulatorProcess, wait_for

__all__ = ["busy_gateway", "workers"]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture(autouse=True)
def account() -> None:
    nmi_account()


@contextmanager
def reference_locked(other: psycopg.Connection, reference: str) -> Iterator[None]:
    """Somebody else is making a payment of this reference: whoever wants to make one waits."""
    with other.transaction():
        other.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 17))", [reference])
        yield


def states(batch: Batch) -> list[str]:
    return list(batch.rows.order_by("number").values_list("state", flat=True))


def all_rows_are_charged_once(batch: Batch, clock: Clock, simulator: SimulatorProcess, *, of: int) -> None:
    """Sweeps alone, no nudge: what a kill left behind is found by its row."""
    for _ in range(6):
        clock.offset += timedelta(seconds=70)
        assert sweep(clock).failed == {}
    sweep_until_quiet(clock, rounds=6)
    batch.refresh_from_db()
    assert (batch.state, states(batch)) == (BatchState.FINISHED, ["made"] * of)
    assert Payment.objects.count() == of
    assert [(share.outcome, share.count) for share in shares_of(batch)] == [(RowOutcome.PAID, of)]
    assert sum(movement["kind"] == "capture" for movement in simulator.movements()) == of
    assert open_reviews() == []
    assert_books_agree(simulator)


def test_killed_with_a_row_claimed(
    simulator: SimulatorProcess, workers: Workers, clock: Clock, owner_connection: psycopg.Connection
) -> None:
    batch = started(clock, "a", "b")
    with reference_locked(owner_connection, "a"):
        worker = workers.start("run_batch", batch.pk).go()
        wait_for_blocked_worker()
        worker.kill()
    assert states(batch) == ["claimed", "claimed"]
    assert Payment.objects.count() == 0

    all_rows_are_charged_once(batch, clock, simulator, of=2)


def test_killed_with_a_payment_made_and_nobody_told(
    simulator: SimulatorProcess, workers: Workers, clock: Clock, owner_connection: psycopg.Connection
) -> None:
    batch = started(clock, "a", "b", "c")
    with reference_locked(owner_connection, "b"):
        worker = workers.start("run_batch", batch.pk).go()
        wait_for_blocked_worker()
        worker.kill()
    assert states(batch) == ["made", "claimed", "claimed"]
    assert Payment.objects.get().state == PaymentState.INITIATED

    all_rows_are_charged_once(batch, clock, simulator, of=3)


def test_killed_in_the_middle_of_making_a_payment_neither_row_nor_payment_is_made(
    simulator: SimulatorProcess, workers: Workers, clock: Clock, owner_connection: psycopg.Connection
) -> None:
    """The payment is written and the row is not yet: both are one transaction, so that a kill leaves neither."""
    batch = started(clock, "a")
    with owner_connection.transaction():
        owner_connection.execute("LOCK TABLE payments_credential IN SHARE MODE")  # written between the two
        worker = workers.start("run_batch", batch.pk).go()
        wait_for_blocked_worker()
        worker.kill()
    assert (states(batch), Payment.objects.count()) == (["claimed"], 0)

    all_rows_are_charged_once(batch, clock, simulator, of=1)


def test_killed_with_an_operation_planned(
    simulator: SimulatorProcess, workers: Workers, clock: Clock, owner_connection: psycopg.Connection
) -> None:
    batch = started(clock, "a", "b")
    workers.run("run_batch", batch.pk)
    payment = Payment.objects.get(reference="a")
    with row_locked(owner_connection, "payments_credential", payment.method.credentials.get().pk):
        worker = workers.start("advance", payment.pk).go()
        wait_for_blocked_worker()
        worker.kill()
    assert Operation.objects.get().state == OperationState.PLANNED

    all_rows_are_charged_once(batch, clock, simulator, of=2)


def test_killed_with_an_operation_sent_and_carried_out(
    simulator: SimulatorProcess, workers: Workers, clock: Clock
) -> None:
    simulator.fault("slow:20", "sale", times=1)
    batch = started(clock, "a", "b")
    workers.run("run_batch", batch.pk)
    payment = Payment.objects.get(reference="a")
    worker = workers.start("advance", payment.pk).go()
    wait_for(lambda: simulator.movements(), PATIENCE)
    worker.kill()
    assert Operation.objects.get().state == OperationState.SENT

    all_rows_are_charged_once(batch, clock, simulator, of=2)


def test_killed_with_an_operation_sent_that_never_arrived(
    simulator: SimulatorProcess, workers: Workers, clock: Clock, busy_gateway: BusyGateway
) -> None:
    batch = started(clock, "a", "b")
    workers.run("run_batch", batch.pk)
    payment = Payment.objects.get(reference="a")
    worker = workers.start("advance", payment.pk, GATEWAY_NMI_BASE_URL=busy_gateway.url).go()
    wait_for(lambda: payment.operations.filter(state=OperationState.SENT).exists(), PATIENCE)
    worker.kill()

    sweep_until_quiet(clock)

    batch.refresh_from_db()
    payment.refresh_from_db()
    assert batch.state == BatchState.FINISHED
    assert payment.state in {PaymentState.FAILED, PaymentState.CAPTURED}
    assert (
        sum(movement["kind"] == "capture" for movement in simulator.movements())
        == Payment.objects.filter(state=PaymentState.CAPTURED).count()
    )
    assert_books_agree(simulator)


def test_two_workers_on_one_upload_one_killed_make_each_row_once(
    simulator: SimulatorProcess, workers: Workers, clock: Clock, owner_connection: psycopg.Connection
) -> None:
    batch = started(clock, *[f"o-{number}" for number in range(25)])
    with reference_locked(owner_connection, "o-3"):
        first = workers.start("run_batch", batch.pk).go()
        wait_for_blocked_worker()
        Batch.objects.filter(pk=batch.pk).update(next_check_at=clock())  # the lease has run out meanwhile
        workers.run("run_batch", batch.pk)
        first.kill()
    assert BatchRow.objects.filter(batch=batch, state=RowState.CLAIMED).count() == 7
    assert Payment.objects.count() == 18

    all_rows_are_charged_once(batch, clock, simulator, of=25)
