"""Less than is due comes in, the rest follows: what is asked for, what is held, and when the guard lets it through."""

from __future__ import annotations

import pytest

from ledger.money import Money
from payments.declines import ReductionPolicy, reduced_amount
from payments.models import GatewayAccount, NetworkCeiling, Payment
from payments.queries.api_views import payment_view
from payments.queries.proofs import completeness_findings, suspense_findings
from payments.services.actors import SYSTEM, Actor
from payments.services.commands import capture_payment
from payments.services.retries import cancel_retry, retry_now
from payments.states import PaymentState, Waits
from tests.payments.factories import operator
from tests.payments.flows.books import balance, open_reviews
from tests.payments.parts.conftest import Shop

S = PaymentState


def asked(payment: Payment) -> list[tuple[int, str]]:
    """What each attempt asked for, and how it ended."""
    calls = payment.operations.filter(kind__in=["sale", "authorise"]).order_by("id")
    return [(call.amount_minor, call.state) for call in calls]


def assert_sound() -> None:
    assert [*map(str, suspense_findings())] == []
    assert [*map(str, completeness_findings())] == []


def boss() -> Actor:
    return operator("retry_payment", "cancel_payment", user_id=None)


def nmi_refused(nmi: Shop) -> Payment:
    nmi.refuses(times=9)
    return nmi.sells()


class TestHowMuch:
    DUE = Money(10_001, "USD")

    def test_is_half_of_what_was_refused_rounded_down(self) -> None:
        assert reduced_amount(self.DUE, self.DUE, 0, ReductionPolicy()) == Money(5000, "USD")
        assert reduced_amount(Money(5000, "USD"), self.DUE, 1, ReductionPolicy()) == Money(2500, "USD")

    def test_is_never_below_the_floor_which_is_rounded_up(self) -> None:
        policy = ReductionPolicy(percent=5)

        assert reduced_amount(self.DUE, self.DUE, 0, policy) == Money(1001, "USD")
        assert reduced_amount(Money(1001, "USD"), self.DUE, 1, policy) is None

    def test_ends_after_as_many_as_the_policy_says(self) -> None:
        assert reduced_amount(self.DUE, self.DUE, 2, ReductionPolicy()) is None
        assert reduced_amount(self.DUE, self.DUE, 0, ReductionPolicy(most=0)) is None

    @pytest.mark.parametrize("minor", [1, 2, 3, 9])
    def test_a_few_minor_units_are_reduced_to_no_nothing(self, minor: int) -> None:
        less = reduced_amount(Money(minor, "JPY"), Money(minor, "JPY"), 0, ReductionPolicy())

        assert less is None if minor == 1 else less is not None and 0 < less.amount_minor < minor


class TestReduced:
    def test_half_is_asked_for_after_a_refusal_for_want_of_funds_and_held_apart(self, shop: Shop) -> None:
        payment = shop.sells_half()

        assert asked(payment) == [(1000, "declined"), (500, "succeeded")]
        assert payment.attempts.latest("number").amount_minor == 500
        assert (balance("1110"), balance("2025"), balance("2020")) == (500, -500, 0)
        assert payment_view(payment)["amount_captured_minor"] == 500
        assert_sound()

    def test_without_leave_for_parts_nothing_is_reduced(self, shop: Shop) -> None:
        shop.refuses()
        payment = shop.sells(accept_partial=False)

        assert asked(payment) == [(1000, "declined")]
        assert payment.state == S.PENDING  # the retry of the whole is planned
        assert payment.waits_for == Waits.RETRY

    def test_two_reductions_at_most_then_the_next_step_of_the_advice(self, nmi: Shop) -> None:
        nmi.refuses(times=9)
        payment = nmi.sells()

        assert asked(payment) == [(1000, "declined"), (500, "declined"), (250, "declined")]
        assert (payment.state, payment.waits_for) == (S.PENDING, Waits.RETRY)
        retry = payment.retries.get()
        assert (retry.due_at - nmi.clock()).days in (1, 2)  # the first of the policy: reduced tries count as none

    def test_a_refusal_over_the_limit_is_reduced_as_well(self, nmi: Shop) -> None:
        nmi.refuses(code="limit_exceeded")

        assert asked(nmi.sells()) == [(1000, "declined"), (500, "succeeded")]

    @pytest.mark.parametrize("code", ["fraud", "hard_decline", "expired_card", "soft_decline"])
    def test_no_other_class_is_reduced(self, code: str, nmi: Shop) -> None:
        nmi.refuses(times=9, code=code)
        payment = nmi.sells()

        assert {minor for minor, _ in asked(payment)} == {1000}

    def test_the_policy_is_the_accounts(self, nmi: Shop) -> None:
        GatewayAccount.objects.update(reduced_percent=80, most_reductions=1)
        nmi.refuses(times=9)

        assert asked(nmi.sells()) == [(1000, "declined"), (800, "declined")]

    def test_a_ceiling_binds_a_reduced_try_too(self, nmi: Shop) -> None:
        for network in ("", "visa"):
            NetworkCeiling.objects.create(network=network, declines=1, window_hours=720)
        payment = nmi_refused(nmi)

        assert asked(payment) == [(1000, "declined")]
        assert payment.state == S.FAILED


