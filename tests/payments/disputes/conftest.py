"""A paid payment at the simulated gateway, for whatever is said about its charge afterwards."""

from __future__ import annotations

import pytest

from payments.models import Payment
from tests.payments.factories import Clock, paid
from tests.payments.flows.conftest import account, clock, simulator
from tests.simulator_fixture import SimulatorProcess

__all__ = ["account", "clock", "simulator"]


@pytest.fixture
def payment(simulator: SimulatorProcess, clock: Clock) -> Payment:
    """10.00 USD, captured."""
    return paid(clock)


@pytest.fixture
def charge(payment: Payment) -> str:
    """The gateway's id of the charge that paid it."""
    return payment.attempts.get().gateway_id
