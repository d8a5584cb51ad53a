"""SIGSTOP after *sent*: the world goes on, the sender wakes up late. It must charge nobody and overwrite nothing."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.db import connection

from payments.models import Review
from payments.services.calls import is_in_flight
from payments.services.sweep import sweep
from payments.states import OperationState, PaymentState, ReviewKind, ReviewState
from tests.payments.factories import Clock, new_payment, nmi_account, sweep_until_quiet
from tests.payments.flows.books import assert_books_agree
from tests.payments.kills.processes import PATIENCE, BusyGateway, Worker, Workers, bytes_of
from tests.payments.kills.test_kills import charges, operation_of, sales_asked, state_of
from tests.simulator_fixture import SimulatorProcess, wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


def wait_past_send_before(payment) -> None:
    """Until the first byte may not leave any more, by the real clock that the sender reads."""
    limit = operation_of(payment).send_before
    wait_for(lambda: Clock()() > limit + timedelta(milliseconds=200), PATIENCE)


def end_session_of(worker: Worker) -> None:
    """The database drops the frozen sender's connection, as a failover would; its session lock goes with it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND usename = current_user"
        )
        assert cursor.fetchone()[0] >= 1


class TestFrozenBeforeTheFirstByte:
    def test_it_refuses_to_write_after_send_before(
        self, simulator: SimulatorProcess, workers: Workers, clock: Clock, busy_gateway: BusyGateway
    ):
        nmi_account(send_window_seconds=6)
        payment = new_payment(clock)
        worker = workers.start("advance", payment.pk, GATEWAY_NMI_BASE_URL=busy_gateway.url).go()
        busy_gateway.wait_for_caller(worker)
        worker.freeze()
        caller = busy_gateway.take_call(PATIENCE)  # the kernel finishes the handshake while the process sleeps
        wait_past_send_before(payment)

        worker.thaw()

        assert bytes_of(caller, PATIENCE) == b""
        worker.result()
        assert state_of(payment) == PaymentState.PENDING  # to be tried again in a few minutes
        assert payment.retries.get().state == "waiting"
        assert operation_of(payment).certainty == "not_sent"
        assert "send_before" in operation_of(payment).message
        assert_books_agree(simulator)

    def test_absence_is_not_concluded_while_it_holds_its_lock_and_is_once_it_has_lost_it(
        self, simulator: SimulatorProcess, workers: Workers, clock: Clock, busy_gateway: BusyGateway
    ):
        nmi_account(send_window_seconds=6)
        payment = new_payment(clock)
        worker = workers.start("advance", payment.pk, GATEWAY_NMI_BASE_URL=busy_gateway.url).go()
        busy_gateway.wait_for_caller(worker)
        worker.freeze()
        caller = busy_gateway.take_call(PATIENCE)

        sweep_until_quiet(clock, rounds=30)  # two and a half hours, far past every limit
        operation = operation_of(payment)
        assert is_in_flight(operation.pk)
        assert operation.state == OperationState.SENT
        assert operation.next_check_at is not None
        assert state_of(payment) == PaymentState.PENDING
        case = Review.objects.get()
        assert (case.kind, case.operation_id) == (ReviewKind.LOOKUP_EXHAUSTED, operation.pk)
        assert "End that worker" in case.because

        end_session_of(worker)
        wait_for(lambda: not is_in_flight(operation.pk), PATIENCE)
        sweep_until_quiet(clock, rounds=80)
        assert state_of(payment) == PaymentState.FAILED
        assert operation_of(payment).state == OperationState.FAILED
        assert Review.objects.get().state == ReviewState.SETTLED

        wait_past_send_before(payment)
        worker.thaw()

        assert bytes_of(caller, PATIENCE) == b""
        worker.result()
        assert state_of(payment) == PaymentState.FAILED
        assert sales_asked(simulator) == 0
        assert_books_agree(simulator)


class TestFrozenAfterTheFirstByte:
    def test_its_late_answer_is_a_no_op_once_the_look_up_has_found_the_charge(
        self, simulator: SimulatorProcess, workers: Workers, clock: Clock
    ):
        simulator.fault("slow:1", "sale", times=1)
        payment = new_payment(clock)
        worker = workers.start("advance", payment.pk).go()
        wait_for(lambda: charges(simulator), PATIENCE)
        worker.freeze()
        answered_at = time.monotonic() + 1.2

        clock.pass_(minutes=5)
        sweep(clock)
        assert state_of(payment) == PaymentState.CAPTURED
        assert operation_of(payment).state == OperationState.SUCCEEDED

        wait_for(lambda: time.monotonic() > answered_at, PATIENCE)
        worker.thaw()
        worker.result()

        assert state_of(payment) == PaymentState.CAPTURED
        assert payment.transitions.filter(fact="capture", source="answer").get().verdict == "no_op"
        assert payment.movements.count() == 1
        assert (sales_asked(simulator), charges(simulator)) == (1, 1)
        assert_books_agree(simulator)

    def test_with_its_session_lost_its_late_answer_still_changes_nothing(
        self, simulator: SimulatorProcess, workers: Workers, clock: Clock
    ):
        simulator.fault("slow:1", "sale", times=1)
        payment = new_payment(clock)
        worker = workers.start("advance", payment.pk).go()
        wait_for(lambda: charges(simulator), PATIENCE)
        worker.freeze()
        end_session_of(worker)

        sweep_until_quiet(clock, rounds=4)
        assert state_of(payment) == PaymentState.CAPTURED

        worker.thaw()
        worker.result()

        assert state_of(payment) == PaymentState.CAPTURED
        assert payment.movements.count() == 1
        assert charges(simulator) == 1
        assert_books_agree(simulator)
