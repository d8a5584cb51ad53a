"""A gateway goes away under real payments: does the breaker open, do payments wait, and does one of them bring it back?"""

from __future__ import annotations

import pytest

from payments.models import GatewayAccount, GatewayHealth, HealthEvent, Incident, Payment
from payments.services.execution import advance_payment
from payments.services.sweep import sweep
from tests.payments.factories import Clock, paid
from tests.simulator_fixture import SimulatorProcess


def swept(clock: Clock, **time: float) -> None:
    clock.pass_(**time)
    assert sweep(clock).failed == {}


def state_of(payment: Payment) -> str:
    payment.refresh_from_db()
    return payment.state


@pytest.mark.usefixtures("account")
def test_an_outage_from_its_first_silence_to_the_payment_that_ends_it(
    clock: Clock, simulator: SimulatorProcess
) -> None:
    simulator.fault("outage")
    lost = [paid(clock) for _ in range(3)]
    health = GatewayHealth.objects.get()
    assert (health.state, health.failures) == ("open", 3)

    before = simulator.books()["requests"].get("sale", 0)
    later = paid(clock)
    assert simulator.books()["requests"].get("sale", 0) == before  # nothing new is charged there
    assert state_of(later) in {"validated", "pending"}  # and it waits instead of failing

    swept(clock, seconds=70)
    health.refresh_from_db()
    assert health.state == "open"  # the probe got no answer either

    simulator.clear_faults()
    swept(clock, seconds=130)
    swept(clock, seconds=130)
    swept(clock, minutes=5)

    health.refresh_from_db()
    assert (health.state, health.failures) == ("closed", 0)
    assert state_of(later) == "captured"
    assert [event.what for event in HealthEvent.objects.order_by("id")] == [
        "breaker opened", "breaker half open", "breaker closed",
    ]  # fmt: skip
    assert not Incident.objects.filter(kind="breaker_open", closed_at=None).exists()
    for _ in range(12):
        swept(clock, minutes=6)
    for payment in lost:
        advance_payment(payment.pk, clock)
    charged = [m["reference"] for m in simulator.movements() if m["kind"] == "capture"]
    assert len(charged) == len(set(charged))


def test_a_paused_gateway_takes_nothing_new_and_its_payments_wait(
    account: GatewayAccount, clock: Clock, simulator: SimulatorProcess
) -> None:
    GatewayAccount.objects.update(paused_at=clock(), paused_by="olga", paused_because="maintenance")
    payment = paid(clock)
    swept(clock, minutes=2)
    assert simulator.books()["requests"] == {}

    GatewayAccount.objects.update(paused_at=None)
    swept(clock, minutes=10)
    assert state_of(payment) == "captured"
