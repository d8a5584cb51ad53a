"""Where do opening positions come in? Upload with a dry run, the request to a second person, and what was booked."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from console import display
from console.admin import Command, LockedAdmin
from console.commands import CommandPage, Frame
from console.rights import holds_right
from console.values import Amount, Chip, KeyValue, Shown, Tone
from payments.admin.payment_forms import CommandForm
from payments.errors import PaymentsError
from payments.services.actors import Actor
from reconciliation import opening
from reconciliation.models import OpeningFile
from reconciliation.services import go_live

_SHOWN = 200
_EXAMPLE = "1110,nmi,,USD,120.50,,order-17,2026-03-30,captured in the old system"
POSITION_COLUMNS = ("Row", "Account", "Item", "Day", "Debit", "Credit", "Text")
WRONG_COLUMNS = ("Row", "What is wrong")


class OpeningForm(CommandForm):
    """The file, the day the books start on, and why."""

    file = forms.FileField(
        required=False,
        allow_empty_file=True,
        widget=forms.ClearableFileInput(attrs={"accept": ".csv"}),
        help_text="CSV in UTF-8: one row is one open item of the old system. Take the template for its headings.",
    )
    kept_name = forms.CharField(required=False, widget=forms.HiddenInput)
    kept = forms.CharField(required=False, strip=False, widget=forms.HiddenInput)
    books_start_on = forms.DateField(
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
        help_text="The first day of these books; positions lie before it.",
    )
    reason = forms.CharField(max_length=300, help_text="A second person reads it before they agree.")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if cleaned.get("file"):
            cleaned["name"], cleaned["content"] = cleaned["file"].name, cleaned["file"].read()
        elif cleaned.get("kept"):
            cleaned["name"], cleaned["content"] = cleaned["kept_name"], _unpacked(cleaned["kept"])
        else:
            self.add_error("file", "Choose a file first.")
        return cleaned


def _packed(content: bytes) -> str:
    """A file as a hidden field holds it, so that what was checked is what is asked for."""
    return base64.b64encode(content).decode()


def _unpacked(kept: str) -> bytes:
    try:
        return base64.b64decode(kept, validate=True)
    except ValueError:
        return b""


class OpeningPage(CommandPage):
    """Form, dry run, and the request to a second person. The form carries the file that was checked."""

    def respond(self, request: HttpRequest, admin: Frame, subject: Any, now: datetime) -> HttpResponse:
        """Answer a GET with the form, a POST with the dry run or, by its other button, with the request."""
        if request.method in ("GET", "HEAD"):
            return self._form(request, admin, OpeningForm())
        if request.method != "POST":
            return HttpResponse(status=405, headers={"Allow": "GET, HEAD, POST"})
        form = OpeningForm(request.POST, request.FILES)
        if not form.is_valid():
            return self._form(request, admin, form)
        if "ask" in request.POST:
            return self._ask(request, admin, form, now)
        return self._dry_run(request, admin, form)

    def _dry_run(self, request: HttpRequest, admin: Frame, form: OpeningForm) -> HttpResponse:
        try:
            found = go_live.preview_opening(
                form.cleaned_data["content"],
                books_start_on=form.cleaned_data["books_start_on"],
                actor=Actor.for_user(request.user),  # type: ignore[arg-type]
            )
        except PaymentsError as refusal:
            form.add_error("file", str(refusal))
            return self._form(request, admin, form)
        return self._form(request, admin, form, found)

    def _ask(self, request: HttpRequest, admin: Any, form: OpeningForm, now: datetime) -> HttpResponse:
        try:
            asked = go_live.ask_opening(
                form.cleaned_data["name"],
                form.cleaned_data["content"],
                books_start_on=form.cleaned_data["books_start_on"],
                reason=form.cleaned_data["reason"],
                actor=Actor.for_user(request.user),  # type: ignore[arg-type]
                now=now,
            )
        except PaymentsError as refusal:
            form.add_error("file", str(refusal))
            return self._form(request, admin, form)
        return HttpResponseRedirect(reverse("admin:payments_approval_change", args=(asked.public_id,)))

    def _form(
        self, request: HttpRequest, admin: Frame, form: OpeningForm, found: go_live.OpeningPreview | None = None
    ) -> HttpResponse:
        context: dict[str, Any] = {"title": self.title, "intro": self.intro, "form": form, "found": found}
        if found is not None:
            answers = form.cleaned_data
            context |= {
                "kept": {"kept": _packed(answers["content"]), "kept_name": answers["name"]},
                "can_ask": bool(found.positions) and not found.wrong,
                "position_columns": POSITION_COLUMNS,
                "positions": [_position(one) for one in found.positions[:_SHOWN]],
                "more": max(len(found.positions) - _SHOWN, 0),
                "wrong_columns": WRONG_COLUMNS,
                "wrong": [(f"{one.number:,}", one.reason) for one in found.wrong[:_SHOWN]],
                "totals": _totals(found.totals),
            }
        response = admin.page(request, "admin/reconciliation/openingfile/upload.html", context)
        response.status_code = 422 if form.errors else 200
        return response


def _position(one: opening.Position) -> tuple[Shown, ...]:
    amount = Amount(abs(one.money.amount_minor), one.money.currency)
    sides: tuple[Shown, Shown] = (amount, "") if one.money.amount_minor > 0 else ("", amount)
    return (f"{one.number:,}", str(one.account), one.item, one.on.isoformat(), *sides, one.text)


def _totals(totals: dict[str, Any]) -> list[KeyValue]:
    return [
        KeyValue(f"{side} in {currency}", Amount(minor, currency))
        for currency, both in totals.items()
        for side, minor in zip(("Debits", "Credits"), both, strict=True)
    ]


def _never(call: Any) -> Any:
    raise AssertionError("an upload has neither preview nor confirmation")


UPLOAD = OpeningPage(
    name="upload",
    title="Take opening positions over",
    intro="Each row becomes one open item, booked against 3010 opening balances. Nothing is booked before a second person agrees.",
    button="Check the file",
    form=OpeningForm,
    preview=_never,
    execute=_never,
)


@admin.register(OpeningFile)
class OpeningFileAdmin(LockedAdmin):
    """Files of opening positions, the newest first."""

    list_display = ("file", "state_shown", "rows_shown", "starts", "uploaded", "by")
    list_display_links = ("file",)
    exact_search = ("public_id", "sha256", "name")
    search_help_text = "The file's name or digest. Compared exactly."
    address_field = "public_id"
    list_title = "Opening positions"
    list_intro = "What was open in the old system on the day these books began."
    empty_title = "Nothing was taken over"
    empty_advice = "Going live with open items? Download the template, fill it in, and take the positions over."
    detail_template = "admin/reconciliation/openingfile/detail.html"

    def commands(self) -> Sequence[Command]:
        return (Command("upload", go_live.RIGHT, page=UPLOAD, on_list=True),)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        template = path("template/", view(require_safe(self.template_view)), name="reconciliation_openingfile_template")
        return [template, *super().get_urls()]

    def list_steps(self, request: HttpRequest) -> Sequence[tuple[str, str]]:
        template = ("Template", reverse("admin:reconciliation_openingfile_template"))
        if not holds_right(request.user, go_live.RIGHT):
            return (template,)
        return (template, ("Take positions over", self.command_url("upload")))

    def template_view(self, request: HttpRequest) -> HttpResponse:
        """An example with the headings."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        text = ",".join(opening.COLUMNS) + "\n" + _EXAMPLE + "\n"
        headers = {"Content-Disposition": 'attachment; filename="opening-positions.csv"'}
        return HttpResponse(text, content_type="text/csv; charset=utf-8", headers=headers)

    @admin.display(description="File")
    def file(self, row: OpeningFile) -> str:
        return row.name

    @admin.display(description="State")
    def state_shown(self, row: OpeningFile) -> SafeString:
        return display.chip(_chip(row))

    @admin.display(description="Positions")
    def rows_shown(self, row: OpeningFile) -> str:
        return f"{row.rows_count:,}"

    @admin.display(description="Books start on")
    def starts(self, row: OpeningFile) -> str:
        return row.books_start_on.isoformat()

    @admin.display(description="Uploaded")
    def uploaded(self, row: Any) -> SafeString:
        return display.when(row.uploaded_at, row.listed_at)

    @admin.display(description="By")
    def by(self, row: OpeningFile) -> str:
        return f"{row.uploaded_by} and {row.agreed_by}" if row.agreed_by else row.uploaded_by

    # -- one file ------------------------------------------------------------------------------------------------------
    def detail_context(self, request: HttpRequest, obj: Any, now: datetime) -> dict[str, Any]:
        booked = list(obj.positions.order_by("number")[: _SHOWN + 1])
        facts = [
            KeyValue("Books start on", obj.books_start_on.isoformat()),
            KeyValue("Uploaded", obj.uploaded_at),
            KeyValue("Uploaded by", obj.uploaded_by),
            KeyValue("Booked", obj.booked_at, "Once a second person agreed"),
            KeyValue("Agreed by", obj.agreed_by or None),
            KeyValue("SHA-256", obj.sha256),
        ]
        return {
            "title": obj.name,
            "head_chip": _chip(obj),
            "facts": facts,
            "totals": _totals(obj.totals),
            "position_columns": POSITION_COLUMNS,
            "positions": [_booked(row) for row in booked[:_SHOWN]],
            "more": max(obj.rows_count - _SHOWN, 0) if booked else 0,
        }


def _chip(row: OpeningFile) -> Chip:
    if row.booked_at is None:
        return Chip("waits for a second person", Tone.WARN, "how_to_reg")
    return Chip("booked", Tone.GOOD, "check_circle")


def _booked(row: Any) -> tuple[Shown, ...]:
    account = " ".join(part for part in (row.code, row.gateway, row.customer, row.currency) if part)
    amount = Amount(abs(row.amount_minor), row.currency)
    sides: tuple[Shown, Shown] = (amount, "") if row.amount_minor > 0 else ("", amount)
    return (f"{row.number:,}", account, row.item, row.occurred_on.isoformat(), *sides, row.text)
