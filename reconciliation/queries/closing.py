"""May a business day be closed, and what would its certificate say? Every proof, every comparison, every open difference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.urls import reverse
from django.utils.module_loading import import_string

from console.links import link_to
from console.values import Link
from ledger import queries as ledger
from ledger.money import Money
from reconciliation.models import Break, DayClose, Run, Statement, StatementAccount
from reconciliation.queries.proof import Proof, currencies_of, proof
from reconciliation.queries.scope import scope_of
from reconciliation.states import OPEN_BREAK_STATES, RunState, StatementState

SHOWN_FINDINGS = 20


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a day can not be closed. `account` is set where a person may except the account with a reason, and two people.

    `way` leads to the page that mends it, where there is one.
    """

    text: str
    account: str = ""
    way: Link | None = None


@dataclass(frozen=True, slots=True)
class DayState:
    """All that a close of `first_day` (None: the beginning) to `day` rests on."""

    first_day: date | None
    day: date
    objections: tuple[Objection, ...]
    runs: tuple[dict[str, Any], ...]
    proofs: tuple[dict[str, Any], ...]
    reports: tuple[dict[str, Any], ...]
    open_breaks: tuple[dict[str, Any], ...]


def first_open_day() -> date | None:
    """The day that is closed next; None while none was ever closed."""
    last = ledger.closed_through()
    return last + timedelta(days=1) if last else None


def state_of(day: date) -> DayState:
    """Read everything anew: the proofs of the books, the comparisons, the reports and what is open."""
    books = tuple(_of_books())
    return _state(first_open_day(), day, books)


def state_again(first: date | None, day: date) -> DayState:
    """The same while nobody posts, for the days from `first`: what comparisons and proofs rest on is read once more.

    Not so the proofs of the books themselves, which read every entry there is: they were asked before the book was held.
    """
    return _state(first, day, ())


def _state(first: date | None, day: date, books: tuple[Objection, ...]) -> DayState:
    proofs, runs = [_proof(found) for found in _proofs(day)], _runs(day)
    return DayState(
        first_day=first,
        day=day,
        objections=(*books, *_of_comparisons(day, runs), *_of_proofs(proofs, runs)),
        runs=tuple(_run(run) for run in runs),
        proofs=tuple(proofs),
        reports=tuple(_report(statement) for statement in _reports(first, day)),
        open_breaks=tuple(_break(broken) for broken in open_breaks(day)),
    )


def compared(day: date) -> list[StatementAccount]:
    """The accounts that are to be compared for a day."""
    started = Q(books_start_on__isnull=True) | Q(books_start_on__lte=day)
    return list(StatementAccount.objects.filter(started, nightly=True).order_by("kind", "slug"))


def open_breaks(day: date) -> list[Break]:
    """Differences of the day or before it that are open now."""
    rows = Break.objects.filter(state__in=OPEN_BREAK_STATES, day__lte=day).select_related("account")
    return list(rows.order_by("account__slug", "day", "id"))


def standing_close(day: date) -> DayClose | None:
    """The close of a day that was not reopened."""
    return DayClose.objects.filter(day=day, reopened_at__isnull=True).first()


def _of_books() -> Iterator[Objection]:
    findings = ledger.verify_books([import_string(path) for path in settings.LEDGER_PROOFS])
    for finding in findings[:SHOWN_FINDINGS]:
        text = f"The books do not hold: {finding.kind} at {finding.subject}, {finding.detail}."
        found = link_to(finding.subject)
        yield Objection(text, way=found if found.url else None)
    if len(findings) > SHOWN_FINDINGS:
        yield Objection(f"… and {len(findings) - SHOWN_FINDINGS} more findings of verify_ledger.")


def _of_comparisons(day: date, runs: list[Run]) -> Iterator[Objection]:
    ran = {run.account_id: run for run in runs}
    for account in compared(day):
        run = ran.get(account.pk)
        if run is None:
            yield Objection(f"{account.name} was not compared for {day}.", account.slug, _to_report(account))
        elif run.state != RunState.DONE:
            why = f": {run.because}" if run.because else "."
            yield Objection(
                f"The comparison of {account.name} for {day} is {run.state}{why}", account.slug, _to_run(run)
            )
        elif not run.balanced:
            yield Objection(f"The equations of {account.name} for {day} do not hold: run it again.", way=_to_run(run))


