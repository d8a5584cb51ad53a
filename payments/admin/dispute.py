"""Where does a person see disputes? The queue by when the evidence is due, and the page of one.

Nothing is done here: what is decided about a dispute is decided in its case, and sent in the gateway's own dashboard.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from console import display
from console.admin import LockedAdmin
from console.links import link_to
from console.listing import KeysetChangeList
from console.ordered import OrderedChangeList
from payments.models import Dispute
from payments.queries import dispute_page as pages
from payments.states import OPEN_DISPUTE_STATES, DisputeState

QUEUE = OrderedChangeList.by("act_by")


class StateFilter(admin.SimpleListFilter):
    """Open disputes unless something else is asked for."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [*((state.value, state.value.replace("_", " ")) for state in DisputeState), ("all", "all")]

    def choices(self, changelist: Any) -> Any:
        first, *others = super().choices(changelist)
        return [{**first, "display": "open"}, *others]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Dispute]) -> QuerySet[Dispute]:
        if self.value() == "all" or (request.GET.get("q") and not self.value()):
            return queryset
        if self.value():
            return queryset.filter(state=self.value())
        return queryset.filter(state__in=[state.value for state in sorted(OPEN_DISPUTE_STATES)])


@admin.register(Dispute)
class DisputeAdmin(LockedAdmin):
    """Disputes, those whose evidence is due first."""

    list_display = ("state_shown", "reason_shown", "amount", "about", "gateway", "evidence_due", "opened")
    list_display_links = ("reason_shown",)
    list_filter = (StateFilter, "gateway_account")
    exact_search = ("public_id", "gateway_id", "charge_id", "payment__public_id", "payment__reference")
    search_help_text = "Dispute, charge or payment. Compared exactly."
    address_field = "public_id"
    list_title = "Disputes"
    list_intro = "What payers contest with their bank. Whose evidence is due first comes first."
    empty_title = "No dispute is open"
    empty_advice = "They appear when a gateway tells of one. Those that were decided stay under the filter “state”."
    detail_template = "admin/payments/dispute/detail.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Dispute]:
        return Dispute.objects.select_related("payment__method", "gateway_account")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """By the date to act by while they are open, which an index serves; what is over is walked newest first."""
        return KeysetChangeList if request.GET.get("state") else QUEUE

    @admin.display(description="State")
    def state_shown(self, dispute: Any) -> SafeString:
        return display.chip(pages.overdue_chip(dispute, dispute.listed_at) or pages.dispute_chip(dispute))

    @admin.display(description="Reason")
    def reason_shown(self, dispute: Dispute) -> str:
        return pages.reason_words(dispute).capitalize()

    @admin.display(description="Disputed")
    def amount(self, dispute: Dispute) -> SafeString:
        return display.money(dispute.amount_minor, dispute.currency)

    @admin.display(description="Payment")
    def about(self, dispute: Dispute) -> SafeString:
        if dispute.payment is None:
            return format_html('<span class="cf-hint">of no payment</span> {}', dispute.charge_id)
        return format_html(
            '{}<br><span class="cf-hint">{}</span>',
            display.link(link_to(dispute.payment.public_id)), dispute.payment.reference,
        )  # fmt: skip

    @admin.display(description="Gateway")
    def gateway(self, dispute: Dispute) -> str:
        return dispute.gateway_account.name

    @admin.display(description="Evidence due")
    def evidence_due(self, dispute: Any) -> SafeString:
        if dispute.evidence_due_at is None:
            return display.hint("no date told")
        due = display.when(dispute.evidence_due_at, dispute.listed_at)
        late = pages.overdue_chip(dispute, dispute.listed_at) is not None
        return format_html('<span class="cf-overdue">{}</span>', due) if late else due

    @admin.display(description="Opened")
    def opened(self, dispute: Any) -> SafeString:
        return display.when(dispute.opened_at, dispute.listed_at)

    # -- one dispute ---------------------------------------------------------------------------------------------------
    def detail_context(self, request: HttpRequest, obj: Any, now: datetime) -> dict[str, Any]:
        page = pages.dispute_page(obj, now)
        books = request.user.has_perm("ledger.view_journalentry")
        shown = None if books else -1  # the last column leads into the books
        return {
            "title": f"Dispute: {pages.reason_words(obj)}",
            "page": page,
            "head_chip": pages.overdue_chip(obj, now) or page.chip,
            "movement_columns": pages.MOVEMENT_COLUMNS[:shown],
            "movements": [cells[:shown] for cells in page.movements],
            "case_columns": pages.CASE_COLUMNS,
        }
