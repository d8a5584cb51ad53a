"""How much may one person do alone? The table of limits, and the command that asks for a change of one.

Changes nothing by itself: a limit is a policy, so that a second person has to agree on the approvals page.
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
from console.commands import CommandCall, CommandPage
from console.ordered import OrderedChangeList
from console.rights import holds_right
from console.values import Amount, Chip, KeyValue, Link, Outcome, Preview, Shown, Step, Tone
from ledger.money import MINOR_DIGITS, Money, MoneyError
from payments import errors
from payments.admin.payment_commands import describe_conflict
from payments.admin.payment_forms import CommandForm
from payments.models import Limit
from payments.queries import approval_page as approvals
from payments.queries.review_page import roles_that_may
from payments.services import limits
from payments.services.actors import Actor

REQUEST_COLUMNS = ("Request", "Asked by", "When", "Why", "State")
_WAITS = Chip("change waits", Tone.WARN, "hourglass_top", "Somebody asked for a change; a second person has to agree.")


_CHOOSE = ("", "Choose…")  # nothing is preselected: a limit set by oversight is one


class SumsForm(CommandForm):
    """Both sums in the limit's currency, or none: then a second person is always needed."""

    per_item = forms.CharField(
        label="Alone up to, at a time", max_length=40, required=False,
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
        help_text="Digits and at most one decimal point. Both empty: always a second person.",
    )  # fmt: skip
    per_day = forms.CharField(
        label="Alone up to, in one day", max_length=40, required=False,
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
        help_text="All of one person and business day together.",
    )  # fmt: skip
    reason = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 3}), max_length=400, help_text="The second person reads it."
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        currency = cleaned.get("currency") or self.initial.get("currency", "")
        for name in ("per_item", "per_day"):
            cleaned[f"{name}_minor"] = self._minor(name, cleaned.get(name, ""), currency)
        return cleaned

    def _minor(self, name: str, typed: str, currency: str) -> int | None:
        if not typed.strip() or not currency:
            return None
        try:
            return Money.parse(typed.strip(), currency).amount_minor
        except MoneyError as error:
            self.add_error(name, str(error))
            return None


class NewLimitForm(SumsForm):
    """A limit for something that always needed a second person before."""

    action = forms.ChoiceField(label="For what", choices=lambda: [_CHOOSE, *limits.ACTIONS.items()])
    role = forms.ChoiceField(choices=lambda: [_CHOOSE, *((role, role) for role in limits.roles_with_limits())])
    currency = forms.ChoiceField(choices=[(code, code) for code in sorted(MINOR_DIGITS)])
    field_order = ("action", "role", "currency", "per_item", "per_day", "reason")


