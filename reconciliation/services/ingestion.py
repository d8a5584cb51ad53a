"""How does a report become a statement with its lines? Read as a stream, in one transaction: nothing of it is half kept.

The same file is read once (by digest, format, mapping and time zone); what it repeats counts once; a report of a closed
period that says something else restates the earlier one in the open. Lines before the account's `books_start_on` are kept,
and are out of the comparison's scope; lines in a currency the account does not settle in are rejected.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, datetime
from typing import BinaryIO, Final
from zoneinfo import ZoneInfo

from django.db import connection, transaction
from django.db.models import Q

from payments.card_numbers import without_card_numbers
from payments.errors import InvalidInput, NotFound
from payments.services.actors import Actor
from reconciliation.errors import UnreadableStatement
from reconciliation.models import ColumnMapping, Statement, StatementAccount
from reconciliation.services.controls import Tally, follow_on, next_to_follow, require_same_account
from reconciliation.services.merging import (
    Merged,
    add_new,
    keep_rejected,
    merge_rest,
    note_added,
    number_occurrences,
    remove_gone,
    share_found,
)
from reconciliation.services.staging import Stage
from reconciliation.sources.base import Columns, Reading
from reconciliation.sources.registry import source_of
from reconciliation.states import StatementState

RUN: Final = "reconciliation.run_reconciliation"
MAX_BYTES: Final = 2 * 1024**3
_PIECE: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Report:
    """What is to be read, apart from its bytes. Without days, those of its lines are meant."""

    name: str
    source: str = ""  # empty: the account's
    starts_on: date | None = None
    ends_on: date | None = None
    payout_id: str = ""
    closed: bool = True


@dataclass(frozen=True, slots=True)
class Taken:
    """The statement, and whether it was there already: then nothing was read."""

    statement: Statement
    again: bool


def ingest(  # noqa: PLR0913 - a report, and who reads it when
    slug: str,
    content: BinaryIO,
    *,
    name: str,
    source: str = "",
    starts_on: date | None = None,
    ends_on: date | None = None,
    payout_id: str = "",
    closed: bool = True,
    actor: Actor,
    now: datetime,
) -> Statement:
    """This function will read one report of an account, as `take_in` does, and give the statement alone."""
    report = Report(name, source, starts_on, ends_on, payout_id, closed)
    return take_in(slug, content, report, actor=actor, now=now).statement


def take_in(slug: str, content: BinaryIO, report: Report, *, actor: Actor, now: datetime) -> Taken:
    """This function will read one report of an account, or find that it was read before.

    A file that is not what it says becomes a refused statement with the sentence why; nothing else of it is kept.
    Raises: Forbidden, NotFound (account), InvalidInput (source, mapping, days). Idempotent on: account, digest, format,
    mapping, zone, days. Writes: statement, lines, line changes, rejected rows. Locks: the account's statements.
    """
    actor.require(RUN)
    account = account_of(slug)
    statement = _prepared(account, report, actor, now)
    try:
        statement.sha256, statement.size = _digest(content)
        with transaction.atomic():
            _lock(account)
            known = _same(statement)
            if known is not None:
                return Taken(known, again=True)
            _read(statement, account, content, now)
    except UnreadableStatement as wrong:
        return Taken(_refuse(_prepared(account, report, actor, now), statement, wrong), again=False)
    return Taken(statement, again=False)


def reading_of(account: StatementAccount, mapping: ColumnMapping | None) -> Reading:
    """With what a file of this account is read."""
    currency = account.currencies[0] if len(account.currencies) == 1 else ""
    columns = columns_of(mapping) if mapping is not None else None
    return Reading(ZoneInfo(account.time_zone), currency, account.slug, columns)


def columns_of(mapping: ColumnMapping) -> Columns:
    """A mapping as readers know it."""
    return Columns(
        columns=mapping.columns,
        kinds=mapping.kinds,
        delimiter=mapping.delimiter,
        encoding=mapping.encoding,
        decimal_mark=mapping.decimal_mark,
        thousands_mark=mapping.thousands_mark,
        date_format=mapping.date_format,
        fees_negative=mapping.fees_negative,
        debits_positive=mapping.debits_positive,
        total_row=mapping.total_row,
    )


def current_mapping(account: StatementAccount) -> ColumnMapping:
    """The mapping files of this account are read by. Raises: InvalidInput."""
    mapping = ColumnMapping.objects.filter(account=account, current=True).first()
    if mapping is None:
        raise InvalidInput(f"{account.name} has no column mapping yet: make one first.", field="mapping")
    return mapping


def account_of(slug: str) -> StatementAccount:
    """The account of this name. Raises: NotFound naming those there are."""
    account = StatementAccount.objects.filter(slug=slug).first()
    if account is None:
        names = ", ".join(StatementAccount.objects.values_list("slug", flat=True)) or "none yet"
        raise NotFound(f"No account called {slug!r} has statements. There are: {names}.")
    return account


# --- before reading ---------------------------------------------------------------------------------------------------


def _prepared(account: StatementAccount, report: Report, actor: Actor, now: datetime) -> Statement:
    try:
        source = source_of(report.source or account.source)
    except UnreadableStatement as wrong:
        raise InvalidInput(wrong.detail, field="source") from wrong
    if (report.starts_on is None) != (report.ends_on is None):
        raise InvalidInput("Name both the first and the last day, or neither.", field="ends_on")
    if report.starts_on and report.ends_on and report.starts_on > report.ends_on:
        raise InvalidInput("The first day is after the last.", field="starts_on")
    return Statement(
        account=account,
        source=source.name,
        name=without_card_numbers(report.name.replace("\0", ""))[:200],
        mapping=current_mapping(account) if source.mapped else None,
        starts_on=report.starts_on,
        ends_on=report.ends_on,
        payout_id=report.payout_id,
        time_zone=account.time_zone,
        closed=report.closed,
        received_at=now,
        received_by=actor.label[:100],
    )


def _digest(content: BinaryIO) -> tuple[str, int]:
    """SHA-256 and size; leaves the file at its beginning. Raises: UnreadableStatement if it is empty or too large."""
    found, size = hashlib.sha256(), 0
    content.seek(0)
    while piece := content.read(_PIECE):
        size += len(piece)
        if size > MAX_BYTES:
            raise UnreadableStatement(f"The file is larger than {MAX_BYTES // 1024**3} GB.")
        found.update(piece)
    content.seek(0)
    if not size:
        raise UnreadableStatement("The file is empty.")
    return found.hexdigest(), size


def _lock(account: StatementAccount) -> None:
    """Two reports of one account are read one after the other: their lines are compared."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 19))", [f"statements of {account.pk}"])


