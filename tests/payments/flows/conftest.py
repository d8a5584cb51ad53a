"""A gateway on the wire for every flow: the simulator as a process of its own, reset before each test."""

from __future__ import annotations

import pytest

from tests.payments.factories import Clock, nmi_account
from tests.simulator_fixture import SimulatorProcess


@pytest.fixture
def simulator(simulator_process: SimulatorProcess, monkeypatch: pytest.MonkeyPatch) -> SimulatorProcess:
    """The running simulator, empty, with our credentials pointing at it."""
    simulator_process.reset()
    monkeypatch.setenv("GATEWAY_NMI_BASE_URL", f"{simulator_process.url}/nmi")
    monkeypatch.setenv("GATEWAY_NMI_SECURITY_KEY", "demo-nmi-security-key")
    monkeypatch.setenv("GATEWAY_NMI_WEBHOOK_SECRET", "demo-nmi-webhook-secret")
    return simulator_process


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def account(transactional_db: None) -> None:
    nmi_account()
