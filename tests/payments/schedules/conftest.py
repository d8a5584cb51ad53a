"""Every gateway that keeps cards, on the wire; the same clock and account as every flow."""

from __future__ import annotations

import pytest

from tests.payments.factories import Clock, until_noon
from tests.payments.flows.conftest import account, simulator
from tests.simulator_fixture import SimulatorProcess

__all__ = ["account", "gateways", "simulator"]

_SECRETS = {
    "STRIPE": {"SECRET_KEY": "sk_test_demo", "WEBHOOK_SECRET": "whsec_demo"},
    "CONVESIOPAY": {"SECRET": "demo-convesiopay-secret", "INTEGRATION": "int_1", "WEBHOOK_SECRET": "demo"},
}


@pytest.fixture
def clock(simulator: SimulatorProcess) -> Clock:
    """Noon, at the gateways as well: a sweep just before midnight would find one date more."""
    ahead = until_noon(Clock())
    simulator.act("advance_clock", seconds=ahead.total_seconds())
    return Clock(ahead)


@pytest.fixture
def gateways(simulator: SimulatorProcess, monkeypatch: pytest.MonkeyPatch) -> SimulatorProcess:
    """The simulator, with Stripe and ConvesioPay set up beside NMI."""
    for slug, secrets in _SECRETS.items():
        monkeypatch.setenv(f"GATEWAY_{slug}_BASE_URL", f"{simulator.url}/{slug.lower()}")
        for name, secret in secrets.items():
            monkeypatch.setenv(f"GATEWAY_{slug}_{name}", secret)
    return simulator
