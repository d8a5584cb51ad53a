"""Where does finance see how the night went? The dashboard, comparisons with their equations, and the proof of the difference."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_safe

from console import display
from console.admin import Command, LockedAdmin
from console.commands import CommandCall, CommandPage
from console.rights import holds_right
from console.values import KeyValue, Outcome, Preview
from payments.admin.payment_forms import CommandForm
from payments.errors import PaymentsError
from payments.services.actors import Actor
from reconciliation.models import Run, StatementAccount
from reconciliation.queries import proof_page as proofs
from reconciliation.queries import run_page as pages
from reconciliation.queries.dashboard import dashboard
from reconciliation.services.asking import RUN, ask_run


class CompareForm(CommandForm):
    """Which account, which day."""

    account = forms.ChoiceField()
    day = forms.DateField(
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}), help_text="A day that is over there."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rows = StatementAccount.objects.order_by("kind", "name")
        self.fields["account"].choices = [(row.slug, row.name) for row in rows]  # type: ignore[attr-defined]


class AgainForm(CommandForm):
    """Nothing to answer."""


def _home(_: Any = None) -> str:
    return reverse("admin:reconciliation_run_changelist")


def _yesterday(_: Any = None) -> dict[str, Any]:
    return {"day": timezone.localdate() - timedelta(days=1)}


def _url(run: Run) -> str:
    return reverse("admin:reconciliation_run_change", args=(run.public_id,))


def _preview(call: CommandCall) -> Preview:
    slug, day = _wanted(call)
    facts = [KeyValue("Account", slug), KeyValue("Day", day.isoformat())]
    return Preview(
        "A worker compares it within a minute: the report is asked for again where that is possible, open differences are "
        "looked at anew, and nothing is doubled.", facts,
    )  # fmt: skip


def _execute(call: CommandCall) -> Outcome:
    slug, day = _wanted(call)
    run = ask_run(slug, day, actor=Actor.for_user(call.actor), now=call.now)
    return Outcome(f"{run} is compared within a minute.", _url(run))


def _wanted(call: CommandCall) -> tuple[str, Any]:
    if call.subject is not None:
        return call.subject.account.slug, call.subject.day
    return call.answers["account"], call.answers["day"]


COMPARE = CommandPage(
    "compare", "Compare a day", "One account, one day. Days are compared by themselves every night; this is for now.",
    "Compare it", CompareForm, _preview, _execute, refusals=(PaymentsError,), return_to=_home, initial=_yesterday,
)  # fmt: skip
AGAIN = CommandPage(
    "again", "Compare the day again", "After a report came late, a mapping was mended, or something was put right.",
    "Compare it again", AgainForm, _preview, _execute, refusals=(PaymentsError,), return_to=_url,
)  # fmt: skip


@admin.register(Run)
class RunAdmin(LockedAdmin):
    """Comparisons, the last ones first."""

    list_display = ("day_shown", "account", "state_shown", "lines_shown", "movements_shown", "left_over", "finished")
    list_display_links = ("day_shown",)
    list_filter = ("state", "account")
    exact_search = ("public_id", "day")
    search_help_text = "A day as 2026-11-20. Compared exactly."
    address_field = "public_id"
    list_title = "Comparisons"
    list_intro = (
        "Each night every account's report is compared with our books: each line and each movement ends in one place."
    )
    empty_title = "Nothing was compared yet"
    empty_advice = "The night compares yesterday by itself. To see it now: import a statement, then “Compare a day”."
    detail_template = "admin/reconciliation/run/detail.html"

    def commands(self) -> Sequence[Command]:
        return (Command("compare", RUN, page=COMPARE, on_list=True), Command("again", RUN, page=AGAIN))

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("dashboard/", view(require_safe(self.dashboard_view)), name="reconciliation_run_dashboard"),
            path("<str:object_id>/proof/", view(require_safe(self.proof_view)), name="reconciliation_run_proof"),
            path(
                "<str:object_id>/proof.csv", view(require_safe(self.proof_file)), name="reconciliation_run_proof_file"
            ),
            *super().get_urls(),
        ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Run]:
        rows = Run.objects.select_related("account")
        day = request.GET.get("day", "")
        return rows.filter(day=day) if _is_day(day) else rows

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        return lookup == "day" or super().lookup_allowed(lookup, value, request)

    def list_steps(self, request: HttpRequest) -> Sequence[tuple[str, str]]:
        return (("Compare a day", self.command_url("compare")),) if holds_right(request.user, RUN) else ()

    @admin.display(description="Day")
    def day_shown(self, run: Run) -> str:
        return run.day.isoformat()

    @admin.display(description="State")
    def state_shown(self, run: Run) -> SafeString:
        return display.chip(pages.run_chip(run))

    @admin.display(description="Lines read")
    def lines_shown(self, run: Run) -> Any:
        return _counted(run.lines, "read", pages.LINE_PARTS)

    @admin.display(description="Our movements")
    def movements_shown(self, run: Run) -> Any:
        return _counted(run.movements, "open", pages.MOVEMENT_PARTS)

    @admin.display(description="Left over")
    def left_over(self, run: Run) -> SafeString:
        """What the proof of the difference could not explain, a currency a line."""
        proofs = run.legs.get("proofs", ())
        sums = (display.money(one["residual_minor"], one["currency"]) for one in proofs)
        return format_html_join(mark_safe("<br>"), "{}", ((shown,) for shown in sums)) if proofs else display.DASH

    @admin.display(description="Compared")
    def finished(self, run: Any) -> SafeString:
        return display.when(run.finished_at, run.listed_at)

    # -- one comparison ------------------------------------------------------------------------------------------------
    def detail_context(self, request: HttpRequest, obj: Any, now: datetime) -> dict[str, Any]:
        page = pages.run_page(obj)
        steps = [("Compare it again", self.command_url("again", obj))] if holds_right(request.user, RUN) else []
        return {
            "title": f"{obj.account.name}, {obj.day}",
            "page": page,
            "head_chip": page.chip,
            "steps": steps,
            "breaks_url": pages.breaks_of(obj),
            "upload_url": reverse("admin:reconciliation_statement_upload") if holds_right(request.user, RUN) else "",
            "break_columns": pages.BREAK_COLUMNS,
            "report_columns": pages.REPORT_COLUMNS,
            "proof_columns": pages.PROOF_COLUMNS,
        }

    def proof_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """From our books to the gateway's balance, in one currency."""
        run = self._found(request, object_id)
        page = proofs.proof_page(run, request.GET.get("currency", ""))
        if page is None and request.GET.get("currency"):
            raise Http404("There is nothing to prove in this currency.")
        file = reverse("admin:reconciliation_run_proof_file", args=(run.public_id,))
        context = {
            "title": f"Proof of the difference: {run.account.name}, {run.day}",
            "intro": "Why the gateway's balance is not ours, as things stand now: every number opens to its rows.",
            "proof": page,
            "head_chip": page.chip if page else None,
            "proof_columns": proofs.COLUMNS,
            "steps": [("The comparison", _url(run)), *([("CSV", f"{file}?currency={page.currency}")] if page else [])],
        }
        return self.page(request, "admin/reconciliation/run/proof.html", context)

    def proof_file(self, request: HttpRequest, object_id: str) -> StreamingHttpResponse:
        """The same as a table."""
        run = self._found(request, object_id)
        page = proofs.proof_page(run, request.GET.get("currency", ""))
        if page is None and request.GET.get("currency"):
            raise Http404("There is nothing to prove in this currency.")
        currency = page.currency if page else ""
        name = f"proof-{run.account.slug}-{currency or 'none'}-{run.day}.csv"
        rows = (proofs.CSV_COLUMNS, *(proofs.proof_rows(run, currency) if currency else ()))
        return StreamingHttpResponse(
            _csv(rows),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}"', "X-Content-Type-Options": "nosniff"},
        )

    def dashboard_view(self, request: HttpRequest) -> HttpResponse:
        """Figures and charts."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = {
            "title": "Finance dashboard",
            "intro": "How the books stand against gateways and bank. Every number leads to its rows.",
            "page": dashboard(timezone.now()),
        }
        return self.page(request, "admin/reconciliation/run/dashboard.html", context)

    def _found(self, request: HttpRequest, object_id: str) -> Run:
        if not self.has_view_permission(request):
            raise PermissionDenied
        run = self.find_row(request, object_id)
        assert isinstance(run, Run)
        return run


def _counted(values: dict[str, Any], whole: str, parts: Sequence[tuple[str, str]]) -> Any:
    if not values:
        return display.DASH
    return format_html(
        '{}<br><span class="cf-hint">{}</span>', f"{values.get(whole, 0):,}", pages.counted(values, parts)
    )


def _is_day(text: str) -> bool:
    try:
        datetime.strptime(text, "%Y-%m-%d")  # noqa: DTZ007 - a day has no zone
    except ValueError:
        return False
    return True


class _Line:
    """What csv writes to: hands each line back."""

    def write(self, text: str) -> str:
        return text


def _csv(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Text cells that a spreadsheet would take for a formula are quoted with an apostrophe; amounts stay numbers."""
    writer = csv.writer(_Line())
    for row in rows:
        yield writer.writerow([*map(_harmless, row[:5]), *row[5:]])


def _harmless(text: str) -> str:
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
