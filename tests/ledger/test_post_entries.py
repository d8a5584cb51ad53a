"""Does posting write each key once, all or none, and keep wallets above their floor, also when many post at once?"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection, transaction

from ledger.drafts import credit, debit
from ledger.errors import (
    AlreadyReversed,
    DraftRefused,
    EntryNotFound,
    InsufficientFunds,
    NotInTransaction,
    SourceKeyConflict,
)
from ledger.models import Account, JournalEntry, Posting
from ledger.money import Money
from ledger.queries import balance, entry_by_public_id, entry_by_source_key
from ledger.services import PostedEntry, post_entries, post_entry, reverse_entry
from tests.ledger.books import NOON, capture, entry, owed_by, post, receivable, sales, spend, top_up, wallet

NumQueries = Callable[..., AbstractContextManager[object]]


def reverse(public_id: str, key: str = "reversal:1") -> PostedEntry:
    with transaction.atomic():
        return reverse_entry(public_id, source_key=key, reason="booked twice", actor="olga", now=NOON)


def in_threads(*jobs: Callable[[], object]) -> list[object]:
    """Run each job on a connection of its own, started together; return results, exceptions included."""
    barrier = threading.Barrier(len(jobs))

    def run(job: Callable[[], object]) -> object:
        barrier.wait(timeout=60)
        try:
            return job()
        except Exception as error:  # noqa: BLE001 - the caller compares it
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(run, jobs))


@pytest.mark.django_db
class TestPosting:
    def test_writes_the_entry_and_its_lines(self) -> None:
        (posted,) = post(capture("mov_1", 1234))

        view = entry_by_source_key("mov_1")
        assert view is not None
        assert posted.is_new
        assert posted.public_id.startswith("je_")
        assert (view.public_id, view.subject, view.booked_on) == (posted.public_id, "pay_1", date(2026, 3, 10))
        assert [(str(line.ref), line.debit_minor, line.credit_minor, line.match_key) for line in view.lines] == [
            ("1110 nmi USD", 1234, 0, "pay_1"),
            ("2020 USD", 0, 1234, ""),
        ]

    def test_keeps_the_order_of_the_drafts_it_was_given(self) -> None:
        posted = post(capture("mov_z"), capture("mov_a"), capture("mov_m"))

        assert [item.source_key for item in posted] == ["mov_z", "mov_a", "mov_m"]

    def test_makes_accounts_on_first_use_only(self) -> None:
        post(capture("mov_1"))
        post(capture("mov_2"), capture("mov_3", currency="EUR"))

        assert [str(account) for account in Account.objects.all()] == [
            "1110 nmi EUR Gateway receivable",
            "1110 nmi USD Gateway receivable",
            "2020 EUR Sales clearing",
            "2020 USD Sales clearing",
        ]

    def test_returns_the_first_entry_for_the_same_content_again(self) -> None:
        (first,) = post(capture("mov_1"))
        (again,) = post(capture("mov_1"), now=NOON + timedelta(days=3))

        assert (again.id, again.public_id, again.posted_at) == (first.id, first.public_id, NOON)
        assert not again.is_new
        assert JournalEntry.objects.count() == 1

    def test_counts_a_key_repeated_in_one_batch_once(self) -> None:
        first, second = post(capture("mov_1"), capture("mov_1"))

        assert first == second
        assert Posting.objects.count() == 2

    def test_refuses_other_content_under_a_used_key_and_names_what_differs(self) -> None:
        (first,) = post(capture("mov_1", 1000))

        with pytest.raises(SourceKeyConflict) as refusal:
            post(capture("mov_1", 1001))

        assert refusal.value.fields == ("amounts",)
        assert refusal.value.entry_public_id == first.public_id
        assert "'1110 nmi USD', 1000" in str(refusal.value)
        assert "'1110 nmi USD', 1001" in str(refusal.value)

    def test_names_every_differing_field(self) -> None:
        post(capture("mov_1", 1000))

        with pytest.raises(SourceKeyConflict) as refusal:
            post(capture("mov_1", 900, currency="EUR", subject="pay_2"))

        assert refusal.value.fields == ("accounts", "amounts", "currency", "subject", "match_key")

    def test_refuses_two_contents_under_one_key_in_a_batch(self) -> None:
        with pytest.raises(SourceKeyConflict, match="another draft of this batch"):
            post(capture("mov_1", 1), capture("mov_1", 2))

        assert JournalEntry.objects.count() == 0

    def test_writes_nothing_of_a_batch_with_a_conflict_even_if_the_refusal_is_caught(self) -> None:
        post(capture("mov_b", 5))

        with transaction.atomic(), pytest.raises(SourceKeyConflict):
            post_entries([capture("mov_a"), capture("mov_b", 6)], now=NOON)

        assert [key for (key,) in JournalEntry.objects.values_list("source_key")] == ["mov_b"]

    def test_refuses_to_post_a_second_reversal_by_hand(self) -> None:
        (wrong,) = post(capture("mov_1"))
        reversal = reverse(wrong.public_id)
        draft = capture("mov_2")
        object.__setattr__(draft, "reverses", wrong.public_id)

        with pytest.raises(AlreadyReversed, match=reversal.public_id):
            post(draft)

    def test_refuses_a_moment_without_time_zone(self) -> None:
        with pytest.raises(DraftRefused, match="no time zone"):
            post(capture("mov_1"), now=datetime(2026, 1, 1))  # noqa: DTZ001

    def test_of_nothing_is_nothing(self) -> None:
        assert post() == []

    def test_books_on_the_business_day(self, settings: object) -> None:
        settings.BUSINESS_TIME_ZONE = "Asia/Kolkata"  # type: ignore[attr-defined]
        late_evening = datetime(2026, 3, 10, 18, 30, tzinfo=UTC)

        (before,) = post(capture("mov_1", at=late_evening - timedelta(seconds=1)))
        (after,) = post(capture("mov_2", at=late_evening))

        assert (before.booked_on, after.booked_on) == (date(2026, 3, 10), date(2026, 3, 11))

    def test_takes_three_or_four_statements_however_many_drafts(
        self, django_assert_num_queries: Callable[..., AbstractContextManager[object]]
    ) -> None:
        post(capture("mov_0"))
        with transaction.atomic(), django_assert_num_queries(3):
            post_entries([capture(f"mov_{number}") for number in range(1, 200)], now=NOON)


@pytest.mark.django_db(transaction=True)
def test_posting_outside_a_transaction_is_refused() -> None:
    with pytest.raises(NotInTransaction, match=r"transaction\.atomic"):
        post_entry(capture("mov_1"), now=NOON)
    with pytest.raises(NotInTransaction):
        reverse_entry("je_1", source_key="r", reason="r", actor="a", now=NOON)


@pytest.mark.django_db
class TestWallets:
    def test_can_be_spent_to_zero_and_not_beyond(self) -> None:
        post(top_up("top_1", 500))
        post(spend("spend_1", 500))

        with pytest.raises(InsufficientFunds) as refusal:
            post(spend("spend_2", 1))

        assert balance(wallet()).natural_minor == 0
        assert (refusal.value.account, refusal.value.missing_minor) == ("2010 cus_1 USD", 1)
        assert str(refusal.value) == (
            "Account 2010 cus_1 USD has 0 minor units of USD available, 1 are needed: 1 missing."
        )

    def test_refusal_leaves_the_callers_transaction_usable_and_writes_nothing(self) -> None:
        post(top_up("top_1", 500))

        with transaction.atomic():
            with pytest.raises(InsufficientFunds):
                post_entries([capture("mov_1"), spend("spend_1", 501)], now=NOON)
            post_entry(capture("mov_2"), now=NOON)

        assert set(JournalEntry.objects.values_list("source_key", flat=True)) == {"top_1", "mov_2"}

    def test_a_batch_counts_together(self) -> None:
        post(spend("spend_1", 300), top_up("top_1", 300))

        with pytest.raises(InsufficientFunds):
            post(top_up("top_2", 100), spend("spend_2", 60), spend("spend_3", 41))

        assert balance(wallet()).natural_minor == 0

    def test_replayed_spend_is_not_charged_again(self) -> None:
        post(top_up("top_1", 500))
        post(spend("spend_1", 400))

        (again,) = post(spend("spend_1", 400))

        assert not again.is_new
        assert balance(wallet()).natural_minor == 100

    def test_of_one_customer_do_not_pay_for_another(self) -> None:
        post(top_up("top_1", 500, customer="cus_1"))

        with pytest.raises(InsufficientFunds, match="cus_2"):
            post(spend("spend_1", 1, customer="cus_2"))


@pytest.mark.django_db
class TestReversing:
    def test_posts_the_mirror_and_links_it(self) -> None:
        (wrong,) = post(capture("mov_1", 1234))

        reversal = reverse(wrong.public_id)

        view = entry_by_public_id(reversal.public_id)
        original = entry_by_public_id(wrong.public_id)
        assert view is not None
        assert original is not None
        assert (view.reverses, original.reversed_by) == (wrong.public_id, reversal.public_id)
        assert (view.subject, view.actor) == ("pay_1", "olga")
        assert view.description == f"Reversal of {wrong.public_id}: booked twice"
        assert [line.amount_minor for line in view.lines] == [-1234, 1234]
        assert balance(receivable()).amount_minor == 0

    def test_twice_is_refused_and_names_the_first(self) -> None:
        (wrong,) = post(capture("mov_1"))
        reversal = reverse(wrong.public_id)

        with pytest.raises(AlreadyReversed, match=f"already reversed by {reversal.public_id}. Post a new entry"):
            reverse(wrong.public_id, "reversal:2")

    def test_under_the_same_key_returns_the_first_reversal(self) -> None:
        (wrong,) = post(capture("mov_1"))
        first = reverse(wrong.public_id)

        again = reverse(wrong.public_id)

        assert (again.public_id, again.is_new) == (first.public_id, False)

    def test_under_a_key_used_for_something_else_is_refused(self) -> None:
        (wrong, _other) = post(capture("mov_1"), capture("mov_2"))

        with pytest.raises(SourceKeyConflict, match="already posted"):
            reverse(wrong.public_id, "mov_2")

    def test_of_an_unknown_entry_is_refused(self) -> None:
        with pytest.raises(EntryNotFound, match="je_nothing"):
            reverse("je_nothing")

    def test_of_a_reversal_restores_what_it_took_back(self) -> None:
        (wrong,) = post(capture("mov_1", 700))
        reversal = reverse(wrong.public_id)

        reverse(reversal.public_id, "reversal:2")

        assert balance(receivable()).amount_minor == 700

    def test_beyond_a_wallets_balance_books_the_rest_as_receivable(self) -> None:
        (wrong,) = post(top_up("top_1", 1000))
        post(spend("spend_1", 700))

        reversal = reverse(wrong.public_id)

        view = entry_by_public_id(reversal.public_id)
        assert view is not None
        assert [(str(line.ref), line.amount_minor) for line in view.lines] == [
            ("1110 nmi USD", -1000),
            ("2010 cus_1 USD", 300),
            ("1150 cus_1 USD", 700),
        ]
        assert balance(wallet()).natural_minor == 0
        assert balance(owed_by()).amount_minor == 700

    def test_of_an_emptied_wallet_books_all_as_receivable_and_replays_the_same(self) -> None:
        (wrong,) = post(top_up("top_1", 1000))
        post(spend("spend_1", 1000))
        first = reverse(wrong.public_id)
        post(top_up("top_2", 400))

        again = reverse(wrong.public_id)

        assert again.public_id == first.public_id
        assert balance(owed_by()).amount_minor == 1000
        assert balance(wallet()).natural_minor == 400

    def test_splits_several_lines_of_one_wallet_in_order(self) -> None:
        def money(minor: int) -> Money:
            return Money(minor, "USD")

        (wrong,) = post(
            entry(
                "top_1", debit(receivable(), money(90), "p"), credit(wallet(), money(60)), credit(wallet(), money(30))
            )
        )
        post(spend("spend_1", 20))

        reverse(wrong.public_id)

        assert balance(wallet()).natural_minor == 0
        assert balance(owed_by()).amount_minor == 20


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    def test_the_same_key_from_many_is_one_entry_and_one_answer(self) -> None:
        results = in_threads(*[lambda: post(capture("mov_1"))[0]] * 12)

        assert len({result.public_id for result in results}) == 1  # type: ignore[attr-defined]
        assert sum(result.is_new for result in results) == 1  # type: ignore[attr-defined]
        assert Posting.objects.count() == 2

    def test_two_contents_under_one_key_leave_one_entry_and_one_refusal(self) -> None:
        results = in_threads(lambda: post(capture("mov_1", 1)), lambda: post(capture("mov_1", 2)))

        assert sorted(type(result).__name__ for result in results) == ["SourceKeyConflict", "list"]
        assert JournalEntry.objects.count() == 1

    def test_first_use_of_an_account_by_many_makes_one(self) -> None:
        def job(number: int) -> Callable[[], object]:
            pair = [capture(f"mov_{number}", currency="USD"), capture(f"eur_{number}", currency="EUR")]
            return lambda: post(*(pair if number % 2 else reversed(pair)))

        results = in_threads(*[job(number) for number in range(8)])

        assert [type(result) for result in results] == [list] * 8
        assert Account.objects.count() == 4

    def test_overlapping_batches_in_any_order_wait_and_do_not_deadlock(self) -> None:
        drafts = [capture(f"mov_{number}") for number in range(60)]

        results = in_threads(
            lambda: post(*drafts), lambda: post(*reversed(drafts)), lambda: post(*drafts[30:], *drafts)
        )

        assert [type(result) for result in results] == [list] * 3
        assert JournalEntry.objects.count() == 60

    def test_a_wallet_is_spent_once(self) -> None:
        post(top_up("top_1", 1000))

        results = in_threads(*[lambda n=number: post(spend(f"spend_{n}", 300)) for number in range(8)])

        assert sum(isinstance(result, InsufficientFunds) for result in results) == 5
        assert balance(wallet()).natural_minor == 100

    def test_crossing_spends_of_two_wallets_do_not_deadlock(self) -> None:
        post(top_up("top_1", 1000, "cus_1"), top_up("top_2", 1000, "cus_2"))

        def job(number: int) -> Callable[[], object]:
            pair = [spend(f"a_{number}", 10, "cus_1"), spend(f"b_{number}", 10, "cus_2")]
            return lambda: post(*(pair if number % 2 else reversed(pair)))

        results = in_threads(*[job(number) for number in range(8)])

        assert [type(result) for result in results] == [list] * 8
        assert balance(wallet("cus_1")).natural_minor == balance(wallet("cus_2")).natural_minor == 920

    def test_two_reversals_leave_one(self) -> None:
        (wrong,) = post(capture("mov_1"))

        results = in_threads(*[lambda n=number: reverse(wrong.public_id, f"r_{n}") for number in range(4)])

        assert sum(isinstance(result, AlreadyReversed) for result in results) == 3
        assert balance(sales()).amount_minor == 0
