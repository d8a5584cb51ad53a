"""How are a day's lines and movements matched? Equal identities in one statement, what is left by the engine, in pages."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db import connection, transaction

from ledger.money import MINOR_DIGITS
from payments.queries.reconciling import LINE_KIND, MOVED, MOVEMENTS, REPORTED, SIGNED
from reconciliation.business_days import day_bounds
from reconciliation.engine import Broken, compare
from reconciliation.models import LineChange, Match, Run
from reconciliation.queries.comparing import pages_of_lines, pages_of_overdue, set_based
from reconciliation.queries.scope import LINE_IN_WINDOW, LINE_OPEN, MOVEMENT_IN_WINDOW, MOVEMENT_OPEN, Scope
from reconciliation.rules.base import Pairing, Terms
from reconciliation.rules.movements_alone import overdue_to

_BY_RULE: Final = "a restated report"
_MONEY: Final = frozenset({"gross_minor", "presentment_minor", "presentment_currency", "currency", "kind", "status"})
# Only what the rules could not see otherwise: one open line and one movement of an identity, in the same money, at a rate
# that fits. Whatever is doubled, grouped or off is left to the engine. Kept in the order of the lines: indexes grow at
# their end.
_IDENTICAL: Final = f"""
INSERT INTO reconciliation_match (run_id, account_id, line_id, movement_id, rule, "group", many_lines, many_movements,
                                  matched_at, matched_by, undone_by)
SELECT %(run)s, %(account)s, l.id, m.id, CASE WHEN m.settlement_id = l.line_key THEN 'settlement_id' ELSE 'gateway_id' END,
       '', false, false, %(now)s, '', ''
  FROM reconciliation_line AS l
  JOIN {MOVEMENTS} AS m ON m.gateway_account_id = %(gateway)s AND m.gateway_id = l.gateway_id
 WHERE {LINE_IN_WINDOW} AND {MOVEMENT_IN_WINDOW} AND {MOVED}
   AND l.gateway_id <> '' AND l.kind = ANY(%(movements)s) AND lower(l.status) <> ALL(%(not_moved)s)
   AND l.kind = {LINE_KIND}
   AND coalesce(l.presentment_minor, l.gross_minor) = {SIGNED}
   AND CASE WHEN l.presentment_minor IS NULL OR l.presentment_currency = '' THEN l.currency
            ELSE l.presentment_currency END = m.currency
   AND m.occurrence = 0 AND m.revision = 0 AND m.settlement_id IN ('', l.line_key)
   AND (m.currency = l.currency
        OR (m.settlement_minor IS NULL OR m.settlement_currency <> l.currency OR m.settlement_minor = l.gross_minor)
           AND (l.rate IS NULL OR abs(round(m.amount_minor * l.rate * power(10::numeric,
                  (%(digits)s::jsonb ->> l.currency)::int - (%(digits)s::jsonb ->> m.currency)::int))
                - abs(l.gross_minor)) <= 1))
   AND NOT EXISTS (SELECT FROM reconciliation_line AS other WHERE other.account_id = %(account)s
                      AND other.gateway_id = l.gateway_id AND other.kind = l.kind AND other.id <> l.id)
   AND NOT EXISTS (SELECT FROM {MOVEMENTS} AS other WHERE other.gateway_account_id = %(gateway)s
                      AND other.gateway_id = m.gateway_id AND (other.occurrence > 0 OR other.revision > 0
                        OR other.kind = 'void' AND m.kind = 'refund' OR other.kind = 'refund' AND m.kind = 'void'))
   AND NOT EXISTS (SELECT FROM {MOVEMENTS} AS other WHERE other.gateway_account_id = %(gateway)s
                      AND other.settlement_id = l.line_key AND other.settlement_id <> '' AND other.id <> m.id)
   AND {LINE_OPEN} AND {MOVEMENT_OPEN} AND {REPORTED}
