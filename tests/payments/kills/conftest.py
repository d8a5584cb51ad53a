"""The simulator, and drivers that speak to it, for every kill."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.forks import Forks
from tests.payments.flows.conftest import account, clock, simulator
from tests.payments.kills.processes import BusyGateway, SilentGateway, Workers
from tests.simulator_fixture import SimulatorProcess

__all__ = ["account", "clock", "simulator"]


@pytest.fixture
def workers(forks: Forks, simulator: SimulatorProcess) -> Iterator[Workers]:
    """Drivers on this test's database; each is ended at the latest with the test."""
    made = Workers(
        forks,
        {
            "GATEWAY_NMI_BASE_URL": simulator.nmi_url,
            "GATEWAY_NMI_SECURITY_KEY": "demo-nmi-security-key",
            "GATEWAY_NMI_WEBHOOK_SECRET": "demo-nmi-webhook-secret",
        },
    )
    yield made
    made.end()


@pytest.fixture
def busy_gateway() -> Iterator[BusyGateway]:
    gateway = BusyGateway()
    yield gateway
    gateway.close()


@pytest.fixture
def silent_gateway() -> Iterator[SilentGateway]:
    gateway = SilentGateway()
    yield gateway
    gateway.close()
