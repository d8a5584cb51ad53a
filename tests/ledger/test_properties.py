"""Do the proofs of the books hold whatever is posted, reversed and spent, by several threads at once?"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.chart import CHART
from ledger.drafts import EntryDraft
from ledger.errors import AlreadyReversed, EntryNotFound, InsufficientFunds, SourceKeyConflict
from ledger.queries import balance, balances, entry_by_source_key, open_items, trial_balance, verify_books
from ledger.services import PostedEntry, reverse_entry
from tests.exploring import examples
from tests.ledger.books import NOON, capture, owed_by, post, spend, top_up, wallet
from tests.ledger.test_post_entries import in_threads

THREADS: Final = 3
KEYS: Final = 4  # few, so that keys meet again: with the same content and with other content
_example = itertools.count()

amounts = st.integers(1, 500)
numbers = st.integers(0, KEYS - 1)
customers = st.sampled_from(["a", "b"])
steps = st.one_of(
    st.tuples(st.just("capture"), numbers, st.sampled_from([100, 101]), st.sampled_from(["USD", "JPY", "KWD"])),
    st.tuples(st.just("top_up"), numbers, amounts, customers),
    st.tuples(st.just("spend"), numbers, amounts, customers),
    st.tuples(st.just("reverse"), numbers, st.integers(0, 1), st.sampled_from(["capture", "top_up", "spend"])),
)
Step = tuple[str, int, int, str]
STARTING_WITH: Final[list[Step]] = [("top_up", 0, 400, "a"), ("top_up", 1, 400, "b"), ("capture", 0, 100, "JPY")]


@dataclass
class Run:
    """One example: names of its own in shared books, and what came of each step."""

    name: str
    posted: list[PostedEntry] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)

    def draft(self, step: Step) -> EntryDraft:
        kind, number, amount, about = step
        key = f"{self.name}:{kind}:{number}"
        if kind == "capture":
            return capture(key, amount, currency=about)
        return (top_up if kind == "top_up" else spend)(key, amount, customer=f"{self.name}-{about}")

    def take(self, step: Step) -> None:
        kind, number, which, about = step
        try:
            if kind != "reverse":
                self.posted += post(self.draft(step))
                return
            original = entry_by_source_key(f"{self.name}:{about}:{number}")
            public_id = original.public_id if original else "je_none"
            key = f"{self.name}:reverse:{about}:{number}:{which}"
            with transaction.atomic():
                self.posted.append(reverse_entry(public_id, source_key=key, reason="r", actor="olga", now=NOON))
        except (SourceKeyConflict, InsufficientFunds, AlreadyReversed, EntryNotFound) as refusal:
            self.refused[type(refusal).__name__] += 1

    def all_of(self, steps: list[Step]) -> Callable[[], None]:
        def work() -> None:
            for step in steps:
                self.take(step)

        return work


@pytest.mark.django_db(transaction=True)
@settings(max_examples=examples(14), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(steps, min_size=12, max_size=45))
def test_the_proofs_hold_after_anything_from_several_threads(sequence: list[Step]) -> None:
    run = Run(f"run{next(_example)}")
    for step in STARTING_WITH:
        run.take(step)

    assert in_threads(*[run.all_of(sequence[thread::THREADS]) for thread in range(THREADS)]) == [None] * THREADS

    # 1. and 5. Every entry and every column balances, no wallet is below its floor, no content changed, one reversal each.
    assert verify_books() == []
    assert trial_balance().balances
    # 3. An open-item account is the sum of its open items.
    for spec in CHART.values():
        if spec.open_item:
            items = sum(item.amount_minor for item in open_items(spec.code))
            assert items == sum(found.amount_minor for found in balances([spec.code]))
    # 9. Each key was booked at most once, and what was answered is what stands there.
    new = [entry.source_key for entry in run.posted if entry.is_new]
    assert len(new) == len(set(new))
    for entry in run.posted:
        view = entry_by_source_key(entry.source_key)
        assert view is not None
        assert view.public_id == entry.public_id
    # Each wallet, with what its customer owes, is the sum of what was really booked.
    for customer in ("a", "b"):
        name = f"{run.name}-{customer}"
        assert balance(wallet(name)).natural_minor >= 0
        assert balance(wallet(name)).natural_minor - balance(owed_by(name)).amount_minor == _expected(new, name)
    assert len(run.posted) + run.refused.total() == len(sequence) + len(STARTING_WITH)


def _expected(new_keys: list[str], customer: str) -> int:
    """Top-ups less spends less what was taken back, read from the other side of each entry."""
    total = 0
    for key in new_keys:
        view = entry_by_source_key(key)
        assert view is not None
        if any(line.ref.customer == customer for line in view.lines):
            total += sum(line.amount_minor for line in view.lines if not line.ref.customer)
    return total
