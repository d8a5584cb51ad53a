"""How a partially paid payment ends: accepted short, cancelled or expired with its part owed back, or the part goes away."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model

from config.services import make_staff
from payments.errors import Forbidden, InvalidInput, NotAllowedNow, NotEnough
from payments.models import Limit, LimitUse, Payment, Refund, Review, Transition
from payments.services.actors import SYSTEM, Actor
from payments.services.approvals import approve, prepare
from payments.services.commands import cancel_payment
from payments.services.execution import advance_payment
from payments.services.refunds import advance_refund, request_refund
from payments.services.retries import retry_now
from payments.services.reviews import decide_review, options_of, prepare_decision
from payments.services.short import accept_short, preview_short
from payments.states import PaymentState, RefundState, ReviewState, Waits
from tests.payments.factories import operator
from tests.payments.flows.books import balance, open_reviews
from tests.payments.parts.conftest import Shop
from tests.payments.parts.test_taking_parts import assert_sound

S = PaymentState


def person(name: str, role: str = "operator") -> Actor:
    return Actor.for_user(make_staff(name, role, "pw"))


def olga() -> Actor:
    user, _ = get_user_model().objects.get_or_create(username="olga")
    return operator("decide_review", "ask_gateway", "retry_payment", user_id=user.pk)


def decide(shop: Shop, option: str) -> Review:
    review = Review.objects.get(state=ReviewState.OPEN)
    prepared = prepare_decision(review.public_id, option=option, actor=olga(), clock=shop.clock)
    assert prepared.refused == "", prepared.refused
    return decide_review(
        review.public_id, option=option, reason="short_money", note="the payer will not pay the rest",
        version=prepared.version, actor=olga(), now=shop.clock(),
    )  # fmt: skip


def cancel(shop: Shop, payment: Payment) -> Payment:
    cancel_payment(payment.public_id, actor=SYSTEM, now=shop.clock())
    return shop.follows(payment)


class TestAcceptedShort:
    def test_within_the_limit_one_person_does_it_and_the_missing_rest_is_booked(self, shop: Shop) -> None:
        payment, olaf = shop.sells_half(), person("olaf")
        Limit.objects.create(
            action="accept_short", currency="USD", role="operator", per_item_minor=500, per_day_minor=500
        )

        done = accept_short(payment.public_id, reason="agreed discount", actor=olaf, now=shop.clock())

        assert (done.approval, done.payment.state) == (None, S.CAPTURED)
        assert (balance("2020"), balance("2025"), balance("5035")) == (-1000, 0, 500)
        assert LimitUse.objects.get().used_minor == 500
        told = Transition.objects.get(fact="short_accepted")
        assert told.actor == "olaf"
        assert told.because == "Accepted as paid with 5.00 USD missing: agreed discount"
        assert payment.retries.get().state == "cancelled"
        assert_sound()

    def test_above_the_limit_a_second_person_agrees_first(self, nmi: Shop) -> None:
        payment, olaf, fina = nmi.sells_half(), person("olaf"), person("fina", "finance")

        asked = accept_short(payment.public_id, reason="agreed discount", actor=olaf, now=nmi.clock())
        assert asked.approval is not None and asked.because
        payment.refresh_from_db()
        assert payment.state == S.PARTIALLY_PAID

        shown = prepare(asked.approval.public_id, actor=fina, clock=nmi.clock)
        assert ("Given up", "5.00 USD") in shown.lines
        ended = approve(asked.approval.public_id, digest=asked.approval.digest, note="", actor=fina, clock=nmi.clock)

        payment.refresh_from_db()
        assert (ended.state, payment.state) == ("executed", S.CAPTURED)
        assert (balance("2020"), balance("2025"), balance("5035")) == (-1000, 0, 500)
        assert_sound()

    def test_a_rest_that_came_meanwhile_voids_the_request(self, nmi: Shop) -> None:
        payment, olaf, fina = nmi.sells_half(), person("olaf"), person("fina", "finance")
        asked = accept_short(payment.public_id, reason="agreed discount", actor=olaf, now=nmi.clock())
        assert asked.approval is not None

        retry_now(payment.public_id, actor=olga(), now=nmi.clock())
        payment = nmi.follows(payment)
        ended = approve(asked.approval.public_id, digest=asked.approval.digest, note="", actor=fina, clock=nmi.clock)

        assert (payment.state, ended.state) == (S.CAPTURED, "outdated")
        assert (balance("2020"), balance("5035")) == (-1000, 0)

    def test_needs_the_right_a_reason_and_a_payment_that_waits_for_its_rest(self, nmi: Shop) -> None:
        payment = nmi.sells_half()
        with pytest.raises(Forbidden):
            accept_short(payment.public_id, reason="agreed discount", actor=person("sue", "support"), now=nmi.clock())
        with pytest.raises(InvalidInput):
            accept_short(payment.public_id, reason=" ok ", actor=person("olaf"), now=nmi.clock())

        retry_now(payment.public_id, actor=olga(), now=nmi.clock())  # planned, not sent
        assert "being collected" in preview_short(payment.public_id, actor=SYSTEM, now=nmi.clock()).refused
        payment = nmi.follows(payment)
        with pytest.raises(NotAllowedNow, match="captured"):
            accept_short(payment.public_id, reason="agreed discount", actor=SYSTEM, now=nmi.clock())

    def test_what_was_settled_before_is_settled_at_once(self, nmi: Shop) -> None:
        payment = nmi.sells_half()
        nmi.settles()
        payment = nmi.asks(payment)
        assert payment.state == S.PARTIALLY_PAID

        accept_short(payment.public_id, reason="agreed discount", actor=SYSTEM, now=nmi.clock())

        payment.refresh_from_db()
        assert payment.state == S.SETTLED
        assert_sound()


class TestGivenUp:
    def test_cancelled_the_part_is_owed_back_and_goes_when_a_person_says_so(self, shop: Shop) -> None:
        payment = cancel(shop, shop.sells_half())

        refund = Refund.objects.get()
        assert payment.state == S.CANCELLED
        assert (balance("2025"), balance("2030")) == (0, -500)
        assert (refund.state, refund.amount_minor, refund.waits_for) == (RefundState.REQUESTED, 500, Waits.OPERATOR)
        assert open_reviews() == ["part_to_return"]
        assert next((o.code, o.recommended) for o in options_of(Review.objects.get())) == ("give_back", True)
        assert_sound()

        decide(shop, "give_back")
        advance_refund(refund.pk, shop.clock)

        refund.refresh_from_db()
        payment.refresh_from_db()
        assert (refund.state, payment.state) == (RefundState.SUCCEEDED, S.CANCELLED)
        assert (balance("1110"), balance("2030"), balance("2025"), balance("2020")) == (0, 0, 0, 0)
        assert open_reviews() == []
        assert_sound()

    def test_expired_the_part_is_owed_back_too(self, nmi: Shop) -> None:
        payment = nmi.sells_half(days=1)
        assert payment.waits_for == Waits.MERCHANT  # a retry in two days is too late

        nmi.days_pass(1.1)
        payment.refresh_from_db()

        assert payment.state == S.EXPIRED
        assert (balance("2025"), balance("2030")) == (0, -500)
        assert open_reviews() == ["part_to_return"]
        assert_sound()

    def test_cancelling_waits_for_the_end_of_a_rest_under_way(self, nmi: Shop) -> None:
        payment = nmi.sells_half()
        nmi.refuses()
        retry_now(payment.public_id, actor=olga(), now=nmi.clock())
        cancel_payment(payment.public_id, actor=SYSTEM, now=nmi.clock())
        payment.refresh_from_db()
        assert payment.state == S.PARTIALLY_PAID

        payment = nmi.follows(payment)

        assert payment.state == S.CANCELLED
        assert nmi.simulator.movements() and balance("2030") == -500
        assert_sound()

    def test_somebody_who_gives_it_back_in_the_dashboard_answers_the_case(self, nmi: Shop) -> None:
        payment = cancel(nmi, nmi.sells_half())

        nmi.act(payment, "void")
        nmi.asks(payment)

        assert Refund.objects.get().state == RefundState.SUCCEEDED
        assert (balance("1110"), balance("2030")) == (0, 0)
        assert open_reviews() == []
        assert_sound()

    def test_a_refund_in_the_dashboard_answers_it_as_well(self, nmi: Shop) -> None:
        payment = cancel(nmi, nmi.sells_half())
        nmi.settles()
        nmi.asks(payment)

        nmi.act(payment, "refund", amount_minor=500)
        nmi.asks(payment)

        assert Refund.objects.get().state == RefundState.SUCCEEDED
        assert (balance("1110"), balance("2030"), balance("2050")) == (0, 0, 0)
        assert open_reviews() == []
        assert_sound()

    def test_two_parts_go_back_by_two_refunds(self, nmi: Shop) -> None:
        payment = nmi.sells_half()
        nmi.refuses()
        retry_now(payment.public_id, actor=olga(), now=nmi.clock())
        payment = cancel(nmi, nmi.follows(payment))

        assert sorted(Refund.objects.values_list("amount_minor", flat=True)) == [250, 500]
        decide(nmi, "give_back")
        for refund in Refund.objects.all():
            advance_refund(refund.pk, nmi.clock)

        assert set(Refund.objects.values_list("state", flat=True)) == {RefundState.SUCCEEDED}
        assert (balance("1110"), balance("2030")) == (0, 0)
        assert_sound()

    def test_a_refund_refused_for_good_leaves_the_part_in_suspense_with_a_case(self, shop: Shop) -> None:
        payment = cancel(shop, shop.sells_half())
        decide(shop, "give_back")
        operation = "void" if shop.gateway == "nmi" else "refund"
        shop.refuses(code="300" if shop.gateway == "nmi" else "soft_decline", operation=operation)

        advance_refund(Refund.objects.get().pk, shop.clock)

        print("XX", shop.gateway, Refund.objects.get().state, open_reviews(), balance("2050"))
        assert Refund.objects.get().state == RefundState.FAILED
        assert open_reviews() == ["refund_failed"]
        assert (balance("2030"), balance("2050"), balance("2020")) == (0, -500, 0)
        payment.refresh_from_db()
        assert payment.state == S.CANCELLED
        assert_sound()


class TestThePartGoesAway:
    def test_voided_in_the_dashboard_nothing_is_paid_any_more(self, shop: Shop) -> None:
        payment = shop.sells_half()

        shop.act(payment, "void" if shop.gateway == "nmi" else "refund")
        payment = shop.asks(payment)

        assert Transition.objects.filter(after__payment="pending", before__payment="partially_paid").exists()
        assert (balance("1110"), balance("2025"), balance("2020")) == (0, 0, 0)
        assert (payment.state, payment.waits_for) == (S.PENDING, Waits.RETRY)
        assert_sound()

    def test_a_planned_retry_then_asks_for_the_whole(self, nmi: Shop) -> None:
        payment = nmi.sells_half()
        nmi.act(payment, "void")
        payment = nmi.asks(payment)
        assert (payment.state, payment.waits_for) == (S.PENDING, Waits.RETRY)

        nmi.days_pass(3)
        payment = nmi.follows(payment)

        assert payment.state == S.CAPTURED
        assert payment.operations.latest("id").amount_minor == 1000
        assert (balance("1110"), balance("2020"), balance("2025")) == (1000, -1000, 0)
        assert_sound()

    def test_without_a_planned_retry_it_has_failed_and_can_be_tried_again(self, nmi: Shop) -> None:
        nmi.takes_off(-100)
        payment = nmi.sells()
        nmi.act(payment, "void")
        payment = nmi.asks(payment)
        assert payment.state == S.FAILED
        assert Transition.objects.get(fact="given_up").because == "What had come in has gone back."

        retry_now(payment.public_id, actor=olga(), now=nmi.clock())
        payment = nmi.follows(payment)

        assert (payment.state, balance("2020"), balance("2025")) == (S.CAPTURED, -1000, 0)
        assert_sound()

    def test_a_piece_of_the_part_may_go_and_the_rest_grows(self, nmi: Shop) -> None:
        payment = nmi.sells_half()
        nmi.settles()
        nmi.asks(payment)
        nmi.act(payment, "refund", amount_minor=200)
        payment = nmi.asks(payment)
        assert (payment.state, balance("2025")) == (S.PARTIALLY_PAID, -300)

        retry_now(payment.public_id, actor=olga(), now=nmi.clock())
        payment = nmi.follows(payment)

        assert payment.operations.filter(kind="sale").latest("id").amount_minor == 700
        assert (payment.state, balance("2020"), balance("2025")) == (S.CAPTURED, -1000, 0)
        assert_sound()


class TestPaidInParts:
    def test_each_part_goes_back_by_a_refund_of_its_own(self, nmi: Shop) -> None:
        payment = nmi.sells_half()
        retry_now(payment.public_id, actor=olga(), now=nmi.clock())
        payment = nmi.follows(payment)
        assert payment.state == S.CAPTURED

        with pytest.raises(NotEnough, match=r"paid in parts: at most 5\.00 USD"):
            request_refund(payment.public_id, amount_minor=1000, reason="returned", actor=SYSTEM, now=nmi.clock())
        for _ in range(2):
            request_refund(payment.public_id, amount_minor=500, reason="returned", actor=SYSTEM, now=nmi.clock())
        for refund in Refund.objects.all():
            advance_refund(refund.pk, nmi.clock)

        payment.refresh_from_db()
        assert payment.state == S.REFUNDED
        assert Refund.objects.values("attempt").distinct().count() == 2
        assert (balance("1110"), balance("2020"), balance("2030")) == (0, 0, 0)
        assert_sound()

    def test_a_captured_payment_cannot_be_asked_for_a_rest(self, nmi: Shop) -> None:
        payment = nmi.sells_half()
        retry_now(payment.public_id, actor=olga(), now=nmi.clock())
        payment = nmi.follows(payment)

        with pytest.raises(NotAllowedNow):
            retry_now(payment.public_id, actor=olga(), now=nmi.clock())
        nmi.clock.pass_(seconds=timedelta(days=1).total_seconds())
        advance_payment(payment.pk, nmi.clock)
        assert payment.operations.filter(kind="sale").count() == 3
