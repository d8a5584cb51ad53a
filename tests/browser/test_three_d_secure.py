"""Does a payer get from our page to their bank and back, and is what they leave open taken away? Stripe's part is simulated."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import expect

from payments.models import Operation, Payment
from payments.services.accounts import ensure_gateway_account
from payments.services.execution import advance_payment
from payments.services.inbox import drain_inbox
from payments.services.sweep import sweep
from tests.browser.conftest import Window
from tests.browser.worker import CREDENTIALS, credentials
from tests.payments.factories import Clock, new_payment
from tests.simulator_fixture import SimulatorProcess, start_simulator

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def simulator(
    live_server: Any, window: Window, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SimulatorProcess]:
    """Stripe alone, posting its webhooks to the server under test."""
    settings.PUBLIC_URL = live_server.url
    running = start_simulator(webhooks=f"{live_server.url}/webhooks", env=CREDENTIALS)
    for name, value in credentials(running).items():
        monkeypatch.setenv(name, value)
    ensure_gateway_account("stripe", "stripe", "Stripe")
    window.elsewhere = (running.url, "https://shop.example/")
    yield running
    running.stop()


def asked(clock: Clock, reference: str) -> Payment:
    """A payment whose payer has to confirm it at their bank."""
    payment = new_payment(
        clock, reference=reference, amount_minor=4200, token="tok_3ds", return_url="https://shop.example/back"
    )
    advance_payment(payment.pk, clock)
    payment.refresh_from_db()
    return payment


def test_a_payer_confirms_at_their_bank_and_comes_back_to_a_paid_order(
    window: Window, simulator: SimulatorProcess
) -> None:
    clock = Clock()
    payment = asked(clock, "order-bank")
    window.open(f"/pay/{payment.token}/")
    window.says("Your bank asks you to confirm this payment.")
    window.shot("3ds-1-asked")
    window.page.get_by_role("link", name="Continue to your bank").click()
    window.says("Simulated bank")
    window.shot("3ds-2-bank")
    window.page.get_by_role("button", name="Approve").click()

    window.page.wait_for_url(f"{window.base}/pay/{payment.token}/return*")
    advance_payment(payment.pk, clock)  # what the worker does when the payer has come back
    expect(window.page.get_by_role("heading")).to_have_text("Paid", timeout=60_000)  # the page looks again by itself
    window.shot("3ds-3-paid")
    shop = window.page.get_by_role("link", name="Back to the shop")
    expect(shop).to_have_attribute("href", "https://shop.example/back")
    assert [m["kind"] for m in simulator.movements(gateway="stripe") if m["kind"] != "fee"] == ["capture"]


def test_what_a_payer_leaves_open_expires_and_is_closed_at_the_gateway(
    window: Window, simulator: SimulatorProcess
) -> None:
    clock = Clock()
    payment = asked(clock, "order-left")
    window.open(f"/pay/{payment.token}/")
    window.page.get_by_role("link", name="Continue to your bank").click()
    window.says("Simulated bank")
    bank = window.page.url
    window.page.get_by_role("button", name="Leave without confirming").click()

    # They are sent back undecided, see that it is still open, and stay away until the payment's time is over.
    window.page.wait_for_url(f"{window.base}/pay/{payment.token}/return*")
    window.says("Continue to your bank")
    clock.offset = payment.expires_at - clock() + timedelta(minutes=1)
    for _ in range(3):
        sweep(clock)
        simulator.wait_until_quiet()
        drain_inbox(clock)
        clock.pass_(minutes=6)

    closed = Operation.objects.get(payment=payment, kind="close")
    assert closed.state == "succeeded"
    window.open(f"/pay/{payment.token}/")
    window.says("You have not been charged.")
    window.shot("3ds-4-expired")
    window.expected = {409}  # the bank's own answer: there is nothing to confirm
    window.page.goto(bank)
    window.says("There is nothing to confirm")
    assert simulator.movements(gateway="stripe") == []
    payment.refresh_from_db()
    assert payment.state == "expired"
    window.sign_in("operator")
    window.open(f"/admin/payments/payment/{payment.public_id}/")
    window.shot("3ds-5-expired-payment")
