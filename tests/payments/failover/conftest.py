"""Two gateway accounts on one simulator: the first can be sent nowhere, so that it refuses connections."""

from __future__ import annotations

import pytest

from payments.models import GatewayAccount
from payments.services.accounts import ensure_gateway_account
from tests.payments.factories import Clock
from tests.simulator_fixture import SimulatorProcess


@pytest.fixture
def simulator(simulator_process: SimulatorProcess, monkeypatch: pytest.MonkeyPatch) -> SimulatorProcess:
    """The running simulator, empty, with the credentials of both accounts pointing at it."""
    simulator_process.reset()
    for slug in ("NMI", "SECOND"):
        monkeypatch.setenv(f"GATEWAY_{slug}_BASE_URL", f"{simulator_process.url}/nmi")
        monkeypatch.setenv(f"GATEWAY_{slug}_SECURITY_KEY", "demo-nmi-security-key")
        monkeypatch.setenv(f"GATEWAY_{slug}_WEBHOOK_SECRET", "demo-nmi-webhook-secret")
    return simulator_process


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def accounts(transactional_db: None) -> tuple[GatewayAccount, GatewayAccount]:
    """First and second, in the order they are asked."""
    first = ensure_gateway_account("nmi", "nmi", "NMI", priority=1)
    return first, ensure_gateway_account("second", "nmi", "Second", priority=2)
