"""Where does a person upload payments, read the dry run and follow them? List, page with a live part, files, and the commands."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from console import display
from console.admin import Command, LockedAdmin
from console.rights import holds_right, rights_of
from payments.admin import batch_commands as commands
from payments.admin import batch_detail as detail
from payments.admin.batch_upload import UPLOAD
from payments.models import Batch
from payments.queries.batch_page import RowOutcome, rows_of, shares_of
from payments.services.batches.results import results_file, template_file

_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


@admin.register(Batch)
class BatchAdmin(LockedAdmin):
    """Uploads, the newest first."""

    list_display = ("file", "state_shown", "rows_shown", "money", "uploaded", "by")
    list_display_links = ("file",)
    list_filter = ("state",)
    exact_search = ("public_id", "sha256", "name")
    search_help_text = "An upload's id, or the name of its file. Compared exactly."
    address_field = "public_id"
    list_title = "Uploads"
    list_intro = "Spreadsheets of payments. Each is checked row by row before anything is charged."
    empty_title = "No upload yet"
    empty_advice = "Download the template, fill it in and upload it: every row is checked before anything is charged."
    detail_template = "admin/payments/batch/detail.html"

    def commands(self) -> Sequence[Command]:
        return (
            Command("upload", "payments.upload_batch", page=UPLOAD, on_list=True),
            Command("start", "payments.start_batch", page=commands.START),
            Command("pause", "payments.start_batch", page=commands.PAUSE),
            Command("resume", "payments.start_batch", page=commands.RESUME),
            Command("cancel_rest", "payments.start_batch", page=commands.CANCEL_REST),
            Command("retry", "payments.start_batch", page=commands.RETRY),
            Command("discard", "payments.upload_batch", page=commands.DISCARD),
        )

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("template/<str:kind>/", view(require_safe(self.template_view)), name="payments_batch_template"),
            path("<str:object_id>/progress/", view(require_safe(self.progress_view)), name="payments_batch_progress"),
            path(
                "<str:object_id>/results/<str:kind>/",
                view(require_safe(self.results_view)),
                name="payments_batch_results",
            ),
            *super().get_urls(),
        ]

    # -- the list ------------------------------------------------------------------------------------------------------
    def list_steps(self, request: HttpRequest) -> Sequence[tuple[str, str]]:
        may = holds_right(request.user, "payments.upload_batch")
        return (("Upload payments", self.command_url("upload")),) if may else ()

    @admin.display(description="File")
    def file(self, batch: Batch) -> SafeString:
        return format_html(
            '<span class="cf-ref">{}</span><span class="cf-ref__id cf-code">{}</span>', batch.name, batch.public_id
        )

    @admin.display(description="State")
    def state_shown(self, batch: Batch) -> SafeString:
        return display.chip(detail.batch_chip(batch))

    @admin.display(description="Rows")
    def rows_shown(self, batch: Batch) -> str:
        bad = f", {batch.rows_bad:,} with problems" if batch.rows_bad else ""
        return f"{batch.rows_total:,}{bad}" if batch.rows_total else display.DASH

    @admin.display(description="Good rows together")
    def money(self, batch: Batch) -> SafeString:
        sums = sorted(batch.totals.items())
        return (
            format_html_join("", "{}<br>", ((display.money(minor, code),) for code, (_, minor) in sums)) or display.DASH
        )

    @admin.display(description="Uploaded")
    def uploaded(self, batch: Any) -> SafeString:
        return display.when(batch.uploaded_at, batch.listed_at)

    @admin.display(description="By")
    def by(self, batch: Batch) -> str:
        return batch.uploaded_by or display.DASH

    # -- one upload ----------------------------------------------------------------------------------------------------
    def detail_context(self, request: HttpRequest, obj: Any, now: datetime) -> dict[str, Any]:
        return {
            **self._live(request, obj),
            "title": obj.name,
            "notices": detail.notices(obj),
            "results": [
                (kind.upper(), reverse("admin:payments_batch_results", args=(obj.public_id, kind))) for kind in _TYPES
            ],
        }

    def _live(self, request: HttpRequest, batch: Batch) -> dict[str, Any]:
        """The part that changes: a constant number of queries, however many rows."""
        shares = shares_of(batch)
        outcome, after = _asked(request)
        views, more = rows_of(batch, outcome=outcome, after=after)
        base, rights = self.url_of(batch), rights_of(request.user)
        here = {"outcome": outcome} if outcome else {}
        return {
            "batch": batch,
            "chip": detail.batch_chip(batch),
            "moving": detail.is_moving(batch, shares),
            "progress_url": f"{reverse('admin:payments_batch_progress', args=(batch.public_id,))}?{request.GET.urlencode()}",
            "steps": detail.steps(batch, rights, lambda name: self.command_url(name, batch), shares),
            "dry": detail.dry_run(batch),
            "head_facts": detail.head_facts(batch),
            "begun": batch.started_at is not None,
            "money_cells": detail.money_cells(shares),
            "bars": detail.bars(shares),
            "share_columns": detail.SHARE_COLUMNS,
            "shares": detail.share_rows(shares, lambda one: f"{base}?{urlencode({'outcome': one.value})}#rows"),
            "filters": detail.filters(shares, outcome, base),
            "row_columns": detail.ROW_COLUMNS,
            "rows": detail.row_cells(views),
            "first_url": f"{base}?{urlencode(here)}#rows" if after else "",
            "next_url": f"{base}?{urlencode({**here, 'after': views[-1].row.number})}#rows" if more else "",
        }

    def progress_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The live part alone, for the page that is open."""
        batch = self._visible(request, object_id)
        context = {**self._live(request, batch), "page_time": timezone.now()}
        return TemplateResponse(request, "admin/payments/batch/_live.html", context)

    def results_view(self, request: HttpRequest, object_id: str, kind: str) -> StreamingHttpResponse:
        """All rows with what became of them, as a file; also while it runs."""
        batch = self._visible(request, object_id)
        _require_kind(kind)
        return _download(results_file(batch.public_id, kind), f"results-{batch.public_id}", kind)

    def template_view(self, request: HttpRequest, kind: str) -> StreamingHttpResponse:
        """An empty file with the headings that fit."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        _require_kind(kind)
        return _download(template_file(kind), "payments-template", kind)

    def _visible(self, request: HttpRequest, object_id: str) -> Batch:
        if not self.has_view_permission(request):
            raise PermissionDenied
        found: Any = self.find_row(request, object_id)
        return found  # type: ignore[no-any-return]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Batch]:
        return Batch.objects.all()


def _asked(request: HttpRequest) -> tuple[str, int]:
    """Which rows the address asks for; what makes no sense asks for all of them."""
    outcome, after = request.GET.get("outcome", ""), request.GET.get("after", "")
    known = outcome if outcome in set(RowOutcome) else ""
    return known, int(after) if after.isascii() and after.isdigit() and len(after) < 10 else 0


def _require_kind(kind: str) -> None:
    if kind not in _TYPES:
        raise Http404(f"There is no such file: {kind}. csv and xlsx are possible.")


def _download(pieces: Any, name: str, kind: str) -> StreamingHttpResponse:
    disposition = f'attachment; filename="{name}.{kind}"'
    headers = {"Content-Disposition": disposition, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return StreamingHttpResponse(pieces, content_type=_TYPES[kind], headers=headers)
