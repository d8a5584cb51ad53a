"""Two gateways took the money of one order: does a person see both, know how the second goes back, and give that one back?"""

from __future__ import annotations

import pytest
from django.utils import timezone

from payments.models import Movement, Operation, Payment, Refund, Review
from payments.services.actors import SYSTEM
from payments.services.execution import advance_payment
from payments.services.intake import MethodRequest, PaymentRequest, create_payment
from payments.services.refunds import advance_refund, means_words
from payments.services.reviews import options_of, prepare_decision
from tests.payments.admin import payment_scenes as scenes
from tests.payments.admin.desk import prepare, signed_in, text_of
from tests.payments.factories import Clock, nmi_account, operator
from tests.payments.failover.world import Gateways
from tests.payments.flows.books import balance
from tests.simulator_fixture import SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)
WHY = {"reason": "excess", "note": "Both gateways took it; the second goes back."}


def page_of(review: Review, decision: str = "") -> str:
    return f"/admin/payments/review/{review.public_id}/" + (f"decide_{decision}/" if decision else "")


def test_the_case_shows_both_transactions_side_by_side() -> None:
    payment = scenes.double_capture(timezone.now())

    text = text_of(signed_in("operator").get(page_of(Review.objects.get())))

    assert "Taken for this payment" in text
    assert "attempt 1 NMI 8100001 125.00 USD" in text
    assert f"attempt 2 Stripe ch_{payment.pk} 125.00 USD" in text
    assert "Void at NMI of transaction 8100001, 125.00 USD: it is not settled yet." in text


def test_a_case_over_money_taken_once_shows_no_such_table() -> None:
    scenes.captured_after_cancel(timezone.now())

    assert "Taken for this payment" not in text_of(signed_in("operator").get(page_of(Review.objects.get())))


class TestTheMeans:
    def test_after_settlement_is_a_refund(self) -> None:
        scenes.double_capture(timezone.now())
        Movement.objects.filter(gateway_id="8100001").update(settled_at=timezone.now())

        assert means_words(Review.objects.get()) == "Refund at NMI of transaction 8100001, 125.00 USD."

    def test_of_a_part_waits_for_the_batch(self) -> None:
        scenes.double_capture(timezone.now())
        Review.objects.update(held_minor=500)

        assert means_words(Review.objects.get()).startswith("Refund at NMI of transaction 8100001, 5.00 USD, once it")

    def test_of_what_was_voided_meanwhile_is_nothing(self) -> None:
        payment = scenes.double_capture(timezone.now())
        capture = payment.movements.get(gateway_id="8100001")
        Movement.objects.create(
            payment=payment, attempt=capture.attempt, gateway_account=capture.gateway_account, gateway_id="8100001",
            kind="void", amount_minor=12500, currency="USD", occurred_at=timezone.now(), posted_at=timezone.now(),
            entry_source_key="by-hand",
        )  # fmt: skip

        assert means_words(Review.objects.get()).startswith("Nothing is left to give back at NMI")

    def test_is_named_by_no_other_decision(self) -> None:
        scenes.double_capture(timezone.now())

        naming = [option.code for option in options_of(Review.objects.get()) if "Void at NMI" in option.explanation]

        assert naming == ["refund"]


class TestGivingTheSecondBack:
    """Through the pages, against both simulated gateways."""

    @pytest.fixture
    def gateways(self, simulator: SimulatorProcess, monkeypatch: pytest.MonkeyPatch) -> SimulatorProcess:
        monkeypatch.setenv("GATEWAY_STRIPE_BASE_URL", f"{simulator.url}/stripe")
        monkeypatch.setenv("GATEWAY_STRIPE_SECRET_KEY", "sk_test_demo")
        monkeypatch.setenv("GATEWAY_STRIPE_WEBHOOK_SECRET", "whsec_demo")
        nmi_account()
        scenes.stripe_account()
        return simulator

    def paid_twice(self, gateways: SimulatorProcess, clock: Clock, *, first: str, then: str) -> Payment:
        """`first` refuses and `then` takes it; later `first` turns out to have taken it as well."""
        method = MethodRequest("card", credentials={first: f"{first}_tok_decline_soft_decline", then: f"{then}_tok_ok"})
        if first == "stripe":
            nmi_account().routes.update(priority=900)
        payment = create_payment(PaymentRequest(1000, "USD", "order-1", method), actor=SYSTEM, now=clock())
        advance_payment(payment.pk, clock)
        attempts = payment.attempts.order_by("number")
        assert [a.gateway_account.slug for a in attempts] == [first, then]
        gateways.act("sale", gateway=first, reference=attempts[0].reference, amount_minor=1000)
        Gateways(gateways, clock).deliver_rest()
        return payment

    @pytest.mark.parametrize(
        ("first", "then", "means", "kind"),
        [("nmi", "stripe", "Void at NMI of", "void"), ("stripe", "nmi", "Refund at Stripe of", "refund")],
    )
    def test_asks_the_gateway_that_took_it_twice(
        self, gateways: SimulatorProcess, clock: Clock, first: str, then: str, means: str, kind: str
    ) -> None:
        payment = self.paid_twice(gateways, clock, first=first, then=then)
        review = Review.objects.get()
        assert (review.kind, review.held_on, review.gateway_account.slug) == ("second_capture", "2040", first)
        told = prepare_decision(review.public_id, option="refund", actor=operator("decide_review"), clock=clock)
        assert means in told.lines[-1]

        client = signed_in("operator", "olga")
        shown, confirm = prepare(client, page_of(review, "refund"), **WHY)
        assert means in text_of(shown)
        assert client.post(page_of(review, "refund"), confirm).status_code == 302
        advance_refund(Refund.objects.get().pk, clock)

        back = Operation.objects.get(refund__isnull=False)
        assert (back.kind, back.state, back.gateway_account.slug) == (kind, "succeeded", first)
        payment.refresh_from_db()
        assert payment.state == "captured"
        assert [balance(code) for code in ("2040", "2050", "2100", "1110")] == [0, 0, 0, 1000]
        taken = {slug: self.left_at(gateways, slug) for slug in (first, then)}
        assert taken == {first: 0, then: 1000}

    @staticmethod
    def left_at(gateways: SimulatorProcess, slug: str) -> int:
        signs = {"capture": 1, "refund": -1, "void": -1}
        moved = gateways.movements(gateway=slug)
        return sum(signs.get(row["kind"], 0) * row["amount_minor"] for row in moved)
