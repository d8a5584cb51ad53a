"""Where are days closed? The list of closes, the page of one with its certificate, and the commands that close and reopen."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from console import display
from console.admin import Command, LockedAdmin
from console.commands import CommandCall, CommandPage
from console.rights import holds_right
from console.values import KeyValue, Outcome, Preview, Tone
from payments.admin.payment_commands import describe_conflict
from payments.admin.payment_forms import CommandForm
from payments.errors import Conflict, PaymentsError
from payments.services.actors import Actor
from reconciliation.models import DayClose
from reconciliation.queries import close_page as pages
from reconciliation.queries.closing import compared, first_open_day
from reconciliation.queries.verification import objections_to
from reconciliation.services import closing


class DayForm(CommandForm):
    """Which day: the first open one unless somebody says otherwise."""

    day = forms.DateField(
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}), help_text="A business day that is over."
    )


class ExceptForm(DayForm):
    """A day, the accounts that were not compared, and why that may be."""

    accounts = forms.MultipleChoiceField(widget=forms.CheckboxSelectMultiple, help_text="Those without a comparison.")
    why = forms.CharField(max_length=300, help_text="The certificate says it beside each of them.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rows = compared(timezone.localdate())
        self.fields["accounts"].choices = [(row.slug, row.name) for row in rows]  # type: ignore[attr-defined]


class ReasonForm(CommandForm):
    """Why the day has to be opened again."""

    reason = forms.CharField(
        max_length=300, help_text="A second person reads it before they agree; it stays with the close."
    )


def _home(_: Any = None) -> str:
    return reverse("admin:reconciliation_dayclose_changelist")


def _first_day(_: Any = None) -> dict[str, Any]:
    return {"day": first_open_day() or timezone.localdate() - timedelta(days=1)}


def _preview_close(call: CommandCall) -> Preview:
    day: date = call.answers["day"]
    found = closing.preview_close(day, exceptions=_exceptions(call), actor=Actor.for_user(call.actor))
    if found.refused:
        return Preview(
            f"{day} can not be closed.{_way_on(found)}", objections=[(one.text, one.way) for one in found.refused]
        )
    state = found.state
    facts = [
        KeyValue("Covers", pages.span(state.first_day, day)),
        KeyValue("Proofs of the books", "all hold"),
        KeyValue("Reports", f"{len(state.reports)}"),
        KeyValue(
            "Open differences",
            f"{len(state.open_breaks)}",
            "They stay open, and the certificate lists them" if state.open_breaks else "",
        ),
    ]
    warnings = [f"{len(state.open_breaks)} differences of these days are open."] if state.open_breaks else []
    warnings += [one.text for one in found.excepted]
    return Preview(
        f"This closes the books through {day}: what becomes known of these days later is booked on the first open day.",
        facts, columns=pages.RUN_COLUMNS, rows=pages.preview_rows(state), warnings=warnings,
    )  # fmt: skip


def _way_on(found: closing.ClosePreview) -> str:
    """What to do about accounts that were not compared."""
    if not any(one.account for one in found.state.objections):
        return ""
    return " Import the report that is missing and compare the day, or close it without the account (two people)."


def _exceptions(call: CommandCall) -> dict[str, str]:
    return dict.fromkeys(call.answers.get("accounts", ()), call.answers.get("why", ""))


def _execute_close(call: CommandCall) -> Outcome:
    close = closing.close_day(call.answers["day"], actor=Actor.for_user(call.actor), now=call.now)
    address = reverse("admin:reconciliation_dayclose_change", args=(close.public_id,))
    return Outcome(f"{close.day} is closed. Its certificate is on this page.", address)


def _execute_except(call: CommandCall) -> Outcome:
    asked = closing.ask_close(
        call.answers["day"],
        exceptions=_exceptions(call),
        reason=call.answers["why"],
        actor=Actor.for_user(call.actor),
        now=call.now,
    )
    return Outcome("A second person has to agree to it now.", _approval(asked.public_id), Tone.WARN)


def _preview_reopen(call: CommandCall) -> Preview:
    facts = [KeyValue("Reason", call.answers["reason"]), KeyValue("Certificate", call.subject.digest)]
    return Preview(
        f"This asks a second person to agree to opening {call.subject.day} again. Its certificate ends with it.", facts
    )


def _execute_reopen(call: CommandCall) -> Outcome:
    asked = closing.ask_reopen(
        call.subject.day,
        reason=call.answers["reason"],
        actor=Actor.for_user(call.actor),
        now=call.now,
    )
    return Outcome("A second person has to agree to it now.", _approval(asked.public_id), Tone.WARN)


def _approval(public_id: str) -> str:
    return reverse("admin:payments_approval_change", args=(public_id,))


def _page(name: str, title: str, intro: str, button: str, **more: Any) -> CommandPage:
    return CommandPage(
        name=name, title=title, intro=intro, button=button, refusals=(PaymentsError,), conflicts=(Conflict,),
        describe_conflict=describe_conflict, **{"return_to": _home, **more},
    )  # fmt: skip


CLOSE = _page(
    "close", "Close a day", "Every proof of the books and every comparison is read anew for the preview.",
    "Close the day", form=DayForm, preview=_preview_close, execute=_execute_close, initial=_first_day,
)  # fmt: skip
LEAVE_OUT = _page(
    "leave_out", "Close a day without an account",
    "For a report that will not come in time. A second person agrees, and the certificate says what was left out.",
    "Ask a second person", form=ExceptForm, preview=_preview_close, execute=_execute_except, initial=_first_day,
)  # fmt: skip
REOPEN = _page(
    "reopen", "Open the day again", "Only the last closed day can be opened. A second person agrees.",
    "Ask a second person", form=ReasonForm, preview=_preview_reopen, execute=_execute_reopen,
    return_to=lambda close: reverse("admin:reconciliation_dayclose_change", args=(close.public_id,)),
)  # fmt: skip


@admin.register(DayClose)
class DayCloseAdmin(LockedAdmin):
    """Closed days, the last one first."""

    list_display = ("closed_day", "state_shown", "entries", "open_differences", "closed", "by", "digest_shown")
    list_display_links = ("closed_day",)
    exact_search = ("public_id", "digest", "day")
    search_help_text = "A day as 2026-11-20, or a certificate's digest. Compared exactly."
    address_field = "public_id"
    list_title = "Closed days"
    list_intro = (
        "A closed day takes no entry any more. Its certificate says what it rests on, and can be checked at any time."
    )
    empty_title = "No day was closed yet"
    empty_advice = "Compare the accounts of a day, put right what does not line up, then close it: “Close a day”."
    detail_template = "admin/reconciliation/dayclose/detail.html"

    def commands(self) -> Sequence[Command]:
        return (
            Command("close", closing.CLOSE, page=CLOSE, on_list=True),
            Command("leave_out", closing.CLOSE, page=LEAVE_OUT, on_list=True),
            Command("reopen", closing.CLOSE, page=REOPEN),
        )

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path(
                "<str:object_id>/certificate/",
                view(require_safe(self.certificate_view)),
                name="reconciliation_dayclose_certificate",
            ),
            path(
                "<str:object_id>/verify/", view(require_safe(self.verify_view)), name="reconciliation_dayclose_verify"
            ),
            *super().get_urls(),
        ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[DayClose]:
        return DayClose.objects.select_related("previous")

    def list_steps(self, request: HttpRequest) -> Sequence[tuple[str, str]]:
        if not holds_right(request.user, closing.CLOSE):
            return ()
        return (("Leave an account out", self.command_url("leave_out")), ("Close a day", self.command_url("close")))

    @admin.display(description="Through")
    def closed_day(self, close: DayClose) -> str:
        return close.day.isoformat()

    @admin.display(description="State")
    def state_shown(self, close: DayClose) -> SafeString:
        return display.chip(pages.close_chip(close))

    @admin.display(description="Entries")
    def entries(self, close: DayClose) -> str:
        return f"{close.certificate['books']['entries']:,}"

    @admin.display(description="Open differences")
    def open_differences(self, close: DayClose) -> str:
        return f"{len(close.certificate['open_breaks']):,}"

    @admin.display(description="Closed")
    def closed(self, close: Any) -> SafeString:
        return display.when(close.closed_at, close.listed_at)

    @admin.display(description="By")
    def by(self, close: DayClose) -> str:
        return f"{close.closed_by} and {close.approved_by}" if close.approved_by else close.closed_by

    @admin.display(description="Certificate")
    def digest_shown(self, close: DayClose) -> str:
        return f"{close.digest[:16]}…"

    # -- one close -----------------------------------------------------------------------------------------------------
    def detail_context(self, request: HttpRequest, obj: Any, now: datetime) -> dict[str, Any]:
        page = pages.close_page(obj)
        steps = [("Verify now", self._url("verify", obj)), ("Download the certificate", self._url("certificate", obj))]
        if obj.reopened_at is None and holds_right(request.user, closing.CLOSE):
            steps.insert(0, ("Open the day again", self.command_url("reopen", obj)))
        return {
            "title": f"Closed through {obj.day}",
            "page": page,
            "head_chip": page.chip,
            "steps": steps,
            "run_columns": pages.RUN_COLUMNS,
            "proof_columns": pages.PROOF_COLUMNS,
            "report_columns": pages.REPORT_COLUMNS,
            "break_columns": pages.BREAK_COLUMNS,
            "balance_columns": pages.BALANCE_COLUMNS,
        }

    def _url(self, name: str, close: DayClose) -> str:
        return reverse(f"admin:reconciliation_dayclose_{name}", args=(close.public_id,))

    def certificate_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The certificate as a file; the same bytes every time."""
        self._look(request)
        close: Any = self.find_row(request, object_id)
        text = json.dumps(close.certificate, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        name = f"close-{close.day.isoformat()}-{close.digest[:12]}.json"
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "X-Content-Type-Options": "nosniff"}
        return HttpResponse(text, content_type="application/json", headers=headers)

    def verify_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Reads the days again and says what is not as certified. Writes nothing."""
        self._look(request)
        close: Any = self.find_row(request, object_id)
        found = objections_to(close.certificate)
        for text in found:
            messages.error(request, text)
        if not found:
            messages.success(request, f"The certificate is true: every number of {close.day} is as it was certified.")
        return HttpResponseRedirect(self.url_of(close))

    def _look(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied
