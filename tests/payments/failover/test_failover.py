"""Where does a payment go when its first gateway refuses, is away or says nothing? Through the services, against the simulator."""

from __future__ import annotations

import pytest

from payments.errors import Forbidden, NotAllowedNow
from payments.models import GatewayAccount, Payment, Retry, Review
from payments.services.actors import SYSTEM
from payments.services.commands import cancel_payment
from payments.services.execution import advance_payment
from payments.services.retries import cancel_retry, retry_now
from payments.services.sweep import sweep
from payments.states import PaymentState, RetryState, Waits
from tests.payments.factories import Clock, operator, paid, sweep_until_quiet
from tests.payments.flows.books import assert_books_agree
from tests.simulator_fixture import SimulatorProcess

DAY = 86_400


@pytest.fixture
def first_is_away(simulator: SimulatorProcess, monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    monkeypatch.setenv("GATEWAY_NMI_BASE_URL", f"http://127.0.0.1:{free_port}/nmi")


def asked(payment: Payment) -> list[str]:
    return list(payment.attempts.order_by("number").values_list("gateway_account__slug", flat=True))


class TestAGatewayThatIsAway:
    @pytest.mark.usefixtures("first_is_away")
    def test_leads_to_the_next_one_at_once_and_says_why(self, simulator: SimulatorProcess, clock: Clock) -> None:
        payment = paid(clock)

        assert payment.state == PaymentState.CAPTURED
        assert asked(payment) == ["nmi", "second"]
        assert payment.attempts.get(number=2).route["why"][0].startswith("NMI: asked already")
        assert_books_agree(simulator)

    @pytest.mark.usefixtures("first_is_away")
    def test_is_not_asked_any_more_after_three_in_a_row(self, simulator: SimulatorProcess, clock: Clock) -> None:
        first_three = [paid(clock) for _ in range(3)]

        fourth = paid(clock)

        assert [asked(payment) for payment in first_three] == [["nmi", "second"]] * 3
        assert asked(fourth) == ["second"]
        assert "no answer 3 times in a row" in fourth.attempts.get().route["why"][0]
        assert_books_agree(simulator)

    @pytest.mark.usefixtures("first_is_away")
    def test_with_no_other_credential_leads_to_a_retry_soon(self, simulator: SimulatorProcess, clock: Clock) -> None:
        GatewayAccount.objects.filter(slug="second").update(enabled=False)

        payment = paid(clock)

        assert (payment.state, payment.waits_for) == (PaymentState.PENDING, Waits.RETRY)
        retry = Retry.objects.get()
        assert 60 <= (retry.due_at - retry.planned_at).total_seconds() <= 900

    @pytest.mark.usefixtures("first_is_away")
    def test_and_nobody_healthy_lets_new_payments_wait(self, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GATEWAY_SECOND_BASE_URL", "http://127.0.0.1:1/nmi")
        for _ in range(3):
            paid(clock)

        late = paid(clock)

        assert (late.state, late.waits_for) == (PaymentState.VALIDATED, Waits.SWITCH)
        assert late.attempts.count() == 0


class TestALostAnswer:
    def test_bars_the_other_gateway_until_it_is_proven_absent(self, simulator: SimulatorProcess, clock: Clock) -> None:
        simulator.fault("dropped_request", "sale", times=1)
        payment = paid(clock)
        assert asked(payment) == ["nmi"]

        for _ in range(5):
            clock.pass_(minutes=2)
            sweep(clock)
            advance_payment(payment.pk, clock)
        assert asked(payment) == ["nmi"]
        sweep_until_quiet(clock, rounds=8)

        payment.refresh_from_db()
        assert (payment.state, asked(payment)) == (PaymentState.CAPTURED, ["nmi", "second"])
        assert_books_agree(simulator)

    def test_of_a_charge_never_leads_to_a_second_one(self, simulator: SimulatorProcess, clock: Clock) -> None:
        simulator.fault("lost_response", "sale", times=1)
        payment = paid(clock)

        sweep_until_quiet(clock, rounds=8)

        payment.refresh_from_db()
        assert (payment.state, asked(payment)) == (PaymentState.CAPTURED, ["nmi"])
        assert len(simulator.movements()) == 1
        assert_books_agree(simulator)


class TestADecline:
    def test_of_the_soft_kind_is_put_to_the_next_gateway(self, simulator: SimulatorProcess, clock: Clock) -> None:
        payment = paid(clock, token="tok_decline_soft_decline")

        assert payment.state == PaymentState.FAILED  # both refused it, and an hour leaves no room for a later try
        assert asked(payment) == ["nmi", "second"]

    @pytest.mark.parametrize("word", ["hard_decline", "fraud", "expired_card", "invalid_card_data"])
    def test_that_another_gateway_would_repeat_ends_it(
        self, simulator: SimulatorProcess, clock: Clock, word: str
    ) -> None:
        payment = paid(clock, token=f"tok_decline_{word}", expires_in_seconds=15 * DAY)

        assert (payment.state, asked(payment)) == (PaymentState.FAILED, ["nmi"])

    def test_with_time_left_is_planned_again_and_shown(self, simulator: SimulatorProcess, clock: Clock) -> None:
        payment = paid(clock, token="tok_decline_insufficient_funds", expires_in_seconds=20 * DAY)

        retry = Retry.objects.get()
        assert (payment.state, payment.waits_for) == (PaymentState.PENDING, Waits.RETRY)
        assert (retry.number, retry.state, retry.payment) == (1, RetryState.WAITING, payment)
        assert payment.next_check_at == retry.due_at

    def test_is_tried_a_handful_of_times_and_then_given_up(self, simulator: SimulatorProcess, clock: Clock) -> None:
        payment = paid(clock, token="tok_decline_insufficient_funds", expires_in_seconds=40 * DAY)

        for _ in range(45):
            clock.pass_(days=1)
            sweep(clock)

        payment.refresh_from_db()
        assert payment.state == PaymentState.FAILED
        assert 2 <= payment.operations.count() <= 5
        assert set(payment.retries.values_list("state", flat=True)) == {"done"}

    def test_by_our_own_set_up_asks_a_person_and_nobody_else(self, simulator: SimulatorProcess, clock: Clock) -> None:
        payment = paid(clock, token="tok_decline_invalid_request")

        assert payment.state == PaymentState.FAILED
        assert Review.objects.get().kind == "payment_stopped"


class TestARetry:
    def test_due_twice_at_once_is_made_once(self, simulator: SimulatorProcess, clock: Clock) -> None:
        payment = self.declined(clock)
        clock.pass_(days=3)

        advance_payment(payment.pk, clock)
        advance_payment(payment.pk, clock)
        sweep(clock)

        assert payment.attempts.count() == 2

    def test_can_be_cancelled_with_a_reason(self, simulator: SimulatorProcess, clock: Clock) -> None:
        payment = self.declined(clock)
        olga = operator("retry_payment")

        cancel_retry(Retry.objects.get().public_id, because="the order was changed", actor=olga, now=clock())
        cancel_retry(Retry.objects.get().public_id, because="again", actor=olga, now=clock())

        payment.refresh_from_db()
        assert payment.state == PaymentState.FAILED
        assert (Retry.objects.get().state, Retry.objects.get().ended_by) == ("cancelled", "olga")
        clock.pass_(days=10)
        sweep(clock)
        assert payment.attempts.count() == 1

    def test_can_be_made_early(self, simulator: SimulatorProcess, clock: Clock) -> None:
        payment = self.declined(clock)

        retry_now(payment.public_id, actor=operator("retry_payment"), now=clock())
        advance_payment(payment.pk, clock)

        assert payment.attempts.count() == 2
        assert Retry.objects.order_by("id")[0].state == "done"

    def test_of_a_cancelled_payment_never_happens(self, simulator: SimulatorProcess, clock: Clock) -> None:
        payment = self.declined(clock)
        cancel_payment(payment.public_id, actor=SYSTEM, now=clock())
        advance_payment(payment.pk, clock)

        clock.pass_(days=10)
        sweep(clock)

        payment.refresh_from_db()
        assert (payment.state, Retry.objects.get().state) == (PaymentState.CANCELLED, "cancelled")

    def test_is_refused_for_what_must_never_be_tried_again(self, simulator: SimulatorProcess, clock: Clock) -> None:
        payment = paid(clock, token="tok_decline_fraud")

        with pytest.raises(NotAllowedNow, match="not tried again"):
            retry_now(payment.public_id, actor=operator("retry_payment"), now=clock())
        assert payment.attempts.count() == 1

    def test_is_refused_while_an_outcome_is_unknown(self, simulator: SimulatorProcess, clock: Clock) -> None:
        simulator.fault("lost_response", "sale", times=1)
        payment = paid(clock)

        with pytest.raises(NotAllowedNow, match="still open"):
            retry_now(payment.public_id, actor=operator("retry_payment"), now=clock())

    def test_needs_the_right(self, simulator: SimulatorProcess, clock: Clock) -> None:
        payment = self.declined(clock)

        with pytest.raises(Forbidden):
            retry_now(payment.public_id, actor=operator("capture_payment"), now=clock())
        with pytest.raises(Forbidden):
            cancel_retry(Retry.objects.get().public_id, because="no", actor=operator(), now=clock())

    @staticmethod
    def declined(clock: Clock) -> Payment:
        GatewayAccount.objects.filter(slug="second").update(enabled=False)
        return paid(clock, token="tok_decline_insufficient_funds", expires_in_seconds=30 * DAY)
