"""What did gateways send to our bank, what is it made of, and has it arrived? One row a payout."""

from __future__ import annotations

from payments.states import PayoutState
from reconciliation.queries import exports
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
    sql, args = exports.payouts_sql(
        start,
        end,
        state=text_of(given, "state"),
        account=text_of(given, "account"),
        currency=text_of(given, "currency"),
    )
    return Query(sql, args, ("payout_row",))


REPORT = TableReport(
    name="payouts",
    title="Payouts",
    answers="Which payouts were made in a period, do their items come to their amount, and are they in the bank?",
    columns=(
        Column("payout", Kind.CODE, "Its id."),
        Column("account", Kind.CODE, "Gateway account."),
        Column("gateway_id", Kind.TEXT, "The gateway's id."),
        Column("state", Kind.CODE, "How far it has come."),
        CURRENCY_COLUMN,
        Column("amount", Kind.AMOUNT, "Negative: taken from the bank.", summed=True),
        Column("items", Kind.COUNT, "Lines of statements that name it."),
        Column("items_net", Kind.AMOUNT, "Their sum after fees.", summed=True),
        Column("difference", Kind.AMOUNT, "Amount less items; empty while there are none.", summed=True),
        Column("made_at", Kind.MOMENT, "When the gateway made it; the period is of this."),
        Column("arrives_on", Kind.DATE, "When the gateway says it will be there."),
        Column("in_bank_on", Kind.DATE, "When the bank's statement shows it."),
        Column("bank_ref", Kind.TEXT, "What the bank's statement shows."),
        Column("failure", Kind.TEXT, "Why it came back."),
    ),
    parameters=(
        FROM,
        TO,
        Parameter(
            "state", Asks.CHOICE, "Only payouts in this state.", choices=tuple(state.value for state in PayoutState)
        ),
        ACCOUNT,
        CURRENCY,
    ),
    ask=_ask,
)
