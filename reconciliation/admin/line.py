"""Where does a person find a line of a report? The list by account, day and place, and the page of one with what became of it."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from console import display
from console.admin import LockedAdmin
from reconciliation.models import Line, Match
from reconciliation.queries import line_page as pages
from reconciliation.states import BOOKED_KINDS


class MetFilter(admin.SimpleListFilter):
    """Where a line stands."""

    title = "place"
    parameter_name = "met"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "matched"), ("booked", "booked from the line"), ("no", "neither")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Line]) -> QuerySet[Line]:
        met = Exists(Match.objects.filter(line=OuterRef("pk"), undone_at=None))
        if self.value() == "yes":
            return queryset.filter(met)
        if self.value() == "booked":
            return queryset.filter(~met, kind__in=BOOKED_KINDS)
        return queryset.filter(~met).exclude(kind__in=BOOKED_KINDS) if self.value() == "no" else queryset


@admin.register(Line)
class LineAdmin(LockedAdmin):
    """Lines of reports, the newest first."""

    list_display = ("line", "place", "account_shown", "day_shown", "gross", "net", "named")
    list_display_links = ("line",)
    list_filter = ("account", "kind", MetFilter)
    exact_search = ("line_key", "gateway_id", "reference", "payout_id")
    search_help_text = "The line's own id, the gateway's id, our reference, a payout. Compared exactly."
    list_title = "Report lines"
    list_intro = "What gateways and the bank reported, each line once, whatever reports it stands in."
    empty_title = "No line was read yet"
    empty_advice = "Lines come with statements: fetched every night, or imported by you under “Statements”."
    detail_template = "admin/reconciliation/line/detail.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Line]:
        rows = Line.objects.select_related("account", "statement")
        day = _day(request.GET.get("day", ""))
        return rows.filter(day=day) if day else rows

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        return lookup == "day" or super().lookup_allowed(lookup, value, request)

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Two queries tell where the lines of the page stand."""
        found = super().get_changelist_instance(request)
        chips = pages.chips_of(list(found.result_list))
        for line in found.result_list:
            line.place_chip = chips[line.pk]
        return found

    @admin.display(description="Line")
    def line(self, line: Line) -> str:
        return pages.short_key(line.line_key)

    @admin.display(description="Place")
    def place(self, line: Any) -> SafeString:
        return display.chip(line.place_chip)

    @admin.display(description="Account and kind")
    def account_shown(self, line: Line) -> SafeString:
        return format_html('{}<br><span class="cf-hint">{}</span>', line.account.name, line.kind.replace("_", " "))

    @admin.display(description="Day")
    def day_shown(self, line: Line) -> str:
        return line.day.isoformat()

    @admin.display(description="Gross")
    def gross(self, line: Line) -> SafeString:
        return display.money(line.gross_minor, line.currency)

    @admin.display(description="Net")
    def net(self, line: Line) -> SafeString:
        return display.DASH if line.net_minor is None else display.money(line.net_minor, line.currency)

    @admin.display(description="Reference and payout")
    def named(self, line: Line) -> SafeString:
        return format_html('{}<br><span class="cf-hint">{}</span>', line.reference or display.DASH, line.payout_id)

    # -- one line ------------------------------------------------------------------------------------------------------
    def detail_context(self, request: HttpRequest, obj: Any, now: datetime) -> dict[str, Any]:
        page = pages.line_page(obj, now)
        return {
            "title": f"{obj.kind.replace('_', ' ').capitalize()} {pages.short_key(obj.line_key)}",
            "page": page,
            "head_chip": page.chip,
            "met_columns": pages.MET_COLUMNS,
            "booked_columns": pages.BOOKED_COLUMNS,
            "break_columns": pages.BREAK_COLUMNS,
            "change_columns": pages.CHANGE_COLUMNS,
        }


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
