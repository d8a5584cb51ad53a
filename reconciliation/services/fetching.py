"""What does a gateway report for one day, asked by API? Pages are spooled to a file and read in as any report is.

A report is whole or none. Pages lie in a temporary file until the last one has come; a page that fails leaves a refused
statement that says which, so that nobody takes a half for the whole, and nothing of it is kept.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import BinaryIO, Final
from zoneinfo import ZoneInfo

from django.db import transaction

from payments.errors import InvalidInput, NotFound
from payments.services.actors import SYSTEM
from payments.services.payouts import tell_payout
from payments.services.reported import ReportNotTold, ReportQuestion, pages, reports_of
from reconciliation.business_days import day_bounds
from reconciliation.models import Statement, StatementAccount
from reconciliation.services.ingestion import ingest
from reconciliation.states import StatementState

Clock = Callable[[], datetime]

STRIPE_BALANCE, NMI_WINDOW = "stripe_balance", "nmi_window"
_SOURCES: Final = {"balance": STRIPE_BALANCE, "window": NMI_WINDOW}
_SECOND: Final = timedelta(seconds=1)
_FINAL_AFTER: Final = timedelta(hours=1)  # a day's last entries may be written a little late
_PAYOUT_DAYS: Final = 15  # payouts are looked at again this long: banks send back, and gateways itemise late
_CONTROL_BYTES: Final = 400  # room for the first line, which is known last


@dataclass(frozen=True, slots=True)
class Spooled:
    """What was read of one question: rows and pages, as the first line of the file says them too."""

    rows: int
    pages: int


def fetch_day(slug: str, day: date, clock: Clock) -> list[Statement]:
    """This function will ask the gateway for all it has of a day of the account's zone, and read it in.

    A gateway that knows payouts is asked for those of the last days too: each is told on, and what it is made of is read
    once it is final. A day that is not over for an hour gives an open report. What failed is among the statements, refused.
    Raises: NotFound, InvalidInput for an account whose reports are files; what `ingest` raises.
    Idempotent on: the content. Writes: statements and lines, payouts; each report in a transaction of its own.
    """
    account = StatementAccount.objects.filter(slug=slug).first()
    if account is None:
        raise NotFound(f"There is no account {slug} to be compared.")
    if not account.fetched or account.gateway_account_id is None:
        raise InvalidInput(f"{account.name} is not asked by API: its report is a file.", field="fetched")
    what = next((name for name in _SOURCES if name in reports_of(slug)), "")
    if not what:
        raise InvalidInput(f"{account.name} tells no report by API: its report is a file.", field="fetched")
    start, end = day_bounds(day, ZoneInfo(account.time_zone))
    if clock() <= start:
        raise InvalidInput(f"{day} has not begun at {account.name}.", field="day")
    question = ReportQuestion(what, start=start, end=end - _SECOND)
    closed = clock() >= end + _FINAL_AFTER
    statements = [_fetch(account, question, f"{what} of {day}", clock, starts_on=day, ends_on=day, closed=closed)]
    if "payouts" in reports_of(slug):
        statements += _fetch_payouts(account, end, clock)
    return statements


def _fetch_payouts(account: StatementAccount, end: datetime, clock: Clock) -> list[Statement]:
    """Payouts made in the last days, told on; those itemised that were not read yet are read. A refused list ends it."""
    since, slug = end - timedelta(days=account.lag_cap_days + _PAYOUT_DAYS), account.slug
    itemised: list[str] = []
    try:
        for page in pages(slug, ReportQuestion("payouts", start=since, end=end - _SECOND), clock):
            for told in page.payouts:
                tell_payout(slug, told, now=clock())
                itemised += [told.gateway_id] if told.itemised else []
    except ReportNotTold as trouble:
        return [_refused(account, f"payouts until {end:%Y-%m-%d}", STRIPE_BALANCE, "", trouble, clock())]
    return [
        _fetch(account, ReportQuestion("balance", payout_id=each), f"payout {each}", clock, payout_id=each)
        for each in _unread(account, itemised)
    ]


def _unread(account: StatementAccount, payout_ids: list[str]) -> list[str]:
    """Oldest first: lists show the newest first, and a balance grows from its beginning."""
    read = Statement.objects.filter(
        account=account, payout_id__in=payout_ids, state=StatementState.READ, complete=True
    ).values_list("payout_id", flat=True)
    known = set(read)
    return [each for each in reversed(payout_ids) if each not in known]


def _fetch(
    account: StatementAccount,
    question: ReportQuestion,
    name: str,
    clock: Clock,
    *,
    starts_on: date | None = None,
    ends_on: date | None = None,
    payout_id: str = "",
    closed: bool = True,
) -> Statement:
    source = _SOURCES[question.what]
    with tempfile.TemporaryFile() as spool:
        try:
            _spool(account.slug, question, spool, clock)
        except ReportNotTold as trouble:
            return _refused(account, name, source, payout_id, trouble, clock(), starts_on, ends_on)
        spool.seek(0)
        return ingest(
            account.slug,
            spool,
            name=name,
            source=source,
            starts_on=starts_on,
            ends_on=ends_on,
            payout_id=payout_id,
            closed=closed,
            actor=SYSTEM,
            now=clock(),
        )


def _spool(slug: str, question: ReportQuestion, spool: BinaryIO, clock: Clock) -> Spooled:
    """One JSON row a line, page by page. The first line says how many there are, so its room is kept until the last."""
    spool.write(b" " * _CONTROL_BYTES + b"\n")
    rows = count = 0
    for page in pages(slug, question, clock):
        count += 1
        for row in page.rows:
            spool.write(json.dumps(row, separators=(",", ":"), ensure_ascii=False).encode() + b"\n")
            rows += 1
    control: dict[str, object] = {"object": "report", "rows": rows, "pages": count}
    if question.start is not None and question.end is not None:
        control["window"] = [question.start.isoformat(), (question.end + _SECOND).isoformat()]
    if question.payout_id:
        control["payout"] = question.payout_id
    spool.seek(0)
    spool.write(json.dumps(control, separators=(",", ":")).encode().ljust(_CONTROL_BYTES))
    return Spooled(rows, count)


def _refused(
    account: StatementAccount,
    name: str,
    source: str,
    payout_id: str,
    trouble: ReportNotTold,
    now: datetime,
    starts_on: date | None = None,
    ends_on: date | None = None,
) -> Statement:
    """One row for a report that does not come, however often it is asked for."""
    because = str(trouble)[:400]
    with transaction.atomic():
        row = (
            Statement.objects.select_for_update()
            .filter(account=account, name=name, source=source, state=StatementState.REFUSED, received_by="")
            .first()
        )
        row = row or Statement(account=account, name=name, source=source, payout_id=payout_id, sha256="")
        row.starts_on, row.ends_on, row.closed = starts_on, ends_on, False
        row.complete, row.incomplete_because, row.refused_because = False, because, because
        row.received_at = now
        if row.state == StatementState.READING:
            row.mark_refused()
        row.save()
    return row