class TestPartialApproval:
    def test_a_gateway_that_takes_less_leaves_the_rest_open(self, nmi: Shop) -> None:
        nmi.takes_off(-100)
        payment = nmi.sells()

        assert payment.state == S.PARTIALLY_PAID
        assert (payment.waits_for, payment.next_check_at) == (Waits.MERCHANT, payment.expires_at)
        assert (balance("1110"), balance("2025")) == (900, -900)
        assert open_reviews() == []
        assert_sound()

    def test_without_leave_for_parts_it_stays_a_review(self, nmi: Shop) -> None:
        nmi.takes_off(-100)
        payment = nmi.sells(accept_partial=False)

        assert payment.state == S.PENDING
        assert (balance("2050"), balance("2025")) == (-900, 0)
        assert open_reviews() == ["amount_mismatch"]

    def test_more_than_was_asked_is_a_question_also_where_parts_are_taken(self, nmi: Shop) -> None:
        nmi.takes_off(100)
        payment = nmi.sells()

        assert payment.state == S.PENDING
        assert open_reviews() == ["amount_mismatch"]

    def test_a_short_hold_becomes_a_part_when_all_of_it_is_captured(self, nmi: Shop) -> None:
        nmi.refuses(operation="auth")
        payment = nmi.sells(capture="manual")
        assert (payment.state, asked(payment)[-1]) == (S.AUTHORISED, (500, "succeeded"))

        capture_payment(payment.public_id, amount_minor=None, final=True, actor=SYSTEM, now=nmi.clock())
        payment = nmi.follows(payment)

        assert payment.state == S.PARTIALLY_PAID
        assert (balance("2025"), balance("2020"), balance("9010")) == (-500, 0, 0)
        assert_sound()

    def test_a_merchant_who_captures_less_than_is_held_means_it(self, nmi: Shop) -> None:
        payment = nmi.sells(capture="manual")
        capture_payment(payment.public_id, amount_minor=400, final=True, actor=SYSTEM, now=nmi.clock())
        payment = nmi.follows(payment)

        assert payment.state == S.CAPTURED
        assert (balance("2025"), balance("2020")) == (0, -400)


class TestTheRest:
    def test_is_planned_by_the_advice_of_the_refusal_and_pays_when_it_comes(self, shop: Shop) -> None:
        payment = shop.sells_half()
        retry = payment.retries.get()
        assert payment.waits_for == Waits.RETRY

        shop.days_pass(3)
        payment = shop.follows(payment)

        assert payment.state == S.CAPTURED
        assert asked(payment)[-1] == (500, "succeeded")
        retry.refresh_from_db()
        assert retry.state == "done"
        assert (balance("1110"), balance("2020"), balance("2025")) == (1000, -1000, 0)
        assert_sound()

    def test_is_collected_on_command_and_no_more_than_the_rest(self, shop: Shop) -> None:
        payment = shop.sells_half()

        retry_now(payment.public_id, actor=boss(), now=shop.clock())
        payment = shop.follows(payment)

        assert payment.state == S.CAPTURED
        assert asked(payment) == [(1000, "declined"), (500, "succeeded"), (500, "succeeded")]
        assert (balance("2020"), balance("2025")) == (-1000, 0)
        assert_sound()

    def test_an_equal_rest_is_said_to_be_no_double(self, nmi: Shop) -> None:
        payment = nmi.sells_half()

        retry_now(payment.public_id, actor=boss(), now=nmi.clock())

        assert payment.operations.latest("id").request["repeat_on_purpose"] is True

    def test_a_refused_rest_is_reduced_again_and_the_payment_stays_partially_paid(self, nmi: Shop) -> None:
        payment = nmi.sells_half()

        nmi.refuses()
        retry_now(payment.public_id, actor=boss(), now=nmi.clock())
        payment = nmi.follows(payment)

        assert asked(payment)[2:] == [(500, "declined"), (250, "succeeded")]
        assert payment.state == S.PARTIALLY_PAID
        assert balance("2025") == -750
        assert_sound()

    def test_a_rest_refused_for_good_waits_for_a_person_until_the_window_closes(self, nmi: Shop) -> None:
        payment = nmi.sells_half()

        nmi.refuses(code="expired_card")
        retry_now(payment.public_id, actor=boss(), now=nmi.clock())
        payment = nmi.follows(payment)

        assert (payment.state, payment.waits_for) == (S.PARTIALLY_PAID, Waits.MERCHANT)
        assert payment.next_check_at == payment.expires_at
        assert balance("2025") == -500

    def test_whose_retry_is_cancelled_is_not_planned_again(self, nmi: Shop) -> None:
        payment = nmi.sells_half()

        cancel_retry(payment.retries.get().public_id, because="the payer pays cash", actor=boss(), now=nmi.clock())
        payment = nmi.follows(payment)

        assert (payment.state, payment.waits_for) == (S.PARTIALLY_PAID, Waits.MERCHANT)
        nmi.days_pass(5)
        assert payment.retries.count() == 1

    def test_more_than_the_rest_is_owed_to_the_payer(self, nmi: Shop) -> None:
        payment = nmi.sells_half()

        nmi.takes_off(100)
        retry_now(payment.public_id, actor=boss(), now=nmi.clock())
        payment = nmi.follows(payment)

        assert payment.state == S.PARTIALLY_PAID
        assert (balance("2025"), balance("2040")) == (-500, -600)
        assert open_reviews() == ["second_capture"]
        assert_sound()

    def test_the_whole_that_comes_late_beside_a_part_is_owed_to_the_payer(self, nmi: Shop) -> None:
        payment = nmi.sells_half()

        nmi.act(payment, "sale", attempt=1, amount_minor=1000)
        payment = nmi.asks(payment)

        assert (payment.state, balance("2040"), balance("2025")) == (S.PARTIALLY_PAID, -1000, -500)
        assert open_reviews() == ["second_capture"]
        assert_sound()
