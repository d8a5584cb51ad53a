"""What is left once identities have met? Lines and movements in pages, with what is known around them, as the engine reads them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from django.db import connection, transaction

from payments.queries import reconciling as ours
from payments.queries.reconciling import MOVED, MOVEMENTS, REPORTED, SIGNED, Reportable
from reconciliation.models import Line, Match
from reconciliation.queries.scope import LINE_IN_WINDOW, LINE_OPEN, MOVEMENT_IN_WINDOW, MOVEMENT_OPEN, Scope
from reconciliation.rules.base import KnownCall, LineEntry, MovementEntry
from reconciliation.states import LineKind

PAGE: Final = 2_000
_COLUMNS: Final = (
    "id", "line_key", "kind", "currency", "gross_minor", "occurred_at", "day", "fee_minor", "tax_minor", "net_minor",
    "presentment_minor", "presentment_currency", "rate", "gateway_id", "parent_id", "reference", "payout_id", "status",
    "method", "text", "statement_id",
)  # fmt: skip
_LEFT: Final = f"""
SELECT l.gateway_id, l.id FROM reconciliation_line AS l
 WHERE {LINE_IN_WINDOW} AND l.kind <> ALL(%(always)s) AND {LINE_OPEN}
   AND (l.gateway_id, l.id) > (%(after_id)s, %(after)s)
 ORDER BY l.gateway_id, l.id LIMIT {PAGE}
"""  # noqa: S608 - made of our own constants
_SAME_ID: Final = f"""
SELECT l.id FROM reconciliation_line AS l
 WHERE {LINE_IN_WINDOW} AND l.kind <> ALL(%(always)s) AND {LINE_OPEN} AND l.gateway_id = %(after_id)s AND l.id > %(after)s
"""  # noqa: S608 - made of our own constants
_OLD: Final = f"""
SELECT l.id FROM reconciliation_line AS l
 WHERE l.id = ANY(%(line_ids)s) AND NOT l.removed AND l.kind <> ALL(%(always)s) AND {LINE_OPEN} ORDER BY l.id
"""  # noqa: S608 - made of our own constants
_OVERDUE: Final = f"""
SELECT m.id FROM {MOVEMENTS} AS m
 WHERE m.id > %(after)s AND {MOVED} AND ({MOVEMENT_IN_WINDOW} AND m.occurred_at < %(overdue_end)s) AND {MOVEMENT_OPEN}
   AND {REPORTED}
UNION
SELECT m.id FROM {MOVEMENTS} AS m
 WHERE m.id > %(after)s AND m.id = ANY(%(movement_ids)s) AND {MOVEMENT_OPEN} AND {REPORTED}
 ORDER BY 1 LIMIT {PAGE}
"""  # noqa: S608 - made of our own constants
_ALIKE: Final = f"""
SELECT m.id
  FROM unnest(%(kinds)s::text[], %(minors)s::bigint[], %(currencies)s::text[], %(times)s::timestamptz[])
    AS want (kind, minor, currency, at)
  JOIN {MOVEMENTS} AS m ON m.currency = want.currency AND m.gateway_account_id = %(gateway)s AND {MOVED}
   AND {SIGNED} = want.minor AND m.occurred_at BETWEEN want.at - interval '3 days' AND want.at + interval '3 days'
 WHERE m.occurred_at BETWEEN %(earliest)s::timestamptz - interval '3 days' AND %(latest)s::timestamptz + interval '3 days'
   AND {MOVEMENT_OPEN} AND {REPORTED}
 ORDER BY m.id LIMIT {PAGE}
"""  # noqa: S608 - made of our own constants


@dataclass(frozen=True, slots=True)
class Page:
    """Lines that met nobody yet, and what is known around them."""

    lines: list[LineEntry]
    movements: list[MovementEntry]
    calls: list[KnownCall]


@contextmanager
def set_based() -> Iterator[None]:
    """Whole sides meet by hashing or merging. The planner guesses that next to nobody is left, goes row by row, and there
    may be a million; what it knows of matches is older than they are. Inside a transaction; it ends with this block."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('enable_nestloop', 'off', true), set_config('work_mem', '64MB', true)")
        yield
        cursor.execute(
            "SELECT set_config('enable_nestloop', 'on', true), set_config('work_mem', reset_val || unit, true) "
            "FROM pg_settings WHERE name = 'work_mem'"
        )


def pages_of_lines(scope: Scope) -> Iterator[Page]:
    """Free lines in pages. Lines of one transaction stay together; each page is read after the last one was worked on."""
    if old := _ids(_OLD, scope.parameters):
        yield _page(scope, old)
    after: tuple[str, int] = ("", 0)
    while True:
        named = {**scope.parameters, "after_id": after[0], "after": after[1]}
        with set_based():
            rows = _rows(_LEFT, named)
        if not rows:
            return
        ids, after = [row[1] for row in rows], rows[-1]
        if len(rows) == PAGE and after[0]:
            rest = _ids(_SAME_ID, {**named, "after_id": after[0], "after": after[1]})
            ids, after = ids + rest, (after[0], max([after[1], *rest]))
        yield _page(scope, ids)


