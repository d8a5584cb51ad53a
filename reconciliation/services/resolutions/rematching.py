"""What follows when a person's match is made or undone? The day's fees and exchange are booked as a run would."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from reconciliation.models import Line, Match, StatementAccount
from reconciliation.services.booking import book_days


def matches_changed(matches: Sequence[Match], now: datetime) -> None:
    """This function will bring the books to what the lines of these matches say now, in the caller's transaction."""
    lines = Line.objects.filter(pk__in=[match.line_id for match in matches]).select_related("account")
    by_account: dict[int, list[Line]] = {}
    for line in lines:
        by_account.setdefault(line.account_id, []).append(line)
    for rows in by_account.values():
        book_day_of(rows[0].account, rows, now)


def book_day_of(account: StatementAccount, lines: Sequence[Line], now: datetime) -> None:
    """The same for single lines. Nothing happens for a bank, whose lines are booked by their payouts."""
    if account.kind == StatementAccount.Kind.GATEWAY:
        book_days(account, sorted({line.day for line in lines}), now=now)
