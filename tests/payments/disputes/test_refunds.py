"""May disputed money be refunded, and what becomes of a refund that had succeeded and comes back?"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model

from ledger.money import Money
from payments.errors import NotAllowedNow, NotEnough
from payments.facts import Fact, FactKind
from payments.models import Payment, Refund, Review
from payments.queries.page_rows import read_payment
from payments.queries.proofs import completeness_findings, suspense_findings
from payments.services.actors import SYSTEM
from payments.services.commands import preview_refund
from payments.services.refunds import advance_refund, lock_by_public_id, refundable_money, request_refund
from payments.services.reviews import decide_review, options_of, prepare_decision
from payments.states import DisputeState, PaymentState, RefundState, ReviewState, Source
from tests.payments.disputes.told import moved, record, the_dispute, word
from tests.payments.factories import Clock, operator
from tests.payments.flows.books import balance, open_reviews

pytestmark = pytest.mark.django_db(transaction=True)
D = DisputeState
PART = Money(300, "USD")


def refund(payment: Payment, clock: Clock, amount_minor: int = 300) -> Refund:
    return request_refund(payment.public_id, amount_minor=amount_minor, reason="returned", actor=SYSTEM, now=clock())


def decide(review: Review, option: str, clock: Clock) -> Review:
    user, _ = get_user_model().objects.get_or_create(username="olga")
    olga = operator("decide_review", "ask_gateway", user_id=user.pk)
    prepared = prepare_decision(review.public_id, option=option, actor=olga, clock=clock)
    assert prepared.refused == ""
    return decide_review(
        review.public_id,
        option=option,
        reason="other",
        note="seen in the dashboard",
        version=prepared.version,
        actor=olga,
        now=clock(),
    )


def left(payment: Payment) -> int:
    """What can be refunded: the service and the page say the same."""
    from django.db import transaction

    with transaction.atomic():
        minor = refundable_money(lock_by_public_id(payment.public_id)).amount_minor
    assert read_payment(payment).refundable.amount_minor == minor
    return minor


class TestDisputedMoney:
    def test_nothing_is_refunded_while_a_dispute_is_open(self, payment: Payment, charge: str, clock):
        record(word(D.CHARGEBACK, clock() - timedelta(hours=3), charge=charge, money=PART), clock)

        with pytest.raises(NotAllowedNow, match="would pay twice"):
            refund(payment, clock)
        assert "would pay twice" in preview_refund(payment.public_id).refused
        assert left(payment) == 700

    def test_an_inquiry_is_answered_by_accepting_it_and_then_refunding(self, payment: Payment, charge: str, clock):
        record(word(D.INQUIRY, clock() - timedelta(hours=3), charge=charge), clock)
        with pytest.raises(NotAllowedNow, match="accept the inquiry first"):
            refund(payment, clock)

        decide(Review.objects.get(), "accept_dispute", clock)

        assert the_dispute().accepted_at is not None
        assert refund(payment, clock, 1000).state == RefundState.APPROVED

    def test_what_a_dispute_has_taken_for_good_can_not_be_refunded(self, payment: Payment, charge: str, clock):
        at = clock() - timedelta(hours=3)
        record(moved(FactKind.CHARGEBACK, at, charge=charge, money=PART), clock)
        record(word(D.LOST, at, charge=charge, money=PART), clock)

        assert left(payment) == 700
        with pytest.raises(NotEnough):
            refund(payment, clock, 701)
        assert refund(payment, clock, 700).amount_minor == 700

    def test_what_was_won_and_is_back_can_be_refunded_again(self, payment: Payment, charge: str, clock):
        at = clock() - timedelta(hours=3)
        record(moved(FactKind.CHARGEBACK, at, charge=charge), clock)
        record(word(D.WON, at, charge=charge), clock)
        assert left(payment) == 0

        record(moved(FactKind.CHARGEBACK_RETURN, at, charge=charge), clock)
        assert left(payment) == 1000

    def test_a_refund_approved_before_the_dispute_is_not_sent_during_it(self, payment, charge: str, clock, simulator):
        promised = refund(payment, clock, 1000)
        record(word(D.CHARGEBACK, clock() - timedelta(hours=3), charge=charge), clock)

        advance_refund(promised.pk, clock)

        promised.refresh_from_db()
        assert (promised.state, promised.waits_because) == (
            RefundState.WAITING,
            "a dispute over the payment is open",
        )
        assert open_reviews() == ["dispute", "refund_overdue"]
        assert [m for m in simulator.movements() if m["kind"] == "refund"] == []

    def test_a_refund_that_the_lost_dispute_has_paid_is_not_sent_and_frees_what_it_reserved(
        self, payment, charge: str, clock, simulator
    ):
        promised = refund(payment, clock, 400)
        record(moved(FactKind.CHARGEBACK, clock() - timedelta(hours=3), charge=charge), clock)
        record(word(D.LOST, clock() - timedelta(hours=2), charge=charge), clock)

        advance_refund(promised.pk, clock)

        promised.refresh_from_db()
        assert promised.state == RefundState.FAILED
        assert (balance("2030"), balance("2020"), balance("5020")) == (0, -1000, 1000)
        assert open_reviews() == ["dispute_lost", "refund_failed"]
        assert [m for m in simulator.movements() if m["kind"] in {"refund", "void"}] == []
        assert [*map(str, suspense_findings()), *map(str, completeness_findings())] == []

    def test_what_a_lost_part_has_left_is_still_refunded(self, payment, charge: str, clock, simulator):
        simulator.act("batch_settle")
        record(Fact(FactKind.SETTLED, Source.WEBHOOK, clock(), gateway_id=charge), clock)
        promised = refund(payment, clock, 400)
        record(moved(FactKind.CHARGEBACK, clock() - timedelta(hours=3), charge=charge, money=PART), clock)
        record(word(D.LOST, clock() - timedelta(hours=2), charge=charge, money=PART), clock)

        advance_refund(promised.pk, clock)

        promised.refresh_from_db()
        assert (promised.state, left(payment)) == (RefundState.SUCCEEDED, 300)


class TestComesBack:
    def gone(self, payment: Payment, amount_minor: int, simulator, clock: Clock) -> Refund:
        simulator.act("batch_settle")
        record(Fact(FactKind.SETTLED, Source.WEBHOOK, clock(), gateway_id=payment.attempts.get().gateway_id), clock)
        made = refund(payment, clock, amount_minor)
        advance_refund(made.pk, clock)
        made.refresh_from_db()
        assert made.state == RefundState.SUCCEEDED
        return made

    @pytest.fixture
    def refunded(self, payment: Payment, simulator, clock) -> Refund:
        """All of it went back, by a refund after the batch."""
        return self.gone(payment, 1000, simulator, clock)

    def back(self, made: Refund, clock: Clock, kind: FactKind = FactKind.REFUND_RETURN) -> Fact:
        money = made.money if kind == FactKind.REFUND_RETURN else None
        return Fact(kind, Source.WEBHOOK, clock(), gateway_id=made.movements.get(kind="refund").gateway_id, money=money)

    @pytest.mark.parametrize("kind", [FactKind.REFUND_RETURN, FactKind.REFUND_FAILED])
    def test_the_payer_is_still_owed_and_a_case_opens(self, kind, refunded: Refund, clock):
        record(self.back(refunded, clock, kind), clock)

        refunded.refresh_from_db()
        refunded.payment.refresh_from_db()
        assert (refunded.state, refunded.payment.state) == (RefundState.RETURNED, PaymentState.REFUNDED)
        assert (balance("1110"), balance("2050"), balance("2030"), balance("2020")) == (1000, -1000, 0, 0)
        assert open_reviews() == ["refund_returned"]
        assert [*map(str, suspense_findings()), *map(str, completeness_findings())] == []

    def test_said_both_ways_it_comes_back_once(self, refunded: Refund, clock):
        for kind in (FactKind.REFUND_FAILED, FactKind.REFUND_RETURN, FactKind.REFUND_FAILED):
            record(self.back(refunded, clock, kind), clock)

        assert (balance("1110"), balance("2050"), open_reviews()) == (1000, -1000, ["refund_returned"])

    def test_it_can_be_refunded_again(self, payment: Payment, simulator, clock):
        part = self.gone(payment, 400, simulator, clock)
        record(self.back(part, clock), clock)

        decide(Review.objects.get(), "refund", clock)
        again = Refund.objects.latest("id")
        advance_refund(again.pk, clock)

        again.refresh_from_db()
        assert (again.state, again.origin) == (RefundState.SUCCEEDED, "review")
        assert (balance("1110"), balance("2050"), balance("2030")) == (600, 0, 0)
        assert left(payment) == 600

    def test_it_can_be_kept_by_decision(self, refunded: Refund, clock):
        record(self.back(refunded, clock), clock)

        assert decide(Review.objects.get(), "adopt", clock).state == ReviewState.DECIDED

        rows = read_payment(refunded.payment)
        assert (balance("2050"), balance("2020")) == (0, -1000)
        assert (rows.captured.amount_minor, rows.refunded.amount_minor, rows.refundable.amount_minor) == (1000, 0, 1000)

    def test_before_the_refund_itself_is_known_it_waits(self, payment: Payment, clock):
        early = Fact(
            FactKind.REFUND_RETURN,
            Source.WEBHOOK,
            clock(),
            gateway_id="re_9",
            original_gateway_id=payment.attempts.get().gateway_id,
            money=PART,
        )

        assert record(early, clock).verdict == "park"
        assert record(early, clock, orphan_due=True).verdict == "review"
        assert (balance("2050"), open_reviews()) == (-300, ["refund_returned"])

    def test_one_that_failed_while_it_was_still_open_was_refused_and_nothing_comes_back(
        self, payment: Payment, simulator, clock
    ):
        simulator.act("batch_settle")
        record(Fact(FactKind.SETTLED, Source.WEBHOOK, clock(), gateway_id=payment.attempts.get().gateway_id), clock)
        simulator.fault("dropped_request", "refund", times=1)
        made = refund(payment, clock)
        advance_refund(made.pk, clock)
        call = made.operations.get()
        assert (call.state, balance("2030")) == ("unknown", -300)

        record(
            Fact(FactKind.REFUND_FAILED, Source.WEBHOOK, clock(), gateway_id="re_7", reference=call.reference), clock
        )

        made.refresh_from_db()
        assert (made.state, balance("2030"), balance("2050"), balance("1110")) == (RefundState.FAILED, 0, 0, 1000)

    def test_a_failure_of_a_refund_nobody_knows_changes_nothing(self, payment: Payment, clock):
        unknown = Fact(FactKind.REFUND_FAILED, Source.WEBHOOK, clock(), gateway_id="re_9")

        assert record(unknown, clock).verdict == "park" or not record(unknown, clock).changed
        assert record(unknown, clock, orphan_due=True).verdict == "no_op"


def test_the_case_of_a_dispute_offers_to_contest_or_to_accept(payment: Payment, charge: str, clock):
    record(word(D.CHARGEBACK, clock(), charge=charge), clock)

    options = {o.code: o for o in options_of(Review.objects.get())}

    assert set(options) == {"contest", "accept_dispute", "hold_until"}
    assert options["contest"].recommended
    assert {o.refused for o in options.values()} == {""}
