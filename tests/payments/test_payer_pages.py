"""What does a payer see under their link, and what of a payment can nobody learn from it?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from payments.models import Payment, Transition
from payments.queries.api_views import payment_view
from payments.services.actors import SYSTEM
from payments.services.commands import cancel_payment
from tests.payments.admin import payment_scenes as scenes
from tests.payments.admin.desk import signed_in, text_of

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def _demo(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DEMO = True
    settings.PUBLIC_URL = "https://pay.example"
    scenes.set_credentials(monkeypatch)


def page(payment: Payment, end: str = "") -> Any:
    return Client().get(f"/pay/{payment.token}/{end}")


class TestThePayersTurn:
    def test_shows_what_is_owed_and_the_way_to_the_bank(self) -> None:
        payment = scenes.payers_turn(NOW)

        answer = page(payment)

        assert "125.00 USD Please confirm Your bank asks you to confirm this payment." in text_of(answer)
        assert f'href="{scenes.BANK}"' in answer.content.decode()

    def test_merchants_read_the_link_while_it_is_and_no_longer(self) -> None:
        payment = scenes.payers_turn(NOW)
        assert payment_view(payment)["pay_url"] == f"https://pay.example/pay/{payment.token}/"

        cancel_payment(payment.public_id, actor=SYSTEM, now=NOW)

        assert payment_view(scenes.fresh(payment))["pay_url"] is None

    @pytest.mark.parametrize("scene", ["captured", "retry_planned", "authorised", "declined", "cancelled", "unknown"])
    def test_no_other_payment_has_one(self, scene: str) -> None:
        assert payment_view(scenes.SCENES[scene](NOW))["pay_url"] is None


class TestARetry:
    def test_is_told_with_its_day_and_asks_nothing_of_the_payer(self) -> None:
        answer = page(scenes.retry_planned(datetime(2026, 3, 2, 12, 0, tzinfo=UTC)))

        assert "Not paid yet It did not go through. It is tried again on 04 March; you need not do anything." in (
            text_of(answer)
        )
        assert "Refresh" not in answer.headers


class TestComingBack:
    def test_asks_the_gateway_sooner_and_believes_nothing(self) -> None:
        now = datetime.now(UTC)
        payment = scenes.payers_turn(now)
        Payment.objects.filter(pk=payment.pk).update(next_check_at=now + timedelta(minutes=5))
        facts = Transition.objects.count()

        for _ in range(10):
            answer = page(payment, "return?redirect_status=succeeded&payment_intent=pi_of_somebody&state=captured")

        payment.refresh_from_db()
        assert answer.status_code == 200
        assert (payment.state, payment.waits_for, Transition.objects.count()) == ("pending", "payer", facts)
        assert payment.next_check_at is not None
        assert payment.next_check_at < now + timedelta(minutes=1)
        assert "Paid" not in text_of(answer)

    @pytest.mark.parametrize("scene", ["captured", "refused_by_both", "expired", "being_closed", "retry_planned"])
    def test_to_what_is_no_longer_their_turn_changes_nothing(self, scene: str) -> None:
        payment = scenes.SCENES[scene](NOW)
        before = Payment.objects.filter(pk=payment.pk).values().get()

        answer = page(payment, "return")

        assert answer.status_code == 200
        assert Payment.objects.filter(pk=payment.pk).values().get() == before

    @pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
    def test_is_nothing_but_looking(self, method: str) -> None:
        payment = scenes.payers_turn(NOW)

        assert getattr(Client(), method)(f"/pay/{payment.token}/").status_code == 405
        assert getattr(Client(), method)(f"/pay/{payment.token}/return").status_code == 405


class TestWhatIsKept:
    @pytest.mark.parametrize("token", ["nobodys", "x" * 500, "%00", "..%2f..", "pay_1", "%F0%9F%92%B8", "%27%20or%201"])
    @pytest.mark.parametrize("end", ["", "return"])
    def test_an_unknown_link_leads_nowhere(self, token: str, end: str) -> None:
        answer = Client().get(f"/pay/{token}/{end}")

        assert answer.status_code == 404
        assert "no payment under this address" in text_of(answer) or "%2f" in token

    def test_a_payment_without_a_link_has_no_page(self) -> None:
        Payment.objects.filter(pk=scenes.captured(NOW).pk).update(token=None)

        assert [Client().get(f"/pay/{word}/").status_code for word in ("None", "null", " ")] == [404] * 3

    @pytest.mark.parametrize("end", ["", "return"])
    @pytest.mark.parametrize("scene", ["payers_turn", "captured", None])
    def test_no_cache_keeps_it_no_other_site_hears_of_it_and_nothing_foreign_runs(
        self, scene: str | None, end: str
    ) -> None:
        answer = page(scenes.SCENES[scene](NOW), end) if scene else Client().get(f"/pay/nobodys/{end}")

        assert (answer.headers["Cache-Control"], answer.headers["Referrer-Policy"]) == ("no-store", "no-referrer")
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert "<script" not in answer.content.decode()
        assert "Set-Cookie" not in answer.headers

    @pytest.mark.parametrize("end", ["", "return"])
    @pytest.mark.parametrize(
        "scene",
        [
            "captured",
            "authorised",
            "refused_by_both",
            "retry_planned",
            "being_closed",
            "expired",
            "double_capture",
            "unknown",
        ],
    )
    def test_says_nothing_of_gateways_codes_credentials_or_a_way_that_is_over(self, scene: str, end: str) -> None:
        payment = scenes.SCENES[scene](NOW)

        body = page(payment, end).content.decode()

        secrets = [
            payment.public_id,
            "NMI",
            "Stripe",
            "tok_ok",
            "soft",
            "card_declined",
            "declined",
            scenes.BANK,
            "Ada",
        ]
        assert [word for word in secrets if word in body] == []

    def test_what_shall_be_cancelled_is_not_confirmed_any_more(self) -> None:
        payment = scenes.payers_turn(NOW)
        cancel_payment(payment.public_id, actor=SYSTEM, now=NOW)

        answer = page(payment)

        assert scenes.BANK not in answer.content.decode()
        assert "One moment" in text_of(answer)


class TestStaff:
    def test_see_that_the_link_was_given_and_never_the_link_to_the_bank(self) -> None:
        payment = scenes.payers_turn(NOW)

        answer = signed_in("operator").get(f"/admin/payments/payment/{payment.public_id}/")

        assert "link given to the payer" in text_of(answer)
        assert f"https://pay.example/pay/{payment.token}/" in text_of(answer)
        assert "bank.example" not in answer.content.decode()

    def test_no_longer_see_the_payers_page_once_it_has_ended(self) -> None:
        payment = scenes.captured(NOW)

        text = text_of(signed_in("operator").get(f"/admin/payments/payment/{payment.public_id}/"))

        assert str(payment.token) not in text
