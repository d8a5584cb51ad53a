"""How much money is on its way: payouts that left a gateway and are not in the bank? Sums by currency and age. Writes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from django.db.models import Count, Min, Sum

from payments.models import Payout
from payments.states import PayoutState

ON_THEIR_WAY = (PayoutState.EXPECTED.value, PayoutState.IN_TRANSIT.value, PayoutState.PAID.value)


@dataclass(frozen=True, slots=True)
class OnItsWay:
    """Payouts of one gateway and currency that the bank has not shown yet. Minor units."""

    gateway: str
    currency: str
    count: int
    amount_minor: int
    oldest_on: date | None


def on_their_way() -> list[OnItsWay]:
    """By gateway and currency, the oldest arrival first. One query over a partial index."""
    rows = Payout.objects.filter(state__in=ON_THEIR_WAY).values("gateway_account__name", "currency")
    sums = rows.annotate(number=Count("pk"), total=Sum("amount_minor"), oldest=Min("arrives_on")).order_by("oldest")
    return [
        OnItsWay(row["gateway_account__name"], row["currency"], row["number"], row["total"], row["oldest"])
        for row in sums
    ]
