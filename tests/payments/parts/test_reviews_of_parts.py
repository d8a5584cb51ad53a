"""What a person decides about money that came beside a part, and what a decision does to a retry that was planned."""

from __future__ import annotations

import pytest

from payments.models import Payment, Review
from payments.services import execution
from payments.services.refunds import advance_refund
from payments.services.retries import retry_now
from payments.services.sending import run_operation
from payments.states import PaymentState, ReviewState, Waits
from tests.payments.factories import new_payment
from tests.payments.flows.books import balance, open_reviews
from tests.payments.parts.conftest import DAY, Shop
from tests.payments.parts.test_endings import decide, olga
from tests.payments.parts.test_taking_parts import assert_sound

S = PaymentState


def with_step(payment: Payment, nmi: Shop) -> None:
    """One call, and nothing that follows from it."""
    for _ in range(3):
        step = execution._next_step(payment.pk, nmi.clock())
        if step is not None and step.operation_id is not None:
            run_operation(step.operation_id, nmi.clock)
            return


def too_much(nmi: Shop) -> Payment:
    """5.00 of 10.00 are here, and for the rest of 5.00 the gateway took 6.00."""
    payment = nmi.sells_half()
    nmi.takes_off(100)
    retry_now(payment.public_id, actor=olga(), now=nmi.clock())
    payment = nmi.follows(payment)
    assert (payment.state, open_reviews()) == (S.PARTIALLY_PAID, ["second_capture"])
    return payment


class TestMoreThanTheRest:
    def test_may_pay_the_rest_and_the_part_becomes_a_sale_with_it(self, nmi: Shop) -> None:
        payment = too_much(nmi)

        decide(nmi, "apply_here")

        payment.refresh_from_db()
        assert (payment.state, payment.late_success) == (S.CAPTURED, False)
        assert (balance("2020"), balance("2025"), balance("2040")) == (-1100, 0, 0)
        assert_sound()

    def test_may_go_back_and_the_rest_is_collected_anew(self, nmi: Shop) -> None:
        payment = too_much(nmi)
        decide(nmi, "refund")
        advance_refund(payment.refunds.get().pk, nmi.clock)
        payment = nmi.follows(payment)
        assert (payment.state, balance("2025"), balance("2040"), balance("1110")) == (S.PARTIALLY_PAID, -500, 0, 500)

        retry_now(payment.public_id, actor=olga(), now=nmi.clock())
        payment = nmi.follows(payment)

        assert (payment.state, balance("2020"), balance("2025")) == (S.CAPTURED, -1000, 0)
        assert_sound()

    def test_bars_everything_while_nobody_has_decided(self, nmi: Shop) -> None:
        payment = too_much(nmi)
        calls = payment.operations.count()

        nmi.days_pass(3)
        nmi.days_pass(20)

        payment.refresh_from_db()
        assert (payment.state, payment.waits_for) == (S.PARTIALLY_PAID, Waits.OPERATOR)
        assert payment.operations.count() == calls


class TestLessThanDueUnderReview:
    def test_more_than_was_asked_and_less_than_due_counts_as_a_part(self, nmi: Shop) -> None:
        nmi.refuses()
        payment = new_payment(nmi.clock, accept_partial=True, expires_in_seconds=20 * DAY)
        with_step(payment, nmi)  # 10.00 refused
        nmi.takes_off(100)
        payment = nmi.follows(payment)  # 5.00 asked, 6.00 taken
        assert (payment.state, open_reviews(), balance("2050")) == (S.PENDING, ["amount_mismatch"], -600)

        decide(nmi, "apply_here")
        payment.refresh_from_db()

        assert payment.state == S.PARTIALLY_PAID
        assert (balance("2025"), balance("2050"), balance("2020")) == (-600, 0, 0)
        assert_sound()
        payment = nmi.follows(payment)
        retry_now(payment.public_id, actor=olga(), now=nmi.clock())
        payment = nmi.follows(payment)
        assert (payment.state, payment.operations.latest("id").amount_minor) == (S.CAPTURED, 400)
        assert_sound()


class TestARetryThatWasPlanned:
    """The decision ends the payment's waiting: what was planned before it is not shown as planned any more."""

    def under_review(self, nmi: Shop, **fields: object) -> Payment:
        nmi.refuses()
        payment = nmi.sells(accept_partial=False, **fields)
        assert payment.waits_for == Waits.RETRY
        nmi.act(payment, "sale", amount_minor=900)
        payment = nmi.asks(payment)
        assert (payment.state, open_reviews()) == (S.PENDING, ["amount_mismatch"])
        return payment

    @pytest.mark.parametrize(
        ("option", "state"), [("apply_here", S.CAPTURED), ("refund", S.FAILED), ("wallet", S.FAILED)]
    )
    def test_is_taken_back_with_the_decision(self, option: str, state: PaymentState, nmi: Shop) -> None:
        payment = self.under_review(nmi)

        decide(nmi, option)

        payment.refresh_from_db()
        retry = payment.retries.get()
        assert (payment.state, retry.state) == (state, "cancelled")
        assert retry.ended_because == f"The payment is {state}."
        assert not Review.objects.filter(state=ReviewState.OPEN).exists()


class TestARestThatNoPayerCanMend:
    def test_asks_a_person_once_an_attempt(self, nmi: Shop) -> None:
        payment = nmi.sells_half()
        nmi.refuses(code="invalid_request")
        retry_now(payment.public_id, actor=olga(), now=nmi.clock())
        payment = nmi.follows(payment)
        assert (payment.state, payment.waits_for, open_reviews()) == (
            S.PARTIALLY_PAID, Waits.OPERATOR, ["payment_stopped"],
        )  # fmt: skip

        decide(nmi, "noted")
        payment = nmi.follows(payment)

        assert (payment.waits_for, open_reviews()) == (Waits.MERCHANT, [])
        assert_sound()

    def test_kept_as_the_payers_balance_it_bars_the_rest_no_more(self, nmi: Shop) -> None:
        payment = too_much(nmi)
        decide(nmi, "wallet")
        payment = nmi.follows(payment)

        retry_now(payment.public_id, actor=olga(), now=nmi.clock())
        payment = nmi.follows(payment)

        assert (payment.state, balance("2020"), balance("2025"), balance("2010")) == (S.CAPTURED, -1000, 0, -600)
        assert_sound()

    def test_a_hold_that_was_only_noted_bars_the_rest_and_is_asked_about_again(self, nmi: Shop) -> None:
        payment = nmi.sells_half()
        nmi.act(payment, "auth", attempt=1, amount_minor=700)
        payment = nmi.asks(payment)
        assert open_reviews() == ["late_authorisation"]

        decide(nmi, "noted")
        payment = nmi.follows(payment)

        assert (payment.state, payment.waits_for) == (S.PARTIALLY_PAID, Waits.OPERATOR)
        assert open_reviews() == ["late_authorisation"]
        decide(nmi, "void_hold")
        payment = nmi.follows(payment)
        assert (open_reviews(), balance("9010"), payment.waits_for) == ([], 0, Waits.RETRY)
        assert_sound()
