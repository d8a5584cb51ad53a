"""By which terms are accounts compared? The list of gateway and bank accounts, the page of one, and the request to change it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
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
from console.values import Chip, KeyValue, Outcome, Preview, Step, Tone
from ledger.money import MINOR_DIGITS, Money, MoneyError
from payments.admin.payment_commands import describe_conflict
from payments.admin.payment_forms import CommandForm, amount_field
from payments.errors import Conflict, PaymentsError
from payments.queries.review_page import roles_that_may
from payments.services.actors import Actor
from reconciliation.models import StatementAccount
from reconciliation.queries import terms_page as pages
from reconciliation.queries.terms_words import form_currency, hours_text, seconds_of
from reconciliation.services import terms
from reconciliation.services.ingestion import RUN
from reconciliation.sources.registry import SOURCES

_LISTS = ("currencies", "holidays", "alert_to")
_SUMS = {"tolerance_minor": 2**31 - 1, "tolerance_day_minor": 2**31 - 1, "alert_value_minor": 2**63 - 1}
"""Terms that are money, with the most each can hold in minor units."""
FETCHED = Chip("asked by API", Tone.INFO, "sync", "Its report is asked for every night.")
FILES = Chip("files", Tone.QUIET, "upload_file", "People import its report.")
_FORM = "Written as in the first currency above, with two decimals where any is settled."


class TermsForm(CommandForm):
    """Every term of an account. Judged in the service."""

    name = forms.CharField(max_length=80)
    source = forms.ChoiceField(choices=[(source.name, source.words) for source in SOURCES.values()])
    time_zone = forms.CharField(
        max_length=50, initial="UTC", help_text="In which its days begin and end: Europe/Berlin"
    )
    currencies = forms.CharField(required=False, help_text="ISO codes it settles in, with commas; empty: any.")
    books_start_on = forms.DateField(
        required=False,
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
        help_text="Nothing before this day is compared.",
    )
    fetched = forms.BooleanField(required=False)
    nightly = forms.BooleanField(required=False, initial=True)
    nightly_hour = forms.IntegerField(initial=6, help_text="When its report of yesterday is expected, in its zone.")
    lag_days = forms.IntegerField(initial=2, help_text="What a movement may take to be reported.")
    lag_cap_days = forms.IntegerField(initial=10, help_text="After it a movement is missing, whatever the calendar.")
    early_seconds = forms.DecimalField(
        initial="24",
        min_value=0,
        max_digits=9,
        decimal_places=4,
        help_text="In hours, such as 24 or 1.5. A younger line may be there before we heard of it.",
    )
    bank_days = forms.IntegerField(initial=2, help_text="What it may take to be in the bank.")
    tolerance_minor = amount_field("", f"{_FORM} Booked by itself up to this.")
    tolerance_day_minor = amount_field("", f"{_FORM} And up to this in all of one currency.")
    holidays = forms.CharField(required=False, help_text="Days as 2026-12-25, with commas.")
    alert_count = forms.IntegerField(initial=10, help_text="0: never.")
    alert_value_minor = amount_field("", f"{_FORM} 0: never.")
    alert_age_days = forms.IntegerField(initial=7, help_text="0: never.")
    alert_share = forms.DecimalField(
        initial=Decimal(1),
        max_digits=5,
        decimal_places=2,
        help_text="Percent. 0: never.",
    )
    alert_to = forms.CharField(required=False, help_text="Addresses, with commas.")
    sample_percent = forms.IntegerField(initial=5, help_text="Of what rules resolve by themselves.")
    version = forms.IntegerField(required=False, widget=forms.HiddenInput)
    reason = forms.CharField(max_length=300, label="Why", help_text="Whoever has to agree reads it.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in terms.EDITABLE:
            self.fields[name].label = terms.label_of(name)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        for name in _LISTS:
            cleaned[name] = [part.strip() for part in str(cleaned.get(name, "")).split(",") if part.strip()]
        if "early_seconds" in cleaned:
            cleaned["early_seconds"] = seconds_of(cleaned["early_seconds"])
        unknown = [code for code in cleaned["currencies"] if code not in MINOR_DIGITS]
        if unknown:
            self.add_error("currencies", f"Currency {unknown[0][:10]!r} is in no table.")
            return cleaned
        for name in _SUMS:
            if name in cleaned:
                self._read_sum(name, form_currency(cleaned["currencies"]))
        return cleaned

    def _read_sum(self, name: str, currency: str) -> None:
        try:
            self.cleaned_data[name] = _minor(self.cleaned_data[name], currency, _SUMS[name])
        except MoneyError as error:
            self.add_error(name, str(error))


class BankForm(TermsForm):
    """A further bank account of ours."""

    slug = forms.SlugField(max_length=40, help_text="Its name in commands and files, such as main.")
    field_order = ("slug", "name", "source")


@admin.register(StatementAccount)
class StatementAccountAdmin(LockedAdmin):
    """Accounts that are compared."""

    list_display = ("account", "kind_shown", "comes", "source_shown", "zone", "starts", "lag")
    list_display_links = ("account",)
    list_title = "Compared accounts"
    list_intro = (
        "Gateway accounts and bank accounts, and the terms by which each is compared. Changing them takes two people."
    )
    empty_title = "No account is compared"
    empty_advice = "Gateway accounts appear here at the next start; bank accounts are asked for here."
    detail_template = "admin/reconciliation/statementaccount/detail.html"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return OrderedChangeList.by("kind", "slug")

    def commands(self) -> Sequence[Command]:
        return [
            Command(
                "add_bank", terms.EDIT, page=self._page("add_bank", "Ask for a bank account", BankForm), on_list=True
            ),
            Command("edit", terms.EDIT, page=self._page("edit", "Ask for a change of these terms", TermsForm)),
        ]

    def list_steps(self, request: HttpRequest) -> Sequence[tuple[str, str]]:
        return (
            [("Ask for a bank account", self.command_url("add_bank"))] if holds_right(request.user, terms.EDIT) else []
        )

    @admin.display(description="Account")
    def account(self, row: StatementAccount) -> str:
        return row.name

    @admin.display(description="Kind")
    def kind_shown(self, row: StatementAccount) -> str:
        return row.get_kind_display()

    @admin.display(description="Reports")
    def comes(self, row: StatementAccount) -> SafeString:
        return display.chip(FETCHED if row.fetched else FILES)

    @admin.display(description="Format")
    def source_shown(self, row: StatementAccount) -> str:
        return SOURCES[row.source].words if row.source in SOURCES else row.source

    @admin.display(description="Time zone")
    def zone(self, row: StatementAccount) -> str:
        return row.time_zone

    @admin.display(description="Books start on")
    def starts(self, row: StatementAccount) -> str | SafeString:
        return f"{row.books_start_on:%d %b %Y}" if row.books_start_on else display.hint("not set")

    @admin.display(description="Lag")
    def lag(self, row: StatementAccount) -> str:
        return f"{row.lag_days} business days"

    # -- one account ---------------------------------------------------------------------------------------------------
    def detail_context(self, request: HttpRequest, obj: Any, now: datetime) -> dict[str, Any]:
        could = "" if holds_right(request.user, terms.EDIT) else f"{roles_that_may('edit_terms')} could"
        imports = "" if holds_right(request.user, RUN) else f"{roles_that_may('run_reconciliation')} could"
        upload = f"{reverse('admin:reconciliation_statement_upload')}?account={obj.slug}"
        mapping = f"{reverse('admin:reconciliation_columnmapping_add')}?account={obj.slug}"
        has_mapping = "It has one: change that." if pages.mapping_numbers(obj.slug) else ""
        return {
            "title": obj.name,
            "head_chip": FETCHED if obj.fetched else FILES,
            "facts": pages.facts_of(obj),
            "clocks": pages.clocks_of(obj),
            "alarms": pages.alarms_of(obj),
            "mapping_columns": pages.MAPPING_COLUMNS,
            "mappings": pages.mappings_of(obj),
            "statement_columns": pages.STATEMENT_COLUMNS,
            "statements": pages.statements_of(obj),
            "steps_to_take": [
                Step("Import a statement", upload, imports),
                Step("Ask for a change of terms", self.command_url("edit", obj), could),
                Step("Ask for a column mapping", mapping, could or has_mapping),
            ],
        }

    def _page(self, name: str, title: str, form: type[forms.Form]) -> CommandPage:
        return CommandPage(
            name=name,
            title=title,
            intro="It holds once a second person has agreed.",
            button="Ask a second person",
            form=form,
            preview=_preview,
            execute=self._ask,
            refusals=(PaymentsError,),
            conflicts=(Conflict,),
            describe_conflict=describe_conflict,
            facts=lambda row: pages.facts_of(row) if row else [],
            return_to=self._back,
            initial=lambda row: _values(row if row is not None else StatementAccount(source="camt053")),
        )

    def _back(self, row: Any) -> str:
        return (
            self.url_of(row) if row else reverse(f"{self.admin_site.name}:reconciliation_statementaccount_changelist")
        )

    def _ask(self, call: CommandCall) -> Outcome:
        actor, answers = Actor.for_user(call.actor), call.answers
        changes = _changes(call)
        if call.subject is None:
            asked = terms.ask_bank_account(
                answers["slug"], changes, reason=answers["reason"], actor=actor, now=call.now
            )
        else:
            asked = terms.ask_terms(
                call.subject.slug,
                changes,
                version=answers["version"] or 0,
                reason=answers["reason"],
                actor=actor,
                now=call.now,
            )
        return Outcome(f"Asked: {asked}. A second person has to agree.", self._back(call.subject), Tone.INFO)


def _values(account: StatementAccount) -> dict[str, Any]:
    """Terms as the form shows them."""
    plain = {name: getattr(account, name) for name in terms.EDITABLE}
    lists = {name: ", ".join(map(str, plain[name])) for name in _LISTS}
    currency = form_currency(account.currencies)
    sums = {name: Money(plain[name], currency).to_decimal_string() for name in _SUMS}
    return plain | lists | sums | {"early_seconds": hours_text(account.early_seconds), "version": account.version}


def _minor(typed: str, currency: str, most_minor: int) -> int:
    """A sum as typed, in minor units. Raises: MoneyError, also for one that a term can not hold."""
    found = Money.parse(typed.strip(), currency).amount_minor
    if not 0 <= found <= most_minor:
        raise MoneyError(f"It is a sum from 0 to {Money(most_minor, currency)}.")
    return found


def _changes(call: CommandCall) -> dict[str, Any]:
    """Terms that are not what they were; of a new account all of them."""
    answers, account = call.answers, call.subject
    return {
        name: answers[name] for name in terms.EDITABLE if account is None or answers[name] != getattr(account, name)
    }


def _preview(call: CommandCall) -> Preview:
    account = call.subject if call.subject is not None else terms.new_bank_account(call.answers["slug"])
    lines = [KeyValue(label, f"{now} → {then}") for label, now, then in terms.differences(account, _changes(call))]
    return Preview("A second person is asked to agree.", lines)
