"""Payments at the simulated gateways for the tests of declines: the credentials of every provider, intents, and their follow-up."""

from __future__ import annotations

import pytest

from payments.models import Operation, Payment, PaymentMethod
from payments.services.accounts import ensure_gateway_account
from payments.services.actors import SYSTEM
from payments.services.execution import advance_payment
from payments.services.intake import MethodRequest, PaymentRequest, create_payment
from tests.payments.factories import Clock
from tests.simulator_fixture import SimulatorProcess

MONTH = 30 * 86_400
CREDENTIALS = {
    "nmi": {"SECURITY_KEY": "demo-nmi-security-key", "WEBHOOK_SECRET": "demo-nmi-webhook-secret"},
    "stripe": {"SECRET_KEY": "sk_test_demo", "WEBHOOK_SECRET": "whsec_demo"},
    "convesiopay": {
        "SECRET": "demo-convesiopay-secret", "INTEGRATION": "demo-integration", "WEBHOOK_SECRET": "demo-convesiopay-webhook",
    },
}  # fmt: skip


def point_at(simulator: SimulatorProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every provider's account, and one called "other" at NMI, speak to the simulator."""
    simulator.reset()
    for provider, fields in [*CREDENTIALS.items(), ("other", CREDENTIALS["nmi"])]:
        path = "nmi" if provider == "other" else provider
        monkeypatch.setenv(f"GATEWAY_{provider.upper()}_BASE_URL", f"{simulator.url}/{path}")
        for name, value in fields.items():
            monkeypatch.setenv(f"GATEWAY_{provider.upper()}_{name}", value)


def intent(
    provider: str,
    token: str,
    clock: Clock,
    *,
    reference: str = "order-1",
    another: bool = False,
    method: PaymentMethod | None = None,
) -> Payment:
    """A stored intent whose window is open long enough for every retry; `another` takes the card that this one refuses.

    `method`: one that was used before, instead of a new one with the token.
    """
    ensure_gateway_account(provider, provider, provider.upper(), priority=1)
    credentials = {provider: f"{provider}_{token}"}
    if another:
        ensure_gateway_account("other", "nmi", "Other", priority=2)
        credentials["other"] = "nmi_tok_ok"
    wanted = MethodRequest("card", credentials=credentials)
    if method is not None:
        wanted = MethodRequest("card", payment_method=method.public_id)
    request = PaymentRequest(1000, "USD", reference, wanted, expires_in_seconds=MONTH)
    return create_payment(request, actor=SYSTEM, now=clock())


def followed(payment: Payment, clock: Clock) -> tuple[Payment, Operation]:
    """The payment as far as it goes by itself, and its first call."""
    advance_payment(payment.pk, clock)
    payment.refresh_from_db()
    return payment, payment.operations.order_by("id")[0]


def refused(
    provider: str, code: str, clock: Clock, *, reference: str = "order-1", another: bool = False
) -> tuple[Payment, Operation]:
    """A payment that its first gateway answers with the code, and the call that was so answered."""
    token = f"tok_decline_{code}"
    return followed(intent(provider, token, clock, reference=reference, another=another), clock)
