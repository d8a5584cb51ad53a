"""Two hands on one payment: the dashboard, a webhook and our own call cross, and the books still say what happened."""

from __future__ import annotations

import pytest

from payments.errors import NotAllowedNow
from payments.models import Incident, Payment, Refund, Review
from payments.services.actors import SYSTEM
from payments.services.commands import cancel_payment, capture_payment
from payments.services.execution import advance_payment
from payments.services.refunds import advance_refund, request_refund
from payments.services.resolution import ask_about
from payments.services.reviews import options_of
from payments.services.sweep import sweep
from payments.states import PaymentState, Waits
from tests.payments.factories import Clock, paid, sweep_until_quiet
from tests.payments.flows.books import assert_books_agree, balance, open_reviews
from tests.payments.flows.world import World
from tests.simulator_fixture import SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world(simulator: SimulatorProcess, clock: Clock) -> World:
    return World(simulator, clock)


def reference(payment: Payment) -> str:
    return str(payment.attempts.get().reference)


def hear(world: World, event_type: str) -> None:
    """The newest webhook of this type, and what the worker does then."""
    found = [d for d in world.simulator.webhooks() if d["event_type"] == event_type]
    world.hear(found[-1])
    world.run_nudged()


def state_of(payment: Payment) -> str:
    payment.refresh_from_db()
    return str(payment.state)


class TestVoidsAndCaptures:
    def test_a_capture_that_our_own_void_undid_before_we_heard_of_it_leaves_nothing(self, world: World, clock: Clock):
        payment = paid(clock, capture="manual")
        world.simulator.act("capture", reference=reference(payment))
        world.pass_time(minutes=1)
        cancel_payment(payment.public_id, actor=SYSTEM, now=clock())
        advance_payment(payment.pk, clock)
        assert state_of(payment) == PaymentState.CANCELLED

        hear(world, "transaction.capture.success")

        assert (state_of(payment), open_reviews()) == (PaymentState.CANCELLED, [])
        assert (balance("1110"), balance("2050"), balance("9010")) == (0, 0, 0)
        assert_books_agree(world.simulator)

    def test_a_part_captured_elsewhere_is_heard_of_before_its_hold(self, world: World, clock: Clock):
        world.simulator.fault("lost_response", "auth", times=1)
        payment = paid(clock, capture="manual")
        world.simulator.act("capture", reference=reference(payment), amount_minor=400)

        hear(world, "transaction.capture.success")
        hear(world, "transaction.auth.success")

        assert payment.operations.get().state == "succeeded"
        assert open_reviews() == ["amount_mismatch"]
        assert (balance("9010"), balance("2050")) == (0, -400)
        assert_books_agree(world.simulator)

    def test_a_payment_whose_money_under_review_was_voided_has_ended(self, world: World, clock: Clock):
        payment = paid(clock, capture="manual")
        world.simulator.act("capture", reference=reference(payment), amount_minor=400)
        hear(world, "transaction.capture.success")
        cancel_payment(payment.public_id, actor=SYSTEM, now=clock())
        world.run_nudged()
        assert payment.operations.filter(kind="void").count() == 0  # a person is asked what the money is for

        world.simulator.act("void", reference=reference(payment))
        hear(world, "transaction.void.success")

        assert (state_of(payment), payment.waits_for, open_reviews()) == (PaymentState.CANCELLED, Waits.NOTHING, [])
        assert_books_agree(world.simulator)

    def test_the_whole_hold_captured_as_a_part_leaves_nothing_to_capture(self, world: World, clock: Clock):
        payment = paid(clock, capture="manual")

        capture_payment(payment.public_id, amount_minor=1000, final=False, actor=SYSTEM, now=clock())
        advance_payment(payment.pk, clock)

        assert state_of(payment) == PaymentState.CAPTURED

    def test_a_planned_void_is_not_sent_when_nothing_is_held_any_more(self, world: World, clock: Clock):
        payment = paid(clock, capture="manual")
        cancel_payment(payment.public_id, actor=SYSTEM, now=clock())
        world.simulator.act("void", reference=reference(payment))
        hear(world, "transaction.void.success")

        advance_payment(payment.pk, clock)

        assert (state_of(payment), open_reviews()) == (PaymentState.CANCELLED, [])
        assert_books_agree(world.simulator)


