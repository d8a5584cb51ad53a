"""Which sales and refunds go to the merchant's own books? One batch a day; an entry is in one batch at most."""

from __future__ import annotations

from ledger import chart
from ledger.queries import exports as of_ledger
from payments.queries import exports as of_payments
from reconciliation.queries import exports
from reconciliation.reports.base import CURRENCY_COLUMN, Asks, Column, Given, Kind, Parameter, Query, TableReport
from reconciliation.reports.days import day_of

CODES = (chart.SALES_CLEARING.code, chart.REVENUE.code, chart.REFUNDS_AND_RETURNS.code)
"""Accounts whose postings are handed over."""


def _ask(given: Given) -> Query:
    day = day_of(given, "day")
    assert day is not None, "the parameter has a default"
    handed, handed_args = exports.handed_sql(day)
    lines, line_args = of_ledger.lines_on_sql(CODES)
    sql = f"""
SELECT handed.batch, handed.day AS batch_day, line.*, CASE WHEN line.debit > 0 THEN 'refund' ELSE 'sale' END AS kind,
       line.subject AS payment, coalesce(payment.reference, '') AS reference
  FROM ({handed}) AS handed JOIN ({lines}) AS line ON line.entry_id = handed.entry_id
  LEFT JOIN ({of_payments.references_sql()}) AS payment ON payment.payment = line.subject"""  # noqa: S608 - SQL of ours
    return Query(sql, handed_args | line_args, ("entry_id", "posting_id"))


REPORT = TableReport(
    name="sales_hand_over",
    title="Hand-over of sales",
    answers="Which sales and refunds go to the merchant's books today? Each entry once; asked again, the same file.",
    columns=(
        Column("batch", Kind.CODE, "The hand-over; load it once."),
        Column("batch_day", Kind.DATE, "Entries booked up to and on this day."),
        Column("entry", Kind.CODE, "The entry."),
        Column("booked_on", Kind.DATE, "Accounting date."),
        Column("kind", Kind.CODE, "sale: credited; refund: debited."),
        Column("payment", Kind.TEXT, "The original payment, for refunds as well."),
        Column("reference", Kind.TEXT, "The merchant's order."),
        Column("description", Kind.TEXT, "In words."),
        Column("code", Kind.CODE, "Account in the chart."),
        Column("name", Kind.CODE, "Its name."),
        CURRENCY_COLUMN,
        Column("debit", Kind.AMOUNT, "Empty on credits.", summed=True),
        Column("credit", Kind.AMOUNT, "Empty on debits.", summed=True),
        Column("occurred_at", Kind.MOMENT, "When it happened."),
        Column("source_key", Kind.TEXT, "What it records; never handed over twice."),
    ),
    parameters=(
        Parameter("day", Asks.DAY, "A day that is over; empty: yesterday.", default="yesterday", period="end"),
    ),
    ask=_ask,
)
