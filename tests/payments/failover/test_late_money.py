"""What comes to life at a gateway after it was given up: no other gateway is asked on top, and each case is decided at its own."""

from __future__ import annotations

from datetime import timedelta

import pytest

from payments.models import GatewayAccount, Movement, Operation, Payment, Refund, Review
from payments.services.actors import SYSTEM
from payments.services.commands import cancel_payment
from payments.services.execution import _next_step, advance_payment
from payments.services.refunds import advance_refund
from payments.services.resolution import ask_about
from payments.services.reviews import options_of
from payments.services.sending import run_operation
from payments.states import PaymentState
from tests.payments.factories import Clock, new_payment, paid, sweep_until_quiet
from tests.payments.flows.books import assert_books_agree, balance, open_reviews
from tests.payments.flows.world import World
from tests.simulator_fixture import SimulatorProcess

DAY = 86_400


@pytest.fixture
def world(simulator: SimulatorProcess, clock: Clock) -> World:
    return World(simulator, clock)


def asked(payment: Payment) -> list[str]:
    return list(payment.attempts.order_by("number").values_list("gateway_account__slug", flat=True))


def comes_late(world: World, payment: Payment, number: int, action: str = "sale") -> str:
    """The attempt's gateway does it after all; returns the transaction."""
    attempt = payment.attempts.get(number=number)
    made = world.simulator.act(action, reference=attempt.reference, amount_minor=payment.amount_minor)
    ask_about(payment.pk, world.clock)
    return str(made["transaction"]["transaction_id"])


def planned(clock: Clock, **fields: object) -> Payment:
    """Refused at the first; the call to the second is planned, and its worker ends before it is sent."""
    payment = new_payment(clock, token="tok_decline_soft_decline", expires_in_seconds=15 * DAY, **fields)  # type: ignore[arg-type]
    first = _next_step(payment.pk, clock())
    assert first is not None and first.operation_id is not None
    run_operation(first.operation_id, clock)
    _next_step(payment.pk, clock())
    assert (asked(payment), payment.operations.latest("id").state) == (["nmi", "second"], "planned")
    return payment


class TestAPlannedCall:
    def test_is_not_sent_while_a_late_hold_lives(self, world: World, clock: Clock) -> None:
        payment = planned(clock, capture="manual")
        comes_late(world, payment, 1, "auth")
        assert open_reviews() == ["late_authorisation"]

        sweep_until_quiet(clock, rounds=4)

        second = payment.operations.get(attempt__number=2)
        assert (second.state, second.sent_at) == ("failed", None)
        assert "held at NMI" in second.message
        assert_books_agree(world.simulator)

    def test_whose_gateway_went_away_meanwhile_is_tried_later(self, world: World, clock: Clock) -> None:
        payment = planned(clock)
        GatewayAccount.objects.filter(slug="second").update(paused_at=clock(), paused_because="a drill")

        advance_payment(payment.pk, clock)

        payment.refresh_from_db()
        assert (payment.state, open_reviews()) == (PaymentState.PENDING, [])
        assert payment.retries.get().state == "waiting"


class TestALateHold:
    def held_late(self, world: World, clock: Clock) -> Payment:
        payment = paid(clock, token="tok_decline_soft_decline", capture="manual", expires_in_seconds=15 * DAY)
        assert (asked(payment), payment.state) == (["nmi", "second"], PaymentState.PENDING)
        comes_late(world, payment, 1, "auth")
        assert open_reviews() == ["late_authorisation"]
        return payment

    def test_that_was_only_noted_bars_the_retry_and_is_asked_about_again(self, world: World, clock: Clock) -> None:
        payment = self.held_late(world, clock)
        world.decide_by(Review.objects.get(), "noted")

        sweep_until_quiet(clock, rounds=5, step=timedelta(days=1))

        assert asked(payment) == ["nmi", "second"]
        assert open_reviews() == ["late_authorisation"]

    def test_is_released_at_its_own_gateway_and_the_payment_goes_on(self, world: World, clock: Clock) -> None:
        payment = self.held_late(world, clock)

        world.decide_by(Review.objects.get(), "void_hold")
        advance_payment(payment.pk, clock)

        void = Operation.objects.get(kind="void")
        assert (void.state, void.gateway_account.slug) == ("succeeded", "nmi")
        payment.refresh_from_db()
        assert (payment.state, open_reviews(), balance("9010")) == (PaymentState.PENDING, [], 0)
        assert payment.waits_for == "retry"
        assert_books_agree(world.simulator)


class TestDoubleMoney:
    def test_of_a_cancelled_payment_is_a_case_of_its_own(self, world: World, clock: Clock) -> None:
        payment = paid(clock, token="tok_decline_soft_decline", expires_in_seconds=15 * DAY)
        cancel_payment(payment.public_id, actor=SYSTEM, now=clock())
        advance_payment(payment.pk, clock)
        comes_late(world, payment, 1)

        second = comes_late(world, payment, 2)

        assert open_reviews() == ["captured_after_cancel", "second_capture"]
        assert (balance("2050"), balance("2040")) == (-1000, -1000)
        case = Review.objects.get(kind="second_capture")
        assert (case.gateway_account.slug, case.gateway_id) == ("second", second)
        assert_books_agree(world.simulator)

    def test_is_given_back_where_it_was_taken(self, world: World, clock: Clock) -> None:
        payment = paid(clock, token="tok_decline_soft_decline", expires_in_seconds=15 * DAY)
        comes_late(world, payment, 2)
        first = comes_late(world, payment, 1)
        payment.refresh_from_db()
        assert (payment.state, open_reviews()) == (PaymentState.CAPTURED, ["second_capture"])

        case = Review.objects.get()
        assert [(o.code, o.refused) for o in options_of(case) if o.recommended] == [("refund", "")]
        world.decide_by(case, "refund")
        advance_refund(Refund.objects.get().pk, clock)

        back = Movement.objects.get(kind="void")
        assert (back.gateway_id, back.gateway_account.slug) == (first, "nmi")
        payment.refresh_from_db()
        assert (payment.state, balance("2040"), balance("1110")) == (PaymentState.CAPTURED, 0, 1000)
        assert_books_agree(world.simulator)

    def test_is_kept_apart_where_two_gateways_use_one_number(self, world: World, clock: Clock) -> None:
        """Nothing but a look at the books of the right account tells them from each other."""
        payment = paid(clock, token="tok_decline_soft_decline", expires_in_seconds=15 * DAY)
        comes_late(world, payment, 2)
        comes_late(world, payment, 1)
        case, paying = Review.objects.get(), Movement.objects.get(attempt__number=2)
        Review.objects.filter(pk=case.pk).update(gateway_id=paying.gateway_id)
        world.simulator.act("void", transaction_id=paying.gateway_id)

        ask_about(payment.pk, clock)

        case.refresh_from_db()
        assert (case.state, case.held_minor) == ("open", 1000)
