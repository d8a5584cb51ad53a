"""How are CSV files read? The mappings with their versions, and the page that tries a new one on a sample before asking for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from io import BytesIO
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.safestring import SafeString

from console import display
from console.admin import Command, LockedAdmin
from console.commands import CommandPage, Frame
from console.rights import holds_right
from console.values import Step
from payments.admin.payment_forms import CommandForm
from payments.errors import PaymentsError
from payments.queries.review_page import roles_that_may
from payments.services.actors import Actor
from reconciliation.admin.kept_file import pack, unpack
from reconciliation.admin.statement import look_context
from reconciliation.models import ColumnMapping, StatementAccount
from reconciliation.queries import terms_page as pages
from reconciliation.services import mappings
from reconciliation.services.looking import Look
from reconciliation.sources.csv_mapped import FIELDS
from reconciliation.states import LineKind

_AREA = forms.Textarea(attrs={"rows": 10, "spellcheck": "false"})
_FIELDS = (
    "delimiter",
    "encoding",
    "decimal_mark",
    "thousands_mark",
    "date_format",
    "fees_negative",
    "debits_positive",
    "total_row",
)


class MappingForm(CommandForm):
    """A mapping as people write it: a line for each column and each word, and a sample to try it on."""

    account = forms.ChoiceField(label="Account")
    columns = forms.CharField(
        widget=_AREA,
        label="Columns",
        initial="line_key = \nkind = \ncurrency = \ngross = \nfee = \nnet = \noccurred_at = \ngateway_id = \nreference = \n",
        help_text="One a line: our field = the file's heading. Fields: " + ", ".join(sorted(FIELDS)) + ". "
        "A key may be put together: line_key = {Transaction}:{kind}.",
    )
    kinds = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false"}),
        required=False,
        help_text="One a line: the file's word = what it means: " + ", ".join(LineKind) + ".",
    )
    delimiter = forms.CharField(max_length=3, strip=False, initial=",", help_text=", or ; or | or \\t for a tabulator")
    encoding = forms.CharField(max_length=20, initial="utf-8-sig", help_text="utf-8-sig, cp1252, utf-16…")
    decimal_mark = forms.CharField(
        max_length=1, required=False, initial=".", help_text="Empty: amounts are minor units."
    )
    thousands_mark = forms.CharField(max_length=1, required=False, strip=False)
    date_format = forms.CharField(
        label="Form of dates",
        max_length=40,
        initial="%Y-%m-%d %H:%M:%S",
        help_text="%d.%m.%Y %H:%M, with %z for a zone",
    )
    fees_negative = forms.BooleanField(label="Fees that take away have a minus", required=False)
    debits_positive = forms.BooleanField(label="Refunds and other debits have no minus", required=False)
    total_row = forms.CharField(
        label="Row of totals",
        max_length=40,
        required=False,
        help_text="What its first cell says; empty: there is none.",
    )
    sample = forms.FileField(
        label="A file to try it on", required=False, allow_empty_file=True, help_text="It is looked at and not kept."
    )
    kept = forms.CharField(required=False, strip=False, widget=forms.HiddenInput)
    version = forms.IntegerField(required=False, widget=forms.HiddenInput)
    reason = forms.CharField(max_length=300, label="Why", help_text="Whoever has to agree reads it.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        accounts = StatementAccount.objects.order_by("kind", "name")
        self.fields["account"].choices = list(accounts.values_list("slug", "name"))  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        for name in ("columns", "kinds"):
            cleaned[f"{name}_read"] = self._pairs(name, str(cleaned.get(name, "")))
        cleaned["content"] = (
            cleaned["sample"].read() if cleaned.get("sample") else unpack(str(cleaned.get("kept") or ""))
        )
        return cleaned

    def wanted(self) -> mappings.MappingWanted:
        """The mapping that was typed."""
        answers = self.cleaned_data
        return mappings.MappingWanted(
            answers["account"],
            answers["columns_read"],
            answers["kinds_read"],
            **{name: answers[name] for name in _FIELDS},
        )

    def _pairs(self, name: str, text: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for line in filter(str.strip, text.splitlines()):
            left, equals, right = line.rpartition("=") if name == "kinds" else line.partition("=")
            if not equals:
                self.add_error(name, f"“{line.strip()[:60]}” lacks an equals sign.")
            elif right.strip():
                found[left.strip()] = right.strip()
        return found


def form_values(mapping: ColumnMapping) -> dict[str, Any]:
    """A mapping as its form shows it."""
    pairs = {
        "columns": "\n".join(f"{ours} = {theirs}" for ours, theirs in pages.in_order(mapping.columns)),
        "kinds": "\n".join(f"{theirs} = {ours}" for theirs, ours in mapping.kinds.items()),
    }
    plain = {name: getattr(mapping, name) for name in _FIELDS}
    return {"account": mapping.account.slug, "version": mapping.number, **pairs, **plain}


class MappingPage(CommandPage):
    """Form, look at a sample, request to a second person."""

    def respond(self, request: HttpRequest, admin: Frame, subject: Any, now: datetime) -> HttpResponse:
        """Answer a GET with the form, a POST with what the sample would be read as or, by its other button, the request."""
        if request.method in ("GET", "HEAD"):
            given = (
                form_values(subject)
                if subject is not None
                else {"account": request.GET.get("account", ""), "version": 0}
            )
            return self._form(request, admin, subject, MappingForm(initial=given))
        if request.method != "POST":
            return HttpResponse(status=405, headers={"Allow": "GET, HEAD, POST"})
        form = MappingForm(request.POST, request.FILES)
        if not form.is_valid():
            return self._form(request, admin, subject, form)
        try:
            if "ask" in request.POST:
                return self._ask(request, form, now)
            actor = Actor.for_user(request.user)  # type: ignore[arg-type]
            changes = mappings.differences(form.wanted())
            content = form.cleaned_data["content"]
            found = mappings.try_mapping(form.wanted(), BytesIO(content), actor=actor) if content else None
        except PaymentsError as refusal:
            field = (
                refusal.field if refusal.field in form.fields else "sample" if form.cleaned_data["content"] else None
            )
            form.add_error(field, refusal.detail)
            return self._form(request, admin, subject, form)
        return self._form(request, admin, subject, form, found, changes)

    def _ask(self, request: HttpRequest, form: MappingForm, now: datetime) -> HttpResponse:
        answers = form.cleaned_data
        asked = mappings.ask_mapping(
            form.wanted(),
            version=answers["version"] or 0,
            reason=answers["reason"],
            actor=Actor.for_user(request.user),  # type: ignore[arg-type]
            now=now,
        )
        return HttpResponseRedirect(reverse("admin:payments_approval_change", args=(asked,)))

    def _form(
        self,
        request: HttpRequest,
        admin: Frame,
        subject: Any,
        form: MappingForm,
        found: Look | None = None,
        changes: Sequence[tuple[str, str, str]] = (),
    ) -> HttpResponse:
        context: dict[str, Any] = {"title": self.title, "intro": self.intro, "form": form, "found": found}
        context |= {"changes": changes, "change_columns": ("What", "Now", "Then")}
        if found is not None:
            context |= look_context(found) | {"kept": pack(form.cleaned_data["content"])}
        response = admin.page(request, "admin/reconciliation/columnmapping/edit.html", context, subject)
        response.status_code = 422 if form.errors else 200
        return response


def _never(call: Any) -> Any:
    raise AssertionError("a mapping is tried on its own page")


def _page(name: str, title: str) -> MappingPage:
    return MappingPage(
        name=name,
        title=title,
        intro="Try it on a real file first. It holds once a second person has agreed; earlier statements keep their own.",
        button="Try it",
        form=MappingForm,
        preview=_never,
        execute=_never,
    )


@admin.register(ColumnMapping)
class ColumnMappingAdmin(LockedAdmin):
    """Mappings, the newest first."""

    list_display = ("mapping", "state_shown", "account_name", "columns_shown", "made", "by")
    list_display_links = ("mapping",)
    list_filter = ("account", "current")
    list_title = "Column mappings"
    list_intro = "How the CSV files of gateways and banks are read. A change is a new version, agreed to by two people."
    empty_title = "No mapping yet"
    empty_advice = "An account whose reports are CSV files needs one before its first file can be imported."
    detail_template = "admin/reconciliation/columnmapping/detail.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[ColumnMapping]:
        return ColumnMapping.objects.select_related("account")

    def commands(self) -> Sequence[Command]:
        return [
            Command("add", mappings.EDIT, page=_page("add", "Ask for a column mapping"), on_list=True),
            Command("edit", mappings.EDIT, page=_page("edit", "Ask for a change of this mapping")),
        ]

    def list_steps(self, request: HttpRequest) -> Sequence[tuple[str, str]]:
        return [("Ask for a mapping", self.command_url("add"))] if holds_right(request.user, mappings.EDIT) else []

    @admin.display(description="Mapping")
    def mapping(self, row: ColumnMapping) -> str:
        return f"{row.account.name}, version {row.number}"

    @admin.display(description="State")
    def state_shown(self, row: ColumnMapping) -> SafeString:
        return display.chip(pages.mapping_chip(row))

    @admin.display(description="Account")
    def account_name(self, row: ColumnMapping) -> str:
        return row.account.name

    @admin.display(description="Columns")
    def columns_shown(self, row: ColumnMapping) -> str:
        return str(len(row.columns))

    @admin.display(description="Made")
    def made(self, row: Any) -> SafeString:
        return display.when(row.made_at, row.listed_at)

    @admin.display(description="By")
    def by(self, row: ColumnMapping) -> str:
        return row.made_by

    def detail_context(self, request: HttpRequest, obj: Any, now: datetime) -> dict[str, Any]:
        could = "" if holds_right(request.user, mappings.EDIT) else f"{roles_that_may('edit_terms')} could"
        over = "" if obj.current else "A newer version is in force."
        return {
            "title": f"{obj.account.name}: mapping {obj.number}",
            "head_chip": pages.mapping_chip(obj),
            "facts": pages.mapping_facts(obj),
            "field_columns": pages.FIELD_COLUMNS,
            "fields": pages.fields_of(obj),
            "kind_columns": pages.KIND_COLUMNS,
            "kinds": pages.kinds_of(obj),
            "steps_to_take": [Step("Ask for a change", self.command_url("edit", obj), could or over)],
        }
