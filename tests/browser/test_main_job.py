"""The main job, whole: a lost answer is understood and resolved; money that must not have come is decided on, in the browser.

Everything is real: the API and webhooks over HTTP, the gateway as a process, a look-up over the wire. The worker's steps are
called here, so that time can be passed in.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from django.utils import timezone

from payments.models import Payment, Review
from payments.services.execution import advance_payment
from payments.services.inbox import drain_inbox
from payments.services.refunds import advance_refund
from payments.services.sweep import sweep
from payments.services.tokens import issue_token
from payments.states import PaymentState, RefundState
from tests.browser.conftest import Window
from tests.payments.factories import Clock, nmi_account
from tests.payments.flows.books import assert_books_agree, balance
from tests.simulator_fixture import SimulatorProcess, start_simulator, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def simulator(live_server: Any, window: Window, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatorProcess]:
    """The gateway, posting its webhooks to the server under test."""
    monkeypatch.setenv("GATEWAY_NMI_SECURITY_KEY", "demo-nmi-security-key")
    monkeypatch.setenv("GATEWAY_NMI_WEBHOOK_SECRET", "demo-nmi-webhook-secret")
    running = start_simulator(webhooks=f"{live_server.url}/webhooks")
    monkeypatch.setenv("GATEWAY_NMI_BASE_URL", running.nmi_url)
    nmi_account()
    yield running
    running.stop()


@pytest.fixture
def shop(live_server: Any, simulator: SimulatorProcess) -> Iterator[httpx.Client]:
    """The merchant's system, over HTTP."""
    token = issue_token("shop", now=timezone.now()).token
    with httpx.Client(base_url=f"{live_server.url}/api/v1", headers={"Authorization": f"Bearer {token}"}) as client:
        yield client


def post(shop: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = shop.post(path, json=body, headers={"Idempotency-Key": uuid.uuid4().hex})
    assert answer.status_code in {200, 202}, answer.text
    known: dict[str, Any] = answer.json()
    return known


def pay(shop: httpx.Client, reference: str, capture: str) -> Payment:
    made = post(
        shop,
        "/payments",
        {
            "amount_minor": 4200,
            "currency": "USD",
            "reference": reference,
            "payer": {"email": "ada@example.com", "name": "Ada Byron"},
            "method": {"type": "card", "token": "tok_ok"},
            "capture": capture,
        },
    )
    return Payment.objects.get(public_id=made["id"])


def work(payment: Payment, clock: Clock) -> None:
    """What the worker does when it is nudged."""
    advance_payment(payment.pk, clock)
    drain_inbox(clock)


def test_a_lost_response_is_read_about_and_resolved_by_a_look_up(
    window: Window, simulator: SimulatorProcess, shop: httpx.Client
) -> None:
    clock = Clock()
    simulator.fault("webhook_missing", "sale")
    simulator.fault("lost_response", "sale", times=1)
    payment = pay(shop, "order-lost", "automatic")
    work(payment, clock)
    window.sign_in("operator")

    window.open("/admin/payments/payment/")
    window.page.get_by_role("link", name="order-lost").click()
    window.says("It is not known whether NMI took 42.00 USD.")
    window.says("Waiting for")
    assert re.search(r"\d\d:\d\d", window.page.locator("body").inner_text())  # until when
    window.shot("unknown")

    clock.pass_(minutes=2)
    sweep(clock)

    window.page.reload()
    window.says("Paid: NMI took 42.00 USD.")
    assert shop.get(f"/payments/{payment.public_id}").json()["amount_captured_minor"] == 4200
    assert simulator.books()["requests"]["transact.sale"] == 1
    assert_books_agree(simulator)


def test_money_for_a_cancelled_payment_is_decided_on_and_suspense_is_zero_again(
    window: Window, simulator: SimulatorProcess, shop: httpx.Client
) -> None:
    clock = Clock()
    payment = pay(shop, "order-cancelled", "manual")
    work(payment, clock)
    post(shop, f"/payments/{payment.public_id}/cancel", {})
    work(payment, clock)
    simulator.act("capture", reference=payment.attempts.get().reference, force=True)
    simulator.wait_until_quiet()
    drain_inbox(clock)  # a void is known: which came first is asked of the gateway's own list
    work(payment, clock)
    assert balance("2050") == -4200
    assert_books_agree(simulator)

    window.sign_in("operator")
    window.says("Money after cancelling")
    window.open("/admin/payments/review/")
    window.shot("reviews")
    window.page.get_by_role("link", name="Money after cancelling").or_(
        window.page.locator("#result_list tbody tr a").first
    ).first.click()
    window.says("The gateway captured money for a cancelled payment.")
    window.shot("review")
    window.page.get_by_role("link", name=re.compile("Prepare.*Give it back")).click()
    window.page.select_option("[name=reason]", "gateway_error")
    window.page.fill("[name=note]", "Captured by hand in the gateway's dashboard; the order was cancelled.")
    window.press("Show what will happen")
    window.says("credit refunds payable")
    window.shot("decision")
    window.press("Give it back: decide")
    wait_for(lambda: Review.objects.get().refunds.exists())

    refund = Review.objects.get().refunds.get()
    advance_refund(refund.pk, clock)
    refund.refresh_from_db()
    payment.refresh_from_db()
    assert (refund.state, payment.state) == (RefundState.SUCCEEDED, PaymentState.CANCELLED)
    assert Review.objects.get().decided_by.get_username() == "operator"

    window.open("/admin/ledger/account/")
    window.says("Suspense")
    row = window.page.locator("tr", has_text="Suspense").first.inner_text()
    window.shot("accounts")
    assert "0.00" in row or "–" in row
    assert balance("2050") == 0
    assert_books_agree(simulator)
