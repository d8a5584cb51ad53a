"""What do report tests export? A few entries in four currencies, and the way to a file's rows."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import Any

from ledger import chart
from ledger.chart import AccountRef
from ledger.drafts import credit, debit
from ledger.money import Money
from payments.services.actors import SYSTEM, Actor
from reconciliation.services.reporting import export
from tests.ledger.books import capture, entry, post, receivable, sales, wallet

NOW = datetime(2026, 3, 20, 9, 30, tzinfo=UTC)
FIRST = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
SECOND = datetime(2026, 3, 11, 12, 0, tzinfo=UTC)
HOSTILE = "=HYPERLINK(\"http://127.0.0.1/\";'x')"


def books() -> None:
    """Captures in dollars, yen, dinars and bitcoin, a fee, a top-up of a hostile customer; a refund a day later."""
    fee = Money(59, "USD")
    post(
        capture("mov_1", 12345, subject="pay_1", at=FIRST),
        capture("mov_2", 1200, "JPY", subject="pay_2", at=FIRST),
        capture("mov_3", 1234, "KWD", subject="pay_3", at=FIRST),
        capture("mov_4", 1, "BTC", subject="pay_4", at=FIRST),
        entry(
            "fee_1",
            debit(AccountRef(chart.GATEWAY_FEES.code, "USD", gateway="nmi"), fee),
            credit(receivable(), fee, "po_1"),
            subject="po_1",
            at=FIRST,
        ),
        now=FIRST,
    )
    gone, added = Money(2345, "USD"), Money(500, "USD")
    post(
        entry(
            "mov_5", debit(sales(), gone), credit(receivable(), gone, "pay_1"), subject="pay_1", at=SECOND,
            description=HOSTILE, actor="olga",
        ),
        entry("mov_6", debit(receivable(), added, "pay_6"), credit(wallet("+cus"), added), subject="pay_6", at=SECOND),
        now=SECOND,
    )  # fmt: skip


def exported(
    name: str, kind: str = "csv", *, actor: Actor = SYSTEM, now: datetime = NOW, **raw: object
) -> tuple[bytes, Any]:
    """A report's file and its manifest."""
    file = io.BytesIO()
    manifest = export(name, kind, {key.rstrip("_"): value for key, value in raw.items()}, file, actor=actor, now=now)
    return file.getvalue(), manifest


def rows_of(name: str, **raw: object) -> list[dict[str, str]]:
    """A report's rows as a program reads them."""
    data, manifest = exported(name, **raw)
    rows = list(csv.DictReader(io.StringIO(data.decode())))
    assert len(rows) == manifest["rows"]
    return rows
