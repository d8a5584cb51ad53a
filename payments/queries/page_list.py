"""What does the list of payments show beside each row's own columns? Read for the whole page at once; writes nothing."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count

from payments.models import Attempt, Review
from payments.queries.page_rows import Amounts, amounts_of
from payments.states import ReviewState


@dataclass(frozen=True, slots=True)
class RowExtras:
    """Sums of movements, the latest attempt's gateway, and how many reviews are open."""

    amounts: Amounts
    gateway: str = ""
    open_reviews: int = 0


def extras_of(keys: list[int]) -> dict[int, RowExtras]:
    """For every key; three queries however many rows."""
    amounts = amounts_of(keys)
    tried = Attempt.objects.filter(payment__in=keys).order_by("number")
    gateways = dict(tried.values_list("payment", "gateway_account__name"))
    waiting = Review.objects.filter(payment__in=keys, state=ReviewState.OPEN).order_by().values_list("payment")
    reviews = dict(waiting.annotate(Count("id")))
    return {key: RowExtras(amounts[key], gateways.get(key, ""), reviews.get(key, 0)) for key in keys}
