"""Where does a person ask for a report? A card each: what it answers, what it may be narrowed by, and a button a format."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone

from console.commands import CommandPage, Frame
from ledger.chart import CHART
from ledger.money import MINOR_DIGITS
from payments.admin.payment_forms import CommandForm
from payments.errors import PaymentsError
from payments.services.actors import Actor
from reconciliation.queries.exports import account_slugs
from reconciliation.reports.base import Asks, Format, Parameter, Report
from reconciliation.reports.registry import REPORTS
from reconciliation.services.report_jobs import ask_report
from reconciliation.states import JobState

_LABELS: Final = {Format.CSV: "CSV", Format.XLSX: "XLSX", Format.BEANCOUNT: "Beancount"}
_CODES: Final = [(spec.code, f"{spec.code} {spec.name}") for spec in sorted(CHART.values(), key=lambda spec: spec.code)]
_CURRENCIES: Final = [(code, code) for code in sorted(MINOR_DIGITS)]


class ReportForm(CommandForm):
    """A report's parameters, a field each; texts are checked where the report is asked for."""

    def __init__(self, report: Report, slugs: list[str], data: Any = None) -> None:
        super().__init__(data=data, auto_id=f"{report.name}_%s")
        for parameter in report.parameters:
            self.fields[parameter.name] = _field(parameter, slugs)


@dataclass(frozen=True, slots=True)
class Card:
    """One report on the page."""

    report: Report
    form: ReportForm
    formats: list[tuple[str, str]]
    columns: list[tuple[str, str]]


class AskPage(CommandPage):
    """All cards on one page. What is small is there at once, what is large becomes a page with its progress."""

    def respond(self, request: HttpRequest, admin: Frame, subject: Any, now: datetime) -> HttpResponse:
        """Answer a GET with the cards, a POST with the way to the report."""
        if request.method in ("GET", "HEAD"):
            return _page(request, admin, {})
        if request.method != "POST":
            return HttpResponse(status=405, headers={"Allow": "GET, HEAD, POST"})
        report = REPORTS.get(request.POST.get("report", ""))
        if report is None:
            messages.error(request, "Choose one of the reports on this page.")
            return _page(request, admin, {}, status=422)
        form = ReportForm(report, account_slugs(), request.POST)
        if not form.is_valid():
            return _page(request, admin, {report.name: form}, status=422)
        return self._ask(request, admin, report, form)

    def _ask(self, request: HttpRequest, admin: Any, report: Report, form: ReportForm) -> HttpResponse:
        raw = {name: form[name].value() for name in form.fields}
        kind = request.POST.get("format", Format.CSV.value)
        actor = Actor.for_user(request.user)  # type: ignore[arg-type]  # the right was checked: it is a person
        try:
            job = ask_report(report.name, kind, _asked(raw), actor=actor, clock=timezone.now)
        except PaymentsError as refusal:
            form.add_error(refusal.field if refusal.field in form.fields else None, refusal.detail)
            return _page(request, admin, {report.name: form}, status=422)
        if job.state == JobState.DONE:
            messages.success(request, f"{report.title} is ready: {job.rows_done:,} rows.")
        return HttpResponseRedirect(admin.url_of(job))


def _asked(raw: dict[str, Any]) -> dict[str, object]:
    """A form's answers as parameters: a box that is not ticked asks nothing."""
    return {name: "yes" if value is True else value for name, value in raw.items() if value not in (None, "", False)}


def _page(request: HttpRequest, admin: Frame, filled: dict[str, ReportForm], *, status: int = 200) -> HttpResponse:
    slugs = account_slugs()
    cards = [
        Card(
            report,
            filled.get(report.name) or ReportForm(report, slugs),
            [(kind.value, _LABELS[kind]) for kind in report.formats],
            [(column.name, column.words) for column in report.columns],
        )
        for report in REPORTS.values()
    ]
    context = {"title": ASK.title, "intro": ASK.intro, "cards": cards, "wrong": list(filled)}
    response = admin.page(request, "admin/reconciliation/reportjob/ask.html", context)
    response.status_code = status
    return response


def _field(parameter: Parameter, slugs: list[str]) -> forms.Field:
    label = parameter.label or parameter.name.replace("_", " ").capitalize()
    shared: dict[str, Any] = {"required": parameter.required, "help_text": parameter.words, "label": label}
    if parameter.asks == Asks.DAY:
        return forms.DateField(widget=forms.DateInput(attrs={"type": "date"}), **shared)
    if parameter.asks == Asks.FLAG:
        return forms.BooleanField(**shared)
    if parameter.asks == Asks.TEXT:
        return forms.CharField(max_length=200, **shared)
    choices = {
        Asks.ACCOUNT: [(slug, slug) for slug in slugs],
        Asks.CODE: _CODES,
        Asks.CURRENCY: _CURRENCIES,
        Asks.CHOICE: [(one, one.replace("_", " ")) for one in parameter.choices],
    }[parameter.asks]
    return forms.ChoiceField(choices=[("", parameter.anything), *choices], **shared)


def _never(call: Any) -> Any:
    raise AssertionError("a report has neither preview nor confirmation")


ASK = AskPage(
    name="ask",
    title="New report",
    intro="Each file comes with a manifest: rows, control totals by currency and a SHA-256. Amounts are plain decimals.",
    button="Make",
    form=forms.Form,
    preview=_never,
    execute=_never,
)
