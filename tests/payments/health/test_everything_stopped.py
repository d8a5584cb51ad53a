"""While everything is stopped, does no byte go to a gateway, and does the work go on by itself afterwards?"""

from __future__ import annotations

import pytest

from payments.models import Incident, LookUp, Operation
from payments.services.actors import SYSTEM
from payments.services.commands import capture_payment
from payments.services.execution import advance_payment
from payments.services.refunds import advance_refund, request_refund
from payments.services.sweep import sweep
from payments.services.switches import lift_switch, throw_switch
from payments.states import OperationState
from tests.payments.factories import Clock, paid
from tests.simulator_fixture import SimulatorProcess


def stop(kind: str, clock: Clock) -> None:
    throw_switch(kind, reason="bank incident", actor=SYSTEM, now=clock())


def resume(kind: str, clock: Clock) -> None:
    lift_switch(kind, reason="it is over", actor=SYSTEM, now=clock())


def asked(simulator: SimulatorProcess) -> int:
    return sum(simulator.books()["requests"].values())


def worked(clock: Clock, minutes: int = 2) -> None:
    clock.pass_(minutes=minutes)
    assert sweep(clock).failed == {}


@pytest.mark.usefixtures("account")
class TestCharges:
    def test_a_new_payment_waits_and_is_charged_once_afterwards(
        self, clock: Clock, simulator: SimulatorProcess
    ) -> None:
        stop("charges", clock)
        payment = paid(clock)
        worked(clock)
        assert asked(simulator) == 0

        resume("charges", clock)
        worked(clock)

        payment.refresh_from_db()
        assert payment.state == "captured"
        assert [m["kind"] for m in simulator.movements()] == ["capture"]

    def test_captures_and_refunds_go_on(self, clock: Clock, simulator: SimulatorProcess) -> None:
        held, taken = paid(clock, capture="manual"), paid(clock)
        stop("charges", clock)

        capture_payment(held.public_id, amount_minor=1000, final=True, actor=SYSTEM, now=clock())
        advance_payment(held.pk, clock)
        refund = request_refund(taken.public_id, amount_minor=1000, reason="returned", actor=SYSTEM, now=clock())
        advance_refund(refund.pk, clock)

        held.refresh_from_db()
        assert held.state == "captured"
        assert sorted(m["kind"] for m in simulator.movements())[-1] in {"refund", "void"}


@pytest.mark.usefixtures("account")
class TestEverything:
    def test_an_unknown_outcome_is_not_asked_about_and_nobody_is_blamed(
        self, clock: Clock, simulator: SimulatorProcess
    ) -> None:
        simulator.fault("lost_response", "sale", times=1)
        payment = paid(clock)
        assert Operation.objects.get().state == OperationState.UNKNOWN
        before = asked(simulator)
        stop("everything", clock)

        worked(clock)
        worked(clock, minutes=60)

        assert asked(simulator) == before
        assert not LookUp.objects.exists()
        assert not Incident.objects.exists()

        resume("everything", clock)
        worked(clock, minutes=60)
        payment.refresh_from_db()
        assert payment.state == "captured"

    def test_refunds_wait(self, clock: Clock, simulator: SimulatorProcess) -> None:
        payment = paid(clock)
        before = asked(simulator)
        stop("everything", clock)
        refund = request_refund(payment.public_id, amount_minor=1000, reason="returned", actor=SYSTEM, now=clock())
        advance_refund(refund.pk, clock)
        worked(clock)
        assert asked(simulator) == before

        resume("everything", clock)
        worked(clock)
        worked(clock)
        refund.refresh_from_db()
        assert refund.state == "succeeded"
