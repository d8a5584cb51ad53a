"""How does what a comparison found become breaks? Upserted by account, kind and key; those that are gone are ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Final, TypeVar

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet

from reconciliation.findings import FoundBreak
from reconciliation.fixes import Fix
from reconciliation.models import Break, ResolvedBreak, Run, StatementAccount
from reconciliation.rules.urgency import Step, hours_for
from reconciliation.states import OPEN_BREAK_STATES, BreakState, BreakType, StatementState

_CHUNK: Final = 1_000
CLEARED: Final = "a later report"
"""`ended_by` of a break that a run no longer found."""
_OPEN: Final = [state.value for state in OPEN_BREAK_STATES]
_SEEN: Final = (
    "currency", "difference_minor", "value_minor", "day", "cause", "because", "ours", "theirs", "line_id",
    "statement_id", "movement_id", "payout_id", "payment_id", "payment_public_id",
)  # fmt: skip
_NEVER_CLEARED: Final = frozenset({BreakType.REPORT_RESTATED, BreakType.ROW_REJECTED})
"""What a report once said stays said: only a person, or the statement's own end, takes these away."""
_LEARNT: Final = [Fix.REPLAY_FACT, Fix.RECORD_REFUND, Fix.ADOPT_AMOUNT, Fix.LINK_BY_HAND]
"""Ways out that end a difference by what they make known: found again all the same, it is a new one."""

InScope = Callable[[Break], bool]
T = TypeVar("T")
_Money = tuple[int, int, str]
"""Difference, value and currency of a break: what a person saw."""


@dataclass
class Kept:
    """What became of the differences of one run. `settled` are those a resolution had ended, with nothing new."""

    opened: int = 0
    refreshed: int = 0
    cleared: int = 0
    settled: list[FoundBreak] = field(default_factory=list)
    waiting: list[FoundBreak] = field(default_factory=list)
    """Marked as timing by a person, up to a day that has not passed."""


