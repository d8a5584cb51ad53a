"""When may a person have a declined payment tried again, and does asking that change anything?"""

from __future__ import annotations

from datetime import timedelta

import pytest

from payments.errors import Conflict, NotAllowedNow, NotFound
from payments.models import GatewayHealth, Operation, Payment, Retry
from payments.queries.page_rows import read_payment
from payments.services.execution import advance_payment
from payments.services.retries import cancel_retry, preview_cancel_retry, preview_retry, refusal_of, retry_now
from payments.services.switches import throw_switch
from payments.states import BreakerState, PaymentState
from tests.payments.factories import Clock, new_payment, operator, paid

DAY = 86_400
pytestmark = pytest.mark.usefixtures("simulator")


def declined(clock: Clock, **fields: object) -> Payment:
    """Refused for want of funds, with two weeks left: a retry is planned."""
    payment = paid(clock, token="tok_decline_insufficient_funds", expires_in_seconds=20 * DAY, **fields)
    assert payment.waits_for == "retry"
    return payment


def failed(clock: Clock, **fields: object) -> Payment:
    """Refused by both gateways, with no time left."""
    payment = paid(clock, token="tok_decline_soft_decline", **fields)
    assert payment.state == PaymentState.FAILED
    return payment


def refused(payment: Payment, clock: Clock) -> str:
    """What page, preview and command say, which must be one thing."""
    payment.refresh_from_db()
    shown = refusal_of(read_payment(payment), clock())
    assert preview_retry(payment.public_id, clock())[0] == shown
    if shown:
        with pytest.raises(NotAllowedNow) as told:
            retry_now(payment.public_id, actor=operator("retry_payment"), now=clock())
        assert str(told.value) == shown
    return shown


class TestAsking:
    def test_says_which_gateway_is_asked_and_why(self, clock: Clock) -> None:
        payment = declined(clock)

        refusal, told = preview_retry(payment.public_id, clock())

        assert refusal == ""
        assert told[0] == "NMI is asked for 10.00 USD: NMI is the first that can take it."
        assert told[1].startswith("The retry planned for ")

    def test_claims_no_turn_at_a_gateway_that_is_just_coming_back(self, clock: Clock) -> None:
        payment = declined(clock)
        first = payment.attempts.get().gateway_account
        GatewayHealth.objects.create(gateway_account=first, state=BreakerState.HALF_OPEN, failures=3)

        assert refused(payment, clock) == ""
        assert preview_retry(payment.public_id, clock())[1][0].startswith("NMI is asked")
        assert GatewayHealth.objects.get().probe_id is None

        retry_now(payment.public_id, actor=operator("retry_payment"), now=clock())
        assert GatewayHealth.objects.get().probe_id == payment.pk

    def test_a_turn_that_somebody_else_has_is_left_to_them(self, clock: Clock) -> None:
        payment, other = declined(clock), new_payment(clock)
        for account in {attempt.gateway_account for attempt in payment.attempts.all()}:
            GatewayHealth.objects.create(
                gateway_account=account, state=BreakerState.HALF_OPEN, failures=3, probe=other, last_failure="silence"
            )

        told = preview_retry(payment.public_id, clock())[1][0]

        assert "NMI first: no answer 3 times in a row (silence), breaker half open and one payment is trying it" in told
        assert "Second is the next that can take it." in told

    def test_of_nobody_is_not_found(self, clock: Clock) -> None:
        with pytest.raises(NotFound):
            preview_retry("pay_nothere", clock())
        with pytest.raises(NotFound):
            retry_now("pay_nothere", actor=operator("retry_payment"), now=clock())


class TestIsRefused:
    def test_while_sending_is_stopped(self, clock: Clock) -> None:
        payment = declined(clock)
        throw_switch("charges", reason="a drill", actor=operator("throw_switch"), now=clock())

        assert refused(payment, clock) == "New charges are stopped by olga: a drill"
        assert payment.attempts.count() == 1

    def test_once_another_payment_has_taken_the_order_over(self, clock: Clock) -> None:
        payment = failed(clock, reference="order-taken-over")
        assert refused(payment, clock) == ""
        other = paid(clock, reference="order-taken-over")

        assert refused(payment, clock) == f"Payment {other.public_id} of the same order is captured."
        payment.refresh_from_db()
        assert payment.state == PaymentState.FAILED

    def test_before_the_issuer_allows_it(self, clock: Clock) -> None:
        payment = declined(clock)
        Operation.objects.filter(payment=payment).update(retry_not_before=clock() + timedelta(hours=5))

        assert refused(payment, clock).startswith("The issuer allows another try from ")
        clock.pass_(hours=6)
        assert refused(payment, clock) == ""

    def test_after_a_word_that_means_never(self, clock: Clock) -> None:
        payment = paid(clock, token="tok_decline_fraud")

        assert refused(payment, clock).endswith("It is not tried again.")

    def test_if_it_was_paid(self, clock: Clock) -> None:
        assert refused(paid(clock), clock) == "The payment is captured: only one that was declined can be tried again."


class TestTwoPeople:
    def test_who_both_saw_it_failed_have_it_tried_once(self, clock: Clock) -> None:
        payment = failed(clock)
        seen = payment.version
        olga = operator("retry_payment")

        retry_now(payment.public_id, actor=olga, now=clock(), version=seen)
        with pytest.raises(Conflict):
            retry_now(payment.public_id, actor=olga, now=clock(), version=seen)
        advance_payment(payment.pk, clock)

        assert payment.attempts.filter(number__gt=2).count() <= 2
        assert payment.operations.filter(state="planned").count() == 0


class TestCancelling:
    def test_names_the_retry_it_would_take_back(self, clock: Clock) -> None:
        payment = declined(clock)

        assert preview_cancel_retry(payment.public_id) == ("", Retry.objects.get())
        cancel_retry(
            Retry.objects.get().public_id, because="the order changed", actor=operator("retry_payment"), now=clock()
        )
        assert preview_cancel_retry(payment.public_id) == ("No retry is planned.", None)
