"""Where do people look into the books? Accounts with statements, entries, the trial balance. Looks only: nothing here writes.

Every number opens to the rows it is made of: a balance to its statement, a line to its entry, an entry to what it is
about. What that is, the books do not know: `console.links` turns its id into a link.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from console import display
from console.admin import LockedAdmin
from console.links import link_to
from console.ordered import OrderedChangeList
from console.values import Amount, Chip, KeyValue, Link, Tone
from ledger import queries
from ledger.chart import CHART, Side
from ledger.models import Account, JournalEntry
from ledger.reports import ENTRY_COLUMNS, entry_table, kept_for

STATEMENT_PAGE = 100
_MEMO = Chip("memo", Tone.QUIET, "bookmark", "A commitment, outside the trial balance.")


class PeriodForm(forms.Form):
    """From which day to which, both included; `after` continues a longer statement."""

    booked_from = forms.DateField(required=False, label="From", widget=forms.DateInput(attrs={"type": "date"}))
    booked_to = forms.DateField(required=False, label="To", widget=forms.DateInput(attrs={"type": "date"}))
    after = forms.RegexField(r"^\d{4}-\d\d-\d\d\.\d{1,18}$", required=False, widget=forms.HiddenInput)

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        start, end = given.get("booked_from"), given.get("booked_to")
        if start and end and start > end:
            raise forms.ValidationError(f"The period ends on {end} before it starts on {start}.")
        return given

    def clean_after(self) -> queries.StatementCursor | None:
        day, _, line = self.cleaned_data["after"].partition(".")
        try:
            return queries.StatementCursor(date.fromisoformat(day), int(line)) if day else None
        except ValueError as error:
            raise forms.ValidationError(f"“{day}” is no day.") from error


class AsOfForm(forms.Form):
    """Up to which accounting date, included; empty: all of it."""

    booked_to = forms.DateField(required=False, label="As of", widget=forms.DateInput(attrs={"type": "date"}))


class AccountFilter(admin.SimpleListFilter):
    """One line of the chart, over all its gateways, customers and currencies."""

    title = "account"
    parameter_name = "code"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(spec.code, f"{spec.code} {spec.name}") for spec in sorted(CHART.values(), key=lambda spec: spec.code)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Account]) -> QuerySet[Account]:
        return queryset.filter(code=self.value()) if self.value() else queryset


@admin.register(Account)
class AccountAdmin(LockedAdmin):
    """Accounts in use with their balances, in the order of the chart."""

    list_display = ("account", "kept_for", "currency", "debit", "credit", "nature")
    list_filter = (AccountFilter, "currency", "memo")
    exact_search = ("code", "gateway", "customer")
    search_help_text = "A code, a gateway or a customer. Compared exactly."
    list_title = "Accounts"
    list_intro = "Balances now, in the column of the side they stand on. Each opens to its statement."
    empty_title = "No account is in use"
    empty_advice = "An account appears with the first entry that touches it."
    detail_template = "admin/ledger/account/detail.html"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return OrderedChangeList.by("code", "currency", "gateway", "customer")

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Give each row its balance: one query for the rows of this page."""
        found = super().get_changelist_instance(request)
        rows = list(found.result_list)
        known = {item.account_id: item for item in queries.balances(account_ids=[row.pk for row in rows])}
        for row in rows:
            row.balance = known[row.pk].amount_minor
        return found

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_safe(self.trial_balance_view))
        return [path("trial-balance/", view, name="ledger_account_trial_balance"), *super().get_urls()]

    @admin.display(description="Account")
    def account(self, account: Account) -> SafeString:
        return format_html('<span class="cf-code">{}</span> {}', account.code, account.name)

    @admin.display(description="Kept for")
    def kept_for(self, account: Account) -> str:
        return kept_for(account.ref)

    @admin.display(description="Debit balance")
    def debit(self, account: Any) -> SafeString:
        return _cell(account.balance, account.currency, zero=account.normal_side == Side.DEBIT.value)

    @admin.display(description="Credit balance")
    def credit(self, account: Any) -> SafeString:
        return _cell(-account.balance, account.currency, zero=account.normal_side == Side.CREDIT.value)

    @admin.display(description="")
    def nature(self, account: Account) -> SafeString:
        return display.chip(_MEMO) if account.memo else SafeString("")

    # -- one account: its statement ------------------------------------------------------------------------------------
    def detail_context(self, request: HttpRequest, obj: Any, now: datetime) -> dict[str, Any]:
        asked = PeriodForm(request.GET)
        given = asked.cleaned_data if asked.is_valid() else {}
        end = given.get("booked_to") or max(_business_day(now), given.get("booked_from") or date.min)
        start = given.get("booked_from") or end.replace(day=1)
        statement = queries.account_statement(obj.pk, start, end, limit=STATEMENT_PAGE, after=given.get("after"))
        assert statement is not None, "the row was just read, and accounts are never deleted"
        total = queries.balance(obj.ref)
        return {
            "title": f"{obj.code} {obj.name}",
            "intro": " · ".join(part for part in (kept_for(obj.ref), obj.currency) if part),
            "head_chip": _MEMO if obj.memo else None,
            "facts": _account_facts(obj, total),
            "form": PeriodForm(initial={"booked_from": start, "booked_to": end}),
            "mistakes": asked.errors,
            "period": {"booked_from": start.isoformat(), "booked_to": end.isoformat()},
            "statement": statement,
            "rows": [
                (line, -line.amount_minor, _side(line.balance_minor), link_to(line.subject)) for line in statement.lines
            ],
            "currency": obj.currency,
            "opening_side": _side(statement.opening_minor),
            "closing_side": _side(statement.closing_minor),
            "continued": given.get("after") is not None,
            "next_url": _next_page(statement),
            "earlier_url": _earlier(statement),
        }

    # -- the trial balance ---------------------------------------------------------------------------------------------
    def trial_balance_view(self, request: HttpRequest) -> HttpResponse:
        """Show every account's balance in its column, as of a day; memo accounts apart."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        asked = AsOfForm(request.GET)
        as_of = asked.cleaned_data["booked_to"] if asked.is_valid() else None
        trial = queries.trial_balance(as_of)
        context = {
            "title": "Trial balance",
            "intro": "Debits equal credits in every currency. Each number opens to the rows it is made of.",
            "head_chip": _balanced(trial),
            "form": AsOfForm(initial={"booked_to": as_of}),
            "mistakes": asked.errors,
            "currencies": list(_by_currency(trial.rows, trial.totals, as_of)),
            "memo": list(_by_currency(trial.memo_rows, trial.memo_totals, as_of)),
        }
        return self.page(request, "admin/ledger/account/trial_balance.html", context)


@admin.register(JournalEntry)
class JournalEntryAdmin(LockedAdmin):
    """Entries, the newest first: what was booked, when and why."""

    list_display = ("entry", "description", "about", "amounts", "booked", "posted", "by")
    exact_search = ("public_id", "source_key", "subject")
    search_help_text = "An entry's id, or the payment it is about. Compared exactly."
    address_field = "public_id"
    list_title = "Entries"
    list_intro = "Search by entry (je_…), by what it is about (pay_…) or by its source key. Entries are never changed."
    empty_title = "Nothing was booked yet"
    empty_advice = "Each movement of money writes one entry here, whatever is decided about the money later."
    detail_template = "admin/ledger/journalentry/detail.html"

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Give each row its lines: three queries for the rows of this page."""
        found = super().get_changelist_instance(request)
        rows = list(found.result_list)
        known = {view.id: view for view in queries.entries_by_ids([row.pk for row in rows])}
        for row in rows:
            row.view = known[row.pk]
        return found

    @admin.display(description="Entry")
    def entry(self, entry: JournalEntry) -> SafeString:
        return format_html('<span class="cf-code">{}</span>', entry.public_id)

    @admin.display(description="About")
    def about(self, entry: JournalEntry) -> SafeString:
        return display.link(link_to(entry.subject))

    @admin.display(description="Amount")
    def amounts(self, entry: Any) -> SafeString:
        """What was debited: outside memo lines if there are others, once per currency."""
        (amount, currency), *more = _turnover(entry.view)
        shown = display.money(amount, currency)
        return format_html('{} <span class="cf-hint">and others</span>', shown) if more else shown

    @admin.display(description="Booked on")
    def booked(self, entry: JournalEntry) -> SafeString:
        return format_html('<span class="bk-day">{}</span>', _day(entry.booked_on))

    @admin.display(description="Posted")
    def posted(self, entry: Any) -> SafeString:
        return display.when(entry.posted_at, entry.listed_at)

    @admin.display(description="Decided by")
    def by(self, entry: JournalEntry) -> SafeString:
        return format_html("{}", entry.actor) if entry.actor else display.hint("by rule")

    def detail_context(self, request: HttpRequest, obj: Any, now: datetime) -> dict[str, Any]:
        (view,) = queries.entries_by_ids([obj.pk])
        return {
            "title": obj.description or "Entry",
            "intro": obj.public_id,
            "head_chip": _reversal(view),
            "facts": _entry_facts(view),
            "columns": ENTRY_COLUMNS,
            "rows": entry_table(view).rows,
            "totals": [(Amount(amount, currency)) for amount, currency in _turnover(view, memo=None)],
        }


