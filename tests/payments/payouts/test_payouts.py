"""Does a payout end where it should whatever order its words come in, with each posting made once?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from ledger import queries as ledger
from ledger.chart import AccountRef
from ledger.money import Money
from payments.errors import InvalidInput, NotFound
from payments.facts import PayoutTold
from payments.models import Payout, PayoutWord
from payments.services.accounts import ensure_gateway_account
from payments.services.payouts import confirm_in_bank, return_from_bank, tell_payout, tell_return
from payments.states import PayoutState
from tests.exploring import examples

S = PayoutState
MADE = datetime(2026, 3, 2, 8, tzinfo=UTC)
NOW = datetime(2026, 3, 9, tzinfo=UTC)
TOLD = PayoutTold("po_1", S.IN_TRANSIT, Money(5_000, "USD"), MADE, MADE)
Step = Callable[[], Payout]


@pytest.fixture(autouse=True)
def account(db: None) -> None:
    ensure_gateway_account("stripe", "stripe", "Stripe")


def told(state: PayoutState, hours: int = 0, **fields: object) -> Payout:
    word = replace(TOLD, state=state, occurred_at=MADE + timedelta(hours=hours), **fields)  # type: ignore[arg-type]
    return tell_payout("stripe", word, now=NOW)


def back() -> Payout:
    return tell_return("stripe", replace(TOLD, state=S.FAILED, occurred_at=MADE + timedelta(days=3)), now=NOW)


def in_bank() -> Payout:
    return confirm_in_bank(Payout.objects.get().pk, on=date(2026, 3, 4), bank_line_key="b1", now=NOW)


def from_bank() -> Payout:
    return return_from_bank(Payout.objects.get().pk, on=date(2026, 3, 6), bank_line_key="b2", now=NOW)


def balances() -> tuple[int, int, int]:
    """Receivable, in transit, bank."""
    refs = [AccountRef(code, "USD", gateway="stripe") for code in ("1110", "1020")] + [AccountRef("1010", "USD")]
    receivable, transit, bank = (ledger.balance(ref).amount_minor for ref in refs)
    return receivable, transit, bank


class TestTheWay:
    def test_expected_is_not_gone_yet(self):
        assert told(S.EXPECTED).state == S.EXPECTED
        assert balances() == (0, 0, 0)

    def test_in_transit_paid_in_the_bank(self):
        assert told(S.IN_TRANSIT).state == S.IN_TRANSIT
        assert balances() == (-5_000, 5_000, 0)
        assert told(S.PAID, 1).state == S.PAID
        payout = in_bank()

        assert (payout.state, payout.in_bank_on) == (S.IN_BANK, date(2026, 3, 4))
        assert balances() == (-5_000, 0, 5_000)
        entry = ledger.entry_by_source_key("payout:stripe:po_1:bank")
        assert entry is not None and entry.booked_on == date(2026, 3, 4)

    def test_it_left_on_the_day_it_was_made(self):
        told(S.PAID, 40)
        entry = ledger.entry_by_source_key("payout:stripe:po_1:left")

        assert entry is not None and entry.booked_on == MADE.date()

    def test_failed_after_it_was_said_to_be_paid(self):
        told(S.PAID)
        payout = told(S.FAILED, 5, failure="account closed")

        assert (payout.state, payout.failure) == (S.FAILED, "account closed")
        assert balances() == (0, 0, 0)
        assert back().state == S.RETURNED
        assert balances() == (0, 0, 0)

    def test_called_off_before_it_left_books_nothing(self):
        told(S.EXPECTED)
        told(S.FAILED, 1)

        assert balances() == (0, 0, 0)
        assert Payout.objects.get().entry_source_key == ""

    def test_sent_back_by_the_bank(self):
        told(S.PAID)
        in_bank()
        payout = from_bank()

        assert payout.state == S.FAILED
        assert balances() == (0, 0, 0)

    def test_the_bank_shows_what_the_gateway_never_said_had_left(self):
        told(S.EXPECTED)
        in_bank()

        assert balances() == (-5_000, 0, 5_000)

    def test_money_that_the_gateway_takes_from_the_bank(self):
        told(S.IN_TRANSIT, money=Money(-700, "USD"))
        in_bank()

        assert balances() == (700, 0, -700)

    def test_the_return_of_one_that_left_before_our_books(self):
        assert back().state == S.RETURNED
        assert balances() == (5_000, -5_000, 0)


class TestWords:
    def test_the_same_word_twice_leaves_nothing_new(self):
        told(S.PAID)
        before = (PayoutWord.objects.count(), Payout.objects.get().version)
        told(S.PAID)

        assert (PayoutWord.objects.count(), Payout.objects.get().version) == before

    def test_each_word_that_counts_is_kept_with_what_it_changed(self):
        told(S.EXPECTED)
        told(S.IN_TRANSIT, 1)
        told(S.FAILED, 2, failure="no account")

        rows = PayoutWord.objects.values_list("before", "after", "entry_source_key")
        assert list(rows) == [
            ("", "expected", ""),
            ("expected", "in_transit", "payout:stripe:po_1:left"),
            ("in_transit", "failed", "payout:stripe:po_1:back"),
        ]

    def test_an_earlier_word_fills_in_and_a_later_one_decides(self):
        told(S.PAID, 5, bank_ref="TRACE1")
        told(S.IN_TRANSIT, 1, bank_ref="OLD", arrives_on=date(2026, 3, 4))
        payout = told(S.PAID, 6, bank_ref="TRACE2", itemised=True)

        assert (payout.state, payout.bank_ref, payout.arrives_on) == (S.PAID, "TRACE2", date(2026, 3, 4))
        assert payout.itemised

    def test_another_amount_later_books_the_difference(self):
        told(S.IN_TRANSIT)
        told(S.PAID, 1, money=Money(4_900, "USD"))
        told(S.IN_TRANSIT, 0)  # the first word once more: older, so it decides nothing

        assert balances() == (-4_900, 4_900, 0)
        in_bank()
        assert balances() == (-4_900, 0, 4_900)

    def test_another_currency_is_refused(self):
        told(S.IN_TRANSIT)
        with pytest.raises(InvalidInput, match="USD"):
            told(S.PAID, 1, money=Money(5_000, "EUR"))

    def test_a_state_no_gateway_can_know(self):
        with pytest.raises(InvalidInput, match="in_bank"):
            told(S.IN_BANK)

    def test_an_account_nobody_has(self):
        with pytest.raises(NotFound, match="nobody"):
            tell_payout("nobody", TOLD, now=NOW)


WORDS: dict[str, Step] = {
    "expected": lambda: told(S.EXPECTED, 0),
    "in_transit": lambda: told(S.IN_TRANSIT, 1),
    "paid": lambda: told(S.PAID, 2),
    "failed": lambda: told(S.FAILED, 3),
}


class TestAnyOrder:
    @pytest.mark.parametrize("order", list(permutations(("expected", "in_transit", "paid"))), ids="-".join)
    def test_without_a_failure_it_is_paid(self, order):
        for word in order:
            WORDS[word]()

        assert Payout.objects.get().state == S.PAID
        assert balances() == (-5_000, 5_000, 0)

    @pytest.mark.parametrize("order", list(permutations(("in_transit", "paid", "failed"))), ids="-".join)
    def test_with_one_it_has_failed_and_the_balance_has_it(self, order):
        for word in order:
            WORDS[word]()

        assert Payout.objects.get().state == S.FAILED
        assert balances() == (0, 0, 0)


class TestWhateverIsSaid(TestCase):
    @settings(max_examples=examples(20), suppress_health_check=list(HealthCheck), deadline=None)
    @given(st.lists(st.sampled_from([*WORDS, "back", "in_bank", "from_bank"]), min_size=1, max_size=8))
    def test_each_posting_is_made_once_and_all_of_it_is_somewhere(self, words: list[str]) -> None:
        ensure_gateway_account("stripe", "stripe", "Stripe")
        told(S.EXPECTED)
        for word in (*words, *words):
            {**WORDS, "back": back, "in_bank": in_bank, "from_bank": from_bank}[word]()

        payout = Payout.objects.get()
        receivable, transit, bank = balances()
        assert receivable + transit + bank == 0
        gone = payout.entry_source_key != "" and payout.state not in {S.FAILED, S.RETURNED}
        assert receivable == (-5_000 if gone else 0)
        arrived = "in_bank" in words and "from_bank" not in words
        assert bank == (5_000 if arrived else 0)
