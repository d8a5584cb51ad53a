"""How often may one card be declined here? The networks' ceilings, a page each, and the command that changes or adds one.

Changing asks a second person: the form carries the version it was made from, and the service refuses any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString

from console import display
from console.admin import Command, LockedAdmin
from console.commands import CommandCall, CommandPage, Conflict
from console.ordered import OrderedChangeList
from console.rights import holds_right
from console.values import Chip, KeyValue, Outcome, Preview, Step, Tone
from payments import errors
from payments.admin.payment_forms import CommandForm
from payments.models import NetworkCeiling
from payments.queries import decline_page as pages
from payments.queries.review_page import roles_that_may
from payments.services.actors import Actor
from payments.services.declining.ceiling_changes import CeilingWanted, ask_ceiling, preview_ceiling
from payments.services.declining.rules import EDIT

ON = Chip("in force", Tone.GOOD, "check_circle", "A call beyond it is not made.")
OFF = Chip("switched off", Tone.WARN, "pause_circle", "Nothing is counted by it.")
_FIELDS = ("network", "declines", "window_hours", "same_amount", "calendar_day", "enabled")


class CeilingForm(CommandForm):
    """A ceiling as it shall be, and why. Judged in the service."""

    version = forms.IntegerField(widget=forms.HiddenInput)
    network = forms.CharField(
        label="Network", required=False, max_length=20, help_text="visa, mastercard; empty: every other network."
    )
    declines = forms.IntegerField(label="Declines", help_text="This many within the window, and it is not asked again.")
    window_hours = forms.IntegerField(label="Window (hours)", help_text="720 hours are 30 days.")
    same_amount = forms.BooleanField(label="Count only declines of the same amount", required=False)
    calendar_day = forms.BooleanField(label="Count by business day, not rolling", required=False)
    enabled = forms.BooleanField(label="In force", required=False)
    reason = forms.CharField(label="Why", max_length=300, help_text="Whoever has to agree reads it.")


@admin.register(NetworkCeiling)
class NetworkCeilingAdmin(LockedAdmin):
    """Ceilings by network."""

    list_display = ("whose", "most", "state")
    list_title = "Network ceilings"
    list_intro = (
        "Counted by card over our own declines that reached the network, and asked before every call. A network without a "
        "line has the published defaults."
    )
    empty_title = "No ceiling of your own"
    empty_advice = (
        "The published defaults hold: Visa 15 in 30 days, Mastercard 10 a day and 35 of one amount in 30 days."
    )
    detail_template = "admin/payments/declinerule/detail.html"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return OrderedChangeList.by("network", "window_hours")

    @admin.display(description="Cards of")
    def whose(self, row: NetworkCeiling) -> str:
        return pages.network_words(row.network)

    @admin.display(description="At most")
    def most(self, row: NetworkCeiling) -> str:
        return pages.ceiling_words(row)

    @admin.display(description="State")
    def state(self, row: NetworkCeiling) -> SafeString:
        return display.chip(ON if row.enabled else OFF)

    def list_steps(self, request: HttpRequest) -> Sequence[tuple[str, str]]:
        return [("Add a ceiling", self.command_url("add"))] if holds_right(request.user, EDIT) else []

    def detail_context(self, request: HttpRequest, obj: Any, now: datetime) -> dict[str, Any]:
        could = "" if holds_right(request.user, EDIT) else f"{roles_that_may('edit_decline_rule')} could"
        return {
            "title": f"Ceiling: {pages.network_words(obj.network)}",
            "head_chip": ON if obj.enabled else OFF,
            "facts": _facts(obj),
            "history": pages.ceiling_history(obj),
            "waiting": pages.waiting_words(pages.pending_request("change_ceiling", str(obj.pk))),
            "steps_to_take": [Step("Change it", self.command_url("edit", obj), could)],
        }

    def commands(self) -> Sequence[Command]:
        return [
            Command("edit", EDIT, page=self._page("edit", "Change a ceiling")),
            Command("add", EDIT, page=self._page("add", "Add a ceiling"), on_list=True),
        ]

    def _page(self, name: str, title: str) -> CommandPage:
        return CommandPage(
            name=name,
            title=title,
            intro="Takes effect for the next call once a second person has agreed. The networks charge a fee beyond theirs.",
            button="Ask a second person",
            form=CeilingForm,
            preview=_preview,
            execute=self._ask,
            refusals=(errors.PaymentsError,),
            conflicts=(errors.Conflict,),
            describe_conflict=lambda error: Conflict("Somebody", f"was faster. {error}".rstrip(".")),
            facts=lambda row: _facts(row) if row else [],
            return_to=self._back,
            initial=_as_it_is,
        )

    def _back(self, row: Any) -> str:
        return self.url_of(row) if row else reverse(f"{self.admin_site.name}:payments_networkceiling_changelist")

    def _ask(self, call: CommandCall) -> Outcome:
        approval = ask_ceiling(
            call.subject.pk if call.subject else None,
            _wanted(call.answers),
            version=call.answers["version"],
            reason=call.answers["reason"],
            actor=Actor.for_user(call.actor),
            now=call.now,
        )
        text = f"Asked: {approval.public_id}. A second person has to agree."
        return Outcome(text, self._back(call.subject), Tone.INFO)


def _facts(row: NetworkCeiling) -> list[KeyValue]:
    return [
        KeyValue("Cards of", pages.network_words(row.network)),
        KeyValue("At most", pages.ceiling_words(row)),
        KeyValue("Counted", "by card, over declines that reached the network"),
        KeyValue("Changes", row.version),
    ]


def _wanted(answers: dict[str, Any]) -> CeilingWanted:
    return CeilingWanted(**{name: answers[name] for name in _FIELDS})


def _as_it_is(row: NetworkCeiling | None) -> dict[str, Any]:
    if row is None:
        return {"version": 0, "window_hours": 720, "enabled": True}
    return {name: getattr(row, name) for name in (*_FIELDS, "version")}


def _preview(call: CommandCall) -> Preview:
    lines = preview_ceiling(call.subject, _wanted(call.answers))
    facts = [KeyValue(label, value) for label, value in lines]
    return Preview("A second person is asked to agree.", facts, version=str(call.answers["version"]))
