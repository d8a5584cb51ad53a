"""Which gateway accounts are there for a comparison to look at? Values for apps above, which do not know the table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import OuterRef, Subquery

from payments.models import GatewayAccount, Movement


@dataclass(frozen=True, slots=True)
class AccountToCompare:
    """One gateway account, as far as comparing its reports needs it."""

    id: int
    slug: str
    name: str
    provider: str
    moved_at: datetime | None = None
    """When money moved there for the first time; None: it has no books yet."""


def accounts_to_compare() -> list[AccountToCompare]:
    """All of them, enabled or not: what a disabled one still reports is compared too."""
    first = Movement.objects.filter(gateway_account=OuterRef("pk")).order_by("occurred_at").values("occurred_at")[:1]
    rows = GatewayAccount.objects.order_by("pk").values_list("pk", "slug", "name", "provider", Subquery(first))
    return [AccountToCompare(*row) for row in rows]
