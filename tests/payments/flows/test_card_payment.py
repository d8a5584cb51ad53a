"""The life of a card payment, from the intent to both books, also when the gateway or the wire fails."""

from __future__ import annotations

from datetime import timedelta

import pytest

from payments.errors import Forbidden, InvalidInput, NotAllowedNow, NotEnough
from payments.models import Incident, LookUp, Operation, Payment, Refund
from payments.services.actors import SYSTEM
from payments.services.commands import cancel_payment, capture_payment
from payments.services.execution import advance_payment
from payments.services.inbox import back_fill
from payments.services.refunds import advance_refund, request_refund
from payments.services.resolution import ask_about
from payments.services.sending import run_operation
from payments.services.sweep import sweep
from payments.states import OperationState, PaymentState, Waits
from tests.payments.factories import Clock, new_payment, nmi_account, operator, paid, sweep_until_quiet
from tests.payments.flows.books import assert_books_agree, balance, open_reviews
from tests.simulator_fixture import SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)


class TestAutomaticCapture:
    def test_a_sale_is_captured_and_booked_once(self, simulator: SimulatorProcess, clock: Clock):
        payment = paid(clock)

        assert payment.state == PaymentState.CAPTURED
        assert (payment.waits_for, payment.next_check_at) == (Waits.NOTHING, None)
        assert balance("1110") == 1000
        assert balance("2020") == -1000
        assert_books_agree(simulator)

    def test_advancing_again_changes_nothing(self, simulator: SimulatorProcess, clock: Clock):
        payment = paid(clock)

        advance_payment(payment.pk, clock)

        assert simulator.books()["requests"]["transact.sale"] == 1
        assert_books_agree(simulator)

    @pytest.mark.parametrize(
        "token", ["tok_decline_soft_decline", "tok_decline_insufficient_funds", "tok_decline_expired_card"]
    )
    def test_a_decline_fails_the_payment_and_says_why(self, token, simulator: SimulatorProcess, clock: Clock):
        payment = paid(clock, token=token)

        operation = payment.operations.get()
        assert payment.state == PaymentState.FAILED
        assert operation.state == OperationState.DECLINED
        assert operation.failure_class == token.removeprefix("tok_decline_")
        assert operation.certainty == "refused"
        assert_books_agree(simulator)

    def test_a_currency_the_gateway_can_not_take_has_no_route(self, simulator: SimulatorProcess, clock: Clock):
        payment = paid(clock, currency="KWD")

        assert payment.state == PaymentState.FAILED
        assert "KWD" in payment.transitions.get(fact="no_route").because