def keep(
    run: Run, found: Iterable[FoundBreak], now: datetime, *, in_scope: InScope | None = None, resolved: bool = True
) -> Kept:
    """This function will open, refresh and end the breaks of the run's account.

    A difference that is open is refreshed and keeps its age, owner and notes. One that a resolution ended stays ended
    while it is what it was. An open one that is not in `found` is over: it ends as resolved, by a later report, unless
    `in_scope` says that this run did not look there (None: nothing is ended).
    Idempotent on: account, kind and key, while open. Writes: breaks. Locks: the breaks, in id order.
    """
    kept = Kept()
    seen: set[tuple[str, str]] = set()
    for chunk in chunks(found, _CHUNK):
        unique = {(item.kind.value, item.key): item for item in chunk}
        seen |= unique.keys()
        with transaction.atomic():
            _keep_chunk(run, list(unique.values()), now, kept, look_back=resolved)
    if in_scope is not None:
        _clear(run, seen, in_scope, now, kept)
    return kept


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of at most `size`, in order."""
    source = iter(items)
    while chunk := list(islice(source, size)):
        yield chunk


def _keep_chunk(run: Run, found: list[FoundBreak], now: datetime, kept: Kept, *, look_back: bool) -> None:
    keys = [item.key for item in found]
    rows = Break.objects.filter(account_id=run.account_id, key__in=keys)
    known = {(row.kind, row.key): row for row in rows.filter(state__in=_OPEN).order_by("id").select_for_update()}
    ended = _ended(run.account, keys) if look_back else {}
    timed = _timed(rows.filter(expected_until__gte=run.day).exclude(state__in=_OPEN))
    fresh: list[Break] = []
    for item in found:
        row = known.get((item.kind.value, item.key))
        if row is not None:
            _refresh(row, item, run, now)
            kept.refreshed += 1
        elif _money(item) in timed.get((item.kind.value, item.key), ()):
            kept.waiting.append(item)
        elif _money(item) in ended.get((item.kind.value, item.key), ()):
            kept.settled.append(item)
        else:
            fresh.append(_new(item, run, now))
    made = Break.objects.bulk_create(fresh, ignore_conflicts=True)
    kept.opened += len(made)


def _money(item: FoundBreak) -> _Money:
    return item.difference_minor, item.value_minor, item.currency


def _timed(rows: QuerySet[Break]) -> dict[tuple[str, str], set[_Money]]:
    """What people have marked as timing, with the sum they saw: another sum of the same name was marked by nobody."""
    timed: dict[tuple[str, str], set[_Money]] = {}
    names = ("kind", "key", "difference_minor", "value_minor", "currency")
    for kind, key, difference, value, currency in rows.values_list(*names):
        timed.setdefault((kind, key), set()).add((difference, value, currency))
    return timed


def _ended(account: StatementAccount, keys: list[str]) -> dict[tuple[str, str], set[_Money]]:
    """What resolutions that stand have ended, as it was when they did.

    Not so a drift of the balance: what was booked for it is in the balance, and the same sum again is another one.
    """
    rows = ResolvedBreak.objects.filter(resolution__undone_at=None, broken__account=account, broken__key__in=keys)
    rows = rows.exclude(broken__state__in=_OPEN).exclude(resolution__command__in=[fix.value for fix in _LEARNT])
    rows = rows.filter(broken__expected_until=None).exclude(broken__kind=BreakType.BALANCE_DRIFT)
    ended: dict[tuple[str, str], set[_Money]] = {}
    for kind, key, difference, value, currency in rows.values_list(
        "broken__kind", "broken__key", "broken__difference_minor", "broken__value_minor", "broken__currency"
    ):
        ended.setdefault((kind, key), set()).add((difference, value, currency))
    return ended


def _new(item: FoundBreak, run: Run, now: datetime) -> Break:
    row = Break(account_id=run.account_id, kind=item.kind.value, key=item.key, opened_at=now, last_seen_at=now)
    row.first_run = row.last_run = run
    for name in _SEEN:
        setattr(row, name, getattr(item, name))
    row.cause, row.because = item.cause[:120], item.because[:400]
    row.due_at = _due(row, now)
    return row


def _refresh(row: Break, item: FoundBreak, run: Run, now: datetime) -> None:
    """Evidence as seen last. The version moves only with the content: a night that found the same is no conflict."""
    before = [getattr(row, name) for name in _SEEN]
    first_day = row.day
    for name in _SEEN:
        setattr(row, name, getattr(item, name))
    row.cause, row.because = item.cause[:120], item.because[:400]
    row.day = min(first_day, item.day)
    row.version += before != [getattr(row, name) for name in _SEEN]
    row.last_run, row.last_seen_at = run, now
    row.due_at = min(row.due_at, _due(row, now))
    row.save(update_fields=[*_SEEN, "version", "last_run", "last_seen_at", "due_at"])


def _due(row: Break, now: datetime) -> datetime:
    steps = [Step(*step) for step in settings.BREAK_CLOCKS]
    age = (now.date() - row.day).days * 24
    return now + timedelta(hours=hours_for(row.value_minor, row.currency, max(age, 0), steps))


def _clear(run: Run, seen: set[tuple[str, str]], in_scope: InScope, now: datetime, kept: Kept) -> None:
    for chunk in chunks(_gone(run, seen, in_scope), _CHUNK):
        with transaction.atomic():
            for row in Break.objects.filter(pk__in=chunk, state__in=_OPEN).order_by("id").select_for_update():
                row.mark_resolved()
                row.ended_at, row.ended_by = now, CLEARED
                row.last_run, row.version = run, row.version + 1
                row.save(update_fields=["state", "ended_at", "ended_by", "last_run", "version"])
                kept.cleared += 1


def _gone(run: Run, seen: set[tuple[str, str]], in_scope: InScope) -> Iterator[int]:
    told_anew = Q(kind=BreakType.ROW_REJECTED, statement__state=StatementState.SUPERSEDED)
    rows = Break.objects.filter(
        ~Q(kind__in=list(_NEVER_CLEARED)) | told_anew, account_id=run.account_id, state__in=_OPEN
    )
    for row in rows.order_by("id").iterator(chunk_size=_CHUNK):
        if (row.kind, row.key) not in seen and BreakState(row.state) in OPEN_BREAK_STATES and in_scope(row):
            yield row.pk