ORDER BY l.id
ON CONFLICT DO NOTHING
"""  # noqa: S608 - made of our own constants


@dataclass
class Matched:
    """What matching left: differences, and lines that wait, are foreign or are booked as they stand."""

    breaks: list[Broken] = field(default_factory=list)
    early: set[int] = field(default_factory=set)
    foreign: set[int] = field(default_factory=set)
    booked: set[int] = field(default_factory=set)
    waiting: set[int] = field(default_factory=set)
    """Movements past their time that may stand in a report that is not there."""


def match(run: Run, scope: Scope, terms: Terms, now: datetime, *, gaps: Collection[date] = ()) -> Matched:
    """This function will match what is open of a run's scope. Days in `gaps` have no whole report: nothing is missing there.

    Idempotent on: matches that stand. Writes: matches, a transaction for the identities and one a page of the rest.
    """
    with transaction.atomic():
        undo_restated(run, now)
        with set_based():
            match_identical(run, scope, now)
    result = Matched()
    for page in pages_of_lines(scope):
        found = compare(page.lines, page.movements, terms, calls=page.calls)
        with transaction.atomic():
            _keep_matches(run, found.pairings, now)
        result.breaks += [broken for broken in found.breaks if broken.line_ids or not broken.movement_ids]
        result.early.update(found.early)
        result.foreign.update(found.foreign)
        result.booked.update(found.booked)
    broken = {movement for one in result.breaks for movement in one.movement_ids}
    for one in _missing(scope, terms, broken):
        if _may_stand_in(one, gaps, terms):
            result.waiting.update(one.movement_ids)
        else:
            result.breaks.append(one)
    return result


def _may_stand_in(one: Broken, gaps: Collection[date], terms: Terms) -> bool:
    """Is there a day without report within the time in which it should have been reported?"""
    last = one.found.day + timedelta(days=terms.lag_cap_days)
    return any(one.found.day <= gap <= last for gap in gaps)


def match_identical(run: Run, scope: Scope, now: datetime) -> int:
    """Lines and movements that name the same transaction for the same money, once on either side. How many met."""
    digits = "{" + ", ".join(f'"{code}": {number}' for code, number in MINOR_DIGITS.items()) + "}"
    with connection.cursor() as cursor:
        cursor.execute(_IDENTICAL, {**scope.parameters, "run": run.pk, "now": now, "digits": digits})
        return int(cursor.rowcount)


def undo_restated(run: Run, now: datetime) -> int:
    """Matches of lines whose money a later report tells differently, or no longer tells: they are looked at anew."""
    changes = LineChange.objects.filter(
        line__account_id=run.account_id,
        kind__in=[LineChange.Kind.CHANGED, LineChange.Kind.REMOVED],
        line__matches__isnull=False,  # of a line that never met anybody there is nothing to undo
        line__matches__undone_at=None,
    )
    rows = changes.values_list(
        "line_id", "at", "kind", "before", "after", "line__matches__matched_at", "line__matches__group"
    )
    lines: set[int] = set()
    groups: set[str] = set()
    for line_id, at, kind, before, after, matched_at, group in rows:
        money = kind == LineChange.Kind.REMOVED or any(before.get(name) != after.get(name) for name in _MONEY)
        if at > matched_at and money:
            lines.add(line_id)
            groups |= {group} if group else set()
    standing = Match.objects.filter(account_id=run.account_id, undone_at=None)
    undone = standing.filter(line_id__in=lines).update(undone_at=now, undone_by=_BY_RULE)
    return undone + (standing.filter(group__in=groups).update(undone_at=now, undone_by=_BY_RULE) if groups else 0)


def _missing(scope: Scope, terms: Terms, broken: set[int]) -> Iterator[Broken]:
    """Movements that no report up to the day has, though it is time."""
    end = day_bounds(overdue_to(terms), ZoneInfo(scope.zone))[1]
    for entries in pages_of_overdue(scope, end):
        free = [entry for entry in entries if entry.id not in broken]
        yield from compare([], free, terms).breaks


def _keep_matches(run: Run, pairings: Iterable[Pairing], now: datetime) -> None:
    rows: list[Match] = []
    for pairing in pairings:
        many_lines, many_movements = len(pairing.lines) > 1, len(pairing.movements) > 1
        group = "" if pairing.one_to_one else f"{pairing.rule}:{min(line.id for line in pairing.lines)}"
        common: dict[str, Any] = {"many_lines": many_lines, "many_movements": many_movements, "group": group[:40]}
        # Every line stands beside the first movement and every movement beside the first line: nobody is left out.
        pairs = [(line, pairing.movements[0]) for line in pairing.lines]
        pairs += [(pairing.lines[0], movement) for movement in pairing.movements[1:]]
        rows += [
            Match(
                run=run, account_id=run.account_id, line_id=line.id, movement_id=movement.id, rule=pairing.rule,
                matched_at=now, **common,
            )
            for line, movement in pairs
        ]  # fmt: skip
    Match.objects.bulk_create(rows, ignore_conflicts=True, batch_size=1_000)