def _to_report(account: StatementAccount) -> Link:
    """Where its report comes in: by a file, or by the comparison that asks for it."""
    if account.fetched:
        return Link("Compare the day", reverse("admin:reconciliation_run_compare"))
    return Link("Import its report", f"{reverse('admin:reconciliation_statement_upload')}?account={account.slug}")


def _to_run(run: Run) -> Link:
    return Link("Its comparison", reverse("admin:reconciliation_run_change", args=(run.public_id,)))


def _proofs(day: date) -> Iterator[Proof]:
    """The proof of the difference of every account and currency that is compared."""
    for account in compared(day):
        for currency in currencies_of(account, scope_of(account, day)):
            yield proof(account.pk, currency, day)


def _of_proofs(proofs: list[dict[str, Any]], runs: list[Run]) -> Iterator[Objection]:
    ran = {run.account.slug: run for run in runs}
    for found in proofs:
        if found["residual_minor"]:
            left = Money(found["residual_minor"], found["currency"])
            run = ran.get(found["account"])
            name = run.account.name if run else found["account"]
            text = f"{left} of the difference between {name} and our books is explained by nothing."
            yield Objection(text, found["account"], _to_proof(run, found["currency"]) if run else None)


def _to_proof(run: Run, currency: str) -> Link:
    return Link("Its proof", f"{reverse('admin:reconciliation_run_proof', args=(run.public_id,))}?currency={currency}")


def _proof(found: Proof) -> dict[str, Any]:
    return {
        "account": found.slug,
        "currency": found.currency,
        "books_minor": found.books.amount_minor,
        "timing_minor": sum(part.amount_minor for part in found.timing),
        "breaks_minor": sum(part.amount_minor for part in found.breaks),
        "gateway_minor": found.gateway.amount_minor,
        "residual_minor": found.residual_minor,
    }


def _runs(day: date) -> list[Run]:
    return list(Run.objects.filter(day=day).select_related("account").order_by("account__slug"))


def _reports(first: date | None, day: date) -> list[Statement]:
    rows = Statement.objects.filter(ends_on__lte=day).exclude(state=StatementState.REFUSED).select_related("account")
    if first is not None:
        rows = rows.filter(ends_on__gte=first)
    return list(rows.order_by("account__slug", "ends_on", "id"))


def _run(run: Run) -> dict[str, Any]:
    return {
        "account": run.account.slug,
        "run": run.public_id,
        "state": run.state,
        "balanced": run.balanced,
        "rules": run.rules_version,
        "lines": run.lines,
        "movements": run.movements,
    }


def _report(statement: Statement) -> dict[str, Any]:
    return {
        "account": statement.account.slug,
        "statement": statement.public_id,
        "name": statement.name,
        "sha256": statement.sha256,
        "from": _day(statement.starts_on),
        "to": _day(statement.ends_on),
        "lines": statement.lines_read,
        "rejected": statement.lines_rejected,
        "complete": statement.complete,
    }


def _break(broken: Break) -> dict[str, Any]:
    return {
        "break": broken.public_id,
        "account": broken.account.slug,
        "kind": broken.kind,
        "day": _day(broken.day),
        "currency": broken.currency,
        "difference_minor": broken.difference_minor,
        "value_minor": broken.value_minor,
    }


def _day(day: date | None) -> str:
    return day.isoformat() if day else ""


def trial_balance_of(day: date) -> list[Mapping[str, Any]]:
    """The trial balance as of a day, as a certificate says it: minor units, customers summed up."""
    found = ledger.trial_balance(day)
    return [
        {
            "account": row.spec.code,
            "gateway": row.gateway,
            "currency": row.currency,
            "debit_minor": row.debit_minor,
            "credit_minor": row.credit_minor,
        }
        for row in (*found.rows, *found.memo_rows)
        if row.debit_minor or row.credit_minor
    ]
