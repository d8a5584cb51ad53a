"""What do reports by API come from? Both simulated gateways, their accounts and the terms by which they are compared."""

from __future__ import annotations

import pytest

from payments.services.accounts import ensure_gateway_account
from reconciliation.models import StatementAccount
from tests.payments.factories import Clock, until_noon
from tests.simulator_fixture import SimulatorProcess


@pytest.fixture
def simulator(
    simulator_process: SimulatorProcess, monkeypatch: pytest.MonkeyPatch, transactional_db: None
) -> SimulatorProcess:
    simulator_process.reset()
    for slug in ("NMI", "STRIPE"):
        monkeypatch.setenv(f"GATEWAY_{slug}_BASE_URL", f"{simulator_process.url}/{slug.lower()}")
        monkeypatch.setenv(f"GATEWAY_{slug}_WEBHOOK_SECRET", "secret")
    monkeypatch.setenv("GATEWAY_NMI_SECURITY_KEY", "demo-nmi-security-key")
    monkeypatch.setenv("GATEWAY_STRIPE_SECRET_KEY", "sk_test_demo")
    return simulator_process


@pytest.fixture
def clock(simulator: SimulatorProcess) -> Clock:
    """Noon, at the gateways as well: what is sold and the day asked for are of one day."""
    ahead = until_noon(Clock())
    simulator.act("advance_clock", seconds=ahead.total_seconds())
    return Clock(ahead)


def compared(slug: str, **terms: object) -> StatementAccount:
    """A gateway account whose reports are asked for by API."""
    account = ensure_gateway_account(slug, slug, slug.upper())
    source = {"nmi": "nmi_window", "stripe": "stripe_balance"}[slug]
    return StatementAccount.objects.create(
        slug=slug, name=account.name, kind="gateway", gateway_account=account, source=source, fetched=True, **terms
    )


@pytest.fixture
def stripe(simulator: SimulatorProcess) -> StatementAccount:
    return compared("stripe", currencies=["USD"])


@pytest.fixture
def nmi(simulator: SimulatorProcess) -> StatementAccount:
    return compared("nmi", currencies=["USD"])
