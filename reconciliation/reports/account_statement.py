"""What happened on one account of the chart? Opening balance, every line with the balance after it, closing balance."""

from __future__ import annotations

from ledger.queries import exports
from reconciliation.reports.base import (
    CURRENCY,
    CURRENCY_COLUMN,
    FROM,
    TO,
    Asks,
    Column,
    Given,
    Kind,
    Parameter,
    Query,
    TableReport,
)
from reconciliation.reports.days import day_of, text_of
from reconciliation.reports.journal import GATEWAY


def _ask(given: Given) -> Query:
    sql, args = exports.statement_sql(
        day_of(given, "from"), day_of(given, "to"), code=text_of(given, "code") or "",
        gateway=text_of(given, "account"), currency=text_of(given, "currency"), customer=text_of(given, "customer"),
    )  # fmt: skip
    return Query(sql, args, ("gateway", "customer", "currency", "place", "booked_on", "posting_id"))


REPORT = TableReport(
    name="account_statement",
    title="Account statement",
    answers="What happened on one account between two days, and what stood on it after each line?",
    columns=(
        Column("code", Kind.CODE, "Account in the chart."),
        Column("name", Kind.CODE, "Its name."),
        Column("gateway", Kind.TEXT, "Gateway account it is kept for."),
        Column("customer", Kind.TEXT, "Customer it is kept for."),
        CURRENCY_COLUMN,
        Column("booked_on", Kind.DATE, "Accounting date; of the opening and closing balance the period's ends."),
        Column("entry", Kind.CODE, "The entry; empty on balances."),
        Column("subject", Kind.TEXT, "What it is about."),
        Column("description", Kind.TEXT, "In words."),
        Column("item", Kind.TEXT, "Open item the line belongs to."),
        Column("debit", Kind.AMOUNT, "Empty on credits.", summed=True),
        Column("credit", Kind.AMOUNT, "Empty on debits.", summed=True),
        Column("balance", Kind.AMOUNT, "After this line, debits less credits."),
    ),
    parameters=(
        Parameter("code", Asks.CODE, "Account of the chart.", required=True, label="Ledger account", anything="Choose"),
        FROM,
        TO,
        GATEWAY,
        Parameter("customer", Asks.TEXT, "Only the account kept for this customer."),
        CURRENCY,
    ),
    ask=_ask,
)
