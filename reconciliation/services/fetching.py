"""What does a gateway report for one day, asked by API? Pages are spooled to a file and read in as any report is.

Pages lie in a temporary file until the last one has come, so that memory stays flat. One that fails leaves an incomplete
statement that says which: nobody takes a half for the whole, and the next try completes it.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from io import BytesIO
from typing import BinaryIO, Final
from zoneinfo import ZoneInfo

from payments.errors import InvalidInput, NotFound
from payments.services.actors import SYSTEM
from payments.services.payouts import tell_payout
from payments.services.reported import ReportNotTold, ReportQuestion, pages, reports_of
from reconciliation.business_days import day_bounds
from reconciliation.models import Statement, StatementAccount
from reconciliation.services.ingestion import ingest
from reconciliation.sources.nmi_window import NMI_WINDOW
from reconciliation.sources.stripe_balance import STRIPE_BALANCE
from reconciliation.states import StatementState

Clock = Callable[[], datetime]

_SOURCES: Final = {"balance": STRIPE_BALANCE.name, "window": NMI_WINDOW.name}
_SECOND: Final = timedelta(seconds=1)
_FINAL_AFTER: Final = timedelta(hours=1)  # a day's last entries may be written a little late
_PAYOUT_DAYS: Final = 15  # payouts are looked at again this long: banks send back, and gateways itemise late


@dataclass(frozen=True, slots=True)
class _Report:
    """One report of an account: how it is called, and the days or the payout that it covers."""

    account: StatementAccount
    name: str
    source: str
    day: date | None = None
    payout_id: str = ""
    closed: bool = True

    def read(self, content: BinaryIO, now: datetime) -> Statement:
        return ingest(
            self.account.slug,
            content,
            name=self.name,
            source=self.source,
            starts_on=self.day,
            ends_on=self.day,
            payout_id=self.payout_id,
            closed=self.closed,
            actor=SYSTEM,
            now=now,
        )


def fetch_day(slug: str, day: date, clock: Clock) -> list[Statement]:
    """This function will ask the gateway for all it has of a day of the account's zone, and read it in.

    A gateway that knows payouts is asked for those of the last days too: each is told on, and what it is made of is read
    once it is final. A day that is not over for an hour gives an open report. What did not come whole is among the
    statements, incomplete.
    Raises: NotFound, InvalidInput for an account whose reports are files; what `ingest` raises.
    Idempotent on: the content. Writes: statements and lines, payouts; each report in a transaction of its own.
    """
    account = _fetched_account(slug)
    told = reports_of(slug)
    what = next((name for name in _SOURCES if name in told), "")
    if not what:
        raise InvalidInput(f"{account.name} tells no report by API: its report is a file.", field="fetched")
    start, end = day_bounds(day, ZoneInfo(account.time_zone))
    if clock() <= start:
        raise InvalidInput(f"{day} has not begun at {account.name}.", field="day")
    report = _Report(account, f"{what} of {day}", _SOURCES[what], day, closed=clock() >= end + _FINAL_AFTER)
    statements = [_fetch(report, ReportQuestion(what, start=start, end=end - _SECOND), clock)]
    if "payouts" in told:
        statements += _fetch_payouts(account, day, end, clock)
    return statements


def _fetched_account(slug: str) -> StatementAccount:
    account = StatementAccount.objects.filter(slug=slug).first()
    if account is None:
        raise NotFound(f"There is no account {slug} to be compared.")
    if not account.fetched or account.gateway_account_id is None:
        raise InvalidInput(f"{account.name} is not asked by API: its report is a file.", field="fetched")
    return account


def _fetch_payouts(account: StatementAccount, day: date, end: datetime, clock: Clock) -> list[Statement]:
    """Payouts made in the last days, told on; those itemised that were not read yet are read, unless the list breaks off."""
    itemised: list[str] = []
    question = ReportQuestion("payouts", start=_payouts_since(account, end), end=end - _SECOND)
    try:
        for page in pages(account.slug, question, clock):
            for told in page.payouts:
                tell_payout(account.slug, told, now=clock())
                itemised += [told.gateway_id] if told.itemised else []
    except ReportNotTold as trouble:
        report = _Report(account, f"payouts until {day}", _SOURCES["balance"], day, closed=False)
        nothing = _line({"object": "report", "rows": 0, "incomplete": str(trouble)})
        return [report.read(BytesIO(nothing), clock())]
    return [
        _fetch(
            _Report(account, f"payout {each}", _SOURCES["balance"], payout_id=each),
            ReportQuestion("balance", payout_id=each),
            clock,
        )
        for each in _unread(account, itemised)
    ]


def _payouts_since(account: StatementAccount, end: datetime) -> datetime:
    """Nothing from before the books begin is booked."""
    since = end - timedelta(days=account.lag_cap_days + _PAYOUT_DAYS)
    if account.books_start_on is None:
        return since
    return max(since, day_bounds(account.books_start_on, ZoneInfo(account.time_zone))[0])


def _unread(account: StatementAccount, payout_ids: list[str]) -> list[str]:
    """Oldest first: lists show the newest first, and a balance grows from its beginning."""
    known = set(
        Statement.objects.filter(
            account=account, payout_id__in=payout_ids, state=StatementState.READ, complete=True
        ).values_list("payout_id", flat=True)
    )
    return [each for each in reversed(payout_ids) if each not in known]


def _fetch(report: _Report, question: ReportQuestion, clock: Clock) -> Statement:
    with tempfile.TemporaryFile() as spool:
        _spool(report, question, spool, clock)
        return report.read(spool, clock())


def _spool(report: _Report, question: ReportQuestion, spool: BinaryIO, clock: Clock) -> None:
    """One JSON row a line, page by page; last what there is of them, or which page did not come.

    Whether it is final stands in it: the same rows asked for again once the day is over are another report.
    """
    rows = count = 0
    control: dict[str, object] = {"object": "report", "final": report.closed}
    try:
        for page in pages(report.account.slug, question, clock):
            count += 1
            for row in page.rows:
                spool.write(_line(row))
                rows += 1
    except ReportNotTold as trouble:
        control["incomplete"] = str(trouble)
    control |= {"rows": rows, "pages": count}
    if question.start is not None and question.end is not None:
        control["window"] = [question.start.isoformat(), (question.end + _SECOND).isoformat()]
    spool.write(_line(control))
    spool.seek(0)


def _line(row: Mapping[str, object]) -> bytes:
    return json.dumps(row, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
