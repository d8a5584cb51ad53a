"""Breaks as a run leaves them, and the people who end them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

from config.services import make_staff
from payments.models import Limit, Movement
from payments.queries.gateway_money import movement_by_id
from payments.services.actors import Actor
from reconciliation.models import Break, Line, Run, StatementAccount
from reconciliation.services.resolutions.commanding import Wish
from reconciliation.services.resolutions.meeting import worth_of
from reconciliation.states import BreakType

_numbers = count(1)
NOTE = "seen in the gateway's dashboard"


def a_break(
    account: StatementAccount, kind: BreakType, *, line: Line | None = None, movement: Movement | None = None,
    day: date = date(2026, 3, 2), now: datetime = datetime(2026, 3, 3, 6, tzinfo=UTC), run: Run | None = None, **fields: Any,
) -> Break:  # fmt: skip
    """One break; what the line and movement say of money is filled in as the engine fills it."""
    currency = fields.pop("currency", line.currency if line else movement.currency if movement else "USD")
    broken = Break(
        account=account, kind=kind, key=f"{kind}:{next(_numbers)}", currency=currency, line=line,
        statement=line.statement if line else None, movement_id=movement.pk if movement else None, day=day,
        cause=f"{kind} of {day}", because="They differ.", last_run=run, opened_at=now, last_seen_at=now,
        due_at=now + timedelta(days=2),
    )  # fmt: skip
    if movement is not None and movement.payment is not None:
        broken.payment_id, broken.payment_public_id = movement.payment.pk, movement.payment.public_id
    net = 0 if line is None else line.gross_minor if line.net_minor is None else line.net_minor
    row = movement_by_id(movement.pk) if movement is not None else None
    broken.difference_minor = net - (worth_of(row, broken) if row is not None else 0)
    broken.value_minor = abs(broken.difference_minor)
    for name, value in fields.items():
        setattr(broken, name, value)
    broken.save()
    return broken


def person(name: str = "fiona", role: str = "finance") -> Actor:
    return Actor.for_user(make_staff(name, role, "pw"))


def may_alone(
    action: str = "resolve_break", *, currency: str = "USD", role: str = "finance", minor: int = 10**9
) -> None:
    """A limit wide enough for whatever a test does."""
    Limit.objects.create(action=action, currency=currency, role=role, per_item_minor=minor, per_day_minor=minor)


def wish(command: str, broken: Break, *, request_id: str = "", **answers: Any) -> Wish:
    """What a person would send from the break's page."""
    return Wish(command, answers, "other", NOTE, broken.version, request_id or f"req{next(_numbers)}")
