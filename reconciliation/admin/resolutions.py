"""Where does a person see what ended breaks, take it back, look a second time, and book by hand?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from console import display
from console.admin import Command, LockedAdmin
from console.commands import CommandCall, CommandPage
from console.rights import holds_right
from console.values import Amount, KeyValue, Outcome, Preview, Step, Tone
from ledger.reports import ENTRY_COLUMNS
from payments.admin.payment_commands import describe_conflict
from payments.errors import Conflict, PaymentsError
from payments.services.actors import Actor
from reconciliation.admin.break_commands import COLUMNS
from reconciliation.admin.break_forms import LookForm, OwnJournalForm, UndoForm, lines_of
from reconciliation.models import Resolution
from reconciliation.queries import resolution_page as pages
from reconciliation.queries.break_page import resolution_chip
from reconciliation.queries.break_words import fix_words
from reconciliation.services.journals import Journal, ask_journal, preview_journal
from reconciliation.services.resolutions.base import POST_JOURNAL, RESOLVE
from reconciliation.services.resolutions.second_look import look_again
from reconciliation.services.resolutions.undoing import preview_undo, undo, why_not


def url_of(one: Any) -> str:
    """Where a resolution's page is."""
    return reverse("admin:reconciliation_resolution_change", args=(one.public_id,))


def _list(_: Any = None) -> str:
    return reverse("admin:reconciliation_resolution_changelist")


def _page(name: str, title: str, intro: str, button: str, **more: Any) -> CommandPage:
    return CommandPage(
        name=name, title=title, intro=intro, button=button, refusals=(PaymentsError,), conflicts=(Conflict,),
        describe_conflict=describe_conflict, **{"return_to": url_of, **more},
    )  # fmt: skip


def _asked(public_id: str) -> Outcome:
    address = reverse("admin:payments_approval_change", args=(public_id,))
    return Outcome("A second person has to agree to it now.", address, Tone.WARN)


def _preview_undo(call: CommandCall) -> Preview:
    lines, why = preview_undo(call.subject.public_id, actor=Actor.for_user(call.actor), now=call.now)
    return Preview(
        summary="All of it is taken back at once; it can be resolved anew afterwards.",
        facts=[
            *(KeyValue(label, value) for label, value in lines),
            KeyValue("Who", why or "You may do this alone."),
        ],
        warnings=[f"{why} Confirming asks a second person."] if why else [],
    )


def _execute_undo(call: CommandCall) -> Outcome:
    done = undo(call.subject.public_id, reason=call.answers["reason"], actor=Actor.for_user(call.actor), now=call.now)
    if done.approval is not None:
        return _asked(done.approval.public_id)
    return Outcome("It is taken back. The breaks are open again.", url_of(call.subject))


def _preview_look(call: CommandCall, *, agrees: bool) -> Preview:
    verdict = KeyValue("Verdict", call.answers["verdict"] or None)
    if agrees:
        return Preview("The rule was right; nothing changes.", [verdict])
    lines, _ = preview_undo(call.subject.public_id, actor=Actor.for_user(call.actor), now=call.now)
    return Preview(
        "The rule was wrong: what it did is taken back at once.",
        [verdict, *(KeyValue(label, value) for label, value in lines)],
    )


def _execute_look(call: CommandCall, *, agrees: bool) -> Outcome:
    look_again(
        call.subject.public_id, agrees=agrees, verdict=call.answers["verdict"], actor=Actor.for_user(call.actor),
        now=call.now,
    )  # fmt: skip
    return Outcome("Your verdict is kept." if agrees else "It is taken back.", url_of(call.subject))


def _journal(call: CommandCall) -> Journal:
    typed = call.answers
    lines = lines_of(typed["lines"], typed["currency"].strip().upper(), typed["gateway"].strip())
    return Journal(lines, typed["text"], typed["day"], call.request_id)


def _preview_journal(call: CommandCall) -> Preview:
    draft = preview_journal(_journal(call), actor=Actor.for_user(call.actor), now=call.now)
    return Preview(
        summary="This asks a second person to agree to the entry. Nothing is booked before.",
        facts=[KeyValue("Day", call.answers["day"].isoformat()), KeyValue("For", draft.description)],
        columns=COLUMNS,
        rows=[
            (
                f"{line.account.code} {line.account.spec.name}",
                line.account.gateway,
                Amount(line.amount_minor, line.account.currency) if line.amount_minor > 0 else "",
                Amount(-line.amount_minor, line.account.currency) if line.amount_minor < 0 else "",
            )
            for line in sorted(draft.postings, key=lambda line: line.amount_minor < 0)
        ],
        warnings=["A journal by hand always needs a second person."],
    )


def _execute_journal(call: CommandCall) -> Outcome:
    return _asked(ask_journal(_journal(call), actor=Actor.for_user(call.actor), now=call.now).public_id)