def _cell(amount_minor: int, currency: str, *, zero: bool) -> SafeString:
    """The amount if it stands on this side of the account, else nothing; a balance of zero where it would grow."""
    stands_here = amount_minor > 0 or (amount_minor == 0 and zero)
    return display.money(amount_minor, currency) if stands_here else SafeString("")


def _side(amount_minor: int) -> tuple[int, str]:
    """A balance as people read it: the size, and the side it stands on."""
    return abs(amount_minor), "Dr" if amount_minor > 0 else "Cr" if amount_minor < 0 else ""


def _day(day: date) -> str:
    return f"{day.day} {day:%b %Y}"


def _business_day(now: datetime) -> date:
    return now.astimezone(ZoneInfo(settings.BUSINESS_TIME_ZONE)).date()


def _account_facts(account: Account, total: queries.AccountBalance) -> list[KeyValue]:
    side = Side(account.normal_side)
    natural = "on its normal side" if total.natural_minor >= 0 else "on the other side than it should grow"
    size, letters = _side(total.amount_minor)
    return [
        KeyValue("Balance now", Amount(size, account.currency), f"{letters}, {natural}." if letters else ""),
        KeyValue("Grows by", side.value),
        *([KeyValue("Gateway account", account.gateway)] if account.gateway else []),
        *([KeyValue("Customer", Link(account.customer, "", code=True))] if account.customer else []),
        *([KeyValue("Open items", "every line carries the id of what it belongs to")] if account.open_item else []),
        *(
            [KeyValue("Never below", Amount(account.min_balance, account.currency))]
            if account.min_balance is not None
            else []
        ),
    ]