class TestLostAnswers:
    def test_a_lost_response_is_unknown_then_found_by_a_look_up(self, simulator: SimulatorProcess, clock: Clock):
        simulator.fault("lost_response", "sale", times=1)

        payment = paid(clock)
        assert payment.state == PaymentState.PENDING
        assert payment.waits_for == Waits.LOOK_UP
        assert payment.operations.get().state == OperationState.UNKNOWN

        clock.pass_(minutes=1)
        sweep(clock)

        payment.refresh_from_db()
        assert payment.state == PaymentState.CAPTURED
        assert payment.operations.get().look_ups.get().result == LookUp.Result.FOUND
        assert_books_agree(simulator)

    def test_a_request_that_never_arrived_is_proven_absent_by_evidence(self, simulator: SimulatorProcess, clock: Clock):
        simulator.fault("dropped_request", "sale", times=1)
        payment = paid(clock)

        clock.pass_(minutes=10)
        for _ in range(6):
            sweep(clock)
            clock.pass_(minutes=1)
        payment.refresh_from_db()
        assert payment.state == PaymentState.PENDING  # too early, however often it was asked

        sweep_until_quiet(clock, rounds=8)

        payment.refresh_from_db()
        operation = payment.operations.order_by("id")[0]
        assert operation.state == OperationState.FAILED
        assert payment.retries.get().state == "done"
        assert payment.state == PaymentState.CAPTURED  # proven absent, so it could be tried again
        assert [m["amount_minor"] for m in simulator.movements()] == [1000]
        assert operation.look_ups.filter(counts=True, result=LookUp.Result.ABSENT).count() >= 5
        assert operation.look_ups.filter(method__startswith="by window").exists()
        assert_books_agree(simulator)

    def test_a_refused_connection_is_not_sent_and_is_tried_again(self, simulator, clock: Clock, monkeypatch, free_port):
        with monkeypatch.context() as elsewhere:
            elsewhere.setenv("GATEWAY_NMI_BASE_URL", f"http://127.0.0.1:{free_port}/nmi")
            payment = paid(clock)

        assert (payment.state, payment.waits_for) == (PaymentState.PENDING, Waits.RETRY)
        assert payment.operations.get().certainty == "not_sent"
        sweep_until_quiet(clock, rounds=3)
        payment.refresh_from_db()
        assert payment.state == PaymentState.CAPTURED
        assert_books_agree(simulator)

    @pytest.mark.parametrize("fault", ["server_error", "empty_body", "html_body"])
    def test_an_answer_that_says_nothing_is_unknown(self, fault, simulator: SimulatorProcess, clock: Clock):
        simulator.fault(fault, "sale", times=1)

        payment = paid(clock)

        assert payment.operations.get().state == OperationState.UNKNOWN
        sweep_until_quiet(clock)
        payment.refresh_from_db()
        first, again = payment.operations.order_by("id")
        assert first.certainty == "not_sent"  # none of these was processed: proven absent, not assumed
        assert again.certainty == "taken"
        assert payment.state == PaymentState.CAPTURED
        assert_books_agree(simulator)

    def test_look_ups_without_an_answer_open_one_incident_and_no_review(
        self, simulator: SimulatorProcess, clock: Clock
    ):
        simulator.fault("lost_response", "sale", times=2)
        simulator.fault("lookup_down", "query", times=1000)
        payments = [paid(clock), paid(clock)]

        sweep_until_quiet(clock, rounds=10)

        assert Incident.objects.get().closed_at is None
        assert open_reviews() == []
        assert {p.operations.get().look_ups_answered for p in payments} == {0}
        simulator.clear_faults()
        sweep_until_quiet(clock, rounds=30)
        assert Incident.objects.get().closed_at is not None
        assert set(Payment.objects.values_list("state", flat=True)) == {"captured"}
        assert_books_agree(simulator)


