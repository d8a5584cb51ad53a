"""A gateway account whose report of Monday has come: movements and lines that agree until a test says otherwise."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from secrets import token_hex
from typing import Any

from payments.models import Movement
from payments.states import MovementKind
from reconciliation.models import Break, Line, Run, Statement, StatementAccount
from reconciliation.services.running import run_day
from reconciliation.states import OPEN_BREAK_STATES, LineKind
from tests.reconciliation.booking.world import DAY, LINE_OF, World, at_noon

NIGHT = datetime(2026, 3, 7, 6, tzinfo=UTC)
LATER = DAY + timedelta(days=4)  # Friday of the same week: Monday's money is past its lag


class Night(World):
    """`taken` puts the same money on both sides; `compare` runs a day."""

    def __init__(self, slug: str = "nmi", provider: str = "nmi") -> None:
        super().__init__(slug, provider)
        Run.objects.filter(pk=self.run.pk).delete()
        self.account.refresh_from_db()
        self.reported(DAY)

    def reported(self, first: date, last: date | None = None, **fields: Any) -> Statement:
        """A whole report of these days; lines made from now on stand in it."""
        values: dict[str, Any] = {
            "complete": True,
            "closed": True,
            "starts_on": first,
            "ends_on": last or first,
            **fields,
        }
        if self.statement.starts_on is None:
            Statement.objects.filter(pk=self.statement.pk).update(**values)
        else:
            self.statement = Statement.objects.create(
                account=self.account, source="csv", name=f"{first}.csv", sha256=token_hex(32),
                state="read", received_at=NIGHT, **values,
            )  # fmt: skip
        self.statement.refresh_from_db()
        return self.statement

    def taken(
        self, minor: int = 1000, kind: MovementKind = MovementKind.CAPTURE, *, on: date = DAY, **line: Any
    ) -> tuple[Movement, Line]:
        """A movement and the line that reports it."""
        movement = self.moved(kind, minor, on=on)
        return movement, self.reports(movement, **line)

    def reports(self, movement: Movement, **line: Any) -> Line:
        sign = 1 if movement.kind in {"capture", "refund_return", "chargeback_return"} else -1
        values = {"gateway_id": movement.gateway_id, "on": movement.occurred_at.date(), "status": "settled", **line}
        gross = values.pop("gross_minor", sign * movement.amount_minor)
        kind = values.pop("kind", LINE_OF[MovementKind(movement.kind)])
        return self.line(kind, gross, values.pop("currency", movement.currency), **values)

    def compare(self, day: date = DAY, now: datetime = NIGHT) -> Run:
        return run_day(self.account.slug, day, lambda: now)

    def open_breaks(self) -> list[Break]:
        rows = Break.objects.filter(account=self.account, state__in=[state.value for state in OPEN_BREAK_STATES])
        return list(rows.order_by("id"))

    def kinds(self) -> list[str]:
        return [row.kind for row in self.open_breaks()]


def bank() -> StatementAccount:
    return StatementAccount.objects.create(slug="main", name="Main account", kind="bank", source="camt053")


__all__ = ["DAY", "LATER", "NIGHT", "LineKind", "MovementKind", "Night", "at_noon", "bank"]
