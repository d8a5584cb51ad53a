"""Contradictions: the money is booked at once, a person decides what it is for, the entry leaves suspense with them as cause."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model

from ledger.money import Money
from payments.errors import Conflict, Forbidden, InvalidInput, NotAllowedNow
from payments.facts import Fact, FactKind
from payments.models import Attempt, GatewayAccount, Payment, Review
from payments.services.actors import SYSTEM, Actor
from payments.services.commands import cancel_payment
from payments.services.execution import advance_payment
from payments.services.recording import Cause, record_fact
from payments.services.refunds import advance_refund
from payments.services.resolution import ask_about
from payments.services.reviews import decide_review, options_of, prepare_decision
from payments.services.sweep import sweep
from payments.states import OperationKind, PaymentState, ReviewState, Source, Waits
from tests.payments.factories import Clock, new_payment, operator, paid, sweep_until_quiet
from tests.payments.flows.books import assert_books_agree, balance, open_reviews
from tests.simulator_fixture import SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def olga() -> Actor:
    user = get_user_model().objects.create_user("olga")
    return operator("decide_review", "ask_gateway", user_id=user.pk)


def cancelled(clock: Clock) -> Payment:
    payment = paid(clock, capture="manual", email="payer@example.com")
    cancel_payment(payment.public_id, actor=SYSTEM, now=clock())
    advance_payment(payment.pk, clock)
    payment.refresh_from_db()
    assert payment.state == PaymentState.CANCELLED
    return payment


def captured_after_cancel(simulator: SimulatorProcess, clock: Clock) -> Review:
    payment = cancelled(clock)
    simulator.act("capture", reference=payment.attempts.get().reference, force=True)
    ask_about(payment.pk, clock)
    return Review.objects.get()


def decide(review: Review, option: str, actor: Actor, clock: Clock, **more: object) -> Review:
    """Both steps, as the page makes them: ask and show, then decide on what was shown."""
    prepared = prepare_decision(review.public_id, option=option, actor=actor, clock=clock)
    assert prepared.refused == ""
    return decide_review(
        review.public_id,
        option=option,
        reason="gateway_error",
        note="seen in the gateway's dashboard",
        version=prepared.version,
        actor=actor,
        now=clock(),
        **more,  # type: ignore[arg-type]
    )


class TestCapturedAfterCancel:
    def test_the_money_is_in_suspense_at_once(self, simulator: SimulatorProcess, clock: Clock):
        review = captured_after_cancel(simulator, clock)

        assert (review.kind, review.held) == ("captured_after_cancel", Money(1000, "USD"))
        assert (balance("1110"), balance("2050")) == (1000, -1000)
        assert Payment.objects.get().state == PaymentState.CANCELLED
        assert_books_agree(simulator)

    def test_giving_it_back_empties_suspense_and_the_gateway(self, simulator: SimulatorProcess, clock: Clock, olga):
        review = captured_after_cancel(simulator, clock)
        assert options_of(review)[0].code == "refund"

        decide(review, "refund", olga, clock)
        refund = review.refunds.get()
        assert (balance("2050"), balance("2030")) == (0, -1000)
        advance_refund(refund.pk, clock)

        refund.refresh_from_db()
        assert refund.state == "succeeded"
        assert (balance("1110"), balance("2030"), balance("2050")) == (0, 0, 0)
        assert_books_agree(simulator)

    def test_letting_it_pay_makes_the_payment_captured(self, simulator: SimulatorProcess, clock: Clock, olga):
        review = captured_after_cancel(simulator, clock)

        decide(review, "apply_here", olga, clock)

        payment = Payment.objects.get()
        assert payment.state == PaymentState.CAPTURED
        assert (balance("2050"), balance("2020")) == (0, -1000)
        decided = payment.transitions.get(fact="review_decided")
        assert (decided.actor, decided.user_id) == ("olga", olga.user_id)
        assert_books_agree(simulator)

    def test_keeping_it_as_balance_credits_the_payers_wallet(self, simulator: SimulatorProcess, clock: Clock, olga):
        review = captured_after_cancel(simulator, clock)

        decide(review, "wallet", olga, clock)

        assert (balance("2050"), balance("2010")) == (0, -1000)
        assert_books_agree(simulator)

    def test_letting_it_pay_another_needs_an_unpaid_payment_over_the_same_sum(self, simulator, clock: Clock, olga):
        review = captured_after_cancel(simulator, clock)
        other = paid(clock, token="tok_decline_insufficient_funds")
        dearer = paid(clock, token="tok_decline_insufficient_funds", amount_minor=2000)

        with pytest.raises(InvalidInput) as refused:
            decide(review, "apply_to_other", olga, clock, target_payment=dearer.public_id)
        assert refused.value.field == "target_payment"
        decide(review, "apply_to_other", olga, clock, target_payment=other.public_id)

        other.refresh_from_db()
        assert other.state == PaymentState.CAPTURED
        assert (balance("2050"), balance("2020")) == (0, -1000)
        assert_books_agree(simulator)

    def test_holding_it_moves_the_date_and_nothing_else(self, simulator: SimulatorProcess, clock: Clock, olga):
        review = captured_after_cancel(simulator, clock)

        decide(review, "hold_until", olga, clock, until=clock() + timedelta(days=3))

        review.refresh_from_db()
        assert review.state == ReviewState.OPEN
        assert review.due_at > clock() + timedelta(days=2)
        assert balance("2050") == -1000

    def test_money_that_went_back_at_the_gateway_meanwhile_closes_the_case(self, simulator, clock: Clock, olga):
        review = captured_after_cancel(simulator, clock)
        simulator.act("void", reference=review.attempt.reference)

        prepared = prepare_decision(review.public_id, option="refund", actor=olga, clock=clock)

        review.refresh_from_db()
        assert review.state == ReviewState.SETTLED
        assert any("went back at the gateway" in change for change in prepared.changes)
        assert "settled already" in prepared.refused
        assert (balance("1110"), balance("2050")) == (0, 0)
        assert_books_agree(simulator)


class TestDecidingIsGuarded:
    def test_not_without_asking_the_gateway_just_before(self, simulator: SimulatorProcess, clock: Clock, olga):
        review = captured_after_cancel(simulator, clock)
        ask = {"option": "refund", "reason": "other", "note": "seen there", "actor": olga}

        with pytest.raises(NotAllowedNow):
            decide_review(review.public_id, version=review.version, now=clock(), **ask)
        prepare_decision(review.public_id, option="refund", actor=olga, clock=clock)
        with pytest.raises(NotAllowedNow):
            decide_review(review.public_id, version=review.version, now=clock() + timedelta(hours=1), **ask)
        assert balance("2050") == -1000

    def test_not_while_the_gateway_does_not_answer(self, simulator: SimulatorProcess, clock: Clock, olga):
        review = captured_after_cancel(simulator, clock)
        simulator.fault("lookup_down", "query", times=5)

        prepared = prepare_decision(review.public_id, option="refund", actor=olga, clock=clock)

        assert "did not answer" in prepared.refused
        assert prepared.lines == ()

    def test_not_twice_and_the_second_is_told_who_was_faster(self, simulator: SimulatorProcess, clock: Clock, olga):
        review = captured_after_cancel(simulator, clock)
        decide(review, "refund", olga, clock)

        with pytest.raises(Conflict, match="olga"):
            decide_review(
                review.public_id,
                option="apply_here",
                reason="other",
                note="I saw it too",
                version=review.version,
                actor=olga,
                now=clock(),
            )
        assert balance("2020") == 0

    @pytest.mark.parametrize(
        ("reason", "note", "field"),
        [("because", "long enough", "reason"), ("other", " ", "note"), ("", "fine", "reason")],
    )
    def test_not_without_reason_and_note(self, reason, note, field, simulator, clock: Clock, olga):
        review = captured_after_cancel(simulator, clock)

        with pytest.raises(InvalidInput) as refused:
            decide_review(
                review.public_id, option="refund", reason=reason, note=note, version=0, actor=olga, now=clock()
            )
        assert refused.value.field == field

    def test_not_without_the_right(self, simulator: SimulatorProcess, clock: Clock):
        review = captured_after_cancel(simulator, clock)

        with pytest.raises(Forbidden):
            prepare_decision(review.public_id, option="refund", actor=operator(), clock=clock)


class TestMismatches:
    def test_another_amount_is_booked_and_reviewed(self, simulator: SimulatorProcess, clock: Clock, olga):
        simulator.fault("amount_off:200", "sale", times=1)
        payment = paid(clock)
        ask_about(payment.pk, clock)

        assert open_reviews() == ["amount_mismatch"]
        assert balance("1110") == 1200
        assert_books_agree(simulator)
        decide(Review.objects.get(), "apply_here", olga, clock)
        assert balance("2050") == 0
        assert_books_agree(simulator)

    def test_less_than_booked_is_adopted_out_of_sales(self, simulator: SimulatorProcess, clock: Clock, olga):
        simulator.fault("amount_off:-200", "sale", times=1)
        payment = paid(clock)
        ask_about(payment.pk, clock)
        review = Review.objects.get()
        assert balance("1110") == 800
        assert_books_agree(simulator)

        if review.held_minor < 0:
            decide(review, "adopt", olga, clock)
        else:
            decide(review, "apply_here", olga, clock)

        assert (balance("2050"), balance("2020")) == (0, -800)
        assert_books_agree(simulator)

    def test_another_currency_is_booked_in_its_own(self, simulator: SimulatorProcess, clock: Clock):
        simulator.fault("currency_off:EUR", "sale", times=1)
        payment = paid(clock)
        ask_about(payment.pk, clock)

        assert set(open_reviews()) == {"currency_mismatch"}
        assert balance("1110", "EUR") == 1000
        assert balance("2050", "EUR") == -1000
        assert_books_agree(simulator)


class TestDuplicates:
    def test_a_duplicate_of_another_payment_is_refused_and_may_be_sent_again(self, simulator, clock: Clock, olga):
        first = paid(clock)
        simulator.fault("duplicate", "sale", times=1)
        payment = paid(clock)
        sweep_until_quiet(clock, rounds=2)
        payment.refresh_from_db()

        if open_reviews() != ["duplicate_of_other_payment"]:
            sweep_until_quiet(clock, rounds=12)
            pytest.fail(f"{open_reviews()} {[t.because for t in payment.transitions.all()]}")
        assert payment.state == PaymentState.PENDING
        decide(Review.objects.get(), "send_again", olga, clock)
        advance_payment(payment.pk, clock)

        payment.refresh_from_db()
        assert payment.state == PaymentState.CAPTURED
        assert first.public_id != payment.public_id
        assert_books_agree(simulator)


class TestExhausted:
    def test_answers_that_never_decide_end_with_a_person(self, simulator: SimulatorProcess, clock: Clock, olga):
        GatewayAccount.objects.update(absence_look_ups=50, look_up_limit=6)
        simulator.fault("dropped_request", "sale", times=1)
        payment = paid(clock, expires_in_seconds=900)  # no time for another try

        sweep_until_quiet(clock, rounds=20)

        assert open_reviews() == ["lookup_exhausted"]
        decide(Review.objects.get(), "never_happened", olga, clock)
        advance_payment(payment.pk, clock)
        payment.refresh_from_db()
        assert payment.state == PaymentState.FAILED
        assert_books_agree(simulator)


class TestOrphans:
    def test_money_of_nobody_is_parked_then_booked_and_may_pay_a_failed_payment(self, simulator, clock: Clock, olga):
        simulator.act("foreign_sale", amount_minor=1000)
        movement = simulator.movements()[0]
        fact = Fact(
            FactKind.CAPTURE,
            Source.WEBHOOK,
            clock(),
            gateway_id=movement["gateway_id"],
            reference=movement["reference"],
            money=Money(movement["amount_minor"], movement["currency"]),
        )
        account = GatewayAccount.objects.get()

        parked = record_fact(fact, account_id=account.pk, cause=Cause(), now=clock())
        assert (parked.changed, balance("2050")) == (False, 0)
        record_fact(fact, account_id=account.pk, cause=Cause(), now=clock(), orphan_due=True)

        assert open_reviews() == ["orphan"]
        assert_books_agree(simulator)
        other = paid(clock, token="tok_decline_insufficient_funds")
        decide(Review.objects.get(), "apply_to_other", olga, clock, target_payment=other.public_id)
        other.refresh_from_db()
        assert other.state == PaymentState.CAPTURED
        assert_books_agree(simulator)

    def test_on_a_shared_account_it_is_foreign(self, simulator: SimulatorProcess, clock: Clock):
        GatewayAccount.objects.update(shared=True)
        fact = Fact(FactKind.CAPTURE, Source.WEBHOOK, clock(), gateway_id="1", money=Money(5, "USD"))

        record_fact(fact, account_id=GatewayAccount.objects.get().pk, cause=Cause(), now=clock(), orphan_due=True)

        assert open_reviews() == []
        assert balance("1110") == 0


class TestLateMoney:
    def test_a_payment_given_up_is_paid_when_the_gateway_confirms_later(
        self, simulator: SimulatorProcess, clock: Clock
    ):
        simulator.fault("dropped_request", "sale", times=1)
        payment = paid(clock, expires_in_seconds=900)  # no time for another try
        sweep_until_quiet(clock, rounds=12)
        payment.refresh_from_db()
        assert payment.state == PaymentState.FAILED

        capture_late(payment, simulator, clock)

        payment.refresh_from_db()
        assert (payment.state, payment.late_success) == (PaymentState.CAPTURED, True)
        assert payment.operations.get().state == "succeeded"

    def test_unless_another_payment_of_the_order_lives(self, simulator: SimulatorProcess, clock: Clock):
        simulator.fault("dropped_request", "sale", times=1)
        payment = paid(clock, reference="order-late", expires_in_seconds=900)
        sweep_until_quiet(clock, rounds=12)
        paid(clock, reference="order-late")

        capture_late(payment, simulator, clock)

        payment.refresh_from_db()
        assert payment.state == PaymentState.FAILED
        assert open_reviews() == ["late_success_sibling_paid"]
        assert balance("2050") == -1000

    def test_a_late_hold_of_a_cancelled_payment_is_released_on_a_click(self, simulator, clock: Clock, olga):
        simulator.fault("late_authorisation:1", "auth", times=1)
        payment = paid(clock, capture="manual")
        cancel_payment(payment.public_id, actor=SYSTEM, now=clock())
        attempt = Attempt.objects.get()
        if not simulator.movements():
            simulator.wait_until_quiet()
        sweep_until_quiet(clock, rounds=12)

        payment.refresh_from_db()
        assert payment.state == PaymentState.CANCELLED
        assert attempt.payment_id == payment.pk
        assert simulator.books()["holds_open"] == []
        assert_books_agree(simulator)


def capture_late(payment: Payment, simulator: SimulatorProcess, clock: Clock) -> None:
    """The gateway took it after all, under our reference."""
    fact = Fact(
        FactKind.CAPTURE,
        Source.WEBHOOK,
        clock(),
        gateway_id="777001",
        reference=payment.attempts.get().reference,
        money=payment.money,
    )
    record_fact(fact, account_id=GatewayAccount.objects.get().pk, cause=Cause(), now=clock())


class TestRadar:
    def test_same_payer_amount_and_currency_within_the_window_is_flagged(self, simulator, clock: Clock):
        first = new_payment(clock, email="p@example.com")
        second = new_payment(clock, email="P@example.com ")
        other = new_payment(clock, email="p@example.com", amount_minor=1001)
        clock.pass_(hours=1)
        later = new_payment(clock, email="p@example.com")

        assert second.possible_duplicate_of == first
        assert (other.possible_duplicate_of, later.possible_duplicate_of) == (None, None)


class TestExpiry:
    def lapsed(self, simulator: SimulatorProcess, clock: Clock) -> Payment:
        payment = paid(clock, capture="manual")
        simulator.act("expire_hold", reference=payment.attempts.get().reference)
        ask_about(payment.pk, clock)
        payment.refresh_from_db()
        assert payment.state == PaymentState.EXPIRED
        return payment

    def test_money_inside_grace_pays(self, simulator: SimulatorProcess, clock: Clock):
        payment = self.lapsed(simulator, clock)

        capture_late(payment, simulator, clock)

        payment.refresh_from_db()
        assert (payment.state, payment.late_success, open_reviews()) == (PaymentState.CAPTURED, True, [])

    def test_money_beyond_grace_is_booked_and_reviewed(self, simulator: SimulatorProcess, clock: Clock):
        payment = self.lapsed(simulator, clock)
        clock.pass_(days=3)

        capture_late(payment, simulator, clock)

        payment.refresh_from_db()
        assert (payment.state, open_reviews()) == (PaymentState.EXPIRED, ["captured_after_expiry"])
        assert balance("2050") == -1000

    def test_a_payment_whose_window_closed_before_it_was_worked_on_sends_nothing(self, simulator, clock: Clock):
        payment = new_payment(clock)
        clock.pass_(hours=2)

        sweep(clock)

        payment.refresh_from_db()
        assert payment.state == PaymentState.FAILED
        assert simulator.books()["requests"] == {}


class TestAskingFirst:
    """A contradiction is never believed by order of arrival: the gateway is asked, its answer decides."""

    def test_a_decline_after_a_capture_is_asked_about_and_changes_nothing(
        self, simulator: SimulatorProcess, clock: Clock
    ):
        payment = paid(clock)
        fact = Fact(
            FactKind.DECLINED,
            Source.WEBHOOK,
            clock(),
            reference=payment.attempts.get().reference,
            about=OperationKind.SALE,
        )

        recorded = record_fact(fact, account_id=GatewayAccount.objects.get().pk, cause=Cause(), now=clock())
        payment.refresh_from_db()
        assert (recorded.verdict, payment.waits_for) == ("ask", Waits.LOOK_UP)
        advance_payment(payment.pk, clock)

        payment.refresh_from_db()
        assert (payment.state, payment.waits_for, payment.next_check_at) == (PaymentState.CAPTURED, Waits.NOTHING, None)
        assert payment.operations.get().look_ups.count() == 1

    def test_a_webhook_with_another_amount_is_asked_about_and_the_difference_booked(self, simulator, clock: Clock):
        simulator.fault("amount_off:200", "sale", times=1)
        payment = paid(clock)
        if balance("1110") == 1000:
            fact = Fact(
                FactKind.CAPTURE,
                Source.WEBHOOK,
                clock(),
                gateway_id=payment.attempts.get().gateway_id,
                money=Money(1200, "USD"),
            )
            record_fact(fact, account_id=GatewayAccount.objects.get().pk, cause=Cause(), now=clock())
        advance_payment(payment.pk, clock)

        assert balance("1110") == 1200
        assert open_reviews() == ["amount_mismatch"]
        assert_books_agree(simulator)

    def test_fraud_blocks_the_method_at_every_gateway(self, simulator: SimulatorProcess, clock: Clock):
        payment = paid(clock, token="tok_decline_fraud")

        payment.method.refresh_from_db()
        assert payment.method.blocked_at is not None
