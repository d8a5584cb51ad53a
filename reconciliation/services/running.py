"""How is one day of one account compared? Report, gate, matches, bookings, the other legs, breaks, equations, proof.

Every phase is a transaction of its own that may be done again: a process that dies leaves no half of anything, and the next
run goes on from what stands. One comparison of an account runs at a time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from django.db import transaction

from payments.errors import NotFound, PaymentsError
from payments.queries.reconciling import payouts_not_in_bank
from reconciliation.business_days import day_bounds
from reconciliation.engine import Broken
from reconciliation.findings import FoundBreak
from reconciliation.models import Break, Line, Match, Run, StatementAccount
from reconciliation.queries import legs
from reconciliation.queries.alarms import SILENT_AFTER, expected_at
from reconciliation.queries.coverage import gaps, whole_reports, why_incomplete
from reconciliation.queries.equations import Equation, Places, lines_of, movements_of
from reconciliation.queries.fees import fees_off
from reconciliation.queries.proof import Proof, currencies_of, proof
from reconciliation.queries.scope import Scope, scope_of, terms_of
from reconciliation.rules.base import said
from reconciliation.rules.movements_alone import overdue_to
from reconciliation.rules.registry import VERSION
from reconciliation.services.alerts import ring
from reconciliation.services.banking import match_bank
from reconciliation.services.booking import book_lines
from reconciliation.services.breaks import Kept, keep
from reconciliation.services.comparison_lock import alone
from reconciliation.services.fetching import fetch_day
from reconciliation.services.matching import Matched, match
from reconciliation.services.resolutions.automatic import resolve_automatically
from reconciliation.services.settlement import settle
from reconciliation.states import OPEN_BREAK_STATES, BreakType, RunState

log = logging.getLogger(__name__)
Clock = Callable[[], datetime]

_REPORTS: Final = frozenset({BreakType.REPORT_MISSING, BreakType.REPORT_GAP})
_AT_MATCHING: Final = frozenset({BreakType.FX_DIFFERENCE, BreakType.FX_VARIANCE})
_AS_OF_THE_DAY: Final = frozenset(
    {BreakType.MISSING_AT_GATEWAY, BreakType.DUPLICATE_INTERNAL, BreakType.PAYOUT_NOT_IN_BANK}
)
"""Kinds by which something is overdue: on an earlier day it was not yet."""
_OF_FEES: Final = frozenset({BreakType.FEE_MISMATCH, BreakType.FEE_TAX_MISMATCH})
_OPEN: Final = sorted(state.value for state in OPEN_BREAK_STATES)


@dataclass
class _Round:
    """What one pass over an account found."""

    scope: Scope
    now: datetime
    found: list[Broken] = field(default_factory=list)
    matched: Matched = field(default_factory=Matched)
    fee_days: set[date] = field(default_factory=set)
    kept: Kept = field(default_factory=Kept)


def run_day(slug: str, day: date, clock: Clock) -> Run:
    """This function will compare an account up to the end of a day, and keep what it found.

    Without a whole report of the day it waits, once that is late with a break that says so, and nothing is called missing.
    A run whose equations do not hold has failed, with its numbers. For a day before the books start no report is awaited.
    Raises: NotFound; whatever broke it, after the run says so.
    Idempotent on: account and day: run again, it looks again at what is open and doubles nothing.
    Writes: statements, run, matches, bookings, breaks, payments' states; a transaction each phase.
    """
    account = StatementAccount.objects.select_related("gateway_account").filter(slug=slug).first()
    if account is None:
        raise NotFound(f"There is no account {slug} to be compared.")
    with alone(account.pk):
        run, _ = Run.objects.get_or_create(account=account, day=day)
        before = _before_the_books(account, day)
        trouble = "" if before else _fetch(account, run, day, clock)
        if not before and not whole_reports(account, day, day):
            return _wait(run, trouble, clock())
        _begin(run, before, clock())
        try:
            return _compare(account, run, clock)
        except Exception as error:
            _fail(run, f"It broke off: {type(error).__name__}: {error}", clock())
            raise


def _before_the_books(account: StatementAccount, day: date) -> str:
    """What is to be said of a day from before the books start; empty: it is one of theirs."""
    start = account.books_start_on
    return "" if start is None or day >= start else f"The books start on {start}: nothing of this day is compared."


def _fetch(account: StatementAccount, run: Run, day: date, clock: Clock) -> str:
    """Ask for the report where that is possible; why it failed, if it did."""
    if not account.fetched or (run.times and whole_reports(account, day, day)):
        return ""
    try:
        fetch_day(account.slug, day, clock)
    except PaymentsError as refused:
        log.warning("The report of %s for %s could not be fetched: %s", account.slug, day, refused)
        return str(refused)
    return ""


def _wait(run: Run, trouble: str, now: datetime) -> Run:
    """No whole report: one break once that is late, and nothing else is said about the day. A few hours are nothing unusual."""
    incomplete = why_incomplete(run.account, run.day)
    found = _gap(run.day, incomplete, trouble)
    late = now - expected_at(run.account, run.day) >= SILENT_AFTER
    keep(run, [found] if late else [], now, in_scope=lambda row: row.kind in _REPORTS and row.day == run.day)
    run.mark_waiting()
    run.because, run.started_at = found.because[:400], now
    run.save(update_fields=["state", "because", "started_at"])
    return run


def _gap(day: date, incomplete: str, trouble: str = "") -> FoundBreak:
    kind = BreakType.REPORT_GAP if incomplete else BreakType.REPORT_MISSING
    because = (
        f"The report of {day} is not whole: {incomplete}" if incomplete else f"There is no report of {day}. {trouble}"
    )
    return FoundBreak(
        kind=kind, key=f"day:{day}", currency="", difference_minor=0, value_minor=0, day=day,
        cause="reports that are not there", because=because.strip(),
    )  # fmt: skip


def _begin(run: Run, because: str, now: datetime) -> None:
    run.mark_running()
    run.because, run.started_at, run.finished_at = because, now, None
    run.times += 1
    run.rules_version = VERSION
    run.save()


def _fail(run: Run, because: str, now: datetime) -> None:
    """Say why it broke off. A comparison that had come to its end stays what it is: only telling of it went wrong."""
    if run.state != RunState.RUNNING:
        return
    run.mark_failed()
    run.because, run.finished_at, run.balanced = because[:400], now, False
    run.save()


# --- one comparison ---------------------------------------------------------------------------------------------------


def _compare(account: StatementAccount, run: Run, clock: Clock) -> Run:
    this = _round(account, run, clock)
    if not this.scope.bank and resolve_automatically(run.pk, clock):
        this = _round(account, run, clock)  # what rules have learnt meets its lines at once
    overdue_end = day_bounds(overdue_to(terms_of(account, run.day, this.now)), ZoneInfo(account.time_zone))[1]
    places = _places(this)
    lines = lines_of(run, this.scope, places)
    movements = movements_of(run, this.scope, places, overdue_end) if not this.scope.bank else Equation("open", ())
    settle(run, this.now)
    proofs = [proof(account.pk, currency, run.day) for currency in currencies_of(account, this.scope)]
    drifts = [_drift(one) for one in proofs if one.residual_minor]
    keep(run, drifts, this.now, in_scope=lambda row: row.kind == BreakType.BALANCE_DRIFT)
    _finish(run, lines, movements, _legs(this, proofs), clock())
    ring(account.pk, clock())
    return run


def _round(account: StatementAccount, run: Run, clock: Clock) -> _Round:
    now = clock()
    this = _Round(scope_of(account, run.day), now)
    if this.scope.bank:
        this.found = match_bank(run, this.scope, now)
    else:
        missing = gaps(account, this.scope)
        this.matched = match(run, this.scope, terms_of(account, run.day, now), now, gaps=missing)
        this.found = this.matched.breaks
        book_lines(run, now)
        this.found += map(Broken, _other_legs(account, run, this))
    this.found += map(Broken, legs.reports_off(this.scope))
    this.found += [Broken(_gap(day, why_incomplete(account, day))) for day in gaps(account, this.scope)]
    this.kept = keep(run, (one.found for one in this.found), now, in_scope=_scope_of_breaks(run, this))
    return this


def _other_legs(account: StatementAccount, run: Run, this: _Round) -> Iterator[FoundBreak]:
    scope = this.scope
    this.fee_days = _fee_days(run, this)
    yield from legs.books_off(scope)
    yield from legs.given_back_twice(scope)
    yield from legs.payouts_off(scope)
    yield from legs.payouts_late(scope, account)
    yield from fees_off(scope, this.fee_days)


def _fee_days(run: Run, this: _Round) -> set[date]:
    """The day itself, days whose lines were matched now, and days whose fees are in question."""
    fresh = Match.objects.filter(account_id=run.account_id, run=run, undone_at=None).values("line_id")
    days = set(Line.objects.filter(pk__in=fresh).values_list("day", flat=True).distinct())
    open_ones = Break.objects.filter(account_id=run.account_id, kind__in=list(_OF_FEES), state__in=_OPEN)
    return days | set(open_ones.values_list("day", flat=True)) | {run.day}


def _scope_of_breaks(run: Run, this: _Round) -> Callable[[Break], bool]:
    """Has this run looked where an open break was found, so that not finding it ends it?"""
    fresh = set(
        Match.objects.filter(
            account_id=run.account_id, matched_at=this.now, undone_at=None, line__breaks__kind__in=list(_AT_MATCHING)
        ).values_list("line_id", flat=True)
    )
    waiting = this.matched.waiting

    def looked(row: Break) -> bool:
        kind = BreakType(row.kind)
        if kind == BreakType.BALANCE_DRIFT or row.day > this.scope.day:
            return False
        if kind in _AT_MATCHING:
            return row.line_id in fresh
        if kind in _OF_FEES:
            return row.day in this.fee_days
        if kind in _REPORTS:
            return row.day >= this.scope.first
        if kind in _AS_OF_THE_DAY and row.last_run is not None and row.last_run.day > this.scope.day:
            return _is_met(row)
        return row.movement_id is None or row.movement_id not in waiting

    return looked


def _is_met(row: Break) -> bool:
    """What a later day missed has come after all."""
    if row.payout_id is not None:
        return row.payout_id not in {payout.id for payout in payouts_not_in_bank()}
    return Match.objects.filter(movement_id=row.movement_id, undone_at=None).exists() if row.movement_id else True


def _places(this: _Round) -> Places:
    """Where lines and movements went: what a resolution stands for is settled, what is marked as timing waits."""
    put_by = {(one.kind, one.key): "settled" for one in this.kept.settled}
    put_by |= {(one.kind, one.key): "waiting" for one in this.kept.waiting}
    lines: dict[str, set[int]] = {"": set(), "settled": set(), "waiting": set()}
    movements: dict[str, set[int]] = {"": set(), "settled": set(), "waiting": set()}
    for one in this.found:
        place = put_by.get((one.found.kind, one.found.key), "")
        lines[place].update(one.line_ids)
        movements[place].update(one.movement_ids)
    return Places(
        broken_lines=lines[""],
        early=this.matched.early | lines["waiting"],
        foreign=this.matched.foreign,
        settled=lines["settled"],
        broken_movements=movements[""],
        expected=this.matched.waiting | movements["waiting"] | movements["settled"],
    )


def _drift(one: Proof) -> FoundBreak:
    residual = said(one.residual_minor, one.currency)
    return FoundBreak(
        kind=BreakType.BALANCE_DRIFT,
        key=f"balance:{one.currency}",
        currency=one.currency,
        difference_minor=one.residual_minor,
        value_minor=abs(one.residual_minor),
        day=one.day,
        cause=f"balance in {one.currency}",
        because=f"The gateway's balance is {residual} beside what books, timing and open differences explain.",
        ours={
            "explained": said(one.explained_minor, one.currency),
            "books": said(one.books.amount_minor, one.currency),
        },
        theirs={"balance": said(one.gateway.amount_minor, one.currency)},
    )


def _legs(this: _Round, proofs: list[Proof]) -> dict[str, object]:
    kinds: dict[str, int] = {}
    for one in this.found:
        kinds[one.found.kind.value] = kinds.get(one.found.kind.value, 0) + 1
    kept = this.kept
    return {
        "found": dict(sorted(kinds.items())),
        "breaks": {"opened": kept.opened, "refreshed": kept.refreshed, "cleared": kept.cleared},
        "proofs": [
            {
                "currency": one.currency,
                "books_minor": one.books.amount_minor,
                "timing_minor": sum(part.amount_minor for part in one.timing),
                "breaks_minor": sum(part.amount_minor for part in one.breaks),
                "gateway_minor": one.gateway.amount_minor,
                "residual_minor": one.residual_minor,
            }
            for one in proofs
        ],
    }


@transaction.atomic
def _finish(run: Run, lines: Equation, movements: Equation, found: dict[str, object], now: datetime) -> None:
    run.lines, run.movements, run.legs = lines.as_json(), movements.as_json(), found
    run.balanced = lines.holds and movements.holds
    run.finished_at, run.next_check_at = now, None
    if run.balanced:
        run.mark_done()
    else:
        run.mark_failed()
        run.because = f"The equations do not hold: {lines}; {movements}."[:400]
        log.error("The comparison of %s for %s does not add up: %s; %s", run.account.slug, run.day, lines, movements)
    run.save()
