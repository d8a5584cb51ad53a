"""Lines and movements by hand, for tests of pure rules: everything agrees until a test says otherwise."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from reconciliation.rules.base import LineEntry, MovementEntry, Terms
from reconciliation.states import LineKind

DAY = date(2026, 3, 9)  # a Monday
NOON = datetime(2026, 3, 9, 12, tzinfo=UTC)
NOW = datetime(2026, 3, 12, 6, tzinfo=UTC)


def line(
    number: int = 1, gross: int = 1000, *, kind: LineKind = LineKind.CHARGE, days: int = 0, **fields: Any
) -> LineEntry:
    values = {"gateway_id": f"ch_{number}", "reference": f"ref-{number}", "status": "settled", **fields}
    day = DAY + timedelta(days=days)
    return LineEntry(
        id=values.pop("id", number),
        key=values.pop("key", f"txn_{number}"),
        kind=kind,
        currency=values.pop("currency", "USD"),
        gross_minor=gross,
        occurred_at=NOON + timedelta(days=days),
        day=day,
        **values,
    )


def movement(
    number: int = 1, minor: int = 1000, *, kind: LineKind = LineKind.CHARGE, days: int = 0, **fields: Any
) -> MovementEntry:
    values = {
        "gateway_id": f"ch_{number}", "reference": f"ref-{number}", "payment_id": number,
        "payment_public_id": f"pay_{number}", **fields,
    }  # fmt: skip
    return MovementEntry(
        id=values.pop("id", number),
        kind=kind,
        minor=minor,
        currency=values.pop("currency", "USD"),
        occurred_at=NOON + timedelta(days=days),
        day=DAY + timedelta(days=days),
        **values,
    )


def terms(*, days: int = 2, **fields: Any) -> Terms:
    """Compared so many days after the Monday: with a lag of two business days, Monday is due on Wednesday."""
    return Terms(day=DAY + timedelta(days=days), now=NOW, **fields)
