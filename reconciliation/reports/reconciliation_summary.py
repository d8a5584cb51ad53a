"""How did the nightly comparisons end? One row an account and day: both equations, and what is still open of it."""

from __future__ import annotations

from reconciliation.queries import exports
from reconciliation.reports.base import ACCOUNT, FROM, TO, Column, Given, Kind, Query, TableReport
from reconciliation.reports.days import day_of, text_of


def _ask(given: Given) -> Query:
    sql, args = exports.runs_sql(day_of(given, "from"), day_of(given, "to"), account=text_of(given, "account"))
    return Query(sql, args, ("day", "account"))


REPORT = TableReport(
    name="reconciliation_summary",
    title="Reconciliation summary",
    answers="What was compared, does every line and movement stand in one place, and what is still open?",
    columns=(
        Column("day", Kind.DATE, "The last day looked at."),
        Column("account", Kind.CODE, "Gateway or bank account."),
        Column("run", Kind.CODE, "Its id."),
        Column("state", Kind.CODE, "How far it has come."),
        Column("balanced", Kind.FLAG, "Both equations hold."),
        Column("lines_read", Kind.COUNT, "Lines read = matched + booked + broken + early + rejected + foreign."),
        Column("lines_matched", Kind.COUNT, "Met a movement or payout of ours."),
        Column("lines_booked", Kind.COUNT, "Fees, reserves, adjustments and payouts booked from the line."),
        Column("lines_broken", Kind.COUNT, "In a break."),
        Column("lines_early", Kind.COUNT, "Ahead of our own word for them."),
        Column("lines_rejected", Kind.COUNT, "Nobody could read."),
        Column("lines_foreign", Kind.COUNT, "Not ours, on a shared account."),
        Column("movements_open", Kind.COUNT, "Movements in scope = matched + broken + expected."),
        Column("movements_matched", Kind.COUNT, "Met a line."),
        Column("movements_broken", Kind.COUNT, "In a break."),
        Column("movements_expected", Kind.COUNT, "Not reported yet, inside the account's lag."),
        Column("breaks_found", Kind.COUNT, "Breaks this run was the last to see."),
        Column("breaks_open", Kind.COUNT, "Of them still open now."),
        Column("times", Kind.COUNT, "How often it was run."),
        Column("finished_at", Kind.MOMENT, "When it last ended."),
        Column("because", Kind.TEXT, "Why it waits or failed."),
    ),
    parameters=(FROM, TO, ACCOUNT),
    ask=_ask,
)
