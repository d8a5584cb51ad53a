"""Does the queue put the most urgent case first, and does a case say what is to be decided, on what evidence, by whom?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from payments.models import GatewayAccount, Review
from payments.queries.review_words import QUESTIONS, REASON_WORDS
from payments.services.reviews import REASONS
from payments.states import FailureClass, ReviewKind, ReviewState
from tests.payments.admin import payment_scenes as scenes
from tests.payments.admin.desk import signed_in, text_of
from tests.payments.factories import nmi_account

pytestmark = pytest.mark.django_db
QUEUE = "/admin/payments/review/"
NOW = datetime.now(UTC)


def case(due_in: float, *, kind: ReviewKind = ReviewKind.ORPHAN, minor: int = 1234, **fields: object) -> Review:
    """A case of nobody's money, due in so many hours."""
    account: GatewayAccount = nmi_account()
    held = {"held_on": "2050", "held_minor": minor, "currency": "USD"} if minor else {}
    return Review.objects.create(
        kind=kind, gateway_account=account, gateway_id=f"88{Review.objects.count()}", because="money of nobody",
        opened_at=NOW - timedelta(hours=3), due_at=NOW + timedelta(hours=due_in), **held, **fields,  # type: ignore[misc]
    )  # fmt: skip


def shown(query: str = "") -> list[int]:
    return [row.pk for row in signed_in("operator").get(QUEUE + query).context["cl"].result_list]


