"""How did the night go? Accounts whose comparison waits, failed or did not add up, for the home page; nothing after a good one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse

from console.values import Chip, Link, QueueRow, Tone, WorkQueue
from payments.queries.queues import MOST_SHOWN, capped
from reconciliation.models import Run, StatementAccount
from reconciliation.queries.alarms import PATIENCE, expected_at, last_due, not_begun, overdue
from reconciliation.queries.run_page import run_chip
from reconciliation.states import RunState

LOOKED_BACK: Final = timedelta(days=31)
_STOPPED: Final = (RunState.WAITING, RunState.FAILED)
_NOT_BEGUN: Final = Chip(
    "not compared", Tone.WARN, "hourglass_top", "Nothing has begun to compare it: do the workers run?"
)


def nights_in_trouble(request: HttpRequest, now: datetime) -> WorkQueue | None:
    """One row an account, the oldest trouble first; None while every account was compared. Two queries."""
    if not request.user.has_perm("reconciliation.view_run"):
        return None
    accounts = list(StatementAccount.objects.filter(nightly=True).order_by("kind", "name"))
    runs = _runs(accounts, now)
    rows = [row for account in accounts if (row := _row(account, runs[account.pk], now)) is not None]
    if not rows:
        return None
    compared = sum(any(_good(run) and run.day == last_due(run.account, now) for run in of) for of in runs.values())
    return WorkQueue(
        title=f"Last night: {compared} of {len(accounts)} accounts compared",
        url=reverse("admin:reconciliation_run_changelist"),
        rows=sorted(rows, key=lambda row: row.since)[:MOST_SHOWN],
        more=len(rows) > MOST_SHOWN,
        count=capped(len(rows)),
    )


def _runs(accounts: Sequence[StatementAccount], now: datetime) -> dict[int, list[Run]]:
    """Each account's last night, and what is not done of the weeks before; oldest first."""
    nights = [last_due(account, now) for account in accounts]
    found: dict[int, list[Run]] = defaultdict(list)
    if nights:
        wanted = ~Q(state=RunState.DONE.value) | Q(balanced=False) | Q(day__gte=min(nights))
        rows = Run.objects.filter(wanted, account__nightly=True, day__gte=min(nights) - LOOKED_BACK)
        for run in rows.select_related("account").defer("lines", "movements", "legs").order_by("day"):
            found[run.account_id].append(run)
    return found


def _row(account: StatementAccount, runs: Sequence[Run], now: datetime) -> QueueRow | None:
    trouble = [run for run in runs if _stands(run, now)]
    if trouble:
        first = trouble[0]
        later = f" and {len(trouble) - 1} later" if len(trouble) > 1 else ""
        address = reverse("admin:reconciliation_run_change", args=(first.public_id,))
        chip, since = _NOT_BEGUN if not_begun(first, now) else run_chip(first), expected_at(account, first.day)
        why = f"{first.day}{later}. {first.because or chip.hint}".strip()
        return QueueRow(Link(account.name, address), why, since, chip=chip)
    night = last_due(account, now)
    begun = account.books_start_on is None or account.books_start_on <= night
    since = expected_at(account, night)
    if not begun or now - since < PATIENCE or any(run.day == night for run in runs):
        return None
    address = reverse("admin:reconciliation_run_changelist")
    return QueueRow(Link(account.name, address), f"{night}. {_NOT_BEGUN.hint}", since, chip=_NOT_BEGUN)


def _good(run: Run) -> bool:
    return run.state == RunState.DONE and run.balanced


def _stands(run: Run, now: datetime) -> bool:
    """It does not go on by itself as it should: it stopped, does not add up, or had time enough."""
    if run.state == RunState.WAITING and now < expected_at(run.account, run.day):
        return False  # somebody had it compared before its time
    if run.state in _STOPPED or run.state == RunState.DONE:
        return not _good(run)
    return overdue(run, now)
