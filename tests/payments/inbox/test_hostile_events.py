"""Is genuine money booked, and shown, whatever signs stand around it in a signed message?"""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from django.utils.html import escape

from config.services import make_staff
from payments.models import GatewayAccount, InboundEvent
from payments.states import PaymentState
from tests.payments.inbox.conftest import SetClock, assert_exactly_once, drained, store, waiting_payment
from tests.payments.inbox.deliveries import deliver, transaction_event

pytestmark = pytest.mark.django_db
MARKUP = "</pre></details><script>alert(1)</script><img src=x onerror=alert(1)>"


def sale_saying(text: str, reference: str) -> Any:
    message = json.loads(transaction_event("sale", "9001", reference))
    message["event_body"]["action"] |= {"response_text": text, "processor_response_text": text}
    message["event_body"] |= {"order_description": text, "billing_address": {"first_name": text}, "condition": text}
    return deliver(json.dumps(message).encode())


@pytest.mark.parametrize("text", ["\x00", "\ud800", "a\udc00b", "x" * 100_000, MARKUP, "4111111111111111"])
def test_a_sale_is_booked_and_its_pages_come(
    account: GatewayAccount, clock: SetClock, settings: Any, text: str
) -> None:
    settings.DEMO = True
    attempt = waiting_payment(account)
    event = store(sale_saying(text, attempt.reference))

    assert drained(clock) == {"applied": 1}

    attempt.payment.refresh_from_db()
    assert attempt.payment.state == PaymentState.CAPTURED
    assert_exactly_once()
    client = Client()
    client.force_login(make_staff("operator", "operator", "pw"))
    for address in (
        f"/admin/payments/inboundevent/{event.public_id}/",
        f"/admin/payments/payment/{attempt.payment.public_id}/",
        "/admin/payments/inboundevent/",
    ):
        page = client.get(address)
        assert page.status_code == 200
        assert "<script>alert" not in page.text and "<img src=x" not in page.text
        assert "4111111111111111" not in page.text
    if text == MARKUP:
        assert (
            escape("<script>alert(1)</script>") in client.get(f"/admin/payments/inboundevent/{event.public_id}/").text
        )


@pytest.mark.parametrize("identity", ["90\x0001", "90\ud80001"])
def test_an_identity_that_cannot_be_stored_is_nobodys_and_poisons_nothing(
    account: GatewayAccount, clock: SetClock, identity: str
) -> None:
    store(deliver(transaction_event("sale", identity, "cf-nobody")))

    assert drained(clock) == {"parked": 1}
    assert InboundEvent.objects.get().error == ""