@admin.register(Limit)
class LimitAdmin(LockedAdmin):
    """Limits by action, role and currency."""

    list_display = ("for_what", "role", "per_item", "per_day", "waiting")
    list_title = "Limits"
    list_intro = (
        "Up to these sums one person acts alone. Where no line stands, a second person is always needed; "
        "a change takes two people as well."
    )
    empty_title = "No limit is set"
    empty_advice = "Everything that can have a limit needs a second person."
    detail_template = "admin/payments/limit/detail.html"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return OrderedChangeList.by("action", "role", "currency")

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Mark limits whose change waits: one query for the rows of this page."""
        found = super().get_changelist_instance(request)
        rows = list(found.result_list)
        pending = approvals.pending_about([_subject(row) for row in rows], command="change_limit")
        for row in rows:
            row.waits = _subject(row) in pending
        return found

    def list_steps(self, request: HttpRequest) -> Sequence[tuple[str, str]]:
        return [("Ask for a limit", self.command_url("ask"))] if holds_right(request.user, limits.EDIT) else []

    @admin.display(description="For what")
    def for_what(self, limit: Limit) -> str:
        return limits.ACTIONS.get(limit.action, limit.action)

    @admin.display(description="Alone at a time")
    def per_item(self, limit: Limit) -> SafeString:
        return display.money(limit.per_item_minor, limit.currency)

    @admin.display(description="Alone in one day")
    def per_day(self, limit: Limit) -> SafeString:
        return display.money(limit.per_day_minor, limit.currency)

    @admin.display(description="Change")
    def waiting(self, limit: Any) -> SafeString:
        return display.chip(_WAITS) if limit.waits else display.hint("none asked")

    # -- one limit -----------------------------------------------------------------------------------------------------
    def detail_context(self, request: HttpRequest, obj: Any, now: datetime) -> dict[str, Any]:
        could = "" if holds_right(request.user, limits.EDIT) else f"{roles_that_may('edit_limit')} could"
        return {
            "title": f"{limits.ACTIONS.get(obj.action, obj.action)}: {obj.role}, {obj.currency}",
            "facts": [
                KeyValue("Role", obj.role),
                KeyValue("Alone at a time", Amount(obj.per_item_minor, obj.currency)),
                KeyValue("Alone in one day", Amount(obj.per_day_minor, obj.currency)),
                KeyValue("Changes", obj.version),
            ],
            "requests": [_request_cells(one, now) for one in approvals.requests_about(_subject(obj))],
            "request_columns": REQUEST_COLUMNS,
            "steps_to_take": [Step("Ask for a change", self.command_url("edit", obj), could)],
        }

    def commands(self) -> Sequence[Command]:
        return [
            Command("ask", limits.EDIT, page=self._page("ask", "Ask for a limit", NewLimitForm), on_list=True),
            Command("edit", limits.EDIT, page=self._page("edit", "Ask for a change of this limit", SumsForm)),
        ]

    def _page(self, name: str, title: str, form: type[SumsForm]) -> CommandPage:
        return CommandPage(
            name=name,
            title=title,
            intro="Nothing changes yet: another person has to agree to exactly this.",
            button="Ask a second person",
            form=form,
            preview=_preview,
            execute=_ask,
            refusals=(errors.PaymentsError,),
            conflicts=(errors.Conflict,),
            describe_conflict=describe_conflict,
            facts=lambda limit: [KeyValue("Limit", str(limit))] if limit else [],
            return_to=lambda limit: self.url_of(limit) if limit else reverse("admin:payments_limit_changelist"),
            initial=_as_it_is,
        )


def _subject(limit: Limit) -> str:
    return "/".join((limit.action, limit.currency, limit.role))


def _as_it_is(limit: Limit | None) -> dict[str, Any]:
    if limit is None:
        return {"currency": "USD"}
    return {
        "currency": limit.currency,
        "per_item": Money(limit.per_item_minor, limit.currency).to_decimal_string(),
        "per_day": Money(limit.per_day_minor, limit.currency).to_decimal_string(),
    }


def _wanted(call: CommandCall) -> limits.Wanted:
    answers, limit = call.answers, call.subject
    named = (limit.action, limit.currency, limit.role) if limit else None
    action, currency, role = named or (answers["action"], answers["currency"], answers["role"])
    return limits.Wanted(action, currency, role, answers["per_item_minor"], answers["per_day_minor"])


def _preview(call: CommandCall) -> Preview:
    lines = limits.preview_limit(_wanted(call))
    return Preview(
        "A second person is asked. Nothing changes before they agree.",
        [KeyValue(label, value) for label, value in (*lines, ("Reason", call.answers["reason"]))],
    )


def _ask(call: CommandCall) -> Outcome:
    asked = limits.ask_limit(
        _wanted(call), reason=call.answers["reason"], actor=Actor.for_user(call.actor), now=call.now
    )
    address = reverse("admin:payments_approval_change", args=(asked.public_id,))
    return Outcome("Asked. Another person has to agree.", address, Tone.INFO)


def _request_cells(approval: Any, now: datetime) -> tuple[Shown, ...]:
    address = reverse("admin:payments_approval_change", args=(approval.public_id,))
    chip = approvals.state_chip(approval, now)
    return (
        Link(approval.public_id, address, code=True), approval.asked_by, approval.asked_at, approval.reason, chip,
    )  # fmt: skip
