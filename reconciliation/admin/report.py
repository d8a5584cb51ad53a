"""Where are the reports that were asked for? The list, the page of one with its progress and manifest, and the download."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from console import display
from console.admin import Command, LockedAdmin
from console.rights import holds_right
from payments.errors import PaymentsError
from payments.services.actors import Actor
from reconciliation.admin import report_detail as detail
from reconciliation.admin.report_ask import ASK
from reconciliation.models import ReportJob
from reconciliation.services.report_downloads import Download, name_of, open_download
from reconciliation.services.report_jobs import cancel_report

RIGHT = "reconciliation.export_reports"
_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "beancount": "text/plain; charset=utf-8",
}


@admin.register(ReportJob)
class ReportJobAdmin(LockedAdmin):
    """Reports, the newest first."""

    list_display = ("report_shown", "state_shown", "only", "rows", "by", "asked")
    list_display_links = ("report_shown",)
    list_filter = ("state",)
    exact_search = ("public_id", "sha256", "asked_by")
    search_help_text = "A report's id, the SHA-256 of its file, or who asked for it. Compared exactly."
    address_field = "public_id"
    list_title = "Reports"
    list_intro = (
        "What was exported, by whom, with which digest. Files are kept for a day; what was in them stays known."
    )
    empty_title = "No report yet"
    empty_advice = "Ask for one: journal, trial balance, payments, breaks and more, as CSV or XLSX."
    detail_template = "admin/reconciliation/reportjob/detail.html"

    def commands(self) -> Sequence[Command]:
        return (
            Command("ask", RIGHT, page=ASK, on_list=True),
            Command("cancel", RIGHT, run=self._cancel),
            Command("download", RIGHT, run=self._download),
        )

    def get_urls(self) -> list[URLPattern]:
        views = {"progress": self.progress_view, "manifest": self.manifest_view}
        return [
            *(
                path(
                    f"<str:object_id>/{name}/",
                    self.admin_site.admin_view(require_safe(view)),
                    name=f"reconciliation_reportjob_{name}",
                )
                for name, view in views.items()
            ),
            *super().get_urls(),
        ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ReportJob]:
        return ReportJob.objects.select_related("schedule")

    # -- the list ------------------------------------------------------------------------------------------------------
    def list_steps(self, request: HttpRequest) -> Sequence[tuple[str, str]]:
        schedules = ("Schedules", reverse("admin:reconciliation_reportschedule_changelist"))
        may = holds_right(request.user, RIGHT)
        return (schedules, ("New report", self.command_url("ask"))) if may else (schedules,)

    @admin.display(description="Report")
    def report_shown(self, job: ReportJob) -> SafeString:
        return format_html(
            '<span class="cf-ref">{}</span><span class="cf-ref__id cf-code">{}</span>',
            detail.title_of(job),
            job.public_id,
        )

    @admin.display(description="State")
    def state_shown(self, job: ReportJob) -> SafeString:
        return display.chip(detail.chip_of(job))

    @admin.display(description="Only")
    def only(self, job: ReportJob) -> str:
        return detail.narrowed(job)

    @admin.display(description="Rows")
    def rows(self, job: ReportJob) -> str:
        return f"{job.rows_done:,}" if job.rows_done or job.finished_at else display.DASH

    @admin.display(description="By")
    def by(self, job: ReportJob) -> str:
        return job.asked_by or display.DASH

    @admin.display(description="Asked for")
    def asked(self, job: Any) -> SafeString:
        return display.when(job.asked_at, job.listed_at)

    # -- one report ----------------------------------------------------------------------------------------------------
    def detail_context(self, request: HttpRequest, obj: Any, now: datetime) -> dict[str, Any]:
        return {
            **self._live(request, obj),
            "title": detail.title_of(obj),
            "total_columns": detail.total_columns(obj),
            "total_rows": detail.total_rows(obj),
            "column_columns": detail.COLUMN_COLUMNS,
            "column_rows": detail.column_rows(obj),
            "download_columns": detail.DOWNLOAD_COLUMNS,
            "downloads": detail.downloads_of(obj),
        }

    def _live(self, request: HttpRequest, job: ReportJob) -> dict[str, Any]:
        urls = {name: self.command_url(name, job) for name in ("cancel", "download")}
        for name in ("progress", "manifest"):
            urls[name] = reverse(f"admin:reconciliation_reportjob_{name}", args=(job.public_id,))
        mine = job.schedule_id is not None or job.asked_by_user_id == request.user.pk
        return detail.live(job, may=holds_right(request.user, RIGHT), mine=mine, urls=urls)

    def progress_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The live part alone, for the page that is open; once it has ended the whole page is drawn anew."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        job: Any = self.find_row(request, object_id)
        context = {**self._live(request, job), "page_time": timezone.now()}
        headers = {} if job.state in detail.UNDER_WAY else {"HX-Refresh": "true"}
        return TemplateResponse(request, "admin/reconciliation/reportjob/_live.html", context, headers=headers)

    def manifest_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The manifest as JSON, named so that `export verify` finds it beside the file."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        job: Any = self.find_row(request, object_id)
        if not job.manifest:
            raise Http404("This report has no manifest: it was not written.")
        response = JsonResponse({**job.manifest, "file": name_of(job)}, json_dumps_params={"indent": 2})
        response["Content-Disposition"] = f'attachment; filename="{name_of(job)}.manifest.json"'
        return response

    # -- commands ------------------------------------------------------------------------------------------------------
    def _cancel(self, request: HttpRequest, job: Any) -> HttpResponse:
        try:
            cancel_report(job.public_id, actor=_actor(request))
        except PaymentsError as refusal:
            messages.error(request, str(refusal))
        else:
            messages.success(request, "Cancelled. Nothing of it is kept.")
        return HttpResponseRedirect(self.url_of(job))

    def _download(self, request: HttpRequest, job: Any) -> HttpResponse:
        try:
            return _file(open_download(job.public_id, actor=_actor(request), now=timezone.now()))  # type: ignore[no-any-return]  # a stream, which the stubs keep apart
        except PaymentsError as refusal:
            context = {**self.detail_context(request, job, timezone.now()), "refused": str(refusal)}
            response = self.page(request, self.detail_template, context, job)
            response.status_code = refusal.status
            return response


def _actor(request: HttpRequest) -> Actor:
    return Actor.for_user(request.user)  # type: ignore[arg-type]  # behind a right: it is a person


def _file(download: Download) -> Any:
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    response = FileResponse(
        download.path.open("rb"), as_attachment=True, filename=download.name, content_type=_TYPES[download.kind]
    )
    for name, value in headers.items():
        response[name] = value
    return response
