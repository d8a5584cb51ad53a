"""Does the inbox show what came in without a secret, and does a replay say first what it would change?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from payments.models import InboundEvent, Movement, Payment
from payments.services.inbox import drain_inbox, store_event
from payments.states import EventState
from tests.payments.admin import payment_scenes as scenes
from tests.payments.admin.desk import prepare, signed_in, text_of
from tests.payments.inbox.deliveries import SECRET, Delivery, deliver, event_body, sale

pytestmark = pytest.mark.django_db(transaction=True)  # a replay takes locks of its own
INBOX = "/admin/payments/inboundevent/"
NOW = datetime.now(UTC) - timedelta(hours=1)


@pytest.fixture(autouse=True)
def _demo(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DEMO = True
    scenes.set_credentials(monkeypatch)
    monkeypatch.setenv("GATEWAY_NMI_WEBHOOK_SECRET", SECRET)


def stored(delivery: Delivery) -> InboundEvent:
    store_event("nmi", delivery.headers, delivery.body, now=NOW)
    return InboundEvent.objects.latest("id")


def webhook_of(payment: Payment) -> InboundEvent:
    """The webhook that says the payment's sale succeeded; not worked on yet."""
    return stored(sale("7001", payment.attempts.get().reference, amount="125.00", when=NOW))


def page_of(event: InboundEvent, command: str = "") -> str:
    return f"{INBOX}{event.public_id}/" + (f"{command}/" if command else "")


def test_an_event_shows_what_it_said_and_became_with_secrets_hidden() -> None:
    payment = scenes.sent(NOW)
    event = webhook_of(payment)
    drain_inbox(lambda: NOW + timedelta(seconds=1))

    page = signed_in("auditor").get(page_of(event))

    words = text_of(page)
    for said in (
        "applied",
        payment.public_id,
        "transaction.sale.success",
        event.event_key,
        '"requested_amount": "125.00"',
    ):
        assert said in words, said
    signature = event.headers["webhook-signature"]
    assert signature not in page.content.decode()
    assert "••••" in words


def test_events_are_found_by_our_id_and_by_the_gateways_key_alone() -> None:
    first, second = webhook_of(scenes.sent(NOW)), stored(deliver(event_body("transaction.fly.success", {})))
    client = signed_in("operator")

    found = [
        [row.pk for row in client.get(INBOX, {"q": term}).context["cl"].result_list]
        for term in (first.public_id, f" {second.event_key} ", first.event_key[:-1])
    ]

    assert found == [[first.pk], [second.pk], []]


def test_filters_by_state_and_reads_no_raw_bytes_for_the_list() -> None:
    scenes.stored(NOW)
    broken = stored(deliver(b"{not json"))
    InboundEvent.objects.filter(pk=broken.pk).update(state=EventState.POISONED.value, error="KeyError: 'amount'")
    waiting = stored(deliver(event_body("transaction.fly.success", {})))
    client = signed_in("operator")
    client.get(INBOX)

    with CaptureQueriesContext(connection) as queries:
        every = client.get(INBOX)
    poisoned = client.get(f"{INBOX}?state__exact=poisoned")

    assert [row.pk for row in every.context["cl"].result_list] == [waiting.pk, broken.pk]
    assert [row.pk for row in poisoned.context["cl"].result_list] == [broken.pk]
    assert "KeyError: 'amount'" in text_of(poisoned)
    assert not [query["sql"] for query in queries if '"body"' in query["sql"] or "COUNT(" in query["sql"]]


def test_a_replay_shows_what_would_change_and_writes_nothing_until_confirmed() -> None:
    payment = scenes.sent(NOW)
    event = webhook_of(payment)
    InboundEvent.objects.filter(pk=event.pk).update(state=EventState.POISONED.value, next_check_at=None)
    client = signed_in("operator")

    shown, confirmed = prepare(client, page_of(event, "replay"))
    assert "It would change what stands below." in text_of(shown)
    assert "payment: pending → captured" in text_of(shown)
    assert (Movement.objects.count(), scenes.fresh(payment).state) == (0, "pending")
    event.refresh_from_db()
    assert event.state == EventState.POISONED

    done = client.post(page_of(event, "replay"), confirmed, follow=True)

    assert "Replayed, now applied." in text_of(done)
    assert (Movement.objects.count(), scenes.fresh(payment).state) == (1, "captured")


def test_replaying_twice_books_once() -> None:
    payment = scenes.sent(NOW)
    event = webhook_of(payment)
    client = signed_in("operator")
    _, confirmed = prepare(client, page_of(event, "replay"))

    answers = [client.post(page_of(event, "replay"), confirmed).status_code for _ in range(2)]

    assert answers == [302, 302]
    assert (Movement.objects.count(), payment.movements.get().amount_minor) == (1, 12500)


def test_what_cannot_be_read_says_so_and_only_a_replay_moves_it() -> None:
    scenes.stored(NOW)
    event = stored(deliver(b"{not json"))
    drain_inbox(lambda: NOW + timedelta(seconds=1))

    words = text_of(signed_in("operator").get(page_of(event)))

    assert "Unreadable: " in words
    assert "Not by itself: only a replay moves it." in words
    assert "{not json" in words


def test_an_event_that_is_none_is_not_found() -> None:
    assert signed_in("operator").get(f"{INBOX}evt_none/").status_code == 404
