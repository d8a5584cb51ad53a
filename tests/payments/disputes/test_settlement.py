"""Is settlement money kept with the movement it belongs to, once?"""

from __future__ import annotations

import pytest

from ledger.money import Money
from payments.facts import FactKind
from payments.models import Movement, Payment
from payments.queries.dispute_page import settlement_text
from tests.payments.disputes.told import moved, record, settlement
from tests.payments.flows.books import balance

pytestmark = pytest.mark.django_db(transaction=True)
GROSS, FEE = Money(920, "EUR"), Money(57, "EUR")


def test_it_stands_beside_what_the_payer_saw_and_books_nothing(payment: Payment, charge: str, clock):
    assert record(settlement(charge, GROSS, FEE, at=clock(), rate="0.92"), clock).verdict == "apply"

    movement = Movement.objects.get()
    assert (movement.amount_minor, movement.currency) == (1000, "USD")
    assert (movement.settlement_minor, movement.settlement_fee_minor, movement.settlement_currency) == (920, 57, "EUR")
    assert settlement_text(movement).startswith("9.20 EUR; fee 0.57 EUR, net 8.63 EUR; rate 0.92; available ")
    assert (balance("1110"), balance("1110", "EUR")) == (1000, 0)


def test_said_again_it_is_known_and_said_otherwise_the_first_word_stands(payment: Payment, charge: str, clock):
    record(settlement(charge, GROSS, FEE, at=clock()), clock)

    again = record(settlement(charge, GROSS, FEE, at=clock()), clock)
    other = record(settlement(charge, Money(999, "EUR"), FEE, at=clock(), settlement_id="txn_2"), clock)

    assert (again.verdict, other.verdict) == ("no_op", "no_op")
    assert "stands" in other.because
    assert Movement.objects.get().settlement_minor == 920


def test_before_its_movement_it_waits_and_is_given_up_in_the_end(payment: Payment, clock):
    early = settlement("ch_unknown", GROSS, FEE, at=clock())

    assert record(early, clock).verdict == "park"
    assert record(early, clock, orphan_due=True).verdict == "no_op"


def test_the_sign_tells_what_a_dispute_took_from_what_it_gave_back(payment: Payment, charge: str, clock):
    for kind in (FactKind.CHARGEBACK, FactKind.CHARGEBACK_RETURN):
        record(moved(kind, clock(), charge=charge), clock)
    record(settlement("du_1", GROSS, Money(0, "EUR"), at=clock(), settlement_id="txn_back"), clock)
    record(settlement("du_1", -GROSS, Money(1500, "EUR"), at=clock(), settlement_id="txn_out"), clock)

    told = dict(Movement.objects.exclude(settlement_id="").values_list("kind", "settlement_id"))
    assert told == {"chargeback": "txn_out", "chargeback_return": "txn_back"}


@pytest.mark.parametrize("rate", ["", "nan", "1e40", "-1", "abc"])
def test_a_rate_that_is_none_is_left_out(rate, payment: Payment, charge: str, clock):
    record(settlement(charge, GROSS, FEE, at=clock(), rate=rate), clock)

    assert Movement.objects.get().exchange_rate is None