class TestOneOrderTwoTransactions:
    def test_giving_back_the_second_one_leaves_the_payment_paid(self, world: World, clock: Clock):
        payment = paid(clock)
        second = world.simulator.act("sale", reference=reference(payment), amount_minor=1000)
        hear(world, "transaction.sale.success")
        assert open_reviews() == ["second_capture"]

        world.decide_by(Review.objects.get(), "refund")
        advance_refund(Refund.objects.get().pk, clock)

        assert state_of(payment) == PaymentState.CAPTURED
        voided = [m["gateway_id"] for m in world.simulator.movements() if m["kind"] == "void"]
        assert voided == [second["transaction"]["transaction_id"]]
        assert (balance("1110"), balance("2040"), balance("2030")) == (1000, 0, 0)
        assert_books_agree(world.simulator)

    def test_releasing_the_second_hold_keeps_the_first(self, world: World, clock: Clock):
        payment = paid(clock, capture="manual")
        second = world.simulator.act("auth", reference=reference(payment), amount_minor=700)
        hear(world, "transaction.auth.success")
        assert open_reviews() == ["late_authorisation"]

        world.decide_by(Review.objects.get(), "void_hold")
        advance_payment(payment.pk, clock)

        assert state_of(payment) == PaymentState.AUTHORISED
        voided = [m["gateway_id"] for m in world.simulator.movements() if m["kind"] == "void"]
        assert voided == [second["transaction"]["transaction_id"]]
        assert balance("9010") == 1000
        assert_books_agree(world.simulator)

    def test_two_late_holds_of_one_order_are_two_cases(self, world: World, clock: Clock):
        payment = paid(clock, capture="manual")
        for amount_minor in (700, 800):
            world.simulator.act("auth", reference=reference(payment), amount_minor=amount_minor)

        world.deliver_rest()

        assert open_reviews() == ["late_authorisation", "late_authorisation"]
        assert balance("9010") == 2500


