"""Do our books and the gateway's say the same? Read from outside, by plain queries."""

from __future__ import annotations

from collections import Counter

from ledger.models import Posting
from payments.models import Movement, Review
from payments.queries.proofs import completeness_findings, suspense_findings
from payments.states import ReviewState
from tests.simulator_fixture import SimulatorProcess


def our_movements() -> Counter[tuple[str, str]]:
    """Money by gateway id and kind; a restated movement is one sum."""
    sums: Counter[tuple[str, str]] = Counter()
    for movement in Movement.objects.all():
        sums[movement.gateway_id, movement.kind] += movement.amount_minor
    return sums


def their_movements(simulator: SimulatorProcess) -> Counter[tuple[str, str]]:
    sums: Counter[tuple[str, str]] = Counter()
    for movement in simulator.books()["movements"]:
        sums[movement["gateway_id"], movement["kind"]] += movement["amount_minor"]
    return sums


def balance(code: str, currency: str = "USD") -> int:
    """Debit positive, in minor units."""
    rows = Posting.objects.filter(account__code=code, account__currency=currency)
    return sum(rows.values_list("amount_minor", flat=True))


def assert_books_agree(simulator: SimulatorProcess) -> None:
    """Every movement there is one of ours and the other way round; suspense is what open reviews hold; nothing is missing."""
    assert our_movements() == their_movements(simulator)
    assert [*map(str, suspense_findings())] == []
    assert [*map(str, completeness_findings())] == []


def open_reviews() -> list[str]:
    return sorted(Review.objects.filter(state=ReviewState.OPEN).values_list("kind", flat=True))