class TestQueue:
    def test_the_case_that_is_due_first_comes_first_and_overdue_ones_are_loud(self) -> None:
        later, past, soon = case(20), case(-2), case(1)

        page = signed_in("operator").get(QUEUE)

        assert [row.pk for row in page.context["cl"].result_list] == [past.pk, soon.pk, later.pk]
        assert page.content.decode().count('class="cf-overdue"') == 1
        assert "12.34" in text_of(page)
        assert "2050 Suspense" in text_of(page)

    def test_walks_on_and_back_without_losing_or_repeating_a_case(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("payments.admin.review.ReviewAdmin.list_per_page", 2)
        due = [5, 1, 3, 1, 2]
        cases = [case(hours) for hours in due]
        client = signed_in("operator")

        first = client.get(QUEUE).context["cl"]
        second = client.get(QUEUE + first.older_query).context["cl"]
        third = client.get(QUEUE + second.older_query).context["cl"]
        back = client.get(QUEUE + third.newer_query).context["cl"]

        walked = [row.pk for part in (first, second, third) for row in part.result_list]
        assert walked == [cases[at].pk for at in (1, 3, 4, 2, 0)]
        assert third.older_query == ""
        assert [row.pk for row in back.result_list] == [row.pk for row in second.result_list]

    def test_a_cursor_of_a_row_that_is_none_leads_to_the_first_page(self) -> None:
        case(1)

        answer = signed_in("operator").get(f"{QUEUE}?before=999999", follow=True)

        assert answer.status_code == 200

    def test_filters_by_what_is_over_overdue_and_kind(self) -> None:
        waiting, past = case(5), case(-1, kind=ReviewKind.REFUND_OVERDUE, minor=0)
        over = case(5)
        Review.objects.filter(pk=over.pk).update(state=ReviewState.SETTLED.value)

        found = {query: shown(query) for query in ("?overdue=yes", "?overdue=no", "?kind=orphan", "?state=settled")}

        assert found == {
            "?overdue=yes": [past.pk], "?overdue=no": [waiting.pk], "?kind=orphan": [waiting.pk],
            "?state=settled": [over.pk],
        }  # fmt: skip
        assert set(shown("?state=all")) == {waiting.pk, past.pk, over.pk}

    def test_a_case_is_found_by_its_payments_reference_whatever_became_of_it(self) -> None:
        scenes.captured_after_cancel(NOW - timedelta(hours=1), reference="shop-77")
        Review.objects.update(state=ReviewState.DECIDED.value)
        case(1)

        assert shown("?q=shop-77") == [Review.objects.get(kind="captured_after_cancel").pk]

    def test_costs_the_same_for_two_cases_and_for_twenty(self) -> None:
        client = signed_in("operator")
        case(1), case(2)
        client.get(QUEUE)
        with CaptureQueriesContext(connection) as few:
            client.get(QUEUE)
        for hours in range(18):
            case(hours)
        with CaptureQueriesContext(connection) as many:
            client.get(QUEUE)

        assert len(few) == len(many)
        assert not [query["sql"] for query in many if "COUNT(" in query["sql"] or "OFFSET" in query["sql"]]

    def test_an_empty_queue_says_what_would_stand_there(self) -> None:
        assert "No case is open" in text_of(signed_in("operator").get(QUEUE))


class TestPageOfACase:
    def test_says_the_question_the_money_the_payment_and_the_evidence(self) -> None:
        payment = scenes.captured_after_cancel(NOW - timedelta(hours=1), reference="shop-77")
        review = Review.objects.get()

        words = text_of(signed_in("operator").get(f"{QUEUE}{review.public_id}/"))

        for said in (
            "The payment was cancelled, then money came in. What is it for?", "125.00 USD", "2050 Suspense", "shop-77",
            payment.public_id, "1110 Gateway receivable", "Capture by look-up", "Give it back recommend recommended",
        ):  # fmt: skip
            assert said in words, said

    def test_what_is_impossible_is_greyed_with_the_reason(self) -> None:
        review = case(1)

        page = signed_in("operator").get(f"{QUEUE}{review.public_id}/")

        steps = {step.label: step.blocked_by for step in page.context["steps_to_take"]}
        assert steps["Give it back"].startswith("No payment of ours made it")
        assert steps["Let it pay another payment"] == ""
        assert steps["Give it back"] in text_of(page)

    def test_somebody_without_the_right_reads_who_could(self) -> None:
        review = case(1)

        page = signed_in("support").get(f"{QUEUE}{review.public_id}/")

        assert "finance, operator could" in text_of(page)
        assert "decide_" not in page.content.decode()
        assert "In the books" not in text_of(page)

    def test_the_payers_address_is_masked_and_support_is_led_to_no_book(self) -> None:
        scenes.captured_after_cancel(NOW - timedelta(hours=1))
        review = Review.objects.get()

        page = signed_in("support").get(f"{QUEUE}{review.public_id}/")

        assert "Ada@Example.com".casefold() not in page.content.decode().casefold()
        assert "/admin/ledger/" not in page.content.decode()

    def test_of_a_stopped_payment_shows_the_answer_that_stopped_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        scenes.set_credentials(monkeypatch)
        scenes.declined(
            NOW - timedelta(hours=1), failure_class=FailureClass.INVALID_REQUEST, code="300", message="Invalid order."
        )
        review = Review.objects.get()
        assert review.kind == ReviewKind.PAYMENT_STOPPED

        page = text_of(signed_in("operator").get(f"{QUEUE}{review.public_id}/"))

        assert "Opened by the clock" not in page
        assert "Declined by the gateway's answer" in page
        assert "Nothing was taken: Invalid order. " in page and "order.." not in page

    @pytest.mark.parametrize("minor", [0, 500, -500])
    def test_opens_for_every_kind_with_and_without_money(self, minor: int) -> None:
        client = signed_in("operator")
        for kind in ReviewKind:
            review = case(1, kind=kind, minor=minor)
            answer = client.get(f"{QUEUE}{review.public_id}/")
            assert (kind, answer.status_code) == (kind, 200)
            assert QUESTIONS[kind][1] in text_of(answer)

    def test_every_kind_and_reason_has_words(self) -> None:
        assert set(QUESTIONS) == set(ReviewKind)
        assert set(REASON_WORDS) == set(REASONS)
