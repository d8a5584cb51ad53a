"""Accounts and reports for the tests of reading: small files in the words of gateways and banks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from io import BytesIO
from typing import Any

from payments.services.actors import SYSTEM
from reconciliation.models import ColumnMapping, Line, Statement, StatementAccount
from reconciliation.services.ingestion import ingest

NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
CREATED = int(datetime(2026, 11, 20, 12, 0, tzinfo=UTC).timestamp())
DAY = date(2026, 11, 20)
COLUMNS = {
    "line_key": "Id",
    "kind": "Type",
    "currency": "Currency",
    "gross": "Gross",
    "fee": "Fee",
    "net": "Net",
    "occurred_at": "Time",
    "gateway_id": "Transaction",
    "reference": "Order",
    "payout_id": "Batch",
}
KINDS = {"Sale": "charge", "Refund": "refund", "Chargeback": "chargeback", "Fee": "fee"}
HEADING = "Id,Type,Currency,Gross,Fee,Net,Time,Transaction,Order,Batch"


def gateway(slug: str = "acme", **fields: Any) -> StatementAccount:
    """An account whose statements are CSV files of the columns above, unless told otherwise."""
    values = {"name": slug.title(), "kind": "gateway", "source": "csv_mapped"} | fields
    account = StatementAccount.objects.create(slug=slug, **values)
    if values["source"] == "csv_mapped":
        mapping(account)
    return account


def mapping(account: StatementAccount, **fields: Any) -> ColumnMapping:
    """The next version of the account's mapping."""
    ColumnMapping.objects.filter(account=account).update(current=False)
    number = ColumnMapping.objects.filter(account=account).count() + 1
    values = {"columns": COLUMNS, "kinds": KINDS, "date_format": "%Y-%m-%d %H:%M:%S"} | fields
    return ColumnMapping.objects.create(account=account, number=number, made_at=NOW, made_by="kim", **values)


def balance_row(number: int, **fields: Any) -> dict[str, Any]:
    """A balance transaction as Stripe's API tells it."""
    values = {
        "id": f"txn_{number}", "object": "balance_transaction", "amount": 1000, "fee": 59, "net": 941, "currency": "usd",
        "created": CREATED + number, "available_on": CREATED + 172_800, "type": "charge", "reporting_category": "charge",
        "fee_details": [{"amount": 59, "currency": "usd", "type": "stripe_fee"}], "exchange_rate": None,
        "source": {"id": f"ch_{number}", "object": "charge", "our_ref": f"att_{number}", "brand": "visa"},
    }  # fmt: skip
    return values | fields


def api_report(told: Sequence[dict[str, Any]], **control: Any) -> bytes:
    """Rows as JSON lines behind their control row."""
    first = {"object": "report", "rows": len(told), "pages": 1} | control
    return "\n".join(json.dumps(row) for row in (first, *told)).encode()


def csv_file(*rows: str, heading: str = HEADING) -> bytes:
    return "\n".join((heading, *rows, "")).encode()


def sale(number: int, gross: str = "10.00", fee: str = "0.30", net: str = "9.70", **cells: str) -> str:
    """One line of the CSV above."""
    values = {
        "Id": f"k{number}", "Type": "Sale", "Currency": "USD", "Gross": gross, "Fee": fee, "Net": net,
        "Time": f"2026-11-20 12:00:{number % 60:02d}", "Transaction": f"t{number}", "Order": f"o{number}", "Batch": "b1",
    } | cells  # fmt: skip
    return ",".join(values.values())


def read(slug: str, content: bytes, **fields: Any) -> Statement:
    """Read a file as the system; read anew from the database."""
    values = {"name": "report", "actor": SYSTEM, "now": NOW} | fields
    statement = ingest(slug, BytesIO(content), **values)
    return Statement.objects.get(pk=statement.pk)


def lines(slug: str = "acme") -> list[Line]:
    return list(Line.objects.filter(account__slug=slug).order_by("line_key"))


def adds_up(statement: Statement) -> bool:
    """The equation of a statement's lines."""
    parts = (
        statement.lines_new, statement.lines_known, statement.lines_completed, statement.lines_restated,
        statement.lines_rejected,
    )  # fmt: skip
    return statement.lines_read == sum(parts)