class TestHoldsAndCaptures:
    def test_a_hold_is_a_memo_until_it_is_captured_in_part(self, simulator: SimulatorProcess, clock: Clock):
        payment = paid(clock, capture="manual")
        assert (payment.state, payment.waits_for) == (PaymentState.AUTHORISED, Waits.MERCHANT)
        assert (balance("9010"), balance("1110")) == (1000, 0)

        capture_payment(payment.public_id, amount_minor=600, final=True, actor=SYSTEM, now=clock())
        advance_payment(payment.pk, clock)

        payment.refresh_from_db()
        assert payment.state == PaymentState.CAPTURED
        assert (balance("9010"), balance("1110"), balance("2020")) == (0, 600, -600)
        assert_books_agree(simulator)

    def test_more_than_is_held_a_part_that_is_not_final_and_no_right_are_refused(self, simulator, clock: Clock):
        payment = paid(clock, capture="manual")
        ask = {"actor": SYSTEM, "now": clock()}

        with pytest.raises(NotEnough, match=r"10\.01"):
            capture_payment(payment.public_id, amount_minor=1001, final=True, **ask)
        with pytest.raises(InvalidInput) as refused:
            capture_payment(payment.public_id, amount_minor=500, final=False, **ask)
        assert refused.value.field == "final"
        with pytest.raises(Forbidden):
            capture_payment(payment.public_id, amount_minor=500, final=True, actor=operator(), now=clock())
        assert payment.operations.count() == 1

    def test_a_lost_capture_answer_is_found_by_the_next_look_up(self, simulator: SimulatorProcess, clock: Clock):
        payment = paid(clock, capture="manual")
        simulator.fault("lost_response", "capture", times=1)
        capture_payment(payment.public_id, amount_minor=None, final=True, actor=SYSTEM, now=clock())
        advance_payment(payment.pk, clock)

        clock.pass_(minutes=1)
        sweep(clock)

        payment.refresh_from_db()
        assert payment.state == PaymentState.CAPTURED
        assert_books_agree(simulator)

    def test_cancel_voids_the_hold_and_proves_it(self, simulator: SimulatorProcess, clock: Clock):
        payment = paid(clock, capture="manual")

        cancel_payment(payment.public_id, actor=SYSTEM, now=clock())
        advance_payment(payment.pk, clock)

        payment.refresh_from_db()
        assert payment.state == PaymentState.CANCELLED
        assert balance("9010") == 0
        assert simulator.books()["holds_open"] == []
        assert_books_agree(simulator)

    def test_a_void_that_never_arrived_is_asked_again_until_it_is_proven(
        self, simulator: SimulatorProcess, clock: Clock
    ):
        payment = paid(clock, capture="manual")
        simulator.fault("dropped_request", "void", times=1)
        cancel_payment(payment.public_id, actor=SYSTEM, now=clock())
        advance_payment(payment.pk, clock)

        sweep_until_quiet(clock)

        payment.refresh_from_db()
        assert payment.state == PaymentState.CANCELLED
        assert payment.operations.filter(kind="void").count() == 2
        assert_books_agree(simulator)

    def test_a_cancel_before_anything_was_sent_ends_at_once(self, simulator: SimulatorProcess, clock: Clock):
        payment = new_payment(clock)

        cancel_payment(payment.public_id, actor=SYSTEM, now=clock())
        advance_payment(payment.pk, clock)

        payment.refresh_from_db()
        assert payment.state == PaymentState.CANCELLED
        assert simulator.books()["requests"].get("transact.sale", 0) == 0

    def test_a_cancel_while_the_outcome_is_unknown_waits_for_the_truth(self, simulator: SimulatorProcess, clock: Clock):
        simulator.fault("lost_response", "auth", times=1)
        payment = paid(clock, capture="manual")

        cancel_payment(payment.public_id, actor=SYSTEM, now=clock())
        payment.refresh_from_db()
        assert payment.state == PaymentState.PENDING
        sweep_until_quiet(clock, rounds=6)

        payment.refresh_from_db()
        assert payment.state == PaymentState.CANCELLED
        assert simulator.books()["holds_open"] == []
        assert_books_agree(simulator)

    def test_a_hold_that_ends_soon_opens_a_case_and_the_gateway_says_when_it_lapsed(self, simulator, clock: Clock):
        payment = paid(clock, capture="manual")
        clock.offset = payment.hold_until - Clock()() - (nmi_warning() / 2)
        sweep(clock)
        assert open_reviews() == ["hold_ending"]

        simulator.act("expire_hold", reference=payment.attempts.get().reference)
        clock.pass_(days=2)
        sweep(clock)

        payment.refresh_from_db()
        assert payment.state == PaymentState.EXPIRED
        assert balance("9010") == 0


def nmi_warning():
    return timedelta(seconds=nmi_account().hold_warning_seconds)


