"""Accounts, payments and a gateway on the wire for tests of routing, breakers, switches and turns."""

from __future__ import annotations

import pytest

from payments.models import GatewayAccount
from tests.payments.factories import Clock, nmi_account
from tests.simulator_fixture import SimulatorProcess


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """The account is set up; nobody listens at its address."""
    monkeypatch.setenv("GATEWAY_NMI_BASE_URL", "http://127.0.0.1:9/nmi")
    monkeypatch.setenv("GATEWAY_NMI_SECURITY_KEY", "demo-nmi-security-key")
    monkeypatch.setenv("GATEWAY_NMI_WEBHOOK_SECRET", "demo-nmi-webhook-secret")


@pytest.fixture
def simulator(simulator_process: SimulatorProcess, monkeypatch: pytest.MonkeyPatch) -> SimulatorProcess:
    """The running simulator, empty, at the address of our account."""
    simulator_process.reset()
    monkeypatch.setenv("GATEWAY_NMI_BASE_URL", f"{simulator_process.url}/nmi")
    return simulator_process


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def account(transactional_db: None) -> GatewayAccount:
    return nmi_account(breaker_failures=3, breaker_seconds=60)