def pages_of_overdue(scope: Scope, overdue_end: datetime) -> Iterator[list[MovementEntry]]:
    """Free movements that should all have been reported by now, with what else there is of their transactions."""
    after = 0
    while True:
        with set_based():
            ids = _ids(_OVERDUE, {**scope.parameters, "after": after, "overdue_end": overdue_end})
        if not ids:
            return
        after = ids[-1]
        entries = movement_entries(ids, scope.zone)
        near = _near(scope, [entry.gateway_id for entry in entries], (), (), ())
        extra = [replace(entry, matched=True) for entry in near if entry.id not in set(ids) and entry.matched]
        yield entries + extra


def line_entries(ids: Sequence[int]) -> list[LineEntry]:
    """These lines as the engine reads them."""
    rows = Line.objects.filter(pk__in=list(ids)).order_by("occurred_at", "line_key").values_list(*_COLUMNS)
    return [LineEntry(row[0], row[1], LineKind(row[2]), *row[3:]) for row in rows]


def movement_entries(ids: Sequence[int], zone: str) -> list[MovementEntry]:
    """These movements as the engine reads them, each with whether it has met a line."""
    met = set(Match.objects.filter(movement_id__in=list(ids), undone_at=None).values_list("movement_id", flat=True))
    return [_entry(row, matched=row.id in met) for row in ours.reportable(ids, zone)]


def _page(scope: Scope, ids: Sequence[int]) -> Page:
    lines = line_entries(ids)
    gateway_ids = {text for line in lines for text in (line.gateway_id, line.parent_id) if text}
    references = {line.reference for line in lines if line.reference}
    unnamed = [line for line in lines if not line.gateway_id and not line.reference]
    movements = _near(
        scope,
        gateway_ids,
        [line.key for line in lines],
        references,
        {line.payout_id for line in unnamed if line.payout_id},
    )
    known = {entry.gateway_id for entry in movements} | {entry.reference for entry in movements}
    strangers = [
        line
        for line in lines
        if line.moved and line.gateway_id not in known and (not line.reference or line.reference not in known)
    ]
    seen = {entry.id for entry in movements}
    movements += movement_entries([pk for pk in _alike(scope, strangers) if pk not in seen], scope.zone)
    return Page(lines, movements, list(_calls(scope, references, gateway_ids)))


def _near(
    scope: Scope,
    gateway_ids: Iterable[str],
    keys: Iterable[str],
    references: Iterable[str],
    payouts: Iterable[str],
) -> list[MovementEntry]:
    assert scope.gateway_account_id is not None
    ids = ours.near(
        scope.gateway_account_id,
        gateway_ids=sorted(set(gateway_ids)),
        keys=sorted(keys),
        references=sorted(references),
        payouts=sorted(payouts),
    )
    entries = movement_entries(ids, scope.zone)
    gone = set(scope.settled_movements)
    return [
        entry
        for entry in entries
        if entry.matched
        or (entry.id not in gone and (entry.occurred_at >= scope.start or entry.id in scope.movement_ids))
    ]


def _alike(scope: Scope, lines: Sequence[LineEntry]) -> list[int]:
    if not lines:
        return []
    named: dict[str, Any] = {
        **scope.parameters,
        "kinds": [line.kind.value for line in lines],
        "minors": [line.presented[0] for line in lines],
        "currencies": [line.presented[1] for line in lines],
        "times": [line.occurred_at for line in lines],
        "earliest": min(line.occurred_at for line in lines),
        "latest": max(line.occurred_at for line in lines),
    }
    return sorted(set(_ids(_ALIKE, named)))


def _calls(scope: Scope, references: Iterable[str], gateway_ids: Iterable[str]) -> Iterator[KnownCall]:
    assert scope.gateway_account_id is not None
    found = ours.calls(scope.gateway_account_id, references=sorted(references), gateway_ids=sorted(gateway_ids))
    for call in found:
        for reference in dict.fromkeys(call.references):
            yield KnownCall(reference, call.gateway_id, call.state, call.payment_id, call.payment_public_id)


def _entry(row: Reportable, *, matched: bool) -> MovementEntry:
    return MovementEntry(
        id=row.id,
        kind=LineKind(row.kind),
        gateway_id=row.gateway_id,
        minor=row.minor,
        currency=row.currency,
        occurred_at=row.occurred_at,
        day=row.day,
        occurrence=row.occurrence,
        settlement_id=row.settlement_id,
        settlement_minor=row.settlement_minor,
        settlement_currency=row.settlement_currency,
        rate=row.rate,
        parent_id=row.parent_id,
        reference=row.reference,
        payout_id=row.payout_id,
        payment_id=row.payment_id,
        payment_public_id=row.payment_public_id,
        matched=matched,
        voided=row.voided,
    )


def _ids(sql: str, named: dict[str, Any]) -> list[int]:
    return [row[0] for row in _rows(sql, named)]


def _rows(sql: str, named: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, named)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows
