"""Where does a person see payouts? The list, newest first, and the page of one. Nothing is done here: gateways and banks tell."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from console import display
from console.admin import LockedAdmin
from console.values import Link
from payments.models import Payout
from payments.queries import payout_page as pages


@admin.register(Payout)
class PayoutAdmin(LockedAdmin):
    """Money on its way from gateways to the bank."""

    list_display = ("payout", "state_shown", "amount", "gateway", "made", "due", "arrived")
    list_display_links = ("payout",)
    list_filter = ("state", "gateway_account")
    exact_search = ("public_id", "gateway_id", "bank_ref")
    search_help_text = "Payout, the gateway's id of it, or the bank's reference. Compared exactly."
    address_field = "public_id"
    list_title = "Payouts"
    list_intro = (
        "What gateways send to our bank. A payout leaves the gateway's balance, is on its way, and ends in the bank."
    )
    empty_title = "No payout is known"
    empty_advice = (
        "They appear when a gateway tells of one, by webhook or report, or when a statement has a line for one."
    )
    detail_template = "admin/payments/payout/detail.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Payout]:
        return Payout.objects.select_related("gateway_account")

    @admin.display(description="Payout")
    def payout(self, payout: Payout) -> SafeString:
        return display.link(Link(payout.gateway_id, "", code=True))

    @admin.display(description="State")
    def state_shown(self, payout: Any) -> SafeString:
        return display.chip(pages.late_chip(payout, payout.listed_at.date()) or pages.payout_chip(payout))

    @admin.display(description="Amount")
    def amount(self, payout: Payout) -> SafeString:
        return display.money(payout.amount_minor, payout.currency)

    @admin.display(description="Gateway")
    def gateway(self, payout: Payout) -> str:
        return payout.gateway_account.name

    @admin.display(description="Made")
    def made(self, payout: Any) -> SafeString:
        return display.when(payout.made_at, payout.listed_at)

    @admin.display(description="Expected")
    def due(self, payout: Payout) -> str | SafeString:
        return f"{payout.arrives_on:%d %b %Y}" if payout.arrives_on else display.hint("no day named")

    @admin.display(description="In the bank")
    def arrived(self, payout: Payout) -> str | SafeString:
        return f"{payout.in_bank_on:%d %b %Y}" if payout.in_bank_on else display.hint("not seen yet")

    # -- one payout ----------------------------------------------------------------------------------------------------
    def detail_context(self, request: HttpRequest, obj: Any, now: datetime) -> dict[str, Any]:
        page = pages.payout_page(obj, now)
        return {
            "title": f"Payout of {display.money_text(obj.amount_minor, obj.currency)} {obj.currency}",
            "page": page,
            "head_chip": page.chip,
            "sum_columns": pages.SUM_COLUMNS,
            "item_columns": pages.ITEM_COLUMNS,
            "entry_columns": pages.ENTRY_COLUMNS,
            "sees_books": request.user.has_perm("ledger.view_journalentry"),
        }
