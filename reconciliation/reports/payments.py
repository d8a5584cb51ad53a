"""What was asked of payers, what came of it and what of that was kept? One row a payment."""

from __future__ import annotations

from payments.queries import exports
from payments.states import PaymentState
from reconciliation.reports.base import (
    ACCOUNT,
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
from reconciliation.reports.days import moments, text_of


def _ask(given: Given) -> Query:
    start, end = moments(given)
    sql, args = exports.payments_sql(
        start,
        end,
        state=text_of(given, "state"),
        account=text_of(given, "account"),
        currency=text_of(given, "currency"),
    )
    return Query(sql, args, ("payment_row",))


REPORT = TableReport(
    name="payments",
    title="Payments",
    answers="Which payments were made in a period, and how much of each was captured, refunded and charged back?",
    columns=(
        Column("payment", Kind.CODE, "Its id."),
        Column("reference", Kind.TEXT, "The merchant's order."),
        Column("state", Kind.CODE, "How far it has come."),
        Column("account", Kind.CODE, "Gateway account of its last attempt."),
        Column("gateway_id", Kind.TEXT, "The gateway's transaction."),
        Column("brand", Kind.TEXT, "Of the card."),
        Column("last_four", Kind.TEXT, "Of the card."),
        CURRENCY_COLUMN,
        Column("amount", Kind.AMOUNT, "What was due.", summed=True),
        Column("captured", Kind.AMOUNT, "What came in.", summed=True),
        Column("refunded", Kind.AMOUNT, "What went back, by refund or void.", summed=True),
        Column("charged_back", Kind.AMOUNT, "What disputes took and did not give back.", summed=True),
        Column("kept", Kind.AMOUNT, "Captured less refunded less charged back.", summed=True),
        Column("failure_class", Kind.CODE, "Why its last attempt was refused."),
        Column("created_at", Kind.MOMENT, "When it was asked for; the period is of this."),
        Column("captured_at", Kind.MOMENT, "When its first money came in."),
        Column("settled_at", Kind.MOMENT, "When its last money was settled."),
    ),
    parameters=(
        FROM,
        TO,
        Parameter(
            "state", Asks.CHOICE, "Only payments in this state.", choices=tuple(state.value for state in PaymentState)
        ),
        ACCOUNT,
        CURRENCY,
    ),
    ask=_ask,
)
