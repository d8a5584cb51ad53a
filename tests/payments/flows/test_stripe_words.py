"""What Stripe tells late or in other words: refunds made by another hand, blocks told as declines, cards kept after a challenge."""

from __future__ import annotations

from datetime import timedelta

import pytest

from payments.models import LookUp, Operation, Payment, PaymentMethod, Refund, Transition
from payments.services.accounts import ensure_gateway_account
from payments.services.actors import SYSTEM
from payments.services.execution import advance_payment
from payments.services.intake import MethodRequest, PaymentRequest, create_payment
from payments.services.refunds import _plan, advance_refund, request_refund
from payments.services.sending import run_operation
from payments.states import PaymentState, RefundState
from tests.payments.factories import Clock, paid, sweep_until_quiet
from tests.payments.flows.books import balance, open_reviews
from tests.payments.flows.test_stripe_payment import RETURN, Gateway
from tests.simulator_fixture import SimulatorProcess

S = PaymentState


@pytest.fixture(autouse=True)
def account(transactional_db: None) -> None:
    """Stripe alone, in place of the other flows' NMI."""
    ensure_gateway_account("stripe", "stripe", "Stripe")


@pytest.fixture
def stripe(simulator: SimulatorProcess, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Gateway:
    monkeypatch.setenv("GATEWAY_STRIPE_BASE_URL", f"{simulator.url}/stripe")
    monkeypatch.setenv("GATEWAY_STRIPE_SECRET_KEY", "sk_test_demo")
    monkeypatch.setenv("GATEWAY_STRIPE_WEBHOOK_SECRET", "whsec_demo")
    return Gateway(simulator, clock)


class TestARefundOfWhatTheDashboardHasGivenBack:
    @pytest.mark.parametrize("heard", ["before it is sent", "never"])
    def test_ends_with_what_was_reserved_free(self, stripe: Gateway, clock: Clock, heard: str) -> None:
        payment = paid(clock)
        request_refund(payment.public_id, amount_minor=400, reason="returned", actor=SYSTEM, now=clock())
        refund = Refund.objects.get()
        stripe.act("refund_from_dashboard", payment, amount_minor=1000)
        if heard == "before it is sent":
            stripe.hear()
        sweep_until_quiet(clock, rounds=12, step=timedelta(minutes=1))

        refund.refresh_from_db()
        payment.refresh_from_db()
        assert (refund.state, payment.state) == (RefundState.FAILED, S.REFUNDED)
        assert (balance("2030"), open_reviews()) == (0, [])
        assert Refund.objects.filter(origin="external", amount_minor=1000).count() == 1
        stripe.assert_books_agree()

    def test_ends_by_itself_after_stripe_has_refused_it_as_refunded_already(
        self, stripe: Gateway, clock: Clock
    ) -> None:
        payment = paid(clock)
        request_refund(payment.public_id, amount_minor=400, reason="returned", actor=SYSTEM, now=clock())
        refund = Refund.objects.get()
        planned = _plan(refund.pk, clock())
        assert planned is not None
        stripe.act("refund_from_dashboard", payment, amount_minor=1000)
        run_operation(planned, clock)
        operation = Operation.objects.get(pk=planned)
        assert (operation.state, operation.code) == ("unknown", "charge_already_refunded")

        sweep_until_quiet(clock, rounds=12, step=timedelta(minutes=1))

        refund.refresh_from_db()
        operation.refresh_from_db()
        assert (operation.state, refund.state) == ("failed", RefundState.FAILED)
        assert refund.operations.latest("id").code == "nothing_left"
        assert (balance("2030"), open_reviews()) == (0, [])
        stripe.assert_books_agree()

    def test_what_is_left_of_the_charge_still_goes_back(self, stripe: Gateway, clock: Clock) -> None:
        payment = paid(clock)
        stripe.act("refund_from_dashboard", payment, amount_minor=600)
        stripe.hear()
        request_refund(payment.public_id, amount_minor=400, reason="returned", actor=SYSTEM, now=clock())
        advance_refund(Refund.objects.latest("id").pk, clock)

        assert Refund.objects.latest("id").state == RefundState.SUCCEEDED
        stripe.assert_books_agree()


class TestABlockOfStripesOwn:
    @pytest.mark.parametrize("word", ["highest_risk_level", "rule"])
    def test_is_fraud_though_its_answer_calls_it_a_generic_decline(
        self, stripe: Gateway, clock: Clock, word: str
    ) -> None:
        payment = paid(clock, token=f"tok_decline_{word}")

        operation = payment.operations.get()
        assert (operation.state, operation.failure_class, operation.code) == ("declined", "fraud", word)
        assert payment.state == S.FAILED
        assert PaymentMethod.objects.get().blocked_at is not None
        assert captures_asked(payment) == 1

    def test_an_issuer_s_generic_decline_is_not_asked_about(self, stripe: Gateway, clock: Clock) -> None:
        payment = paid(clock, token="tok_decline_generic_decline")

        operation = payment.operations.first()
        assert operation is not None
        assert (operation.failure_class, operation.network_code) == ("soft_decline", "05")
        assert PaymentMethod.objects.get().blocked_at is None

    def test_of_which_nobody_tells_more_stays_the_decline_it_was_called(self, stripe: Gateway, clock: Clock) -> None:
        stripe.fault("dropped_request", "query")
        payment = paid(clock, token="tok_decline_rule")

        operation = payment.operations.first()
        assert operation is not None
        assert (operation.state, operation.failure_class, operation.code) == (
            "declined",
            "soft_decline",
            "generic_decline",
        )


class TestACardThatNoAnswerCouldGive:
    def test_is_kept_after_the_payer_has_confirmed(self, stripe: Gateway, clock: Clock) -> None:
        payment = first_use(clock, token="pm_card_authenticationRequiredOnSetup", return_url=RETURN)
        assert payment.waits_for == "payer"
        assert not payment.method.credentials.get().reusable

        stripe.act("approve", payment)
        stripe.hear(shuffled=1)
        sweep_until_quiet(clock, rounds=2, step=timedelta(minutes=1))

        assert_kept_and_used_again(payment, clock)

    @pytest.mark.parametrize("told_by", ["webhook", "look-up"])
    def test_is_kept_though_its_answer_was_lost(self, stripe: Gateway, clock: Clock, told_by: str) -> None:
        stripe.fault("lost_response", "sale")
        payment = first_use(clock, token="stripe_once_41")
        if told_by == "webhook":
            stripe.hear()
        sweep_until_quiet(clock, rounds=4, step=timedelta(minutes=1))

        assert_kept_and_used_again(payment, clock)
        secret = payment.method.credentials.get().token
        written = [str(row) for row in LookUp.objects.values_list("evidence", flat=True)]
        written += [str(row) for row in Transition.objects.values_list("inputs", flat=True)]
        assert not [line for line in written if secret in line]

    def test_of_a_hold_is_kept_as_well(self, stripe: Gateway, clock: Clock) -> None:
        payment = first_use(clock, token="pm_card_authenticationRequiredOnSetup", return_url=RETURN, capture="manual")
        stripe.act("approve", payment)
        stripe.hear(shuffled=2)
        sweep_until_quiet(clock, rounds=2, step=timedelta(minutes=1))

        payment.refresh_from_db()
        assert payment.state == S.AUTHORISED
        assert payment.method.credentials.get().reusable


def first_use(clock: Clock, *, token: str, **fields: object) -> Payment:
    """A payment with a token that works once, given for Stripe."""
    method = MethodRequest("card", credentials={"stripe": token})
    request = PaymentRequest(1000, "USD", f"order-{token}", method, **fields)  # type: ignore[arg-type]  # by keyword
    payment = create_payment(request, actor=SYSTEM, now=clock())
    advance_payment(payment.pk, clock)
    payment.refresh_from_db()
    return payment


def assert_kept_and_used_again(first: Payment, clock: Clock) -> None:
    first.refresh_from_db()
    credential = first.method.credentials.get()
    assert (first.state, credential.reusable, credential.token[:3], credential.customer[:4]) == (
        S.CAPTURED,
        True,
        "pm_",
        "cus_",
    )
    first.method.refresh_from_db()
    assert first.method.fingerprint
    stored = MethodRequest("card", payment_method=first.method.public_id)
    again = create_payment(
        PaymentRequest(500, "USD", "again", stored, initiated_by="merchant"), actor=SYSTEM, now=clock()
    )
    advance_payment(again.pk, clock)
    again.refresh_from_db()
    assert again.state == S.CAPTURED


def captures_asked(payment: Payment) -> int:
    return payment.operations.filter(kind="sale").count()
