"""Is a person asked again when the evidence is nearly due, and when a decision's money does not come?"""

from __future__ import annotations

from datetime import timedelta

import pytest

from payments.facts import FactKind
from payments.models import Dispute, Payment, Review
from payments.services.sweep import sweep
from payments.states import DisputeState, ReviewState
from tests.payments.disputes.test_refunds import decide
from tests.payments.disputes.told import moved, record, the_dispute, word
from tests.payments.factories import Clock
from tests.payments.flows.books import open_reviews

pytestmark = pytest.mark.django_db(transaction=True)
D = DisputeState


@pytest.fixture
def contested(payment: Payment, charge: str, clock: Clock) -> Dispute:
    """Evidence due in ten days; a person means to send it."""
    record(word(D.CHARGEBACK, clock(), charge=charge, due_at=clock() + timedelta(days=10)), clock)
    decide(Review.objects.get(), "contest", clock)
    assert open_reviews() == []
    return the_dispute()


def test_three_days_before_the_evidence_is_due_the_case_is_there_again(contested: Dispute, clock):
    clock.pass_(days=6)
    assert sweep(clock).disputes == 0

    clock.pass_(days=1, hours=1)
    assert sweep(clock).disputes == 1

    review = Review.objects.get(state=ReviewState.OPEN)
    assert (review.kind, review.dispute) == ("dispute", contested)
    assert "is due in 2 days" in review.because
    assert review.due_at <= clock()
    assert sweep(clock).disputes == 0, "and is not asked again at once"


def test_once_the_issuer_has_the_evidence_nobody_is_asked(contested: Dispute, clock):
    record(word(D.UNDER_REVIEW, clock(), charge=contested.charge_id), clock)
    clock.pass_(days=8)
    sweep(clock)

    assert open_reviews() == []


def test_past_its_date_it_says_so(contested: Dispute, clock):
    clock.pass_(days=11)
    sweep(clock)

    assert "was due on" in Review.objects.get(state=ReviewState.OPEN).because


def test_won_money_that_does_not_come_back_is_asked_about(payment: Payment, charge: str, clock):
    record(moved(FactKind.CHARGEBACK, clock(), charge=charge), clock)
    record(word(D.WON, clock(), charge=charge), clock)
    assert open_reviews() == []

    clock.pass_(days=15)
    sweep(clock)
    assert "has not come back yet" in Review.objects.get(state=ReviewState.OPEN).because


def test_won_with_the_money_back_it_is_over(payment: Payment, charge: str, clock):
    record(moved(FactKind.CHARGEBACK, clock(), charge=charge), clock)
    record(word(D.WON, clock(), charge=charge), clock)
    record(moved(FactKind.CHARGEBACK_RETURN, clock(), charge=charge), clock)

    clock.pass_(days=15)
    sweep(clock)
    sweep(clock)

    assert (the_dispute().next_check_at, open_reviews()) == (None, [])
