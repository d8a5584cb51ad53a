"""Where do fees and their tax differ from the contract? Summed up by day, kind, method and currency: one wrong rate, one break."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import date
from typing import Any, Final

from django.db import connection

from reconciliation.findings import FoundBreak
from reconciliation.queries.scope import LINE_FREE, Scope
from reconciliation.rules.base import said
from reconciliation.states import BreakType, LineKind

# A line is off when it is off by more than the rate's tolerance, as `reconciliation/rates.py` has it.
_OFF: Final = f"""
WITH line AS MATERIALIZED (
  SELECT l.id, l.line_key, l.day, l.kind, l.currency, lower(l.method) AS method, l.gross_minor AS gross,
         coalesce(l.tax_minor, 0) AS tax, l.payout_id, l.tax_minor IS NOT NULL AS tells_tax,
         CASE WHEN l.kind = 'fee' THEN -coalesce(l.net_minor, l.gross_minor)
              WHEN l.fee_minor IS NOT NULL THEN l.fee_minor + coalesce(l.tax_minor, 0)
              WHEN l.net_minor IS NOT NULL THEN l.gross_minor - l.net_minor END AS charged
    FROM reconciliation_line AS l
   WHERE l.account_id = %(account)s AND l.day = ANY(%(days)s) AND NOT l.removed AND lower(l.status) <> ALL(%(not_moved)s)
     AND (l.kind = 'fee' OR l.kind = ANY(%(movements)s) AND NOT ({LINE_FREE}))
), sort AS (SELECT DISTINCT day, kind, currency, method FROM line),
rated AS (
  SELECT sort.*, rate.percent, rate.fixed_minor, rate.tax_percent, rate.tolerance_minor AS tolerance
    FROM sort CROSS JOIN LATERAL (
      SELECT percent, fixed_minor, tax_percent, tolerance_minor FROM reconciliation_contractrate AS rate
       WHERE rate.account_id = %(account)s AND rate.kind = sort.kind AND rate.currency = sort.currency
         AND lower(rate.method) IN ('', sort.method) AND rate.valid_from <= sort.day
         AND (rate.valid_to IS NULL OR rate.valid_to >= sort.day)
       ORDER BY rate.method <> '' DESC, rate.valid_from DESC, rate.id DESC LIMIT 1) AS rate
), asked AS (
  SELECT line.*, tolerance, tax_percent,
         (round(CASE WHEN line.kind = ANY(%(movements)s) THEN abs(gross) ELSE 0 END * percent / 100) + fixed_minor)::bigint
           AS fee_due
    FROM line JOIN rated USING (day, kind, currency, method) WHERE charged IS NOT NULL
), due AS (SELECT asked.*, round(fee_due * tax_percent / 100)::bigint AS tax_due FROM asked)
SELECT day, kind, currency, method, what, count(*), sum(charged_minor)::bigint, sum(due_minor)::bigint,
       min(id), (array_agg(line_key ORDER BY id))[1:20], (array_agg(DISTINCT payout_id))[1:5], sum(abs(charged_minor - due_minor)),
       sum(greatest(charged_minor - due_minor, 0))::bigint
  FROM due CROSS JOIN LATERAL (VALUES ('fee', charged - tax, fee_due), ('tax', tax, tax_due))
    AS part (what, charged_minor, due_minor)
 WHERE abs(charged_minor - due_minor) > tolerance AND (what = 'fee' OR tells_tax OR tax_percent > 0)
 GROUP BY day, kind, currency, method, what ORDER BY day, kind, currency, method, what
"""  # noqa: S608 - made of our own constants


def fees_off(scope: Scope, days: Collection[date]) -> Iterator[FoundBreak]:
    """A break a day, kind, method and currency. What was charged is booked already: nothing is between the balances."""
    for row in _rows(scope, days):
        yield _found(row)


def overcharged(scope: Scope, day: date, key: str) -> int:
    """What the lines of one such break were charged too much, in minor units; those charged too little take nothing away."""
    return next((int(row[-1]) for row in _rows(scope, [day]) if _key(row) == key), 0)


def _rows(scope: Scope, days: Collection[date]) -> list[tuple[Any, ...]]:
    if not days:
        return []
    with connection.cursor() as cursor:
        cursor.execute(_OFF, {**scope.parameters, "days": sorted(days)})
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def _key(row: tuple[Any, ...]) -> str:
    day, kind, currency, method, what, *_ = row
    return f"{what}:{day}:{currency}:{kind}:{method}"


def _found(row: tuple[Any, ...]) -> FoundBreak:
    day, kind, currency, method, what, count, charged, due, first, keys, payouts, at_risk, _ = row
    of = f"{method} {kind}".strip()
    lines = f"{count} lines" if count > 1 else "One line"
    word = "tax on fees" if what == "tax" else "fees"
    named: dict[str, Any] = {"line_id": first} if count == 1 else {}
    return FoundBreak(
        kind=BreakType.FEE_TAX_MISMATCH if what == "tax" else BreakType.FEE_MISMATCH,
        key=_key(row),
        currency=currency,
        difference_minor=0,
        value_minor=int(at_risk),
        day=day,
        cause=f"{word} of {of} in {currency}",
        because=(
            f"{lines} of {of} paid {said(charged, currency)} {word}; the contract asks for {said(due, currency)}:"
            f" {said(charged - due, currency)} off."
        ),
        ours={"expected": said(due, currency)},
        theirs={
            "charged": said(charged, currency),
            "lines": ", ".join(keys),
            "count": str(count),
            "payouts": ", ".join(payout for payout in payouts if payout),
            "kind": LineKind(kind).value,
        },
        **named,
    )