def _next_page(statement: queries.AccountStatement) -> str:
    """Where the statement goes on; empty on its last page."""
    if statement.next_page is None:
        return ""
    place = f"{statement.next_page.booked_on.isoformat()}.{statement.next_page.posting_id}"
    return _query(booked_from=statement.booked_from, booked_to=statement.booked_to, after=place)


def _earlier(statement: queries.AccountStatement) -> str:
    """The month before the period: what the opening balance is made of."""
    last = statement.booked_from - timedelta(days=1)
    return _query(booked_from=last.replace(day=1), booked_to=last)


def _query(**given: object) -> str:
    return "?" + urlencode({name: str(value) for name, value in given.items()})


def _balanced(trial: queries.TrialBalance) -> Chip:
    if trial.balances:
        return Chip(
            "balances", Tone.GOOD, "balance", "Debits equal credits in every currency, memo lines by themselves."
        )
    return Chip("does not balance", Tone.BAD, "error", "Run verify_ledger: it names what is damaged.")


def _by_currency(
    rows: Sequence[queries.TrialBalanceRow], totals: Iterable[queries.CurrencyTotal], as_of: date | None
) -> Iterable[dict[str, Any]]:
    """One block a currency: its rows with their links, its totals."""
    for total in totals:
        lines = [(_row_link(row, as_of), row) for row in rows if row.currency == total.currency]
        yield {"currency": total.currency, "lines": lines, "total": total}


def _row_link(row: queries.TrialBalanceRow, as_of: date | None) -> str:
    """A single account opens to its statement; several customers of one account to their list."""
    if row.account_id is None:
        query = _query(code=row.spec.code, currency=row.currency)
        return reverse("admin:ledger_account_changelist") + query
    query = _query(booked_to=as_of) if as_of else ""
    return reverse("admin:ledger_account_change", args=(row.account_id,)) + query


def _turnover(view: queries.EntryView, *, memo: bool | None = False) -> list[tuple[int, str]]:
    """Sum of debits per currency: outside memo accounts unless there is nothing else; with memo None, of all lines."""
    lines = [line for line in view.lines if memo is None or line.ref.spec.memo == memo] or list(view.lines)
    sums: dict[str, int] = {}
    for line in lines:
        sums[line.ref.currency] = sums.get(line.ref.currency, 0) + line.debit_minor
    return [(amount, currency) for currency, amount in sums.items()]


def _reversal(view: queries.EntryView) -> Chip | None:
    if view.reversed_by:
        return Chip("reversed", Tone.WARN, "undo", "A later entry takes it back.")
    return Chip("reversal", Tone.INFO, "undo", "It takes an earlier entry back.") if view.reverses else None


def _entry_facts(view: queries.EntryView) -> list[KeyValue]:
    return [
        KeyValue("About", link_to(view.subject)),
        KeyValue("Booked on", _day(view.booked_on), "Accounting date: drives every report."),
        KeyValue("Happened", view.occurred_at),
        KeyValue("Posted", view.posted_at, "When we knew."),
        KeyValue("Decided by", view.actor or "rule"),
        KeyValue("Source key", Link(view.source_key, "", code=True), "What it records; never booked twice."),
        *([KeyValue("Reverses", link_to(view.reverses))] if view.reverses else []),
        *([KeyValue("Reversed by", link_to(view.reversed_by))] if view.reversed_by else []),
    ]
