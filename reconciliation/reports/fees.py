"""Which fees were charged, and what does the contract say? One row a line; narrowed to what is beyond it, a claim file."""

from __future__ import annotations

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
from reconciliation.reports.days import day_of, text_of


def _ask(given: Given) -> Query:
    sql, args = exports.fees_sql(
        day_of(given, "from"), day_of(given, "to"), claim=given.get("claim") is True,
        account=text_of(given, "account"), currency=text_of(given, "currency"),
    )  # fmt: skip
    return Query(sql, args, ("account", "day", "line_row"))


REPORT = TableReport(
    name="fees",
    title="Fees",
    answers="What did gateways charge, what does the contract say, and what can be claimed back?",
    columns=(
        Column("account", Kind.CODE, "Gateway account."),
        Column("day", Kind.DATE, "Of the line, in the account's time zone."),
        Column("kind", Kind.CODE, "What the line is."),
        Column("line", Kind.TEXT, "Its identity at the gateway."),
        Column("gateway_id", Kind.TEXT, "The gateway's transaction."),
        Column("reference", Kind.TEXT, "Our reference, as the gateway echoes it."),
        Column("payout", Kind.TEXT, "Payout it was settled in."),
        Column("method", Kind.TEXT, "Card brand or the like."),
        CURRENCY_COLUMN,
        Column("gross", Kind.AMOUNT, "What the fee was charged on.", summed=True),
        Column("charged", Kind.AMOUNT, "The fee on the statement.", summed=True),
        Column("expected", Kind.AMOUNT, "By the contract; empty: no rate fits.", summed=True),
        Column("variance", Kind.AMOUNT, "Charged less expected: positive is too much.", summed=True),
        Column("tax_charged", Kind.AMOUNT, "Tax on the fee.", summed=True),
        Column("tax_expected", Kind.AMOUNT, "By the contract.", summed=True),
        Column("tax_variance", Kind.AMOUNT, "Charged less expected.", summed=True),
        Column("rate", Kind.TEXT, "Percent of gross and fixed part."),
        Column("contract", Kind.TEXT, "Contract or letter the rate stands in."),
    ),
    parameters=(
        FROM,
        TO,
        Parameter(
            "claim", Asks.FLAG, "Only fees charged beyond the contract and its tolerance.", label="Only to claim"
        ),
        ACCOUNT,
        CURRENCY,
    ),
    ask=_ask,
)
