"""What does not line up, how old is it, what is at risk and whose is it? One row a break."""

from __future__ import annotations

from datetime import timedelta

from reconciliation.queries import exports
from reconciliation.reports.base import (
    ACCOUNT,
    CURRENCY,
    CURRENCY_COLUMN,
    DAY,
    Asks,
    Column,
    Given,
    Kind,
    Parameter,
    Query,
    TableReport,
)
from reconciliation.reports.days import begins, day_of, text_of


def _ask(given: Given) -> Query:
    day = day_of(given, "day")
    assert day is not None, "the parameter has a default"
    sql, args = exports.breaks_sql(
        day, begins(day + timedelta(days=1)), only_open=text_of(given, "which") != "all",
        account=text_of(given, "account"), currency=text_of(given, "currency"),
    )  # fmt: skip
    return Query(sql, args, ("account", "day", "break_row"))


REPORT = TableReport(
    name="breaks",
    title="Breaks",
    answers="Which differences are open at the end of a day, how old are they, and what is at risk?",
    columns=(
        Column("break", Kind.CODE, "Its id."),
        Column("account", Kind.CODE, "Gateway or bank account."),
        Column("kind", Kind.CODE, "What is different."),
        Column("state", Kind.CODE, "Its state now."),
        CURRENCY_COLUMN,
        Column("difference", Kind.AMOUNT, "What the gateway's balance is above ours because of it.", summed=True),
        Column("value", Kind.AMOUNT, "Money at risk, never negative.", summed=True),
        Column("day", Kind.DATE, "Business day it is of; its age counts from here."),
        Column("age_days", Kind.COUNT, "Days to the day asked for, or to its end."),
        Column("age", Kind.TEXT, "Bucket in days: 0 to 1, 2 to 3, 4 to 7, 8 to 30, over 30."),
        Column("owner", Kind.TEXT, "Who has taken it."),
        Column("due_at", Kind.MOMENT, "By when it should be resolved."),
        Column("payment", Kind.CODE, "Payment of ours, if one is known."),
        Column("line", Kind.TEXT, "Line of the statement."),
        Column("gateway_id", Kind.TEXT, "The gateway's transaction."),
        Column("cause", Kind.TEXT, "Shared by breaks that one fix would end."),
        Column("because", Kind.TEXT, "In words."),
        Column("opened_at", Kind.MOMENT, "When it was found."),
        Column("ended_at", Kind.MOMENT, "When it was resolved or written off."),
        Column("ended_by", Kind.TEXT, "By whom or what."),
    ),
    parameters=(
        DAY,
        Parameter(
            "which",
            Asks.CHOICE,
            "open: not ended by that day (usual); all: ended ones as well.",
            choices=("open", "all"),
            anything="Open",
        ),
        ACCOUNT,
        CURRENCY,
    ),
    ask=_ask,
)