class TestRefunds:
    def test_the_whole_before_settlement_is_voided(self, simulator: SimulatorProcess, clock: Clock):
        payment = paid(clock)

        refund = request_refund(payment.public_id, amount_minor=1000, reason="returned", actor=SYSTEM, now=clock())
        assert balance("2030") == -1000
        advance_refund(refund.pk, clock)

        refund.refresh_from_db()
        payment.refresh_from_db()
        assert (refund.state, payment.state) == ("succeeded", PaymentState.REFUNDED)
        assert (balance("1110"), balance("2030"), balance("2020")) == (0, 0, 0)
        assert_books_agree(simulator)

    def test_a_part_waits_for_settlement_and_goes_back_then(self, simulator: SimulatorProcess, clock: Clock):
        payment = paid(clock)
        refund = request_refund(payment.public_id, amount_minor=300, reason="broken", actor=SYSTEM, now=clock())
        advance_refund(refund.pk, clock)
        refund.refresh_from_db()
        assert (refund.state, refund.waits_for) == ("waiting", Waits.SETTLEMENT)

        simulator.act("batch_settle")
        clock.pass_(hours=2)
        sweep(clock)

        refund.refresh_from_db()
        payment.refresh_from_db()
        assert (refund.state, payment.state) == ("succeeded", PaymentState.SETTLED)
        assert (balance("1110"), balance("2030"), balance("2020")) == (700, 0, -700)
        assert_books_agree(simulator)

    def test_two_equal_partial_refunds_count_twice_and_a_third_beyond_the_cap_is_refused(self, simulator, clock: Clock):
        payment = paid(clock)
        simulator.act("batch_settle")
        ask_about(payment.pk, clock)
        for _ in range(2):
            refund = request_refund(payment.public_id, amount_minor=400, reason="part", actor=SYSTEM, now=clock())
            advance_refund(refund.pk, clock)

        with pytest.raises(NotEnough, match=r"2\.00"):
            request_refund(payment.public_id, amount_minor=400, reason="part", actor=SYSTEM, now=clock())
        assert balance("2020") == -200
        assert_books_agree(simulator)

    def test_a_lost_refund_answer_is_never_sent_again(self, simulator: SimulatorProcess, clock: Clock):
        payment = paid(clock)
        simulator.act("batch_settle")
        ask_about(payment.pk, clock)
        simulator.fault("lost_response", "refund", times=1)
        refund = request_refund(payment.public_id, amount_minor=400, reason="part", actor=SYSTEM, now=clock())
        advance_refund(refund.pk, clock)

        sweep_until_quiet(clock, rounds=4)

        refund.refresh_from_db()
        assert refund.state == "succeeded"
        assert simulator.books()["requests"]["transact.refund"] == 1
        assert_books_agree(simulator)

    def test_a_refund_made_at_the_gateway_is_adopted_from_its_list(self, simulator: SimulatorProcess, clock: Clock):
        payment = paid(clock)
        simulator.act("batch_settle")
        simulator.act("refund", reference=payment.attempts.get().reference, amount_minor=250)

        back_fill("nmi", clock() - timedelta(hours=1), clock() + timedelta(hours=1), clock, actor=SYSTEM)

        refund = Refund.objects.get()
        assert (refund.origin, refund.state, refund.amount_minor) == ("external", "succeeded", 250)
        assert (balance("1110"), balance("2020")) == (750, -750)
        assert open_reviews() == []
        assert_books_agree(simulator)

    def test_nothing_is_refunded_before_it_is_captured_and_a_reason_is_needed(self, simulator, clock: Clock):
        payment = paid(clock, capture="manual")

        with pytest.raises(NotAllowedNow, match="authorised"):
            request_refund(payment.public_id, amount_minor=1, reason="x", actor=SYSTEM, now=clock())
        with pytest.raises(InvalidInput):
            request_refund(payment.public_id, amount_minor=1, reason=" ", actor=SYSTEM, now=clock())


class TestRaces:
    def test_a_planned_operation_is_run_once_by_two_workers(self, simulator: SimulatorProcess, clock: Clock):
        payment = paid(clock)
        operation = Operation.objects.get()

        run_operation(operation.pk, clock)

        assert payment.operations.count() == 1
        assert simulator.books()["requests"]["transact.sale"] == 1
