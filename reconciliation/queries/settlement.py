"""Which movements have met a line that says since when they are settled? And whose payments may have to follow?"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from django.db import connection
from django.db.models import QuerySet

from payments.queries.settling import SETTLED
from reconciliation.models import Break, Match, StatementAccount
from reconciliation.queries.charges import PAIRS
from reconciliation.states import OPEN_BREAK_STATES

_TOLD: Final = f"""
SELECT DISTINCT ON (met.movement_id) met.movement_id, line.payout_id, line.occurred_at
  FROM reconciliation_line AS line
  CROSS JOIN LATERAL (SELECT movement_id FROM ({PAIRS}) AS pair WHERE line_id = line.id OFFSET 0) AS met
  CROSS JOIN LATERAL (SELECT settled_at, batch_id FROM ({SETTLED}) AS known WHERE id = met.movement_id OFFSET 0) AS movement
 WHERE line.account_id = %s AND line.day = ANY(%s) AND NOT line.removed
   AND (movement.settled_at IS NULL OR line.payout_id <> '' AND movement.batch_id <> line.payout_id)
 ORDER BY met.movement_id, line.id
"""  # noqa: S608 - made of our own constants


@dataclass(frozen=True, slots=True)
class ToldSettled:
    """A matched movement and the payout or batch that its line names; empty where it names none."""

    movement_id: int
    payout_id: str
    occurred_at: datetime


def told_settled(account: StatementAccount, days: Collection[date]) -> Iterator[ToldSettled]:
    """Matched movements whose lines say more of their settlement than the movements know."""
    with connection.cursor() as cursor:
        cursor.execute(_TOLD, [account.pk, list(days)])
        for row in cursor.fetchall():
            yield ToldSettled(*row)


def live_matches() -> QuerySet[Any]:
    """Matches that stand, by `movement_id`."""
    return Match.objects.filter(undone_at=None)


def open_differences() -> QuerySet[Any]:
    """Open breaks that leave something between the books and the gateway, by `payment_id`."""
    still = Break.objects.filter(state__in=[state.value for state in OPEN_BREAK_STATES])
    return still.exclude(difference_minor=0)


def named_by_breaks(account: StatementAccount, since: datetime) -> tuple[set[int], set[int]]:
    """Payments, and movements, of breaks that are open or ended since then."""
    rows = Break.objects.filter(account=account)
    fresh = rows.filter(state__in=[state.value for state in OPEN_BREAK_STATES]) | rows.filter(ended_at__gte=since)
    payments: set[int] = set()
    movements: set[int] = set()
    for payment_id, movement_id in fresh.values_list("payment_id", "movement_id"):
        payments |= {payment_id} if payment_id is not None else set()
        movements |= {movement_id} if movement_id is not None else set()
    lines = fresh.filter(line__isnull=False).values("line_id")
    for met in Match.objects.filter(line_id__in=lines).values_list("movement_id", flat=True):
        movements |= {met} if met is not None else set()
    return payments, movements
