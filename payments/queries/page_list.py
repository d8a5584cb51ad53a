"""What does the list of payments show beside each row's own columns? Read for the whole page at once; writes nothing."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Case, Count, QuerySet, Value, When

from payments.models import Attempt, Review
from payments.queries.page_rows import Amounts, amounts_of
from payments.states import AttemptState, ReviewState

_HAS_MONEY = (AttemptState.AUTHORISED.value, AttemptState.CAPTURED.value)


@dataclass(frozen=True, slots=True)
class RowExtras:
    """Sums of movements, the gateway that has the money or else was tried last, and how many reviews are open."""

    amounts: Amounts
    gateway: str = ""
    open_reviews: int = 0


def extras_of(keys: list[int]) -> dict[int, RowExtras]:
    """For every key; three queries however many rows."""
    amounts = amounts_of(keys)
    gateways = dict(decisive_last(keys).values_list("payment", "gateway_account__name"))
    waiting = Review.objects.filter(payment__in=keys, state=ReviewState.OPEN).order_by().values_list("payment")
    reviews = dict(waiting.annotate(Count("id")))
    return {key: RowExtras(amounts[key], gateways.get(key, ""), reviews.get(key, 0)) for key in keys}


def decisive_last(keys: list[int]) -> QuerySet[Attempt]:
    """The attempts of these payments, oldest first, but one that has money after all that have none."""
    has_money = Case(When(state__in=_HAS_MONEY, then=Value(1)), default=Value(0))
    return Attempt.objects.filter(payment__in=keys).order_by(has_money, "number")
