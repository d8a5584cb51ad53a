"""Does the page of a partially paid payment say what is here and what is not, and do its commands do as shown?"""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from payments.models import Approval, Limit, Payment
from tests.payments.admin.payment_scenes import (
    captured,
    fresh,
    part_owed,
    partially_paid,
    rest_asked,
    rest_planned,
    set_credentials,
)
from tests.payments.admin.test_payment_commands import LIST, confirmed, previewed, signed_in, text_of

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _demo(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DEMO = True
    set_credentials(monkeypatch)


def page(payment: Payment, role: str = "operator") -> str:
    return text_of(signed_in(role).get(f"{LIST}{payment.public_id}/"))


def address(payment: Payment, command: str) -> str:
    return f"{LIST}{payment.public_id}/{command}/"


class TestThePage:
    def test_says_how_much_is_here_how_much_is_missing_and_who_could_do_something(self) -> None:
        shown = page(partially_paid(timezone.now()))

        assert "100.00 USD of 125.00 USD has come in; 25.00 USD is missing. Nothing collects it by itself." in shown
        assert "Somebody to collect the rest, accept it short or cancel" in shown
        assert "the 100.00 USD that came in are owed back, and a case opens" in shown
        assert "Missing 25.00" in shown
        assert "Collect the rest…" in shown and "Accept short…" in shown
        assert "takes parts" in shown

    def test_says_when_the_rest_is_asked_for(self) -> None:
        shown = page(rest_planned(timezone.now()))

        assert "62.50 USD of 125.00 USD has come in; 62.50 USD is missing. The rest is asked for on" in shown
        assert "insufficient funds at NMI" in shown

    def test_says_that_the_rest_is_being_collected(self) -> None:
        shown = page(rest_asked(timezone.now()))

        assert "25.00 USD is missing. NMI is about to be asked for 25.00 USD." in shown
        assert "The rest is being collected: its end is awaited first." in shown

    def test_says_of_a_cancelled_one_that_its_part_is_owed_back(self) -> None:
        payment = part_owed(timezone.now())
        shown = page(payment)

        assert "Cancelled with 100.00 USD of 125.00 USD paid: 0.00 USD of that has gone back to the payer." in shown
        assert "nothing was taken, and that is proven" not in shown
        assert "Open the review: part to return" in shown

    def test_leaves_a_paid_one_as_it_was(self) -> None:
        shown = page(captured(timezone.now()))

        assert "Missing" not in shown and "Accept short" not in shown and "takes parts" not in shown


class TestCollecting:
    def test_asks_for_the_rest_and_no_more(self) -> None:
        client, payment = signed_in(), partially_paid(timezone.now())

        preview = previewed(client, address(payment, "retry"))
        answer = confirmed(client, address(payment, "retry"), preview)

        assert "NMI is asked for 25.00 USD: NMI is the first that can take it." in text_of(preview)
        assert answer.status_code == 302
        assert payment.operations.latest("id").amount_minor == 2500


class TestAcceptingShort:
    ANSWERS = {"reason": "agreed discount"}

    def test_within_the_limit_is_done_at_once_as_shown(self) -> None:
        Limit.objects.create(
            action="accept_short", currency="USD", role="operator", per_item_minor=2500, per_day_minor=2500
        )
        client, payment = signed_in(), partially_paid(timezone.now())

        preview = previewed(client, address(payment, "accept_short"), **self.ANSWERS)
        assert fresh(payment).state == "partially_paid"
        answer = confirmed(client, address(payment, "accept_short"), preview, **self.ANSWERS)

        assert "100.00 USD counts as all of it; 25.00 USD is given up." in text_of(preview)
        assert "It is done at once." in text_of(preview)
        assert answer.headers["Location"] == f"{LIST}{payment.public_id}/"
        assert fresh(payment).state == "captured"
        assert "Accepted as paid with 25.00 USD missing: agreed discount" in page(payment)

    def test_without_a_limit_a_second_person_is_asked_and_the_preview_says_so(self) -> None:
        client, payment = signed_in(), partially_paid(timezone.now())

        preview = previewed(client, address(payment, "accept_short"), **self.ANSWERS)
        answer = confirmed(client, address(payment, "accept_short"), preview, **self.ANSWERS)

        approval = Approval.objects.get()
        assert "A second person has to agree first." in text_of(preview)
        assert answer.headers["Location"] == f"/admin/payments/approval/{approval.public_id}/"
        assert (approval.command, fresh(payment).state) == ("accept_short", "partially_paid")

    def test_pressing_twice_after_a_change_is_a_conflict(self) -> None:
        Limit.objects.create(
            action="accept_short", currency="USD", role="operator", per_item_minor=2500, per_day_minor=2500
        )
        client, payment = signed_in(), partially_paid(timezone.now())
        preview = previewed(client, address(payment, "accept_short"), **self.ANSWERS)

        answers = [confirmed(client, address(payment, "accept_short"), preview, **self.ANSWERS) for _ in range(2)]

        assert [answer.status_code for answer in answers] == [302, 409]

    def test_of_a_paid_one_is_refused_and_support_does_not_get_there(self) -> None:
        refused = previewed(signed_in(), address(captured(timezone.now()), "accept_short"), **self.ANSWERS)
        barred = signed_in("support").get(address(partially_paid(timezone.now(), reference="other"), "accept_short"))

        assert refused.status_code == 422
        assert "only one that is partially paid can be accepted short" in text_of(refused)
        assert barred.status_code == 403


class TestCancelling:
    def test_shows_that_the_part_is_owed_back(self) -> None:
        preview = previewed(signed_in(), address(partially_paid(timezone.now()), "cancel"))

        assert "100.00 USD that have come in are owed back" in text_of(preview)
        assert "it goes out when a person says so" in text_of(preview)
