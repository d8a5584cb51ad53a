"""Is a card kept that only a look-up shows, at the gateways whose answers say little of it?"""

from __future__ import annotations

from datetime import timedelta

import pytest

from payments.models import LookUp, Payment
from payments.services.accounts import ensure_gateway_account
from payments.services.actors import SYSTEM
from payments.services.execution import advance_payment
from payments.services.intake import MethodRequest, PaymentRequest, create_payment
from payments.services.resolution import ask_about
from payments.states import PaymentState
from tests.payments.factories import Clock, sweep_until_quiet
from tests.simulator_fixture import SimulatorProcess

S = PaymentState


def first_use(slug: str, clock: Clock, **fields: object) -> Payment:
    method = MethodRequest("card", credentials={slug: f"{slug}_once_7"})
    request = PaymentRequest(1000, "USD", "order-7", method, **fields)  # type: ignore[arg-type]  # by keyword
    payment = create_payment(request, actor=SYSTEM, now=clock())
    advance_payment(payment.pk, clock)
    payment.refresh_from_db()
    return payment


def assert_charged_again(first: Payment, clock: Clock) -> None:
    first.refresh_from_db()
    assert first.state == S.CAPTURED
    assert first.method.credentials.get().reusable
    stored = MethodRequest("card", payment_method=first.method.public_id)
    again = create_payment(
        PaymentRequest(500, "USD", "again", stored, initiated_by="merchant"), actor=SYSTEM, now=clock()
    )
    advance_payment(again.pk, clock)
    again.refresh_from_db()
    assert again.state == S.CAPTURED


class TestNmi:
    def test_a_look_up_shows_the_card_and_its_fingerprint(self, simulator: SimulatorProcess, clock: Clock) -> None:
        payment = first_use("nmi", clock)
        assert (payment.method.brand, payment.method.fingerprint) == ("", "")

        ask_about(payment.pk, clock)

        payment.method.refresh_from_db()
        method = payment.method
        assert method.fingerprint.startswith("nmi:")
        assert (bool(method.brand), len(method.last_four), method.expires_on is not None) == (True, 4, True)
        assert payment.operations.get().fingerprint == method.fingerprint

    def test_a_vault_record_whose_answer_was_lost_is_charged_again(
        self, simulator: SimulatorProcess, clock: Clock
    ) -> None:
        simulator.fault("lost_response", "sale", times=1)
        payment = first_use("nmi", clock)
        sweep_until_quiet(clock, rounds=4, step=timedelta(minutes=1))

        assert_charged_again(payment, clock)
        vault_id = payment.method.credentials.get().token.removeprefix("vault:")
        assert not [row for row in LookUp.objects.values_list("evidence", flat=True) if vault_id in str(row)]


class TestConvesioPay:
    @pytest.fixture(autouse=True)
    def gateway(self, simulator: SimulatorProcess, monkeypatch: pytest.MonkeyPatch) -> None:
        ensure_gateway_account("convesiopay", "convesiopay", "ConvesioPay")
        monkeypatch.setenv("GATEWAY_CONVESIOPAY_BASE_URL", f"{simulator.url}/convesiopay")
        monkeypatch.setenv("GATEWAY_CONVESIOPAY_SECRET", "demo-convesiopay-secret")
        monkeypatch.setenv("GATEWAY_CONVESIOPAY_INTEGRATION", "int_1")
        monkeypatch.setenv("GATEWAY_CONVESIOPAY_WEBHOOK_SECRET", "00" * 32)

    def test_a_stored_card_whose_answer_was_lost_is_charged_again(
        self, simulator: SimulatorProcess, clock: Clock
    ) -> None:
        simulator.fault("lost_response", "sale", gateway="convesiopay", times=1)
        payment = first_use("convesiopay", clock, gateway="convesiopay")
        sweep_until_quiet(clock, rounds=4, step=timedelta(minutes=1))

        assert_charged_again(payment, clock)
