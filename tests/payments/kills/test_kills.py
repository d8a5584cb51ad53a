"""SIGKILL at every line that matters: the payment ends right, and the gateway charged once at most."""

from __future__ import annotations

import psycopg
import pytest

from payments.models import Operation, Payment
from payments.services.sweep import sweep
from payments.states import OperationState, PaymentState, Waits
from tests.payments.factories import Clock, new_payment, sweep_until_quiet
from tests.payments.flows.books import assert_books_agree, open_reviews
from tests.payments.kills.processes import (
    PATIENCE,
    BusyGateway,
    SilentGateway,
    Workers,
    row_locked,
    wait_for_blocked_worker,
)
from tests.simulator_fixture import SimulatorProcess, wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


def state_of(payment: Payment) -> str:
    payment.refresh_from_db()
    return payment.state


def operation_of(payment: Payment) -> Operation:
    return payment.operations.get()


def wait_until_sent(payment: Payment) -> None:
    wait_for(lambda: payment.operations.filter(state=OperationState.SENT).exists(), PATIENCE)


def charges(simulator: SimulatorProcess) -> int:
    """Sales that the gateway carried out."""
    return sum(movement["kind"] == "capture" for movement in simulator.movements())


def sales_asked(simulator: SimulatorProcess) -> int:
    """Requests for a sale that reached the gateway."""
    return int(simulator.books()["requests"].get("transact.sale", 0))


class TestKilled:
    def test_killed_before_anything_was_planned_the_intent_is_taken_up_by_the_sweep(self, simulator, workers, clock):
        payment = new_payment(clock)
        workers.start("advance", payment.pk).kill()

        clock.pass_(minutes=2)
        sweep(clock)

        assert state_of(payment) == PaymentState.CAPTURED
        assert charges(simulator) == 1
        assert_books_agree(simulator)

    def test_killed_while_planned_it_is_sent_once_by_the_sweep(
        self, simulator: SimulatorProcess, workers: Workers, clock: Clock, owner_connection: psycopg.Connection
    ):
        payment = new_payment(clock)
        credential = payment.method.credentials.get()
        with row_locked(owner_connection, "payments_credential", credential.pk):  # only the second phase writes it
            worker = workers.start("advance", payment.pk).go()
            wait_for_blocked_worker()
            worker.kill()

        assert operation_of(payment).state == OperationState.PLANNED
        assert sales_asked(simulator) == 0

        clock.pass_(minutes=2)
        sweep(clock)

        assert state_of(payment) == PaymentState.CAPTURED
        assert (sales_asked(simulator), charges(simulator)) == (1, 1)
        assert_books_agree(simulator)

    def test_killed_after_sent_and_before_the_first_byte_absence_is_proven(
        self, simulator: SimulatorProcess, workers: Workers, clock: Clock, busy_gateway: BusyGateway
    ):
        payment = new_payment(clock, expires_in_seconds=900)  # no time for another try
        worker = workers.start("advance", payment.pk, GATEWAY_NMI_BASE_URL=busy_gateway.url).go()
        wait_until_sent(payment)
        worker.kill()

        clock.pass_(minutes=1)
        sweep(clock)
        assert operation_of(payment).state == OperationState.UNKNOWN
        assert state_of(payment) == PaymentState.PENDING
        assert payment.waits_for == Waits.LOOK_UP

        sweep_until_quiet(clock)

        assert state_of(payment) == PaymentState.FAILED
        assert operation_of(payment).look_ups.filter(counts=True).count() >= 5
        assert sales_asked(simulator) == 0
        assert_books_agree(simulator)

    def test_killed_after_the_first_byte_of_a_call_that_never_happened_absence_is_proven(
        self, simulator: SimulatorProcess, workers: Workers, clock: Clock, silent_gateway: SilentGateway
    ):
        payment = new_payment(clock, expires_in_seconds=900)  # no time for another try
        worker = workers.start("advance", payment.pk, GATEWAY_NMI_BASE_URL=silent_gateway.url).go()
        wait_for(lambda: silent_gateway.heard, PATIENCE)
        worker.kill()

        sweep_until_quiet(clock)

        assert b"type=sale" in silent_gateway.heard
        assert state_of(payment) == PaymentState.FAILED
        assert sales_asked(simulator) == 0
        assert_books_agree(simulator)

    @pytest.mark.parametrize("fault", ["slow:20", "timeout_after"])
    def test_killed_after_the_first_byte_of_a_call_that_happened_the_look_up_finds_it(
        self, fault: str, simulator: SimulatorProcess, workers: Workers, clock: Clock
    ):
        simulator.fault(fault, "sale", times=1)
        payment = new_payment(clock)
        worker = workers.start("advance", payment.pk).go()
        wait_for(lambda: charges(simulator), PATIENCE)
        worker.kill()
        assert operation_of(payment).state == OperationState.SENT

        sweep_until_quiet(clock, rounds=6)

        assert state_of(payment) == PaymentState.CAPTURED
        assert (sales_asked(simulator), charges(simulator)) == (1, 1)
        assert open_reviews() == []
        assert_books_agree(simulator)

    def test_killed_with_the_answer_in_hand_before_the_commit_the_look_up_finds_it(
        self, simulator: SimulatorProcess, workers: Workers, clock: Clock, owner_connection: psycopg.Connection
    ):
        simulator.fault("slow:1.5", "sale", times=1)
        payment = new_payment(clock)
        worker = workers.start("advance", payment.pk).go()
        wait_until_sent(payment)
        with row_locked(owner_connection, "payments_payment", payment.pk):
            wait_for_blocked_worker()
            worker.kill()

        assert operation_of(payment).state == OperationState.SENT
        assert charges(simulator) == 1

        sweep_until_quiet(clock, rounds=6)

        assert state_of(payment) == PaymentState.CAPTURED
        assert (sales_asked(simulator), charges(simulator)) == (1, 1)
        assert_books_agree(simulator)

    def test_killed_while_capturing_a_hold_the_capture_is_found_and_counted_once(
        self, simulator: SimulatorProcess, workers: Workers, clock: Clock
    ):
        from payments.services.actors import SYSTEM
        from payments.services.commands import capture_payment
        from tests.payments.factories import paid

        payment = paid(clock, capture="manual")
        simulator.fault("slow:20", "capture", times=1)
        capture_payment(payment.public_id, amount_minor=600, final=True, actor=SYSTEM, now=clock())
        worker = workers.start("advance", payment.pk).go()
        wait_for(lambda: charges(simulator), PATIENCE)
        worker.kill()

        sweep_until_quiet(clock, rounds=6)

        assert state_of(payment) == PaymentState.CAPTURED
        assert charges(simulator) == 1
        assert simulator.books()["requests"]["transact.capture"] == 1
        assert_books_agree(simulator)
