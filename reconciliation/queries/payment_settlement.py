"""Has a payment's money been reported and paid out? The part of its page that reconciliation adds. Writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from django.urls import reverse

from console.values import Amount, Chip, Link, Section, Shown, Tone
from payments.queries.money_in_reports import payout_links, reported_of
from payments.queries.page import PaymentPage
from reconciliation.business_days import add_business_days
from reconciliation.models import Break, Match, Run, StatementAccount
from reconciliation.queries.alarms import SILENT_AFTER, expected_at
from reconciliation.queries.break_words import kind_words, state_chip
from reconciliation.states import OPEN_BREAK_STATES, RunState

Sees = Callable[[str], bool]
COLUMNS: Final = ("Movement", "Amount", "Where it stands", "Line of a report", "Payout", "Since")
BREAK_COLUMNS: Final = ("Difference", "State", "Day", "At risk", "Because")
_DIFFERS: Final = Chip("in an open difference", Tone.WARN, "difference", "The report and our books do not say the same")
_RECONCILED: Final = Chip(
    "reconciled", Tone.GOOD, "done_all", "A line of the gateway's report has it, and it is paid out"
)
_MATCHED: Final = Chip("matched", Tone.INFO, "done", "A line of the gateway's report has it; it is not paid out yet")
_SETTLED: Final = Chip("settled", Tone.INFO, "payments", "It is paid out; no line of a report has been matched to it")
_AWAITED: Final = Chip("not reported yet", Tone.INFO, "schedule", "Its day's report is still to come")
_LATE: Final = Chip("report is late", Tone.WARN, "hourglass_top", "Its day's report should have come")
_UNLISTED: Final = Chip("not reported yet", Tone.INFO, "hourglass_empty", "Its day's report does not list it")
_APART: Final = Chip("not compared", Tone.QUIET, "visibility_off", "No report is compared with this money")


@dataclass(frozen=True, slots=True)
class _Money:
    """One movement that a report has to list. `account` None: nothing is compared there."""

    id: int
    kind: str
    amount: Amount
    account: StatementAccount | None
    gateway_account_id: int
    batch_id: str
    settled: bool
    settled_at: datetime | None
    day: date
    matches: list[Match] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Known:
    """What is read once for all movements."""

    breaks: Sequence[Break]
    payouts: dict[tuple[int, str], Link]
    runs: dict[tuple[int, date], Run]
    sees_lines: bool
    now: datetime


def settlement(page: PaymentPage, sees: Sees, now: datetime) -> list[Section]:
    """Each movement with its line and payout, and the payment's open differences. At most six queries.

    A person who may not look at reports reads how it stands, without links to lines and differences.
    """
    if not page.movements:
        return []
    money = _money_of(page)
    if not money:
        return [Section("Settlement", empty="No report will list it", advice=_why_none(page))]
    known = _read(page, money, sees, now)
    waiting = _waiting(money, known)
    untouched = not known.breaks and not any(one.matches or one.settled for one in money)
    if untouched and waiting:
        return [Section("Settlement", empty="In no report yet", advice=waiting)]
    rows = [row for one in money for row in _rows(one, known)]
    found = [Section("Settlement", columns=COLUMNS, rows=rows, advice=waiting)]
    if known.breaks and sees("reconciliation.view_break"):
        found.append(
            Section("Open differences", columns=BREAK_COLUMNS, rows=[_break(row, now) for row in known.breaks])
        )
    return found


# --- reading ----------------------------------------------------------------------------------------------------------


def _money_of(page: PaymentPage) -> list[_Money]:
    reported = reported_of(page.payment.pk)
    movements = [movement for movement in page.movements if movement.pk in reported]
    wanted = {movement.gateway_account_id for movement in movements}
    accounts = {row.gateway_account_id: row for row in StatementAccount.objects.filter(gateway_account__in=wanted)}
    return [
        _Money(
            id=movement.pk,
            kind=movement.kind.replace("_", " ").capitalize(),
            amount=Amount(movement.amount_minor, movement.currency),
            account=accounts.get(movement.gateway_account_id),
            gateway_account_id=movement.gateway_account_id,
            batch_id=movement.batch_id,
            settled=movement.settled_at is not None,
            settled_at=movement.settled_at,
            day=_day(movement.occurred_at, accounts.get(movement.gateway_account_id)),
        )
        for movement in movements
    ]


def _day(moment: datetime, account: StatementAccount | None) -> date:
    return moment.astimezone(ZoneInfo(account.time_zone) if account else UTC).date()


def _read(page: PaymentPage, money: Sequence[_Money], sees: Sees, now: datetime) -> _Known:
    by_id = {one.id: one for one in money}
    matches = Match.objects.filter(movement_id__in=by_id, undone_at=None).select_related("line__statement")
    for match in matches.order_by("line_id"):
        assert match.movement_id is not None
        by_id[match.movement_id].matches.append(match)
    named = {(one.gateway_account_id, name) for one in money for name in _payouts_of(one) if name}
    unmet = [one for one in money if one.account is not None and not one.matches]
    runs = Run.objects.filter(account__in={one.account for one in unmet}, day__in={one.day for one in unmet})
    breaks = Break.objects.filter(
        payment_id=page.payment.pk, state__in=[state.value for state in OPEN_BREAK_STATES]
    ).order_by("due_at", "pk")
    return _Known(
        breaks=list(breaks),
        payouts=payout_links(named),
        runs={(run.account_id, run.day): run for run in runs},
        sees_lines=sees("reconciliation.view_line"),
        now=now,
    )


def _payouts_of(money: _Money) -> list[str]:
    """By its lines, by itself where they name none or there is none."""
    return [match.line.payout_id or money.batch_id for match in money.matches] or [money.batch_id]


# --- showing ----------------------------------------------------------------------------------------------------------


def _rows(money: _Money, known: _Known) -> list[list[Shown]]:
    """A row a line that has it; one without a line where there is none."""
    rows: list[list[Shown]] = []
    lines: list[Match | None] = [*money.matches] or [None]
    for match, payout in zip(lines, _payouts_of(money), strict=True):
        link = known.payouts.get((money.gateway_account_id, payout), Link(payout, "", code=True))
        head: list[Shown] = ["", "", ""] if rows else [money.kind, money.amount, _chip(money, known)]
        since = match.matched_at if match else money.settled_at
        rows.append([*head, _line(match, known) if match else None, link if payout else None, since])
    return rows


def _line(match: Match, known: _Known) -> Link:
    line = match.line
    url = reverse("admin:reconciliation_line_change", args=(line.pk,)) if known.sees_lines else ""
    return Link(f"{line.statement.name}, line {line.number}", url)


def _chip(money: _Money, known: _Known) -> Chip:
    if _differs(money, known):
        return _DIFFERS
    if money.matches:
        return _RECONCILED if money.settled else _MATCHED
    if money.settled:
        return _SETTLED
    return _unmet(money, known)[0]


def _differs(money: _Money, known: _Known) -> bool:
    lines = {match.line_id for match in money.matches}
    return any(row.movement_id == money.id or row.line_id in lines for row in known.breaks)


def _break(row: Break, now: datetime) -> list[Shown]:
    url = reverse("admin:reconciliation_break_change", args=(row.public_id,))
    risk = Amount(row.value_minor, row.currency) if row.currency else None
    return [Link(kind_words(row.kind), url), state_chip(row, now), f"{row.day:%d %b %Y}", risk, row.because]


def _waiting(money: Sequence[_Money], known: _Known) -> str:
    """When the rest is expected: a sentence for each account and day that a movement waits for."""
    left = [one for one in money if not one.matches and not one.settled and not _differs(one, known)]
    said = [_unmet(one, known)[1] for one in left]
    return " ".join(dict.fromkeys(text for text in said if text))


def _unmet(money: _Money, known: _Known) -> tuple[Chip, str]:
    """How it stands with a movement that no line was matched to, and what is awaited."""
    account = money.account
    if account is None:
        return _APART, "This gateway account has no terms by which it is compared: no report is awaited."
    day = f"{money.day:%d %b %Y}"
    if account.books_start_on is not None and money.day < account.books_start_on:
        return _APART, f"It is of {day}, before {account.name}'s books start."
    due = expected_at(account, money.day)
    run = known.runs.get((account.pk, money.day))
    if run is not None and run.state == RunState.DONE:
        until = add_business_days(money.day, account.lag_days, _holidays(account))
        return _UNLISTED, (
            f"{account.name}'s report of {day} does not list it. It may come with a later one: after"
            f" {until:%d %b %Y} it counts as missing."
        )
    when = f"{due.astimezone(UTC):%d %b %Y, %H:%M} UTC"
    if known.now < due + SILENT_AFTER:
        how = "" if account.fetched else " It is a file that somebody imports."
        verb = "is" if known.now < due else "was"
        return _AWAITED, f"{account.name}'s report of {day} {verb} expected on {when}.{how}"
    because = f" {run.because}" if run is not None and run.because else ""
    return _LATE, f"{account.name}'s report of {day} was expected on {when} and has not come.{because}"


def _holidays(account: StatementAccount) -> list[date]:
    return [date.fromisoformat(text) for text in account.holidays]


def _why_none(page: PaymentPage) -> str:
    if any(movement.kind != "authorisation" for movement in page.movements):
        return "What was held or taken was given back before it settled: gateways report neither."
    return "The money is held, not taken: gateways report what is taken."
