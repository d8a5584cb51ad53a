"""What does a person see of payments, and from where do they act? The list, the page of one payment, its commands.

Shows what `payments.queries` read; every address that writes is one service call in `payment_commands` or `payment_create`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from console import display
from console.admin import Command, LockedAdmin
from console.rights import holds_right, rights_of
from console.values import Chip
from payments.admin import payment_commands, payment_create, payment_detail, payment_retry, payment_short
from payments.admin.payment_chips import flags, masked_payer, payment_chip, waits_words
from payments.admin.payment_filters import AgeFilter, AttentionFilter, GatewayFilter, WaitsFilter
from payments.card_numbers import has_card_number
from payments.models import Payment
from payments.queries.page import payment_page
from payments.queries.page_list import RowExtras, extras_of
from payments.queries.page_rows import page_version
from payments.queries.search import find_payments
from payments.services.retries import refusal_of


@admin.register(Payment)
class PaymentAdmin(LockedAdmin):
    """Payments: list, page, and the commands a person may give."""

    list_display = (
        "state_shown",
        "order",
        "payer_shown",
        "amount",
        "captured",
        "refunded",
        "gateway",
        "waits",
        "created",
    )
    list_display_links = ("order",)
    list_filter = (AttentionFilter, "state", WaitsFilter, AgeFilter, GatewayFilter)
    search_help_text = "Any reference: ours, the merchant's, the gateway's, or the payer's e-mail. Compared exactly."
    address_field = "public_id"
    list_title: ClassVar[str] = "Payments"
    list_intro: ClassVar[str] = "Newest first. What needs a person is marked; everything else moves by itself."
    empty_title = "No payments yet"
    empty_advice = "They come in by API, or are made here by hand."

    def get_queryset(self, request: HttpRequest) -> QuerySet[Payment]:
        return Payment.objects.select_related("payer", "method", "possible_duplicate_of")

    def commands(self) -> Sequence[Command]:
        return (
            Command("create", "payments.create_payment", page=payment_create.CREATE, on_list=True),
            Command("capture", "payments.capture_payment", page=payment_commands.CAPTURE),
            Command("cancel", "payments.cancel_payment", page=payment_commands.CANCEL),
            Command("refund", "payments.refund_payment", page=payment_commands.REFUND),
            Command("retry", "payments.retry_payment", page=payment_retry.RETRY),
            Command("cancel_retry", "payments.retry_payment", page=payment_retry.CANCEL_RETRY),
            Command("accept_short", "payments.accept_short", page=payment_short.ACCEPT_SHORT),
            Command("ask", "payments.ask_gateway", run=payment_commands.ask),
        )

    def get_urls(self) -> list[URLPattern]:
        fresh = path(
            "<str:object_id>/fresh/",
            self.admin_site.admin_view(require_safe(self.fresh_view)),
            name="payments_payment_fresh",
        )
        return [fresh, *super().get_urls()]

    # -- the list ------------------------------------------------------------------------------------------------------
    def list_steps(self, request: HttpRequest) -> Sequence[tuple[str, str]]:
        may = holds_right(request.user, "payments.create_payment")
        return (("Create a payment", self.command_url("create")),) if may else ()

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Refuse to search for a card number: none is stored here, and it shall stand in no address and no log."""
        if has_card_number(request.GET.get("q", "")):
            messages.error(
                request,
                "That looks like a card number. None is stored here: search by reference, id or e-mail instead.",
            )
            return HttpResponseRedirect(request.path)
        return super().changelist_view(request, extra_context)

    def get_search_fields(self, request: HttpRequest) -> Sequence[str]:
        return ("reference",)  # says that there is a search; `get_search_results` does it

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Find the keys by exact indexed look-ups first, then those rows."""
        if not search_term.strip():
            return queryset, False
        return queryset.filter(pk__in=find_payments(search_term)), False

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Read amounts, gateways and open reviews for the page's rows at once."""
        found: ChangeList = super().get_changelist_instance(request)
        extras = extras_of([row.pk for row in found.result_list])
        for row in found.result_list:
            row.extras = extras[row.pk]
        return found

    @admin.display(description="State")
    def state_shown(self, payment: Any) -> SafeString:
        extras: RowExtras = payment.extras
        chips = [payment_chip(payment), *flags(payment, needs_a_person=extras.open_reviews > 0)]
        rest = format_html_join("", "{}", ((_small(chip),) for chip in chips[1:]))
        return format_html('<span class="cf-states">{}{}</span>', display.chip(chips[0]), rest)

    @admin.display(description="Reference")
    def order(self, payment: Payment) -> SafeString:
        return format_html(
            '<span class="cf-ref">{}</span><span class="cf-ref__id cf-code">{}</span>',
            payment.reference, payment.public_id,
        )  # fmt: skip

    @admin.display(description="Payer")
    def payer_shown(self, payment: Payment) -> str:
        return masked_payer(payment.payer) or display.DASH

    @admin.display(description="Amount")
    def amount(self, payment: Payment) -> SafeString:
        return display.money(payment.amount_minor, payment.currency)

    @admin.display(description="Captured")
    def captured(self, payment: Any) -> SafeString:
        return _some(payment.extras.amounts.captured, payment.currency)

    @admin.display(description="Refunded")
    def refunded(self, payment: Any) -> SafeString:
        return _some(payment.extras.amounts.refunded, payment.currency)

    @admin.display(description="Gateway")
    def gateway(self, payment: Any) -> str:
        return payment.extras.gateway or display.DASH

    @admin.display(description="Waits for")
    def waits(self, payment: Any) -> SafeString:
        words = waits_words(payment.waits_for)
        if not words:
            return display.DASH
        if payment.next_check_at is None:
            return format_html("{}", words)
        late = payment.next_check_at < payment.listed_at
        return format_html(
            '{}<span class="cf-hint cf-under">{} {}</span>',
            words, "due" if late else "next step", display.when(payment.next_check_at, payment.listed_at),
        )  # fmt: skip

    @admin.display(description="Created")
    def created(self, payment: Any) -> SafeString:
        return display.when(payment.created_at, payment.listed_at)

    # -- one payment ---------------------------------------------------------------------------------------------------
    detail_template = "admin/payments/payment/detail.html"

    def detail_context(self, request: HttpRequest, obj: Any, now: datetime) -> dict[str, Any]:
        page = payment_page(obj, rights=rights_of(request.user), now=now, why_not_again=refusal_of)
        shown = payment_detail.context_of(page, sees_books=request.user.has_perm("ledger.view_journalentry"))
        return {
            **shown,
            "sections": payment_detail.sections_of(page, request.user.has_perm, now),
            "title": obj.reference,
            "version": page.version,
            "fresh_url": reverse("admin:payments_payment_fresh", args=(obj.public_id,)),
        }

    def fresh_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Answer 204 while the page that asks is still right, else a line that offers to load it again."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        version = page_version(object_id)
        if not version:
            raise Http404(f"There is no payment “{object_id}”.")
        if version == request.GET.get("seen"):
            return HttpResponse(status=204)
        context = {"page_url": reverse("admin:payments_payment_change", args=(object_id,)), "page_time": timezone.now()}
        return TemplateResponse(request, "admin/payments/payment/_fresh.html", context)


def _some(amount_minor: int, currency: str) -> SafeString:
    """An amount, or nothing where there is none: zeros in a column hide the numbers."""
    return display.money(amount_minor, currency) if amount_minor else SafeString("")


def _small(chip: Chip) -> SafeString:
    """A flag beside the state: its icon, with the words for those who hover or listen."""
    return format_html(
        '<span class="cf-flag cf-chip--{}" title="{}"><span class="material-symbols-outlined cf-icon" aria-hidden="true">'
        '{}</span><span class="cf-sr">{}</span></span>',
        chip.tone, f"{chip.text}: {chip.hint}", chip.icon, chip.text,
    )  # fmt: skip
