"""Which gateway accounts are there for a comparison to look at? Values for apps above, which do not know the table."""

from __future__ import annotations

from dataclasses import dataclass

from payments.models import GatewayAccount


@dataclass(frozen=True, slots=True)
class AccountToCompare:
    """One gateway account, as far as comparing its reports needs it."""

    id: int
    slug: str
    name: str
    provider: str


def accounts_to_compare() -> list[AccountToCompare]:
    """All of them, enabled or not: what a disabled one still reports is compared too."""
    rows = GatewayAccount.objects.order_by("pk").values_list("pk", "slug", "name", "provider")
    return [AccountToCompare(*row) for row in rows]
