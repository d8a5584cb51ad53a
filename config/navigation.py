"""Where can this person go? The side bar and the badge beside it; shows only pages the person may open."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the side bar: the admin class of `model` ("app.model") stands behind, `view` names its window."""

    title: str
    icon: str
    model: str
    view: str = "changelist"


SIDEBAR: tuple[tuple[str, tuple[Entry, ...]], ...] = (
    (
        "Payments",
        (
            Entry("Payments", "payments", "payments.payment"),
            Entry("Uploads", "upload_file", "payments.batch"),
            Entry("Recurring charges", "autorenew", "payments.schedule"),
            Entry("Payment methods", "credit_card", "payments.paymentmethod"),
        ),
    ),
    (
        "To decide",
        (
            Entry("Reviews", "rule", "payments.review"),
            Entry("Approvals", "how_to_reg", "payments.approval"),
            Entry("Disputes", "gavel", "payments.dispute"),
            Entry("Unmapped codes", "help_center", "payments.unmappedcode"),
            Entry("Inbox", "inbox", "payments.inboundevent"),
        ),
    ),
    (
        "Reconciliation",
        (
            Entry("Dashboard", "monitoring", "reconciliation.run", "dashboard"),
            Entry("Comparisons", "compare_arrows", "reconciliation.run"),
            Entry("Breaks", "difference", "reconciliation.break"),
            Entry("Statements", "description", "reconciliation.statement"),
            Entry("Report lines", "receipt_long", "reconciliation.line"),
            Entry("Payouts", "local_shipping", "payments.payout"),
            Entry("Resolutions", "task_alt", "reconciliation.resolution"),
        ),
    ),
    (
        "Finance",
        (
            Entry("Reports", "download", "reconciliation.reportjob"),
            Entry("Report schedules", "event_repeat", "reconciliation.reportschedule"),
            Entry("Closed days", "event_available", "reconciliation.dayclose"),
            Entry("Opening positions", "flag", "reconciliation.openingfile"),
            Entry("Compared accounts", "tune", "reconciliation.statementaccount"),
            Entry("Column mappings", "view_column", "reconciliation.columnmapping"),
            Entry("Contract rates", "percent", "reconciliation.contractrate"),
            Entry("Alarms", "notifications", "reconciliation.alert"),
        ),
    ),
    (
        "Ledger",
        (
            Entry("Accounts", "account_balance", "ledger.account"),
            Entry("Entries", "menu_book", "ledger.journalentry"),
            Entry("Trial balance", "balance", "ledger.account", "trial_balance"),
        ),
    ),
    (
        "Gateways",
        (
            Entry("Gateway accounts", "lan", "payments.gatewayaccount"),
            Entry("Routes", "alt_route", "payments.route"),
            Entry("Stop sending", "front_hand", "payments.switch"),
        ),
    ),
    (
        "Rules",
        (
            Entry("Decline codes", "credit_card_off", "payments.declinerule"),
            Entry("Network ceilings", "speed", "payments.networkceiling"),
            Entry("Limits", "tune", "payments.limit"),
            Entry("People", "group", "auth.user"),
        ),
    ),
)


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """Return Unfold's navigation for this person: the home page, then every group with something in it."""
    home = {
        "title": "Home",
        "icon": "home",
        "link": reverse("admin:index"),
        "active": request.path == reverse("admin:index"),
    }
    groups: list[dict[str, Any]] = [{"items": [home]}]
    pages = {model._meta.label_lower: found for model, found in admin.site._registry.items()}  # noqa: SLF001 - Django's documented attribute has no public twin
    for title, entries in SIDEBAR:
        items = [item for entry in entries if (item := _item(request, entry, pages.get(entry.model))) is not None]
        if items:
            groups.append({"title": title, "separator": True, "items": items})
    _mark_active(request, groups)
    return groups


def environment(request: HttpRequest) -> tuple[str, str] | None:
    """Return the badge in the header: a demo must never be mistaken for the real thing."""
    return ("Demo", "info") if settings.DEMO else None


def _item(request: HttpRequest, entry: Entry, page: admin.ModelAdmin[Any] | None) -> dict[str, Any] | None:
    if page is None or not page.has_view_permission(request):
        return None
    address = reverse(f"admin:{entry.model.replace('.', '_')}_{entry.view}")
    return {"title": entry.title, "icon": entry.icon, "link": address, "active": False}


def _mark_active(request: HttpRequest, groups: list[dict[str, Any]]) -> None:
    """Light the longest address the page lies under: the trial balance, not also the accounts above it."""
    items = [item for group in groups[1:] for item in group["items"] if request.path.startswith(item["link"])]
    if items:
        max(items, key=lambda item: len(item["link"]))["active"] = True
