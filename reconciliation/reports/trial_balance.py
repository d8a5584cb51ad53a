"""Do the books balance, and what stands on each account as of a day? Customers of one account are summed up."""

from __future__ import annotations

from ledger.queries import exports
from reconciliation.reports.base import CURRENCY, CURRENCY_COLUMN, DAY, Column, Given, Kind, Query, TableReport
from reconciliation.reports.days import day_of, text_of
from reconciliation.reports.journal import GATEWAY


def _ask(given: Given) -> Query:
    sql, args = exports.trial_balance_sql(
        day_of(given, "day"), gateway=text_of(given, "account"), currency=text_of(given, "currency")
    )
    return Query(sql, args, ("currency", "code", "gateway"))


REPORT = TableReport(
    name="trial_balance",
    title="Trial balance",
    answers="What stands on each account at the end of a day, and do debits equal credits?",
    columns=(
        Column("code", Kind.CODE, "Account in the chart."),
        Column("name", Kind.CODE, "Its name."),
        Column("gateway", Kind.TEXT, "Gateway account it is kept for."),
        CURRENCY_COLUMN,
        Column("memo", Kind.FLAG, "Outside the balance sheet: commitments such as holds, balanced among themselves."),
        Column("debit_turnover", Kind.AMOUNT, "All debits to the day.", summed=True),
        Column("credit_turnover", Kind.AMOUNT, "All credits to the day.", summed=True),
        Column("debit", Kind.AMOUNT, "Balance, if it stands on the debit side.", summed=True),
        Column("credit", Kind.AMOUNT, "Balance, if it stands on the credit side.", summed=True),
    ),
    parameters=(DAY, GATEWAY, CURRENCY),
    ask=_ask,
)
