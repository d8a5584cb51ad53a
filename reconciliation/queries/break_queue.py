"""How much is open: by kind, by age, by value, and by cause? Counted over the open breaks alone, never over all of them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from typing import Final

from django.db.models import Count, Max, Min, QuerySet, Sum

from reconciliation.models import Break
from reconciliation.queries.break_words import BUCKETS, age_of, bucket_name, bucket_of, kind_words
from reconciliation.states import OPEN_BREAK_STATES

_OPEN: Final = [state.value for state in OPEN_BREAK_STATES]
_MOST_CAUSES: Final = 200


@dataclass(frozen=True, slots=True)
class Heap:
    """So many of something; `value` is what the filter of the list takes."""

    name: str
    value: str
    count: int


@dataclass(frozen=True, slots=True)
class Standing:
    """What is open now. `at_risk` is minor units by currency."""

    by_kind: tuple[Heap, ...]
    by_age: tuple[Heap, ...]
    at_risk: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class CauseRow:
    """Open breaks that one fix would end. `sample` is the oldest of them."""

    account: str
    kind: str
    cause: str
    currency: str
    count: int
    value_minor: int
    difference_minor: int
    oldest: date
    newest: date
    sample: str


def open_breaks() -> QuerySet[Break]:
    """What is not ended."""
    return Break.objects.filter(state__in=_OPEN)


def standing(today: date) -> Standing:
    """Counts by kind and age and the value at risk, each in one statement over the open breaks."""
    kinds = open_breaks().values("kind").annotate(count=Count("id")).order_by("-count", "kind")
    ages: defaultdict[str, int] = defaultdict(int)
    for row in open_breaks().values("day").annotate(count=Count("id")).order_by():
        ages[bucket_of(age_of(row["day"], today))] += row["count"]
    risk = open_breaks().exclude(currency="").values("currency").annotate(minor=Sum("value_minor")).order_by("currency")
    return Standing(
        tuple(Heap(kind_words(row["kind"]), row["kind"], row["count"]) for row in kinds),
        tuple(Heap(bucket_name(low, high), str(low), ages[bucket_name(low, high)]) for low, high in BUCKETS),
        tuple((row["currency"], row["minor"]) for row in risk),
    )


def causes() -> list[CauseRow]:
    """Causes with open breaks, the largest first."""
    rows = (
        open_breaks()
        .values("account__name", "account_id", "kind", "cause", "currency")
        .annotate(
            count=Count("id"), value=Sum("value_minor"), difference=Sum("difference_minor"), oldest=Min("day"),
            newest=Max("day"), first=Min("id"),
        )
        .order_by("-count", "-value", "first")[:_MOST_CAUSES]
    )  # fmt: skip
    found = list(rows)
    samples = dict(Break.objects.filter(pk__in=[row["first"] for row in found]).values_list("pk", "public_id"))
    return [
        CauseRow(
            row["account__name"], row["kind"], row["cause"], row["currency"], row["count"], row["value"],
            row["difference"], row["oldest"], row["newest"], samples[row["first"]],
        )
        for row in found
    ]  # fmt: skip
