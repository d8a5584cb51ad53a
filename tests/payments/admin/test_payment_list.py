"""Does the list find a payment by anything somebody pastes, narrow by what matters, and cost the same at any size?"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from config.services import make_staff
from payments.models import Payment
from payments.queries.search import MOST_FOUND, find_payments
from tests.payments.admin.payment_scenes import (
    SCENES,
    captured,
    captured_after_cancel,
    set_credentials,
    stored,
    told_by_webhook,
)
from tests.plans import plan_with

pytestmark = pytest.mark.django_db
LIST = "/admin/payments/payment/"


@pytest.fixture(autouse=True)
def _demo(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DEMO = True
    set_credentials(monkeypatch)


def signed_in(role: str = "operator") -> Client:
    client = Client()
    client.force_login(make_staff(role, role, "pw"))
    return client


def shown(client: Client, **query: str) -> list[str]:
    """References on the list's first page."""
    return [row.reference for row in client.get(LIST, query).context["cl"].result_list]


def _event_of(payment: Payment) -> str:
    return told_by_webhook(payment, b"{}", timezone.now()).public_id


KINDS: dict[str, Callable[[Payment], str]] = {
    "payment": lambda p: p.public_id,
    "attempt": lambda p: p.attempts.get().public_id,
    "operation": lambda p: p.operations.order_by("-id")[0].public_id,
    "movement": lambda p: p.movements.order_by("-id")[0].public_id,
    "review": lambda p: p.reviews.get().public_id,
    "event": _event_of,
    "merchant's reference": lambda p: p.reference,
    "our reference at the gateway": lambda p: p.attempts.get().reference,
    "reference of a call": lambda p: p.operations.order_by("-id")[0].reference,
    "gateway's transaction": lambda p: p.attempts.get().gateway_id,
    "payer's own id": lambda p: "c-77",
    "payer's e-mail in any case": lambda p: "ADA@example.com",
    "with blanks around": lambda p: f"  {p.reference} ",
}


# One for each question a search asks, in the order of asking.
SEARCHED = (
    "payer_email", "payer_external_id", "payment_reference", "attempt_reference_is_unique", "attempt_gateway_id",
    "operation_reference_is_unique", "one_movement_per_gateway_identity", "review_gateway_id", "payments_payment_payer_id_90660d0f",
)  # fmt: skip


class TestSearch:
    def test_finds_by_every_kind_of_reference(self) -> None:
        now = timezone.now()
        stored(now, reference="other", payer=None)
        payment = captured_after_cancel(now, reference="order-9")
        client = signed_in()

        found = {kind: shown(client, q=reference_of(payment)) for kind, reference_of in KINDS.items()}

        assert found == {kind: ["order-9"] for kind in KINDS}

    def test_finds_by_a_refunds_id(self) -> None:
        payment = SCENES["refund_waits"](timezone.now())

        assert find_payments(payment.refunds.get().public_id) == [payment.pk]

    def test_what_is_not_a_whole_reference_finds_nothing(self) -> None:
        captured(timezone.now())
        terms = ["", "   ", "order", "pay_", "pay_nothere", "ada@", "\x00", "%", "x" * 5000]

        assert {term: find_payments(term) for term in terms} == {term: [] for term in terms}

    def test_rides_on_indexes_alone(self) -> None:
        captured(timezone.now())
        with CaptureQueriesContext(connection) as queries:
            find_payments("c-77")

        _accounts, *asked = [query["sql"] for query in queries.captured_queries if query["sql"].startswith("SELECT")]
        plans = [plan_with(index, sql) for index, sql in zip(SEARCHED, asked, strict=True)]
        # A filter: rows are read that are not what was searched for.
        assert [plan for plan in plans if "Seq Scan" in plan or "Filter:" in plan] == []

    def test_many_payments_of_one_reference_are_cut(self) -> None:
        first = captured(timezone.now())
        Payment.objects.bulk_create(
            Payment(
                reference="many", amount_minor=1, currency="USD", method=first.method, capture_mode="automatic",
                state="failed", expires_at=first.expires_at, created_at=first.created_at, updated_at=first.updated_at,
            )
            for _ in range(MOST_FOUND + 5)
        )  # fmt: skip

        assert len(find_payments("many")) == MOST_FOUND

    def test_a_card_number_is_not_searched_for_and_stands_in_no_address_afterwards(self) -> None:
        answer = signed_in().get(LIST, {"q": "4111 1111 1111 1111"}, follow=True)

        assert answer.redirect_chain == [(LIST, 302)]
        page = answer.content.decode()
        assert "looks like a card number" in page
        assert "4111" not in page


