"""Is every line and every movement accounted for? Both equations of a run, counted from the rows themselves."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.db import connection

from payments.queries.reconciling import MOVED, MOVEMENTS, REPORTED, SIGNED
from reconciliation.models import RejectedRow, Run
from reconciliation.queries.scope import LINE_IN_WINDOW, MOVEMENT_IN_WINDOW, Scope
from reconciliation.states import Bucket, RunState, StatementState

LOST: Final = "lost"
_NET: Final = "coalesce(l.net_minor, l.gross_minor - coalesce(l.fee_minor, 0) - coalesce(l.tax_minor, 0))"
_MET: Final = (
    "EXISTS (SELECT FROM reconciliation_match AS met WHERE met.{column} = {row}.id AND met.undone_at IS NULL{more})"
)
# Read are the lines of the day, those that came since the last run, and whatever older money has met nobody yet.
_LINES: Final = f"""
SELECT bucket, currency, count(*), sum(net)::bigint FROM (
  SELECT l.currency, CASE WHEN l.kind = 'decline' OR lower(l.status) = ANY(%(not_moved)s) THEN 0 ELSE {_NET} END AS net,
         CASE WHEN {_MET.format(column="line_id", row="l", more="")} THEN 'matched'
              WHEN l.id = ANY(%(broken)s) THEN 'broken' WHEN l.id = ANY(%(early)s) THEN 'early'
              WHEN l.id = ANY(%(foreign)s) THEN 'foreign' WHEN l.id = ANY(%(settled)s) THEN 'booked'
              WHEN l.kind = ANY(%(movements)s) AND lower(l.status) <> ALL(%(not_moved)s) THEN 'lost' ELSE 'booked' END AS bucket
    FROM reconciliation_line AS l JOIN reconciliation_statement AS s ON s.id = l.statement_id
   WHERE ({LINE_IN_WINDOW} OR l.id = ANY(%(line_ids)s) AND NOT l.removed)
     AND (l.day = %(day)s OR s.received_at > %(since)s OR l.id = ANY(%(named)s)
          OR l.kind = ANY(%(movements)s) AND lower(l.status) <> ALL(%(not_moved)s) AND l.id <> ALL(%(settled)s)
          OR {_MET.format(column="line_id", row="l", more=" AND met.run_id = %(run)s")})
     AND NOT {_MET.format(column="line_id", row="l", more=" AND met.run_id IS DISTINCT FROM %(run)s")}
) AS line GROUP BY bucket, currency ORDER BY bucket, currency
"""  # noqa: S608 - made of our own constants
_MOVEMENTS: Final = f"""
SELECT bucket, currency, count(*), sum(minor)::bigint FROM (
  SELECT m.currency, {SIGNED} AS minor,
         CASE WHEN {_MET.format(column="movement_id", row="m", more="")} THEN 'matched'
              WHEN m.id = ANY(%(broken)s) THEN 'broken'
              WHEN m.occurred_at >= %(overdue_end)s OR m.id = ANY(%(expected)s) THEN 'expected' ELSE 'lost' END AS bucket
    FROM {MOVEMENTS} AS m
   WHERE ({MOVEMENT_IN_WINDOW} OR m.id = ANY(%(movement_ids)s) OR m.id IN (SELECT met.movement_id
            FROM reconciliation_match AS met WHERE met.run_id = %(run)s AND met.undone_at IS NULL))
     AND {MOVED} AND {REPORTED} AND m.id <> ALL(%(settled_movements)s)
     AND NOT {_MET.format(column="movement_id", row="m", more=" AND met.run_id IS DISTINCT FROM %(run)s")}
) AS movement GROUP BY bucket, currency ORDER BY bucket, currency
"""  # noqa: S608 - made of our own constants


@dataclass(frozen=True, slots=True)
class Places:
    """Where a run says that lines and movements went which are not matched."""

    broken_lines: Collection[int] = ()
    early: Collection[int] = ()
    foreign: Collection[int] = ()
    settled: Collection[int] = ()
    broken_movements: Collection[int] = ()
    expected: Collection[int] = ()


@dataclass(frozen=True, slots=True)
class Equation:
    """A whole and its parts, counted and in money. `lost` is what is in no part: it must be nothing."""

    whole: str
    parts: tuple[str, ...]
    counts: Mapping[str, int] = field(default_factory=dict)
    money: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def holds(self) -> bool:
        return self.counts.get(LOST, 0) == 0 and self.total == sum(self.counts.get(part, 0) for part in self.parts)

    def as_json(self) -> dict[str, Any]:
        """As a run keeps it: the whole, each part, and sums in minor units by currency and part."""
        shown = {self.whole: self.total, **{part: self.counts.get(part, 0) for part in self.parts}}
        return {**shown, LOST: self.counts.get(LOST, 0), "money": {c: dict(sums) for c, sums in self.money.items()}}

    def __str__(self) -> str:
        parts = " + ".join(f"{self.counts.get(part, 0)} {part}" for part in self.parts)
        return f"{self.total} {self.whole} = {parts}" + (
            f" + {self.counts[LOST]} LOST" if self.counts.get(LOST) else ""
        )


def lines_of(run: Run, scope: Scope, places: Places) -> Equation:
    """Lines read = matched + booked + broken + early + rejected + foreign."""
    named = {
        **scope.parameters,
        "run": run.pk,
        "since": _last_run(run),
        "broken": list(places.broken_lines),
        "early": list(places.early),
        "foreign": list(places.foreign),
        "settled": [*places.settled, *scope.settled_lines],
        "named": [*places.broken_lines, *places.early, *places.foreign],
    }
    counts, money = _counted(_LINES, named)
    rejected = RejectedRow.objects.filter(
        statement__account_id=scope.account_id, statement__ends_on=scope.day, statement__state=StatementState.READ
    ).count()
    if rejected:
        counts[Bucket.REJECTED.value] = rejected
    parts = tuple(bucket.value for bucket in Bucket)
    return Equation("read", parts, counts, money)


def movements_of(run: Run, scope: Scope, places: Places, overdue_end: datetime) -> Equation:
    """Our open movements in scope = matched + broken + expected."""
    named = {
        **scope.parameters,
        "run": run.pk,
        "broken": list(places.broken_movements),
        "expected": list(places.expected),
        "overdue_end": overdue_end,
    }
    counts, money = _counted(_MOVEMENTS, named)
    return Equation("open", ("matched", "broken", "expected"), counts, money)


def _last_run(run: Run) -> datetime:
    """Since when lines of earlier days are news to this run: since the last earlier day was compared."""
    earlier = Run.objects.filter(account_id=run.account_id, day__lt=run.day, state=RunState.DONE)
    last = earlier.order_by("-day").values_list("started_at", flat=True).first()
    return last or datetime.min.replace(tzinfo=run.started_at.tzinfo if run.started_at else None)


def _counted(sql: str, named: dict[str, Any]) -> tuple[dict[str, int], dict[str, dict[str, int]]]:
    counts: dict[str, int] = {}
    money: dict[str, dict[str, int]] = {}
    with connection.cursor() as cursor:
        cursor.execute(sql, named)
        for bucket, currency, count, minor in cursor.fetchall():
            counts[bucket] = counts.get(bucket, 0) + count
            money.setdefault(currency, {})[bucket] = int(minor)
    return counts, money