class TestRefundsByOtherHands:
    def test_one_we_hear_of_before_the_capture_is_not_lost(self, world: World, clock: Clock):
        payment = paid(clock, capture="manual")
        world.simulator.act("capture", reference=reference(payment))
        world.settle_batch()
        world.simulator.act("refund", reference=reference(payment), amount_minor=300)

        hear(world, "transaction.refund.success")

        assert state_of(payment) == PaymentState.SETTLED
        assert (balance("1110"), balance("2020")) == (700, -700)
        assert_books_agree(world.simulator)

    def test_one_that_the_report_does_not_show_yet_is_heard_again(self, world: World, clock: Clock):
        payment = paid(clock, capture="manual")
        world.simulator.act("capture", reference=reference(payment))
        world.settle_batch()
        world.simulator.act("refund", reference=reference(payment), amount_minor=300)
        world.simulator.fault("lookup_lag:600", "query", times=1)

        hear(world, "transaction.refund.success")
        assert balance("1110") == 1000  # the gateway was asked, and its report lags behind
        world.pass_time(minutes=12)
        world.sweep()
        world.drain()
        world.run_nudged()

        assert (balance("1110"), balance("2020")) == (700, -700)
        assert_books_agree(world.simulator)

    def test_money_under_review_may_go_back_by_refund_after_settlement(self, world: World, clock: Clock):
        payment = paid(clock, capture="manual")
        cancel_payment(payment.public_id, actor=SYSTEM, now=clock())
        advance_payment(payment.pk, clock)
        world.simulator.act("capture", reference=reference(payment), force=True)
        ask_about(payment.pk, clock)
        assert open_reviews() == ["captured_after_cancel"]
        world.settle_batch()
        world.simulator.act("refund", reference=reference(payment), amount_minor=1000)

        world.deliver_rest()
        world.run_nudged()

        assert (open_reviews(), balance("2050"), balance("1110")) == ([], 0, 0)
        assert_books_agree(world.simulator)

    def test_a_void_fulfils_the_refund_that_waited_for_it(self, world: World, clock: Clock):
        payment = paid(clock)
        refund = request_refund(payment.public_id, amount_minor=1000, reason="returned", actor=SYSTEM, now=clock())
        world.simulator.act("void", reference=reference(payment))

        hear(world, "transaction.void.success")

        refund.refresh_from_db()
        assert (refund.state, state_of(payment)) == ("succeeded", PaymentState.REFUNDED)
        assert (balance("1110"), balance("2030"), balance("2020")) == (0, 0, 0)
        assert_books_agree(world.simulator)

    def test_a_void_frees_the_part_that_waited_for_settlement(self, world: World, clock: Clock):
        payment = paid(clock)
        refund = request_refund(payment.public_id, amount_minor=300, reason="broken", actor=SYSTEM, now=clock())
        world.simulator.act("void", reference=reference(payment))
        hear(world, "transaction.void.success")
        world.pass_time(hours=2)
        world.sweep()

        refund.refresh_from_db()
        assert (refund.state, state_of(payment), open_reviews()) == ("failed", PaymentState.REFUNDED, [])
        assert (balance("1110"), balance("2030"), balance("2020")) == (0, 0, 0)
        assert_books_agree(world.simulator)

    def test_a_refund_voided_in_the_dashboard_brings_the_money_back_into_suspense(self, world: World, clock: Clock):
        payment = paid(clock)
        world.settle_batch()
        refund = request_refund(payment.public_id, amount_minor=400, reason="broken", actor=SYSTEM, now=clock())
        advance_refund(refund.pk, clock)
        world.void_a_refund(0)

        world.deliver_rest()

        assert open_reviews() == ["refund_failed"]
        assert (balance("1110"), balance("2050"), balance("2020")) == (1000, -400, -600)
        assert_books_agree(world.simulator)

    def test_a_refund_is_sent_when_the_gateway_is_back_however_long_it_was_away(self, world: World, clock: Clock):
        payment = paid(clock)
        world.settle_batch()
        ask_about(payment.pk, clock)
        refund = request_refund(payment.public_id, amount_minor=400, reason="broken", actor=SYSTEM, now=clock())
        world.simulator.fault("rate_limited", "refund", times=8)
        for _ in range(8):
            advance_refund(refund.pk, clock)
        refund.refresh_from_db()
        assert (refund.state, open_reviews()) == ("waiting", ["refund_overdue"])

        for _ in range(4):
            world.pass_time(hours=2)
            sweep(clock)

        refund.refresh_from_db()
        assert refund.state == "succeeded"
        assert_books_agree(world.simulator)

    def test_money_of_another_payment_is_not_refunded_by_a_wrong_transaction(self, world: World, clock: Clock):
        world.simulator.act("foreign_sale", amount_minor=1000)
        target = paid(clock, token="tok_decline_insufficient_funds")
        world.deliver_rest()
        world.pass_time(hours=2)
        world.drain()
        world.decide_by(Review.objects.get(), "apply_to_other")
        assert state_of(target) == PaymentState.CAPTURED

        with pytest.raises(NotAllowedNow, match="dashboard"):
            request_refund(target.public_id, amount_minor=1000, reason="returned", actor=SYSTEM, now=clock())

    def test_money_that_pays_another_payment_and_is_voided_becomes_a_case(self, world: World, clock: Clock):
        first = paid(clock, capture="manual")
        cancel_payment(first.public_id, actor=SYSTEM, now=clock())
        advance_payment(first.pk, clock)
        world.simulator.act("capture", reference=reference(first), force=True)
        ask_about(first.pk, clock)
        other = paid(clock, token="tok_decline_insufficient_funds")
        world.decide_by(Review.objects.get(), "apply_to_other")
        assert state_of(other) == PaymentState.CAPTURED

        world.simulator.act("void", reference=reference(first))
        ask_about(first.pk, clock)

        assert open_reviews() == ["refund_beyond_cap"]
        assert (balance("1110"), balance("2020"), balance("2050")) == (0, -1000, 1000)
        assert_books_agree(world.simulator)


class TestMidFlight:
    def test_a_secret_that_went_missing_is_an_incident_and_no_crash(self, world: World, clock: Clock, monkeypatch):
        world.simulator.fault("lost_response", "sale", times=1)
        payment = paid(clock)
        monkeypatch.delenv("GATEWAY_NMI_SECURITY_KEY")

        sweep_until_quiet(clock, rounds=3)

        assert Incident.objects.get().closed_at is None
        assert (state_of(payment), open_reviews()) == (PaymentState.PENDING, [])
        monkeypatch.setenv("GATEWAY_NMI_SECURITY_KEY", "demo-nmi-security-key")
        sweep_until_quiet(clock, rounds=6)
        assert state_of(payment) == PaymentState.CAPTURED
        assert_books_agree(world.simulator)

    def test_nothing_is_sent_again_once_the_money_came_after_all(self, world: World, clock: Clock):
        paid(clock)
        world.simulator.fault("duplicate", "sale", times=1)
        payment = paid(clock)
        sweep_until_quiet(clock, rounds=2)
        assert open_reviews() == ["duplicate_of_other_payment"]
        world.simulator.act("sale", reference=reference(payment), amount_minor=1000)
        hear(world, "transaction.sale.success")
        assert state_of(payment) == PaymentState.CAPTURED

        refused = {option.code: option.refused for option in options_of(Review.objects.get())}

        assert "captured" in refused["send_again"]
        assert "captured" in refused["give_up"]
