"""What do payers contest, what did it take, and how did it end? One row a dispute."""

from __future__ import annotations

from payments.queries import exports
from payments.states import DisputeState
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
    sql, args = exports.disputes_sql(
        start,
        end,
        state=text_of(given, "state"),
        account=text_of(given, "account"),
        currency=text_of(given, "currency"),
    )
    return Query(sql, args, ("dispute_row",))


REPORT = TableReport(
    name="disputes",
    title="Disputes",
    answers="Which disputes were opened in a period, what did they take, and how did they end?",
    columns=(
        Column("dispute", Kind.CODE, "Its id."),
        Column("payment", Kind.CODE, "The original payment; empty: none of ours."),
        Column("reference", Kind.TEXT, "The merchant's order."),
        Column("account", Kind.CODE, "Gateway account."),
        Column("gateway_id", Kind.TEXT, "The gateway's id of the dispute."),
        Column("charge_id", Kind.TEXT, "The gateway's transaction that is disputed."),
        Column("state", Kind.CODE, "How far it has come."),
        Column("reason", Kind.TEXT, "The gateway's word."),
        CURRENCY_COLUMN,
        Column("amount", Kind.AMOUNT, "What is disputed.", summed=True),
        Column("taken", Kind.AMOUNT, "What the gateway took.", summed=True),
        Column("given_back", Kind.AMOUNT, "What it gave back.", summed=True),
        Column("fee_currency", Kind.CODE, "ISO 4217 code of the fee."),
        Column("fee", Kind.AMOUNT, "What it costs, won or lost.", currency="fee_currency"),
        Column("opened_at", Kind.MOMENT, "When; the period is of this."),
        Column("evidence_due_at", Kind.MOMENT, "By when evidence is due."),
        Column("closed_at", Kind.MOMENT, "When it was last won or lost."),
    ),
    parameters=(
        FROM,
        TO,
        Parameter(
            "state", Asks.CHOICE, "Only disputes in this state.", choices=tuple(state.value for state in DisputeState)
        ),
        ACCOUNT,
        CURRENCY,
    ),
    ask=_ask,
)
