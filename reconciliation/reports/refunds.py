"""What was to be given back, and has it gone? One row a refund, always with the payment it belongs to."""

from __future__ import annotations

from payments.queries import exports
from payments.states import RefundState
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
    sql, args = exports.refunds_sql(
        start,
        end,
        state=text_of(given, "state"),
        account=text_of(given, "account"),
        currency=text_of(given, "currency"),
    )
    return Query(sql, args, ("refund_row",))


REPORT = TableReport(
    name="refunds",
    title="Refunds",
    answers="Which refunds were asked for in a period, of which payments, and what has gone back?",
    columns=(
        Column("refund", Kind.CODE, "Its id."),
        Column("payment", Kind.CODE, "The original payment."),
        Column("reference", Kind.TEXT, "The merchant's order."),
        Column("account", Kind.CODE, "Gateway account."),
        Column("charge_id", Kind.TEXT, "The gateway's id of the original charge."),
        Column("gateway_id", Kind.TEXT, "The gateway's id of the refund; of a void, the charge's."),
        Column("state", Kind.CODE, "How far it has come."),
        Column("origin", Kind.CODE, "Requested here, made at the gateway, or decided in a review."),
        CURRENCY_COLUMN,
        Column("amount", Kind.AMOUNT, "What is to go back.", summed=True),
        Column("went_back", Kind.AMOUNT, "What has gone back, less what came back again.", summed=True),
        Column("reason", Kind.TEXT, "Why."),
        Column("requested_by", Kind.TEXT, "Who asked."),
        Column("created_at", Kind.MOMENT, "When it was asked for; the period is of this."),
        Column("went_back_at", Kind.MOMENT, "When it left the gateway."),
    ),
    parameters=(
        FROM,
        TO,
        Parameter(
            "state", Asks.CHOICE, "Only refunds in this state.", choices=tuple(state.value for state in RefundState)
        ),
        ACCOUNT,
        CURRENCY,
    ),
    ask=_ask,
)
