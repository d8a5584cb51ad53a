"""What does every decline code mean here? All sheets with our own rules over them, a page a code, and the command that changes.

Changing asks a second person: the form carries the version it was made from, and the service refuses any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone

from console.admin import Command, LockedAdmin
from console.commands import CommandCall, CommandPage, Conflict
from console.rights import holds_right
from console.values import Chip, KeyValue, Link, Outcome, Preview, Shown, Step, Tone
from payments import errors
from payments.admin.payment_forms import CommandForm
from payments.declines import NextStep
from payments.models import DeclineRule
from payments.queries import decline_page as pages
from payments.queries.review_page import roles_that_may
from payments.services.actors import Actor
from payments.services.declining.rules import CLASSES, EDIT, Wanted, ask_rule, current, preview_rule, subject_of
from payments.services.declining.sheet import CodeRow, known_code, known_codes
from payments.states import Certainty, FailureClass

COLUMNS = ("Code", "Gateway", "Class", "Money", "What follows", "The payer reads", "Seen in 30 days")
_AS_SHEET = ("", "As the sheet says")
_STEPS = tuple(step for step in NextStep if step != NextStep.LOOK_UP)
_AGAIN = frozenset({NextStep.RETRY_LATER, NextStep.OTHER_GATEWAY, NextStep.REDUCED_AMOUNT})


class RuleForm(CommandForm):
    """What the code shall mean, and why. Judged in the service."""

    version = forms.IntegerField(widget=forms.HiddenInput)
    failure_class = forms.ChoiceField(
        label="Class", required=False, choices=[_AS_SHEET, *((name.value, pages.words(name)) for name in CLASSES)]
    )
    next_step = forms.ChoiceField(
        label="Next step",
        required=False,
        choices=[("", "As the class says"), *((step.value, pages.words(step)) for step in _STEPS)],
        help_text="Never one that tries more than the class allows.",
    )
    payer_wording = forms.CharField(
        label="What the payer reads", required=False, max_length=300, help_text="Empty: as the class says."
    )
    retry_after_seconds = forms.IntegerField(
        label="Not tried again within (seconds)", required=False, min_value=0, help_text="Empty: as the sheet says."
    )
    reason = forms.CharField(label="Why", max_length=300, help_text="Whoever has to agree reads it.")


@admin.register(DeclineRule)
class DeclineCodeAdmin(LockedAdmin):
    """Every code of every provider; most have no row of their own."""

    list_title = "Decline codes"
    list_intro = "What each gateway's refusals mean here: its sheet, and what people have said over it."
    detail_template = "admin/payments/declinerule/detail.html"

    # -- the sheet -----------------------------------------------------------------------------------------------------
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """All codes on one page: sheets are short. Narrowed by gateway, class and words."""
        if request.method not in ("GET", "HEAD"):
            return HttpResponse(status=405, headers={"Allow": "GET, HEAD"})
        if not self.has_view_permission(request):
            raise PermissionDenied
        codes = known_codes()
        asked = {name: request.GET.get(name, "").strip() for name in ("provider", "failure_class", "q")}
        found = [row for row in codes if _fits(row, asked)]
        context = {
            "title": self.list_title,
            "intro": self.list_intro,
            "asked": asked,
            "providers": [(name, pages.provider_name(name)) for name in sorted({row.provider for row in codes})],
            "classes": [(name.value, pages.words(name)) for name in FailureClass],
            "columns": COLUMNS,
            "rows": self._rows(found, pages.seen_lately(timezone.now())),
            "found": f"{len(found)} of {len(codes)} codes",
        }
        return self.page(request, "admin/payments/declinerule/sheet.html", context)

    def _rows(self, found: Sequence[CodeRow], seen: dict[tuple[str, str], int]) -> list[Sequence[Shown]]:
        return [
            (
                Link(row.code + (f" · {row.text}" if row.text else ""), self.url_of(row)),  # type: ignore[arg-type]  # stands for its row
                pages.provider_name(row.provider),
                pages.class_chip(row.failure_class),
                pages.certainty_chip(row.certainty),
                _what_follows(row),
                row.advice.payer_wording,
                seen.get((row.provider, row.code), 0),
            )
            for row in found
        ]

    # -- one code ------------------------------------------------------------------------------------------------------
    def address_of(self, obj: Any) -> str:
        return quote(f"{obj.provider}:{obj.code}", safe=":")

    def find_row(self, request: HttpRequest, object_id: str) -> Any:
        """The code, with or without a rule. Raises: Http404 if no sheet and nobody knows it."""
        provider, _, code = unquote(object_id).partition(":")
        row = known_code(provider, code)
        if row is None:
            raise Http404(f"Nobody knows the code “{object_id}”.")
        return row

    def detail_context(self, request: HttpRequest, obj: Any, now: datetime) -> dict[str, Any]:
        could = "" if holds_right(request.user, EDIT) else f"{roles_that_may('edit_decline_rule')} could"
        if obj.certainty == Certainty.UNKNOWN:
            could = "after this code the gateway is always asked what happened, whatever its class"
        seen, _ = pages.handled_otherwise(obj.provider, obj.code, obj.failure_class, now)
        return {
            "title": f"{pages.provider_name(obj.provider)} {obj.code}",
            "intro": obj.text,
            "head_chip": pages.class_chip(obj.failure_class),
            "facts": _facts(obj, seen),
            "history": pages.history(obj.provider, obj.code),
            "waiting": pages.waiting_words(
                pages.pending_request("change_decline_rule", subject_of(obj.provider, obj.code))
            ),
            "steps_to_take": [Step("Change its meaning", self.command_url("edit", obj), could)],
        }

    def commands(self) -> Sequence[Command]:
        page = CommandPage(
            name="edit",
            title="Change what a code means",
            intro="Takes effect for new refusals once a second person has agreed. Whether money moved is the gateway's to say.",
            button="Ask a second person",
            form=RuleForm,
            preview=_preview,
            execute=self._ask,
            refusals=(errors.PaymentsError,),
            conflicts=(errors.Conflict,),
            describe_conflict=lambda error: Conflict("Somebody", f"was faster. {error}".rstrip(".")),
            facts=lambda row: _facts(row, None),
            return_to=self.url_of,
            initial=_as_it_is,
        )
        return [Command("edit", EDIT, page=page)]

    def _ask(self, call: CommandCall) -> Outcome:
        row: CodeRow = call.subject
        approval = ask_rule(
            row.provider,
            row.code,
            _wanted(call.answers),
            version=call.answers["version"],
            reason=call.answers["reason"],
            actor=Actor.for_user(call.actor),
            now=call.now,
        )
        return Outcome(
            f"Asked: {approval.public_id}. A second person has to agree.", self.url_of(call.subject), Tone.INFO
        )


def _fits(row: CodeRow, asked: dict[str, str]) -> bool:
    if asked["provider"] and row.provider != asked["provider"]:
        return False
    if asked["failure_class"] and row.failure_class != asked["failure_class"]:
        return False
    term = asked["q"].casefold()
    return not term or term in f"{row.code} {row.text} {row.advice.payer_wording}".casefold()


def _what_follows(row: CodeRow) -> str:
    return ", else ".join(pages.words(step) for step in row.advice.steps)


_WITHDRAWN = Chip("withdrawn", Tone.WARN, "event_busy", "Schedules of this method stop.")


def _facts(row: CodeRow, seen: int | None) -> list[KeyValue]:
    again = bool(_AGAIN & set(row.advice.steps))
    by_people = row.sheet_class is None or row.rule_version > 0
    sheet = pages.words(row.sheet_class) if row.sheet_class else "not on its sheet"
    return [
        KeyValue("Gateway", pages.provider_name(row.provider)),
        KeyValue("Class", pages.class_chip(row.failure_class), "By people." if by_people else "As the sheet says."),
        *([KeyValue("The sheet's class", sheet)] if by_people else []),
        KeyValue("Money", pages.certainty_chip(row.certainty), "The wire's word: nobody edits it."),
        KeyValue("What follows", _what_follows(row)),
        KeyValue("Tried again by itself", "where the networks and the payment allow it" if again else "never"),
        KeyValue("Not before", f"{row.retry_after_seconds} seconds after" if row.retry_after_seconds else "no limit of its own"),
        KeyValue("The payer reads", row.advice.payer_wording),
        *([KeyValue("Consent", _WITHDRAWN)] if row.revokes else []),
        *([KeyValue("Seen in 30 days", seen)] if seen is not None else []),
    ]  # fmt: skip


def _wanted(answers: dict[str, Any]) -> Wanted:
    return Wanted(
        answers["failure_class"],
        answers["next_step"],
        answers["payer_wording"].strip(),
        answers["retry_after_seconds"],
    )


def _as_it_is(row: CodeRow) -> dict[str, Any]:
    now = current(row)
    return {
        "version": row.rule_version,
        "failure_class": now.failure_class,
        "next_step": now.next_step,
        "payer_wording": now.payer_wording,
        "retry_after_seconds": now.retry_after_seconds,
    }


def _preview(call: CommandCall) -> Preview:
    """The change in words, and what it would have meant for the refusals of the last 30 days."""
    row: CodeRow = call.subject
    if row.rule_version != call.answers["version"]:
        raise errors.Conflict("Somebody changed the code since you opened this form. Leave it and open it again.")
    lines, then = preview_rule(row, _wanted(call.answers))
    seen, other = pages.handled_otherwise(row.provider, row.code, then.failure_class, call.now)
    summary = f"A second person is asked to agree. {_effect(seen, other, then)}"
    facts = [
        KeyValue("What follows then", _what_follows(then)),
        KeyValue("The payer reads", then.advice.payer_wording),
    ]
    rows: list[Sequence[Shown]] = [(label, change) for label, change in lines]
    return Preview(summary, facts, ("What", "Now → then"), rows, version=str(row.rule_version))


def _effect(seen: int, other: int, then: CodeRow) -> str:
    if not seen:
        return "No refusal of the last 30 days came with this code."
    came = "One refusal" if seen == 1 else f"{seen:,} refusals"
    if not other:
        return f"{came} of the last 30 days came with this code; all would have kept their class."
    return f"{came} of the last 30 days came with this code; {other:,} would have counted as {pages.words(then.failure_class)}."
