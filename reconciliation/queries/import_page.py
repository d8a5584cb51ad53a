"""Whose statement may come as a file, in which form is it read, and up to which day is there one? Shown before a file is chosen."""

from __future__ import annotations

from typing import Any, Final

from django.db.models import OuterRef, Subquery
from django.urls import reverse

from console.values import Link, Shown
from reconciliation.models import ColumnMapping, Statement, StatementAccount
from reconciliation.sources.registry import SOURCES
from reconciliation.states import StatementState

ACCOUNT_COLUMNS: Final = ("Account", "Its report", "Read as", "Reported up to")


def accounts_to_import(*, may_edit: bool) -> list[tuple[Shown, ...]]:
    """A row an account. One query. `may_edit`: the person could ask for the mapping that an account lacks."""
    mapping = ColumnMapping.objects.filter(account=OuterRef("pk"), current=True).values("number")[:1]
    whole = Statement.objects.filter(
        account=OuterRef("pk"), state=StatementState.READ, complete=True, ends_on__isnull=False
    )
    last = whole.order_by("-ends_on").values("ends_on")[:1]
    rows: Any = StatementAccount.objects.annotate(mapping=Subquery(mapping), reported=Subquery(last))
    return [
        (
            Link(account.name, reverse("admin:reconciliation_statementaccount_change", args=(account.pk,))),
            "asked for by API" if account.fetched else "a file",
            _read_as(account, may_edit=may_edit),
            account.reported.isoformat() if account.reported else "no report yet",
        )
        for account in rows.order_by("kind", "name")
    ]


def account_choices() -> list[tuple[str, str]]:
    """Each by its slug, with the format its own files are in."""
    rows = StatementAccount.objects.order_by("kind", "name").values_list("slug", "name", "source")
    return [(slug, f"{name} · {_format(source)}") for slug, name, source in rows]


def _format(source: str) -> str:
    return SOURCES[source].words if source in SOURCES else source


def _read_as(account: Any, *, may_edit: bool) -> Shown:
    """Its own format, and by its mapping a CSV file beside it."""
    own, mapped = _format(account.source), account.source in SOURCES and SOURCES[account.source].mapped
    if mapped and account.mapping is None:
        if not may_edit:
            return "CSV, but nobody has made its column mapping yet"
        address = f"{reverse('admin:reconciliation_columnmapping_add')}?account={account.slug}"
        return Link("CSV: ask for its column mapping first", address)
    if account.mapping is None:
        return own
    by_mapping = f"CSV, mapping {account.mapping}"
    return by_mapping if mapped else f"{own}; {by_mapping}"