UNDO = _page(
    "undo", "Take it back", "Entries, matches and breaks together, in one step, once.", "Take it back",
    form=UndoForm, preview=_preview_undo, execute=_execute_undo,
)  # fmt: skip
AGREE = _page(
    "agree", "The rule was right", "A second look at what a rule did by itself.", "Agree", form=LookForm,
    preview=lambda call: _preview_look(call, agrees=True), execute=lambda call: _execute_look(call, agrees=True),
)  # fmt: skip
DISAGREE = _page(
    "disagree", "The rule was wrong", "What it did is taken back, and a person ends the break.", "Disagree and undo",
    form=LookForm, preview=lambda call: _preview_look(call, agrees=False),
    execute=lambda call: _execute_look(call, agrees=False),
)  # fmt: skip
JOURNAL = _page(
    "journal", "Journal by hand", "For what belongs to no break. On the accounts open to it, by two people.",
    "Ask a second person", form=OwnJournalForm, preview=_preview_journal, execute=_execute_journal, return_to=_list,
    initial=lambda subject: {"day": timezone.localdate(), "currency": "USD"},
)  # fmt: skip


class LookFilter(admin.SimpleListFilter):
    """Which were drawn for a second look?"""

    title = "second look"
    parameter_name = "look"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("due", "due"), ("done", "done")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Resolution]) -> QuerySet[Resolution]:
        if self.value() == "due":
            return queryset.filter(sampled=True, looked_at=None, undone_at=None)
        return queryset.filter(looked_at__isnull=False) if self.value() == "done" else queryset


class WhoFilter(admin.SimpleListFilter):
    """A person or a rule?"""

    title = "by"
    parameter_name = "who"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("person", "people"), ("rule", "rules")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Resolution]) -> QuerySet[Resolution]:
        if self.value() == "rule":
            return queryset.exclude(rule="")
        return queryset.filter(rule="") if self.value() == "person" else queryset


@admin.register(Resolution)
class ResolutionAdmin(LockedAdmin):
    """What ended breaks, newest first."""

    list_display = ("fix", "by_whom", "reason_shown", "note_shown", "when", "state_shown")
    list_display_links = ("fix",)
    list_filter = (LookFilter, WhoFilter)
    exact_search = ("public_id", "approval_public_id", "breaks__broken__public_id")
    search_help_text = "Resolution, request or break. Compared exactly."
    address_field = "public_id"
    list_title = "Resolutions"
    list_intro = "How breaks were ended: by people, and by rules of which some are looked at a second time."
    empty_title = "No break was ended yet"
    empty_advice = "Open a break and choose one of its ways out."
    detail_template = "admin/reconciliation/resolution/detail.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Resolution]:
        return Resolution.objects.all()

    def list_steps(self, request: HttpRequest) -> Sequence[tuple[str, str]]:
        steps = [("Second look", f"{_list()}?look=due")]
        if holds_right(request.user, POST_JOURNAL):
            steps.append(("Journal by hand", self.command_url("journal")))
        return steps

    def commands(self) -> Sequence[Command]:
        return (
            Command("journal", POST_JOURNAL, page=JOURNAL, on_list=True),
            Command("undo", RESOLVE, page=UNDO),
            Command("agree", RESOLVE, page=AGREE),
            Command("disagree", RESOLVE, page=DISAGREE),
        )

    @admin.display(description="Fix")
    def fix(self, one: Resolution) -> str:
        return fix_words(one.command)

    @admin.display(description="By")
    def by_whom(self, one: Resolution) -> str:
        who = one.by or f"rule {one.rule}"
        return f"{who} and {one.approved_by}" if one.approved_by else who

    @admin.display(description="Reason")
    def reason_shown(self, one: Resolution) -> str:
        return one.reason.replace("_", " ")

    @admin.display(description="Note")
    def note_shown(self, one: Resolution) -> SafeString:
        return display.hint(one.note[:120])

    @admin.display(description="When")
    def when(self, one: Any) -> SafeString:
        return display.when(one.at, one.listed_at)

    @admin.display(description="State")
    def state_shown(self, one: Resolution) -> SafeString:
        return display.chip(resolution_chip(one))

    def detail_context(self, request: HttpRequest, obj: Any, now: datetime) -> dict[str, Any]:
        page = pages.resolution_page(obj)
        return {
            "title": page.title,
            "page": page,
            "head_chip": page.chip,
            "break_columns": pages.BREAKS,
            "outcome_columns": pages.OUTCOMES,
            "entry_columns": ENTRY_COLUMNS,
            "may_see_books": request.user.has_perm("ledger.view_journalentry"),
            "steps_to_take": self._steps(request, obj),
        }

    def _steps(self, request: HttpRequest, one: Resolution) -> list[Step]:
        if not holds_right(request.user, RESOLVE):
            return []
        steps = [Step("Take it back", self.command_url("undo", one), blocked_by=why_not(one))]
        if one.sampled and one.looked_at is None and one.undone_at is None:
            steps += [
                Step("The rule was right", self.command_url("agree", one), primary=True),
                Step("The rule was wrong", self.command_url("disagree", one)),
            ]
        return steps
