"""What do contracts let gateways charge? The rates, the page of one, and the commands that add and end one with two people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString

from console import display
from console.admin import Command, LockedAdmin
from console.commands import CommandCall, CommandPage
from console.rights import holds_right
from console.values import Amount, Chip, KeyValue, Outcome, Preview, Step, Tone
from payments.admin.payment_commands import describe_conflict
from payments.admin.payment_forms import CommandForm
from payments.errors import Conflict, PaymentsError
from payments.queries.review_page import roles_that_may
from payments.services.actors import Actor
from reconciliation.models import ContractRate, StatementAccount
from reconciliation.services import contract_rates as rates

IN_FORCE = Chip("in force", Tone.GOOD, "check_circle", "Lines of today are judged by it.")
ENDED = Chip("ended", Tone.QUIET, "event_busy", "Lines after its last day are not judged by it.")
TO_COME = Chip("to come", Tone.INFO, "schedule", "It begins on a later day.")
_DAY = forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})
_FIELDS = ("account", "kind", "method", "currency", "percent", "fixed", "tax_percent", "tolerance", "source")


class RateForm(CommandForm):
    """A rate as the contract has it, and why it is entered. Judged in the service."""

    account = forms.ChoiceField(label="Account")
    kind = forms.ChoiceField(label="Kind of line", choices=[(kind, kind.replace("_", " ")) for kind in rates.KINDS])
    method = forms.CharField(
        label="Brand or method", required=False, max_length=40, help_text="visa, amex; empty: every one."
    )
    currency = forms.CharField(label="Currency of settlement", max_length=10, help_text="Such as USD.")
    percent = forms.CharField(label="Percent of the amount", max_length=12, help_text="With a point: 2.9")
    fixed = forms.CharField(label="Fixed part", max_length=20, help_text="With a point: 0.30")
    tax_percent = forms.CharField(label="Tax on the fee in percent", max_length=12, required=False)
    tolerance = forms.CharField(label="Rounding", max_length=20, help_text="A difference up to this is no break: 0.01")
    valid_from = forms.DateField(label="From", widget=_DAY)
    source = forms.CharField(label="Stands in", max_length=200, help_text="Contract, annex or letter.")
    reason = forms.CharField(label="Why", max_length=300, help_text="Whoever has to agree reads it.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        accounts = StatementAccount.objects.filter(kind=StatementAccount.Kind.GATEWAY).order_by("name")
        self.fields["account"].choices = list(accounts.values_list("slug", "name"))  # type: ignore[attr-defined]


class EndForm(CommandForm):
    """The last day a rate holds."""

    last_day = forms.DateField(label="Last day", widget=_DAY, help_text="Lines of this day are still judged by it.")
    reason = forms.CharField(label="Why", max_length=300, help_text="Whoever has to agree reads it.")


@admin.register(ContractRate)
class ContractRateAdmin(LockedAdmin):
    """Rates, newest first."""

    list_display = ("rate", "account_name", "state", "percent_shown", "fixed", "since", "until", "stands_in")
    list_display_links = ("rate",)
    list_filter = ("account",)
    list_title = "Contract rates"
    list_intro = (
        "What gateways may charge. Each reported fee is held against the rate that fits: what it is beyond is booked as "
        "variance, and beyond rounding it is a break. Reserves and adjustments are booked only where a rate names them."
    )
    empty_title = "No contract rate is known"
    empty_advice = (
        "Without one, whatever a gateway charges is taken as right. Add the rates of your contracts, two people."
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[ContractRate]:
        return ContractRate.objects.select_related("account")

    @admin.display(description="For")
    def rate(self, row: ContractRate) -> str:
        return f"{row.kind.replace('_', ' ').capitalize()}, {row.method or 'every method'}"

    @admin.display(description="Account")
    def account_name(self, row: ContractRate) -> str:
        return row.account.name

    @admin.display(description="State")
    def state(self, row: Any) -> SafeString:
        return display.chip(_chip(row, row.listed_at.date()))

    @admin.display(description="Percent")
    def percent_shown(self, row: ContractRate) -> str:
        return f"{row.percent.normalize():f} %"

    @admin.display(description="Fixed part")
    def fixed(self, row: ContractRate) -> SafeString:
        return display.money(row.fixed_minor, row.currency)

    @admin.display(description="From")
    def since(self, row: ContractRate) -> str:
        return f"{row.valid_from:%d %b %Y}"

    @admin.display(description="To")
    def until(self, row: ContractRate) -> str | SafeString:
        return f"{row.valid_to:%d %b %Y}" if row.valid_to else display.hint("goes on")

    @admin.display(description="Stands in")
    def stands_in(self, row: ContractRate) -> str:
        return row.source

    def list_steps(self, request: HttpRequest) -> Sequence[tuple[str, str]]:
        return [("Add a rate", self.command_url("add"))] if holds_right(request.user, rates.EDIT) else []

    def detail_context(self, request: HttpRequest, obj: Any, now: datetime) -> dict[str, Any]:
        could = "" if holds_right(request.user, rates.EDIT) else f"{roles_that_may('edit_terms')} could"
        over = "" if _chip(obj, now.date()) != ENDED else "It has ended."
        return {
            "title": rates.words_of(obj),
            "head_chip": _chip(obj, now.date()),
            "facts": _facts(obj),
            "steps_to_take": [Step("End it", self.command_url("end", obj), could or over)],
        }

    detail_template = "admin/reconciliation/contractrate/detail.html"

    def commands(self) -> Sequence[Command]:
        return [
            Command("add", rates.EDIT, page=self._page("add", "Add a contract rate", RateForm), on_list=True),
            Command("end", rates.EDIT, page=self._page("end", "End a contract rate", EndForm)),
        ]

    def _page(self, name: str, title: str, form: type[forms.Form]) -> CommandPage:
        adds = name == "add"
        return CommandPage(
            name=name,
            title=title,
            intro="Holds once a second person has agreed. What was booked by the earlier rate is corrected by difference.",
            button="Ask a second person",
            form=form,
            preview=_preview_add if adds else _preview_end,
            execute=self._add if adds else self._end,
            refusals=(PaymentsError,),
            conflicts=(Conflict,),
            describe_conflict=describe_conflict,
            facts=lambda row: _facts(row) if row else [],
            return_to=self._back,
            initial=lambda row: {"tax_percent": "0", "tolerance": "0.01"} if row is None else {},
        )

    def _back(self, row: Any) -> str:
        return self.url_of(row) if row else reverse(f"{self.admin_site.name}:reconciliation_contractrate_changelist")

    def _add(self, call: CommandCall) -> Outcome:
        actor = Actor.for_user(call.actor)
        asked = rates.ask_rate(_wanted(call.answers), reason=call.answers["reason"], actor=actor, now=call.now)
        return self._asked(call, asked)

    def _end(self, call: CommandCall) -> Outcome:
        actor, answers = Actor.for_user(call.actor), call.answers
        asked = rates.ask_end(call.subject.pk, answers["last_day"], reason=answers["reason"], actor=actor, now=call.now)
        return self._asked(call, asked)

    def _asked(self, call: CommandCall, approval: str) -> Outcome:
        text = f"Asked: {approval}. A second person has to agree."
        return Outcome(text, self._back(call.subject), Tone.INFO)


def _chip(row: ContractRate, today: date) -> Chip:
    if row.valid_from > today:
        return TO_COME
    return ENDED if row.valid_to is not None and row.valid_to < today else IN_FORCE


def _facts(row: ContractRate) -> list[KeyValue]:
    return [
        KeyValue("Account", row.account.name),
        KeyValue("Kind of line", row.kind.replace("_", " ")),
        KeyValue("Brand or method", row.method or "every one"),
        KeyValue("Percent", f"{row.percent.normalize():f} %"),
        KeyValue("Fixed part", Amount(row.fixed_minor, row.currency)),
        KeyValue("Tax on the fee", f"{row.tax_percent.normalize():f} %"),
        KeyValue("Rounding", Amount(row.tolerance_minor, row.currency)),
        KeyValue("From", f"{row.valid_from:%d %b %Y}"),
        KeyValue("To", f"{row.valid_to:%d %b %Y}" if row.valid_to else "it goes on"),
        KeyValue("Stands in", row.source),
    ]


def _wanted(answers: dict[str, Any]) -> rates.RateWanted:
    told = {name: answers[name].strip() for name in _FIELDS}
    return rates.RateWanted(**told, valid_from=answers["valid_from"].isoformat())


def _preview_add(call: CommandCall) -> Preview:
    lines = rates.preview_rate(_wanted(call.answers))
    return Preview("A second person is asked to agree.", [KeyValue(label, value) for label, value in lines])


def _preview_end(call: CommandCall) -> Preview:
    lines = rates.preview_end(call.subject.pk, call.answers["last_day"])
    return Preview("A second person is asked to agree.", [KeyValue(label, value) for label, value in lines])
