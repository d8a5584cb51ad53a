"""Do home page, list and monitor tell how many payments wait for a payer, a retry or a switch, and since when?"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from payments.models import Payment
from payments.queries.metrics import unfinished_payments
from payments.queries.queues import MOST_COUNTED
from tests.payments.admin import payment_scenes as scenes
from tests.payments.admin.desk import signed_in, text_of
from tests.plans import plan_with

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC)
LIST = "/admin/payments/payment/"


@pytest.fixture(autouse=True)
def _demo(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DEMO = True
    scenes.set_credentials(monkeypatch)


def heap(role: str = "operator") -> Any:
    queues = signed_in(role).get("/admin/").context["queues"]
    return next((queue for queue in queues if queue.title == "Payments held up"), None)


class TestTheHomePage:
    def test_shows_no_heap_while_nothing_is_held_up(self) -> None:
        scenes.captured(NOW)

        assert heap() is None

    def test_counts_them_by_what_they_wait_for(self) -> None:
        scenes.retry_planned(NOW - timedelta(hours=5), reference="a")
        scenes.retry_planned(NOW, reference="b")
        scenes.payers_turn(NOW, reference="c")
        scenes.held_back(NOW, reference="d")

        rows = {row.title.text: row for row in heap().rows}

        assert list(rows) == ["1 at the payer's bank", "2 refused, with a retry planned", "1 held back"]
        retries = rows["2 refused, with a retry planned"]
        assert retries.since == NOW - timedelta(hours=5)
        assert retries.due == NOW - timedelta(hours=5) + timedelta(days=2)
        assert retries.title.url == f"{LIST}?waits=retry"

    def test_counts_no_further_than_it_must(self) -> None:
        payment = scenes.payers_turn(NOW)
        fields = {f.name: getattr(payment, f.name) for f in Payment._meta.concrete_fields if f.name != "id"}
        Payment.objects.bulk_create(
            Payment(**fields | {"public_id": f"pay_{n}", "token": f"t{n}"}) for n in range(MOST_COUNTED + 5)
        )

        assert heap().rows[0].title.text == f"{MOST_COUNTED}+ at the payer's bank"

    def test_tells_nobody_who_may_not_look(self) -> None:
        scenes.payers_turn(NOW)

        assert heap("auditor") is not None
        client = Client()
        assert client.get("/admin/").status_code == 302


class TestTheList:
    @pytest.mark.parametrize(
        ("waits", "words"), [("payer", "payer's turn"), ("retry", "retry planned"), ("switch", "sending to resume")]
    )
    def test_is_narrowed_to_them(self, waits: str, words: str) -> None:
        made = {
            "payer": scenes.payers_turn(NOW, reference="at-bank"),
            "retry": scenes.retry_planned(NOW, reference="again-later"),
            "switch": scenes.held_back(NOW, reference="held-order"),
        }

        text = text_of(signed_in("support").get(f"{LIST}?waits={waits}"))

        assert [name for name, payment in made.items() if payment.reference in text] == [waits]
        assert words in text

    def test_asks_the_index_of_exactly_these(self) -> None:
        client = signed_in("support")
        with CaptureQueriesContext(connection) as queries:
            client.get(f"{LIST}?waits=retry")
        (asked,) = [q["sql"] for q in queries if "'retry'" in q["sql"] and "LIMIT" in q["sql"]]

        plan = plan_with("payment_held_up", asked)
        assert "Index Scan using payment_held_up" in plan

    def test_names_the_gateway_that_took_the_money(self) -> None:
        scenes.paid_by_second(NOW, reference="second-took-it")

        text = text_of(signed_in("support").get(LIST))

        assert re.search(r"second-took-it .* Stripe", text)


class TestTheMonitor:
    def test_sees_count_value_and_oldest_by_state_wait_and_gateway(self) -> None:
        now = datetime.now(UTC)
        scenes.retry_planned(now - timedelta(hours=5), reference="a")
        scenes.retry_planned(now, reference="b")
        scenes.payers_turn(now, reference="c")
        scenes.checked(now, reference="d")
        scenes.captured(now, reference="e")

        found = {(name, *labels.values()): value for name, _text, labels, value in unfinished_payments()}

        count = {key[1:]: value for key, value in found.items() if key[0] == "counterfoil_unfinished_payments"}
        assert count == {
            ("pending", "payer", "stripe", "USD"): 1,
            ("pending", "retry", "nmi", "USD"): 2,
            ("validated", "worker", "", "USD"): 1,
        }
        retries = ("pending", "retry", "nmi", "USD")
        assert found["counterfoil_unfinished_minor_units", *retries] == 25000
        assert 18_000 <= found["counterfoil_unfinished_oldest_seconds", *retries] < 18_300

    def test_is_asked_with_the_others(self, client: Client) -> None:
        scenes.payers_turn(NOW)

        text = client.get("/metrics").content.decode()

        assert (
            'counterfoil_unfinished_payments{currency="USD",gateway="stripe",state="pending",waits_for="payer"} 1.0'
        ) in text
        assert "counterfoil_metric_sources_failed 0.0" in text

    def test_asks_one_question_however_many_there_are(self) -> None:
        for number in range(3):
            scenes.planned(NOW, reference=f"order-{number}")

        with CaptureQueriesContext(connection) as queries:
            unfinished_payments()

        assert len(queries) == 1
