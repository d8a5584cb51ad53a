"""Does every order of the same words and the same money end in the same dispute, payment and books?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.money import Money
from payments.decisions.disputes import is_newer, remembers_decision, state_after
from payments.facts import DisputeKnown, Fact, FactKind
from payments.models import Movement, Payment
from payments.queries.proofs import completeness_findings, suspense_findings
from payments.states import DisputeState, PaymentState
from tests.conftest import _empty_database
from tests.exploring import examples
from tests.payments.disputes.told import moved, record, the_dispute, word
from tests.payments.factories import Clock, nmi_account, paid
from tests.payments.flows.books import balance

D = DisputeState
START = datetime(2026, 1, 5, 12, tzinfo=UTC)
FEE = Money(1500, "USD")


def told(history: tuple[tuple[DisputeState, int], ...]) -> DisputeState | None:
    """Where a dispute stands after these words, by their hours, heard in this order."""
    known = DisputeKnown()
    for state, hour in history:
        at = START + timedelta(hours=hour)
        after = state_after(known, state, at)
        newer = is_newer(known, state, at)
        decided = known.decided_before or remembers_decision(known, state)
        known = DisputeKnown(after, at if newer else known.told_at, decided)
    return known.state


HISTORIES = [
    (((D.CHARGEBACK, 0), (D.UNDER_REVIEW, 1), (D.WON, 2)), D.WON),
    (((D.CHARGEBACK, 0), (D.UNDER_REVIEW, 1), (D.LOST, 2)), D.LOST),
    (((D.INQUIRY, 0), (D.UNDER_REVIEW, 1), (D.CLOSED, 2)), D.CLOSED),
    (((D.INQUIRY, 0), (D.CLOSED, 1), (D.CHARGEBACK, 2), (D.LOST, 3)), D.LOST),
    (((D.CHARGEBACK, 0), (D.LOST, 1), (D.PRE_ARBITRATION, 2), (D.UNDER_REVIEW, 3)), D.PRE_ARBITRATION),
    (((D.CHARGEBACK, 0), (D.LOST, 1), (D.PRE_ARBITRATION, 2), (D.WON, 3)), D.WON),
    (((D.CHARGEBACK, 0), (D.WON, 1), (D.CHARGEBACK, 2), (D.LOST, 3)), D.LOST),
    (((D.CHARGEBACK, 0), (D.WON, 1), (D.CHARGEBACK, 2)), D.PRE_ARBITRATION),
    (((D.CHARGEBACK, 0), (D.LOST, 0)), D.LOST),
    (((D.CHARGEBACK, 0), (D.INQUIRY, 5)), D.CHARGEBACK),
]


class TestWords:
    @pytest.mark.parametrize(("history", "end"), HISTORIES)
    def test_the_gateways_time_decides_not_the_order_of_arrival(self, history, end):
        for order in permutations(history):
            assert told(order) == end, order
            assert told((*order, order[0])) == end, "and a word said twice"

    @given(st.data())
    def test_any_words_at_all(self, data):
        words = data.draw(st.lists(st.tuples(st.sampled_from(D), st.integers(0, 4)), min_size=1, max_size=6))
        shuffled = data.draw(st.permutations(words))

        assert told(tuple(words)) == told(tuple(shuffled))


def story(kind: str, charge: str, start: datetime) -> list[Fact]:
    """Everything a gateway says of one dispute, in the order it happens."""
    hour = timedelta(hours=1)
    taken = moved(FactKind.CHARGEBACK, start, charge=charge)
    fee = moved(FactKind.FEE, start, charge=charge, money=FEE, occurrence=None)
    back = moved(FactKind.CHARGEBACK_RETURN, start + 2 * hour, charge=charge)
    fee_back = moved(FactKind.FEE, start + 2 * hour, charge=charge, money=-FEE, occurrence=None)
    opened = [word(D.CHARGEBACK, start, charge=charge), taken, fee, word(D.UNDER_REVIEW, start + hour, charge=charge)]
    lost = word(D.LOST, start + 2 * hour, charge=charge)
    won = word(D.WON, start + 2 * hour, charge=charge)
    again = word(D.PRE_ARBITRATION, start + 3 * hour, charge=charge)
    return {
        "lost": [*opened, lost],
        "won": [*opened, won, back, fee_back],
        "lost, then argued again": [*opened, lost, again],
        "lost, then won": [*opened, lost, again, word(D.WON, start + 4 * hour, charge=charge), back, fee_back],
        "won, then taken again": [
            *opened,
            won,
            back,
            word(D.CHARGEBACK, start + 3 * hour, charge=charge),
            moved(FactKind.CHARGEBACK, start + 3 * hour, charge=charge, occurrence=1),
            word(D.LOST, start + 4 * hour, charge=charge),
        ],
    }[kind]


ENDS = {
    "lost": ("charged_back", {"1110": -1500, "5020": 1000, "5025": 1500}),
    "won": ("captured", {"1110": 1000}),
    "lost, then argued again": ("captured", {"1110": -1500, "1130": 1000, "5025": 1500}),
    "lost, then won": ("captured", {"1110": 1000}),
    "won, then taken again": ("charged_back", {"1110": -1500, "5020": 1000, "5025": 1500}),
}


@pytest.mark.django_db(transaction=True)
class TestBooks:
    @pytest.mark.parametrize("kind", sorted(ENDS))
    def test_any_order_with_duplicates_ends_in_the_same_books(self, kind, simulator, clock: Clock):
        @settings(
            max_examples=examples(4),
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(st.data())
        def play(data: st.DataObject) -> None:
            _empty_database(None)  # type: ignore[arg-type]
            simulator.reset()
            nmi_account()
            payment = paid(clock)
            charge = payment.attempts.get().gateway_id
            facts = story(kind, charge, clock() - timedelta(hours=9))
            order = data.draw(
                st.permutations([*range(len(facts)), *data.draw(st.sets(st.integers(0, len(facts) - 1)))])
            )
            for index in order:
                record(facts[index], clock)
                prove()
            self.check(payment, kind, order)

        play()

    def check(self, payment: Payment, kind: str, order: list[int]) -> None:
        state, books = ENDS[kind]
        payment.refresh_from_db()
        seen = {code: balance(code) for code in ("1110", "1130", "2050", "5020", "5025") if balance(code)}
        assert (payment.state, seen) == (PaymentState(state), books), order
        assert payment.money_in_doubt == (the_dispute().state == D.PRE_ARBITRATION), order
        assert Movement.objects.filter(dispute=None).exclude(kind="capture").count() == 0, order


def prove() -> None:
    assert [*map(str, suspense_findings())] == []
    assert [*map(str, completeness_findings())] == []
