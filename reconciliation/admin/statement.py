"""Where do reports come in, and what became of each? The list, the page of one, and the upload with its dry run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from io import BytesIO
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from console import display
from console.admin import Command, LockedAdmin
from console.commands import CommandPage, Frame
from console.rights import holds_right
from payments.admin.payment_forms import CommandForm
from payments.errors import PaymentsError
from payments.services.actors import Actor
from reconciliation.admin.kept_file import pack, unpack
from reconciliation.models import Statement
from reconciliation.queries import import_page as importing
from reconciliation.queries import statement_page as pages
from reconciliation.services.ingestion import RUN, Report, take_in
from reconciliation.services.looking import Look, look_at_report
from reconciliation.services.terms import EDIT
from reconciliation.sources.registry import SOURCES
from reconciliation.states import StatementState

_DAY = forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})
_TOO_LARGE = "The file is larger than 20 MB. Use the command import_statement for it."
LOOK_COLUMNS = ("Row", "What", "Time", "Gross", "Fee", "Net", "Reference", "Key")


class UploadForm(CommandForm):
    """The file, whose it is, and which days it covers."""

    account = forms.ChoiceField(label="Account", error_messages={"required": "Choose whose statement it is."})
    file = forms.FileField(
        required=False,
        allow_empty_file=True,
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,.txt,.xml,.sta,.mt940,.ndjson,.jsonl,.json"}),
        help_text=(
            "camt.053 (.xml), MT940 (.sta, .mt940, .txt), CSV (.csv, by the account's column mapping) or what a gateway's"
            " API told, a JSON object a line (.ndjson). Up to 20 MB."
        ),
    )
    kept_name = forms.CharField(required=False, widget=forms.HiddenInput)
    kept = forms.CharField(required=False, strip=False, widget=forms.HiddenInput)
    source = forms.ChoiceField(
        label="Format", required=False, help_text="Name one where the file is in another than the account's own."
    )
    starts_on = forms.DateField(
        label="First day",
        required=False,
        widget=_DAY,
        help_text="Empty: the day of its first line. Name both days if it also covers days on which nothing happened.",
    )
    ends_on = forms.DateField(
        label="Last day", required=False, widget=_DAY, help_text="Empty: the day of its last line."
    )
    is_open = forms.BooleanField(
        label="It is not final",
        required=False,
        help_text="For a day that was not over when it was written. A later report will complete it.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        accounts = importing.account_choices()
        nobody = [("", "Choose an account")] if len(accounts) != 1 else []  # never the first of several by accident
        formats = [("", "The account's own"), *((source.name, source.words) for source in SOURCES.values())]
        self.fields["account"].choices = [*nobody, *accounts]  # type: ignore[attr-defined]
        self.fields["source"].choices = formats  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if cleaned.get("file"):
            cleaned["name"], cleaned["content"] = cleaned["file"].name, cleaned["file"].read()
        elif cleaned.get("kept"):
            cleaned["name"], cleaned["content"] = cleaned["kept_name"], unpack(cleaned["kept"])
        else:
            self.add_error("file", "Choose a file first.")
        return cleaned


class UploadPage(CommandPage):
    """Form, dry run, import. The form carries the file that was looked at, if it is not too long for that."""

    def respond(self, request: HttpRequest, admin: Frame, subject: Any, now: datetime) -> HttpResponse:
        """Answer a GET with the form, a POST with what the file says or, by its other button, with the statement."""
        if request.method in ("GET", "HEAD"):
            return self._form(request, admin, UploadForm(initial={"account": request.GET.get("account", "")}))
        if request.method != "POST":
            return HttpResponse(status=405, headers={"Allow": "GET, HEAD, POST"})
        form = UploadForm(request.POST, request.FILES)
        if getattr(request, "upload_too_large", False):
            form.errors["file"] = form.error_class([_TOO_LARGE])
        if not form.is_valid():
            return self._form(request, admin, form)
        return self._import(request, admin, form, now) if "import" in request.POST else self._look(request, admin, form)

    def _look(self, request: HttpRequest, admin: Frame, form: UploadForm) -> HttpResponse:
        answers = form.cleaned_data
        try:
            found = look_at_report(
                answers["account"], BytesIO(answers["content"]), _report(answers), actor=_actor(request)
            )
        except PaymentsError as refusal:
            return self._refused(request, admin, form, refusal)
        return self._form(request, admin, form, found)

    def _import(self, request: HttpRequest, admin: Any, form: UploadForm, now: datetime) -> HttpResponse:
        answers = form.cleaned_data
        try:
            taken = take_in(
                answers["account"], BytesIO(answers["content"]), _report(answers), actor=_actor(request), now=now
            )
        except PaymentsError as refusal:
            return self._refused(request, admin, form, refusal)
        address = admin.url_of(taken.statement)
        return HttpResponseRedirect(f"{address}?again=1" if taken.again else address)

    def _refused(self, request: HttpRequest, admin: Frame, form: UploadForm, refusal: PaymentsError) -> HttpResponse:
        field = {"mapping": "account"}.get(refusal.field, refusal.field)
        form.add_error(field if field in form.fields else "file", refusal.detail)
        return self._form(request, admin, form)

    def _form(self, request: HttpRequest, admin: Frame, form: UploadForm, found: Look | None = None) -> HttpResponse:
        context: dict[str, Any] = {"title": self.title, "intro": self.intro, "form": form, "found": found}
        if found is None:
            may_edit = holds_right(request.user, EDIT)
            accounts = importing.accounts_to_import(may_edit=may_edit)
            context |= {"may_edit": may_edit, "accounts": accounts, "account_columns": importing.ACCOUNT_COLUMNS}
        else:
            kept = pack(form.cleaned_data["content"])
            name = form.cleaned_data["name"]
            context |= look_context(found) | {
                "kept": {"kept": kept, "kept_name": name} if kept else {},
                "file_name": name,
            }
        response = admin.page(request, "admin/reconciliation/statement/upload.html", context)
        response.status_code = 422 if form.errors else 200
        return response


def look_context(found: Look) -> dict[str, Any]:
    """What a dry run found, as the page shows it."""
    return {
        "look_columns": LOOK_COLUMNS,
        "look_lines": [_looked(line) for line in found.lines],
        "more_lines": max(found.read - found.rejected_count - len(found.lines), 0),
        "rejected_columns": pages.REJECTED_COLUMNS,
        "look_rejected": [(f"{row.number:,}", row.reason, pages.cells_of(row.raw)) for row in found.rejected],
        "more_rejected": max(found.rejected_count - len(found.rejected), 0),
        "total_columns": pages.TOTAL_COLUMNS,
        "totals": pages.totals_of(found.sums),
        "control_columns": pages.CONTROL_COLUMNS,
        "controls": pages.controls_of(found.controls),
        "days": f"{found.first_day} to {found.last_day}" if found.first_day else "no day",
    }


def _looked(line: Any) -> tuple[Any, ...]:
    return (
        f"{line.number:,}",
        line.kind.replace("_", " "),
        f"{line.occurred_at:%d %b %Y %H:%M} UTC",
        *(
            pages.amount_or_unknown(amount, line.currency)
            for amount in (line.gross_minor, line.fee_minor, line.net_minor)
        ),
        line.reference or line.gateway_id or line.bank_ref,
        line.line_key or "by content",
    )


def _report(answers: dict[str, Any]) -> Report:
    return Report(
        answers["name"], answers["source"], answers["starts_on"], answers["ends_on"], closed=not answers["is_open"]
    )


def _actor(request: HttpRequest) -> Actor:
    return Actor.for_user(request.user)  # type: ignore[arg-type]  # the view asked for a signed-in person


def _never(call: Any) -> Any:
    raise AssertionError("an upload has neither preview nor confirmation")


UPLOAD = UploadPage(
    name="upload",
    title="Import a statement",
    intro="What a gateway or the bank reports, as a file. A line counts once, whatever file repeats it.",
    button="Look at the file",
    form=UploadForm,
    preview=_never,
    execute=_never,
)


class StateFilter(admin.SimpleListFilter):
    """What to look after first."""

    title = "state"
    parameter_name = "is"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("incomplete", "incomplete"),
            ("rejected", "with rejected lines"),
            ("restating", "restating"),
            ("refused", "refused"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Statement]) -> QuerySet[Statement]:
        read = queryset.filter(state=StatementState.READ.value)
        return {
            "incomplete": read.filter(complete=False),
            "rejected": read.filter(lines_rejected__gt=0),
            "restating": queryset.filter(lines_restated__gt=0) | queryset.filter(lines_removed__gt=0),
            "refused": queryset.filter(state=StatementState.REFUSED.value),
        }.get(self.value() or "", queryset)


@admin.register(Statement)
class StatementAdmin(LockedAdmin):
    """Reports, the newest first."""

    list_display = ("report", "state_shown", "account_name", "days", "lines_shown", "rejected_shown", "received", "by")
    list_display_links = ("report",)
    list_filter = ("account", StateFilter)
    exact_search = ("public_id", "sha256", "payout_id", "name")
    search_help_text = "The statement's id, file name or digest, or a payout. Compared exactly."
    address_field = "public_id"
    list_title = "Statements"
    list_intro = "What gateways and banks reported: fetched every night, or imported from a file."
    empty_title = "No report has come yet"
    empty_advice = (
        "Gateways with an API are asked every night. Files of the others, and of the bank, are imported here."
    )
    detail_template = "admin/reconciliation/statement/detail.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Statement]:
        return Statement.objects.select_related("account", "mapping", "restates")

    def commands(self) -> Sequence[Command]:
        return (Command("upload", RUN, page=UPLOAD, on_list=True),)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_safe(self.rejected_view))
        return [path("<str:object_id>/rejected/", view, name="reconciliation_statement_rejected"), *super().get_urls()]

    def list_steps(self, request: HttpRequest) -> Sequence[tuple[str, str]]:
        return [("Import a statement", self.command_url("upload"))] if holds_right(request.user, RUN) else []

    def rejected_view(self, request: HttpRequest, object_id: str) -> StreamingHttpResponse:
        """Rejected rows as a file."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        row: Any = self.find_row(request, object_id)
        headers = {"Content-Disposition": f'attachment; filename="rejected-{row.public_id}.csv"'}
        return StreamingHttpResponse(pages.rejected_file(row), content_type="text/csv; charset=utf-8", headers=headers)

    @admin.display(description="Report")
    def report(self, row: Statement) -> str:
        return row.name

    @admin.display(description="State")
    def state_shown(self, row: Statement) -> SafeString:
        return display.chip(pages.statement_chip(row))

    @admin.display(description="Account")
    def account_name(self, row: Statement) -> str:
        return row.account.name

    @admin.display(description="Covers")
    def days(self, row: Statement) -> str:
        return pages.days_of(row)

    @admin.display(description="Lines")
    def lines_shown(self, row: Statement) -> str:
        return f"{row.lines_read:,}"

    @admin.display(description="Rejected")
    def rejected_shown(self, row: Statement) -> str:
        return f"{row.lines_rejected:,}" if row.lines_rejected else "–"

    @admin.display(description="Received")
    def received(self, row: Any) -> SafeString:
        return display.when(row.received_at, row.listed_at)

    @admin.display(description="By")
    def by(self, row: Statement) -> str | SafeString:
        return row.received_by or display.hint("fetched")

    # -- one report ----------------------------------------------------------------------------------------------------
    def detail_context(self, request: HttpRequest, obj: Any, now: datetime) -> dict[str, Any]:
        changes = pages.changes_of(obj)
        refused = obj.state == StatementState.REFUSED
        return {
            "title": obj.name,
            "head_chip": pages.statement_chip(obj),
            "again": "again" in request.GET,
            "facts": pages.facts_of(obj),
            "equation": None if refused else pages.equation_of(obj),
            "removed": obj.lines_removed,
            "total_columns": pages.TOTAL_COLUMNS,
            "totals": pages.totals_of(obj.totals),
            "control_columns": pages.CONTROL_COLUMNS,
            "controls": pages.controls_of(obj.controls),
            "balances": pages.balances_of(obj),
            "rejected_columns": pages.REJECTED_COLUMNS,
            "rejected": pages.rejected_of(obj),
            "rejected_url": reverse("admin:reconciliation_statement_rejected", args=(obj.public_id,)),
            "more_rejected": max(obj.lines_rejected - pages.SHOWN, 0),
            "change_columns": pages.CHANGE_COLUMNS,
            "changes": changes,
            "more_changes": max(pages.changes_count(obj) - len(changes), 0),
            "line_columns": pages.LINE_COLUMNS,
            "lines": pages.lines_of(obj),
        }
