"""Does a person see which dispute to work on first, what it stands at, and what it means for its payment?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from ledger.money import Money
from payments.facts import FactKind
from payments.models import Dispute, Payment
from payments.states import DisputeState
from tests.payments.admin.desk import signed_in, text_of
from tests.payments.disputes.told import moved, record, settlement, word
from tests.payments.factories import Clock, nmi_account

pytestmark = pytest.mark.django_db(transaction=True)
D = DisputeState
QUEUE = "/admin/payments/dispute/"
NOW = datetime.now(UTC)
_numbers = count(1)


@pytest.fixture(autouse=True)
def _demo(settings: Any) -> None:
    settings.DEMO = True


def dispute(due_in: float, *, state: DisputeState = D.CHARGEBACK, **fields: object) -> Dispute:
    """One of nobody's charge, its evidence due in so many days."""
    due = NOW + timedelta(days=due_in)
    return Dispute.objects.create(
        gateway_account=nmi_account(), gateway_id=f"du_{next(_numbers)}", charge_id="ch_x", state=state, amount_minor=1234,
        currency="USD", reason="product_not_received", evidence_due_at=due, act_by=due, opened_at=NOW, **fields,
    )  # fmt: skip


def shown(query: str = "") -> list[int]:
    return [row.pk for row in signed_in("operator").get(QUEUE + query).context["cl"].result_list]


class TestQueue:
    def test_whose_evidence_is_due_first_comes_first_and_overdue_ones_are_loud(self, account):
        later, past, soon = dispute(9), dispute(-1), dispute(2)

        page = signed_in("operator").get(QUEUE)

        assert [row.pk for row in page.context["cl"].result_list] == [past.pk, soon.pk, later.pk]
        assert page.content.decode().count('class="cf-overdue"') == 1
        assert "Product not received" in text_of(page)

    def test_what_is_over_is_found_by_state_and_by_the_gateways_ids(self, account):
        open_, lost = dispute(3), dispute(3, state=D.LOST)

        assert shown() == [open_.pk]
        assert shown("?state=lost") == [lost.pk]
        assert set(shown("?state=all")) == {open_.pk, lost.pk}
        assert shown(f"?q={lost.gateway_id}") == [lost.pk]

    def test_walks_on_and_back_without_losing_or_repeating_one(self, account, monkeypatch):
        monkeypatch.setattr("payments.admin.dispute.DisputeAdmin.list_per_page", 2)
        made = [dispute(days) for days in (5, 1, 3, 1, 2)]
        client = signed_in("operator")

        first = client.get(QUEUE).context["cl"]
        second = client.get(QUEUE + first.older_query).context["cl"]
        third = client.get(QUEUE + second.older_query).context["cl"]

        walked = [row.pk for part in (first, second, third) for row in part.result_list]
        assert sorted(walked) == sorted(d.pk for d in made)
        back = client.get(QUEUE + third.newer_query).context["cl"]
        assert [row.pk for row in back.result_list] == [row.pk for row in second.result_list]

    def test_asks_the_database_as_often_for_one_as_for_many(self, account):
        client = signed_in("operator")
        dispute(1)

        def queries() -> int:
            with CaptureQueriesContext(
                connection,
            ) as asked:
                client.get(QUEUE)
            return len(asked)

        queries()
        one = queries()
        for days in range(5):
            dispute(days)
        assert queries() == one

    def test_the_home_page_names_those_that_ask_for_evidence(self, account):
        dispute(2), dispute(1, state=D.UNDER_REVIEW)

        home = text_of(signed_in("operator").get("/admin/"))

        assert "Disputes that ask for evidence" in home
        assert home.count("Product not received") == 1


class TestOne:
    @pytest.fixture
    def disputed(self, payment: Payment, charge: str, clock: Clock) -> Payment:
        at = clock() - timedelta(hours=2)
        due = clock() + timedelta(days=9)
        record(word(D.CHARGEBACK, at, charge=charge, money=Money(400, "USD"), due_at=due), clock)
        record(moved(FactKind.CHARGEBACK, at, charge=charge, money=Money(400, "USD")), clock)
        record(moved(FactKind.FEE, at, charge=charge, money=Money(1300, "EUR")), clock)
        record(settlement("du_1", Money(-370, "EUR"), Money(1300, "EUR"), at=at, rate="0.925"), clock)
        return payment

    def test_it_says_where_it_stands_by_when_to_act_and_what_it_moved(self, disputed: Payment):
        text = text_of(signed_in("operator").get(f"{QUEUE}{Dispute.objects.get().public_id}/"))

        for words in (
            "Evidence is asked for. 4.00 USD was taken and stands as a claim until it is decided.",
            "Fraudulent".lower(),
            "-3.70 EUR; fee 13.00 EUR, net -16.70 EUR; rate 0.925",
            "Chargeback: money taken",
            "du_1",
            disputed.reference,
        ):
            assert words in text, text

    def test_the_payment_says_that_its_money_is_in_doubt_and_why_nothing_can_be_refunded(self, disputed: Payment):
        text = text_of(signed_in("operator").get(f"/admin/payments/payment/{disputed.public_id}/"))

        assert "The payer disputes 4.00 USD: it is taken back until that is decided." in text
        assert "A dispute over 4.00 USD is open: it decides what goes back." in text
        assert "in doubt or charged back" in text
        assert "Settlement money" in text

    def test_the_case_offers_to_contest_or_to_accept(self, disputed: Payment):
        review = disputed.reviews.get()
        text = text_of(signed_in("operator").get(f"/admin/payments/review/{review.public_id}/"))

        assert "Contest it" in text
        assert "Accept it" in text

    def test_support_sees_it_without_the_way_into_the_books(self, disputed: Payment):
        address = f"{QUEUE}{Dispute.objects.get().public_id}/"

        assert "Journal entry" in text_of(signed_in("operator").get(address))
        assert "Journal entry" not in text_of(signed_in("support").get(address))

    def test_one_of_nobodys_charge_has_a_page_too(self, account):
        found = dispute(2)

        assert "No payment of ours is known for it" in text_of(signed_in("operator").get(f"{QUEUE}{found.public_id}/"))

    @pytest.mark.parametrize("state", list(D))
    def test_every_state_has_its_words(self, state, account):
        found = dispute(2, state=state)

        assert signed_in("operator").get(f"{QUEUE}{found.public_id}/").status_code == 200
