"""For which days is there a whole report? A movement is missing only where every day it could stand in was reported."""

from __future__ import annotations

from datetime import date, timedelta

from django.db.models import QuerySet

from reconciliation.models import Run, Statement, StatementAccount
from reconciliation.queries.scope import Scope
from reconciliation.states import RunState, StatementState


def whole_reports(account: StatementAccount, first: date, last: date) -> set[date]:
    """Days of a span that a complete and final report covers. One that itemises a payout covers none."""
    covered: set[date] = set()
    for starts_on, ends_on in _whole(account, first, last).values_list("starts_on", "ends_on"):
        if starts_on is not None and ends_on is not None:
            covered |= _span(max(starts_on, first), min(ends_on, last))
    return covered


def gaps(account: StatementAccount, scope: Scope) -> list[date]:
    """Days without a whole report since comparing began: from the first day that was run, or has one, to the scope's day.

    A scope that ends before it begins is that of a day before the books start: no report is expected of it.
    """
    if scope.first > scope.day:
        return []
    runs = Run.objects.filter(account=account, day__gte=scope.first, day__lt=scope.day)
    begun = [day for day in (runs.order_by("day").values_list("day", flat=True).first(),) if day is not None]
    covered = whole_reports(account, scope.first, scope.day)
    start = min([*begun, *covered], default=scope.day)
    days = (start + timedelta(days=number) for number in range((scope.day - start).days + 1))
    return [day for day in days if day not in covered]


def why_incomplete(account: StatementAccount, day: date) -> str:
    """What the report of a day says of itself, if there is one that is not whole; empty: there is none."""
    rows = Statement.objects.filter(account=account, starts_on__lte=day, ends_on__gte=day, payout_id="")
    told = rows.exclude(state=StatementState.SUPERSEDED).order_by("-id").first()
    if told is None:
        return ""
    if told.state == StatementState.REFUSED:
        return told.refused_because or "The report could not be read."
    if not told.complete:
        return told.incomplete_because or "The report is not complete."
    return "The day was not over when it was reported." if not told.closed else "The report is being read."


def compared_reports(account: StatementAccount, first: date, last: date) -> set[date]:
    """Those days of whole reports that were compared since the report came."""
    runs = list(Run.objects.filter(account=account, state=RunState.DONE).values_list("day", "finished_at"))
    compared: set[date] = set()
    for starts_on, ends_on, received_at in _whole(account, first, last).values_list(
        "starts_on", "ends_on", "received_at"
    ):
        days = [day for day, finished_at in runs if finished_at is not None and finished_at >= received_at]
        if days and starts_on is not None and ends_on is not None:
            compared |= _span(max(starts_on, first), min(ends_on, last, max(days)))
    return compared


def _whole(account: StatementAccount, first: date, last: date) -> QuerySet[Statement]:
    return Statement.objects.filter(
        account=account, state=StatementState.READ, complete=True, closed=True, payout_id="",
        starts_on__lte=last, ends_on__gte=first,
    )  # fmt: skip


def _span(first: date, last: date) -> set[date]:
    return {first + timedelta(days=number) for number in range((last - first).days + 1)}
