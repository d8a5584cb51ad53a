"""Which items are not settled as of a day? Match keys of open-item accounts that do not come to zero, with their age."""

from __future__ import annotations

from ledger.queries import exports
from reconciliation.reports.base import CURRENCY, CURRENCY_COLUMN, DAY, Column, Given, Kind, Query, TableReport
from reconciliation.reports.days import day_of, text_of
from reconciliation.reports.journal import CODE, GATEWAY


def _ask(given: Given) -> Query:
    day = day_of(given, "day")
    assert day is not None, "the parameter has a default"
    sql, args = exports.open_items_sql(
        day, code=text_of(given, "code"), gateway=text_of(given, "account"), currency=text_of(given, "currency")
    )
    return Query(sql, args, ("code", "since", "item", "currency", "gateway"))


REPORT = TableReport(
    name="open_items",
    title="Open items",
    answers="What is collected and not paid out, promised and not refunded, disputed and not decided, and since when?",
    columns=(
        Column("code", Kind.CODE, "Account in the chart."),
        Column("name", Kind.CODE, "Its name."),
        Column("gateway", Kind.TEXT, "Gateway account it is kept for."),
        Column("item", Kind.TEXT, "Payment, refund, dispute or payout it is open for."),
        Column("since", Kind.DATE, "Its first posting."),
        Column("age_days", Kind.COUNT, "Days from then to the day asked for."),
        CURRENCY_COLUMN,
        Column("debit", Kind.AMOUNT, "What we are to get.", summed=True),
        Column("credit", Kind.AMOUNT, "What we owe.", summed=True),
    ),
    parameters=(DAY, CODE, GATEWAY, CURRENCY),
    ask=_ask,
)