def _same(statement: Statement) -> Statement | None:
    """The same bytes, read the same way, for the same days; a file without days is the same whatever was found in it."""
    rows = Statement.objects.filter(
        account=statement.account,
        sha256=statement.sha256,
        source=statement.source,
        mapping=statement.mapping,
        time_zone=statement.time_zone,
        payout_id=statement.payout_id,
    ).exclude(state=StatementState.REFUSED.value)
    if statement.starts_on is not None:
        rows = rows.filter(starts_on=statement.starts_on, ends_on=statement.ends_on)
    return rows.first()


# --- reading ----------------------------------------------------------------------------------------------------------


def _read(statement: Statement, account: StatementAccount, content: BinaryIO, now: datetime) -> None:
    tally = Tally()
    stage = Stage(ZoneInfo(account.time_zone), account.currencies, statement.payout_id)
    source = source_of(statement.source)
    stage.fill(tally.lines(source.read(content, reading_of(account, statement.mapping))))
    tally.finish(read=stage.read, rejected=stage.rejected)
    require_same_account(account, source.name, tally.account)
    statement.told_account = tally.account
    _set_days(statement, stage)
    statement.totals = tally.sums
    statement.controls, statement.balances = tally.controls, tally.balances
    statement.lines_read = stage.read
    follow_on(statement)
    statement.save()
    merged = _merge(statement, stage, now, tells_all=source.tells_all)
    statement.lines_new, statement.lines_known = merged.new, merged.known
    statement.lines_completed, statement.lines_restated = merged.completed, merged.restated
    statement.lines_rejected, statement.lines_removed = merged.rejected, merged.removed
    statement.mark_read()
    statement.save()
    later = next_to_follow(statement)
    if later is not None:
        follow_on(later)
        later.save()


def _set_days(statement: Statement, stage: Stage) -> None:
    if statement.starts_on is None:
        statement.starts_on, statement.ends_on = stage.first_day, stage.last_day
    if statement.starts_on is None:
        what = "no line that can be read" if stage.read else "no line"
        raise UnreadableStatement(f"The file holds {what}: say which days it covers.")


def _merge(statement: Statement, stage: Stage, now: datetime, *, tells_all: bool) -> Merged:
    merged = Merged(rejected=stage.rejected)
    if stage.unkeyed:
        number_occurrences()
    merged.new = add_new(statement)
    earlier = _replaced(statement)
    if earlier is not None:
        reread = earlier.sha256 == statement.sha256
        if reread or (tells_all and statement.closed):
            merged.removed = remove_gone(statement, _chain(earlier), now)
        if tells_all and earlier.complete and earlier.closed and not reread:
            note_added(statement, now)
    if merged.new < stage.read - stage.rejected:
        merge_rest(statement, now, merged)
    keep_rejected(statement)
    return merged


def _replaced(statement: Statement) -> Statement | None:
    """The report that this one takes the place of, marked so: the same file read another way, or the same days told anew.

    It is told anew, and not another part of the day, if more than half of the earlier lines stand in it. What is open or
    incomplete replaces nothing that is closed.
    """
    same = Statement.objects.filter(
        account_id=statement.account_id,
        source=statement.source,
        payout_id=statement.payout_id,
        state=StatementState.READ.value,
    ).filter(
        Q(sha256=statement.sha256, lines_read__gt=0) | Q(starts_on=statement.starts_on, ends_on=statement.ends_on)
    )  # files of days on which nothing happened are all the same
    for earlier in same.exclude(pk=statement.pk).order_by("-id").select_for_update(of=("self",)):
        if earlier.sha256 == statement.sha256 or _is_told_anew(earlier, statement):
            earlier.mark_superseded()
            earlier.save()
            statement.restates = earlier
            return earlier
    return None


def _is_told_anew(earlier: Statement, statement: Statement) -> bool:
    if not statement.complete or (earlier.closed and not statement.closed):
        return False
    brought, found = share_found(_chain(earlier), statement.account_id)
    return found * 2 > brought if brought else not earlier.complete


def _chain(statement: Statement) -> list[int]:
    ids, before = [statement.pk], statement.restates
    while before is not None:
        ids.append(before.pk)
        before = before.restates
    return ids


def _refuse(refused: Statement, tried: Statement, wrong: UnreadableStatement) -> Statement:
    """Keep that it came and why it could not be read; its rows were rolled back."""
    refused.sha256, refused.size = tried.sha256, tried.size
    refused.refused_because = without_card_numbers(wrong.detail.replace("\0", ""))[:400]
    refused.mark_refused()
    refused.save()
    return refused