class TestFilters:
    def test_narrow_to_what_they_say(self) -> None:
        now = timezone.now()
        stored(now - timedelta(days=2), reference="old", payer=None)
        captured_after_cancel(now, reference="person", payer=None)
        SCENES["late"](now, reference="late", payer=None)
        SCENES["duplicate"](now, reference="double")
        client = signed_in()
        wanted = {
            "state__exact=cancelled": ["person"],
            "attention=person": ["person"],
            "attention=late": ["late"],
            "attention=duplicate": ["double"],
            "attention=overdue": ["old"],
            "age=1d": ["old"],
            "gateway=nmi": ["double", "first-of-double", "late", "person"],
            "gateway=elsewhere": [],
        }

        found = {query: shown(client, **dict([query.split("=")])) for query in wanted}

        assert found == wanted


class TestCost:
    def test_a_page_costs_the_same_for_one_row_and_for_many_and_counts_nothing(self) -> None:
        client = signed_in()
        first = captured_after_cancel(timezone.now())
        client.get(LIST)
        with CaptureQueriesContext(connection) as few:
            client.get(LIST)
        for number in range(12):
            captured(timezone.now(), reference=f"more-{number}")
        Payment.objects.bulk_create(
            Payment(
                reference=f"bulk-{number}", amount_minor=1, currency="USD", method=first.method,
                capture_mode="automatic", state="failed", expires_at=first.expires_at, created_at=first.created_at,
                updated_at=first.updated_at,
            )
            for number in range(100)
        )  # fmt: skip

        with CaptureQueriesContext(connection) as many:
            client.get(LIST)

        assert len(many) == len(few) <= 16
        big = [q["sql"] for q in many if "COUNT(*)" in q["sql"].upper() or "OFFSET" in q["sql"].upper()]
        assert big == []

    def test_counts_for_filters_are_never_offered_nor_made(self) -> None:
        client = signed_in()
        captured(timezone.now())

        with CaptureQueriesContext(connection) as queries:
            page = client.get(LIST, {"_facets": "True"}).content.decode()

        assert "Show counts" not in page
        assert [q["sql"] for q in queries if "COUNT(" in q["sql"] and 'payments_payment"' in q["sql"]] == []

    def test_walks_pages_by_key(self) -> None:
        client = signed_in()
        first = captured(timezone.now())
        Payment.objects.bulk_create(
            Payment(
                reference=f"bulk-{number}", amount_minor=1, currency="USD", method=first.method,
                capture_mode="automatic", state="failed", expires_at=first.expires_at, created_at=first.created_at,
                updated_at=first.updated_at,
            )
            for number in range(60)
        )  # fmt: skip

        newest = client.get(LIST).context["cl"]
        older = client.get(LIST + newest.older_query).context["cl"]

        assert [len(newest.result_list), len(older.result_list)] == [50, 11]
        assert older.result_list[-1].pk == first.pk


class TestRows:
    def test_a_row_shows_state_payer_masked_amounts_and_what_needs_a_person(self) -> None:
        SCENES["part_refunded"](timezone.now(), reference="order-5")
        captured_after_cancel(timezone.now(), reference="order-6", payer=None)

        page = signed_in("support").get(LIST).content.decode()

        for words in ("settled", "Ada L.", "125.00", "25.00", "needs a person", "cancelled", "NMI"):
            assert words in page
        assert "Lovelace" not in page

    def test_an_empty_list_says_how_payments_come(self) -> None:
        page = signed_in().get(LIST).content.decode()

        assert "No payments yet" in page

    @pytest.mark.parametrize(
        ("role", "offered"), [("operator", True), ("finance", True), ("support", False), ("auditor", False)]
    )
    def test_making_a_payment_is_offered_to_those_who_may(self, role: str, offered: bool) -> None:
        assert ("Create a payment" in signed_in(role).get(LIST).content.decode()) is offered
