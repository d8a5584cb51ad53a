"""What was booked? Every posting of a period with its entry, in debit and credit columns."""

from __future__ import annotations

from ledger.queries import exports
from reconciliation.reports.base import (
    CURRENCY,
    CURRENCY_COLUMN,
    FROM,
    TO,
    Asks,
    Column,
    Format,
    Given,
    Kind,
    Parameter,
    Query,
    TableReport,
)
from reconciliation.reports.days import day_of, text_of

CODE = Parameter("code", Asks.CODE, "Only this account of the chart.", label="Ledger account", anything="Every account")
GATEWAY = Parameter(
    "account", Asks.ACCOUNT, "Only accounts kept for this gateway account.", label="Gateway", anything="Every gateway"
)


def _ask(given: Given) -> Query:
    sql, args = exports.journal_sql(
        day_of(given, "from"), day_of(given, "to"), code=text_of(given, "code"), gateway=text_of(given, "account"),
        currency=text_of(given, "currency"),
    )  # fmt: skip
    return Query(sql, args, ("entry_id", "posting_id"))


REPORT = TableReport(
    name="journal",
    title="Journal",
    answers="What was booked, posting by posting? Debits equal credits in every currency unless it is narrowed to an account.",
    columns=(
        Column("booked_on", Kind.DATE, "Accounting date."),
        Column("entry", Kind.CODE, "The entry; its postings share it."),
        Column("subject", Kind.TEXT, "What it is about: the original payment, for refunds and disputes as well."),
        Column("description", Kind.TEXT, "In words."),
        Column("code", Kind.CODE, "Account in the chart."),
        Column("name", Kind.CODE, "Its name."),
        Column("gateway", Kind.TEXT, "Gateway account it is kept for."),
        Column("customer", Kind.TEXT, "Customer it is kept for."),
        CURRENCY_COLUMN,
        Column("debit", Kind.AMOUNT, "Empty on credits.", summed=True),
        Column("credit", Kind.AMOUNT, "Empty on debits.", summed=True),
        Column("item", Kind.TEXT, "Open item the posting belongs to."),
        Column("occurred_at", Kind.MOMENT, "When it happened."),
        Column("posted_at", Kind.MOMENT, "When it was booked."),
        Column("actor", Kind.TEXT, "Who decided it; empty: by rule."),
        Column("source_key", Kind.TEXT, "What it records; never booked twice."),
        Column("reverses", Kind.CODE, "Entry it takes back."),
    ),
    parameters=(FROM, TO, CODE, GATEWAY, CURRENCY),
    ask=_ask,
    formats=(Format.CSV, Format.XLSX, Format.BEANCOUNT),
)
