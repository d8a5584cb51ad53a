"""What do a dispute's money and words do to the books, the payment and the cases? Worked examples, then any order."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from ledger.money import Money
from payments.facts import FactKind
from payments.models import Dispute, Movement, Payment, Review
from payments.queries.proofs import completeness_findings, suspense_findings
from payments.states import DisputeState, PaymentState
from tests.payments.disputes.told import moved, record, the_dispute, word
from tests.payments.factories import Clock
from tests.payments.flows.books import balance, open_reviews

pytestmark = pytest.mark.django_db(transaction=True)
D = DisputeState


@pytest.fixture
def start(clock: Clock) -> datetime:
    return clock() - timedelta(hours=5)


def books() -> dict[str, int]:
    return {code: balance(code) for code in ("1110", "1130", "2020", "2050", "5020", "5025") if balance(code)}


def prove() -> None:
    assert [*map(str, suspense_findings())] == []
    assert [*map(str, completeness_findings())] == []


class TestWorkedExamples:
    def test_taken_it_is_a_claim_and_the_money_is_in_doubt(self, payment: Payment, charge: str, clock, start):
        due_at = clock() + timedelta(days=9)
        record(word(D.CHARGEBACK, start, charge=charge, due_at=due_at), clock)
        record(moved(FactKind.CHARGEBACK, start, charge=charge), clock)
        record(moved(FactKind.FEE, start, charge=charge, money=Money(1500, "USD"), occurrence=None), clock)

        payment.refresh_from_db()
        dispute, review = the_dispute(), Review.objects.get()
        assert books() == {"1110": -1500, "1130": 1000, "2020": -1000, "5025": 1500}
        assert (payment.state, payment.money_in_doubt) == (PaymentState.CAPTURED, True)
        assert (dispute.payment, dispute.charge_id, dispute.evidence_due_at) == (payment, charge, due_at)
        assert set(Movement.objects.exclude(dispute=None).values_list("kind", flat=True)) == {"chargeback", "fee"}
        assert (review.kind, review.dispute, review.due_at) == ("dispute", dispute, due_at - timedelta(days=3))
        prove()

    def test_won_the_claim_is_paid_and_the_fee_may_come_back(self, payment: Payment, charge: str, clock, start):
        record(word(D.CHARGEBACK, start, charge=charge), clock)
        record(moved(FactKind.CHARGEBACK, start, charge=charge), clock)
        record(moved(FactKind.FEE, start, charge=charge, money=Money(1500, "USD"), occurrence=None), clock)
        record(word(D.WON, start + timedelta(hours=1), charge=charge), clock)
        record(moved(FactKind.CHARGEBACK_RETURN, start, charge=charge), clock)
        record(moved(FactKind.FEE, start, charge=charge, money=Money(-1500, "USD"), occurrence=None), clock)

        payment.refresh_from_db()
        assert books() == {"1110": 1000, "2020": -1000}
        assert (payment.state, payment.money_in_doubt) == (PaymentState.CAPTURED, False)
        assert (the_dispute().state, open_reviews()) == (D.WON, [])
        prove()

    def test_lost_the_claim_is_a_loss_and_the_payment_charged_back(self, payment: Payment, charge: str, clock, start):
        record(word(D.CHARGEBACK, start, charge=charge), clock)
        record(moved(FactKind.CHARGEBACK, start, charge=charge), clock)
        record(word(D.LOST, start + timedelta(hours=1), charge=charge), clock)

        payment.refresh_from_db()
        assert books() == {"2020": -1000, "5020": 1000}
        assert (payment.state, payment.money_in_doubt) == (PaymentState.CHARGED_BACK, False)
        assert open_reviews() == ["dispute_lost"]
        prove()

    def test_a_part_lost_leaves_the_payment_paid(self, payment: Payment, charge: str, clock, start):
        part = Money(300, "USD")
        record(word(D.CHARGEBACK, start, charge=charge, money=part), clock)
        record(moved(FactKind.CHARGEBACK, start, charge=charge, money=part), clock)
        record(word(D.LOST, start + timedelta(hours=1), charge=charge, money=part), clock)

        payment.refresh_from_db()
        assert books() == {"1110": 700, "2020": -1000, "5020": 300}
        assert (payment.state, payment.money_in_doubt) == (PaymentState.CAPTURED, False)

    def test_an_inquiry_moves_no_money_and_asks_a_person(self, payment: Payment, charge: str, clock, start):
        record(word(D.INQUIRY, start, charge=charge), clock)

        payment.refresh_from_db()
        assert books() == {"1110": 1000, "2020": -1000}
        assert (payment.money_in_doubt, open_reviews()) == (True, ["dispute"])

        record(word(D.CLOSED, start + timedelta(days=1), charge=charge), clock)
        payment.refresh_from_db()
        assert (payment.money_in_doubt, open_reviews()) == (False, [])

    def test_argued_about_again_the_loss_is_a_claim_again(self, payment: Payment, charge: str, clock, start):
        record(moved(FactKind.CHARGEBACK, start, charge=charge), clock)
        record(word(D.LOST, start + timedelta(hours=1), charge=charge), clock)
        record(word(D.PRE_ARBITRATION, start + timedelta(hours=2), charge=charge), clock)

        payment.refresh_from_db()
        assert books() == {"1130": 1000, "2020": -1000}
        assert (payment.state, payment.money_in_doubt) == (PaymentState.CAPTURED, True)
        assert open_reviews() == ["dispute"]

        record(word(D.WON, start + timedelta(hours=3), charge=charge), clock)
        record(moved(FactKind.CHARGEBACK_RETURN, start, charge=charge), clock)
        payment.refresh_from_db()
        assert (books(), payment.money_in_doubt) == ({"1110": 1000, "2020": -1000}, False)
        prove()

    def test_taken_a_second_time_after_it_came_back(self, payment: Payment, charge: str, clock, start):
        for turn, kind in enumerate((FactKind.CHARGEBACK, FactKind.CHARGEBACK_RETURN, FactKind.CHARGEBACK)):
            record(moved(kind, start, charge=charge, occurrence=turn // 2), clock)

        assert books() == {"1130": 1000, "2020": -1000}
        assert Movement.objects.filter(kind="chargeback").count() == 2

    def test_more_taken_than_the_payment_had_is_booked_and_asked_about(self, payment, charge: str, clock, start):
        record(moved(FactKind.CHARGEBACK, start, charge=charge, money=Money(1200, "USD")), clock)

        assert balance("1130") == 1200
        assert open_reviews() == ["refund_beyond_cap"]
        prove()

    def test_the_fee_stands_in_the_currency_it_was_charged_in(self, payment, charge: str, clock, start):
        record(moved(FactKind.FEE, start, charge=charge, money=Money(1300, "EUR"), occurrence=None), clock)

        assert (balance("5025", "EUR"), balance("1110", "EUR"), balance("1110")) == (1300, -1300, 1000)
        prove()

    def test_money_of_a_charge_nobody_knows_waits_then_is_booked_and_asked_about(self, account, clock, start):
        taken, lost = moved(FactKind.CHARGEBACK, start, charge="ch_?"), word(D.LOST, start, charge="ch_?")

        assert [record(fact, clock).verdict for fact in (taken, lost)] == ["park", "park"]
        record(taken, clock, orphan_due=True)
        record(lost, clock, orphan_due=True)

        assert books() == {"1110": -1000, "5020": 1000}
        assert (the_dispute().payment, the_dispute().state) == (None, D.LOST)
        assert open_reviews() == ["dispute_lost", "orphan"]
        prove()


class TestSaidTwice:
    def test_the_same_word_and_money_again_change_nothing(self, payment: Payment, charge: str, clock, start):
        facts = [word(D.CHARGEBACK, start, charge=charge), moved(FactKind.CHARGEBACK, start, charge=charge)]
        for fact in facts:
            assert record(fact, clock).changed

        for fact in facts:
            assert not record(fact, clock).changed
        assert (Dispute.objects.count(), balance("1130"), open_reviews()) == (1, 1000, ["dispute"])


class TestProofs:
    @pytest.fixture
    def taken(self, payment: Payment, charge: str, clock, start) -> Dispute:
        record(word(D.CHARGEBACK, start, charge=charge), clock)
        record(moved(FactKind.CHARGEBACK, start, charge=charge), clock)
        prove()
        return the_dispute()

    def test_a_dispute_lost_without_its_entry_is_found(self, taken: Dispute):
        Dispute.objects.update(state=D.LOST)

        found = [finding.kind for finding in completeness_findings()]
        assert found == ["claim_without_dispute"]

    def test_an_open_dispute_that_nothing_looks_at_is_found(self, taken: Dispute):
        Dispute.objects.update(next_check_at=None)

        assert [finding.kind for finding in completeness_findings()] == ["dispute_without_clock"]
