"""One gateway on the wire at a time, the same stories at each; and people who may act."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from payments.models import Payment
from payments.services.accounts import ensure_gateway_account
from payments.services.execution import advance_payment
from payments.services.resolution import ask_about
from payments.services.sweep import sweep
from tests.payments.factories import Clock, new_payment, nmi_account
from tests.payments.flows.conftest import clock, simulator
from tests.simulator_fixture import SimulatorProcess

__all__ = ["clock", "simulator"]

DAY = 86_400


@dataclass
class Shop:
    """A merchant whose payments take parts, at one gateway."""

    simulator: SimulatorProcess
    clock: Clock
    gateway: str

    def refuses(self, times: int = 1, code: str = "insufficient_funds", operation: str = "sale") -> None:
        """The next calls are refused, whatever they ask for."""
        self.simulator.fault(f"decline:{code}", operation, gateway=self.gateway, times=times)

    def takes_off(self, minor: int) -> None:
        """The next sale takes so much more, or less, than is asked."""
        self.simulator.fault(f"amount_off:{minor}", "sale", gateway=self.gateway, times=1)

    def sells(self, *, days: int = 20, accept_partial: bool = True, **fields: object) -> Payment:
        """10.00 USD asked, followed as far as it goes by itself."""
        fields = {"email": "payer@example.com", **fields}
        payment = new_payment(
            self.clock,
            accept_partial=accept_partial,
            expires_in_seconds=days * DAY,
            **fields,  # type: ignore[arg-type]
        )
        return self.follows(payment)

    def follows(self, payment: Payment) -> Payment:
        advance_payment(payment.pk, self.clock)
        payment.refresh_from_db()
        return payment

    def sells_half(self, **fields: object) -> Payment:
        """Refused over 10.00, then 5.00 taken."""
        self.refuses()
        payment = self.sells(**fields)
        assert payment.state == "partially_paid"
        return payment

    def act(self, payment: Payment, action: str, *, attempt: int | None = None, **more: object) -> None:
        """Somebody at the gateway's own dashboard, about the last attempt or the one named."""
        tried = payment.attempts.get(number=attempt) if attempt else payment.attempts.latest("number")
        self.simulator.act(action, gateway=self.gateway, reference=tried.reference, **more)

    def asks(self, payment: Payment) -> Payment:
        """What happened at the gateway meanwhile becomes known."""
        ask_about(payment.pk, self.clock)
        return self.follows(payment)

    def days_pass(self, days: float) -> None:
        self.clock.pass_(days=days)
        self.simulator.act("advance_clock", gateway=self.gateway, seconds=days * DAY)
        assert sweep(self.clock).failed == {}

    def settles(self) -> None:
        self.simulator.act("batch_settle", gateway=self.gateway)


@pytest.fixture(params=["nmi", "stripe"])
def shop(
    request: pytest.FixtureRequest,
    transactional_db: None,
    simulator: SimulatorProcess,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> Shop:
    """The same stories at each gateway."""
    if request.param == "stripe":
        return _at_stripe(simulator, clock, monkeypatch)
    nmi_account()
    return Shop(simulator, clock, request.param)


def _at_stripe(simulator: SimulatorProcess, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setenv("GATEWAY_STRIPE_BASE_URL", f"{simulator.url}/stripe")
    monkeypatch.setenv("GATEWAY_STRIPE_SECRET_KEY", "sk_test_demo")
    monkeypatch.setenv("GATEWAY_STRIPE_WEBHOOK_SECRET", "whsec_demo")
    ensure_gateway_account("stripe", "stripe", "Stripe")
    return Shop(simulator, clock, "stripe")


@pytest.fixture
def stripe(transactional_db: None, simulator: SimulatorProcess, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Shop:
    return _at_stripe(simulator, clock, monkeypatch)


@pytest.fixture
def nmi(transactional_db: None, simulator: SimulatorProcess, clock: Clock) -> Shop:
    nmi_account()
    return Shop(simulator, clock, "nmi")
