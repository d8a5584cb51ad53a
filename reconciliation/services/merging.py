"""What do staged lines add to what is known? New, known, completed, restated or removed: each set in one statement.

A line is one line whatever reports it stands in. A report that says the same leaves it as it is; one that names what was
not told before completes it; a closed one that contradicts another closed one restates it. A report that is not closed
never overrules one that is, and what an unclosed one said is no promise: the closed one completes it. Two formats word a
time, a status or a reference differently: between them only money and identity contradict each other.
"""

# ruff: noqa: S608 - the queries are put together from the names of columns, which this file holds; values are parameters
from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connection

from reconciliation.models import LineChange, Statement
from reconciliation.services.staging import COLUMNS, TABLE

_KEPT: Final = [name for name, _ in COLUMNS if name != "reason"]
_HARD: Final = (
    "kind",
    "currency",
    "gross_minor",
    "fee_minor",
    "tax_minor",
    "net_minor",
    "presentment_minor",
    "presentment_currency",
    "gateway_id",
    "payout_id",
)
_SAME_FORMAT: Final = ("occurred_at", "day", "reference", "parent_id", "bank_ref", "rate", "status")
_WORDING: Final = ("text", "method", "available_on")
_ALL: Final = (*_HARD, *_SAME_FORMAT, *_WORDING)
_TEXTS: Final = frozenset(name for name, kind in COLUMNS if kind == "text")


@dataclass
class Merged:
    """How many staged lines became what. `new` is what the database took in."""

    new: int = 0
    known: int = 0
    completed: int = 0
    restated: int = 0
    removed: int = 0
    rejected: int = 0


def number_occurrences() -> None:
    """Lines without a key of their own are known by their content and by which of several equal ones they are."""
    _run(f"""
        UPDATE {TABLE} s SET line_key = 'row:' || s.content_hash || ':' || o.place
        FROM (SELECT ctid, row_number() OVER (PARTITION BY content_hash ORDER BY number) AS place
              FROM {TABLE} WHERE reason IS NULL AND line_key = '') o
        WHERE s.ctid = o.ctid
    """)


def add_new(statement: Statement) -> int:
    """Lines never seen before become rows; the first of a key wins, also against a report read at the same time."""
    names = ", ".join(_KEPT)
    return _run(
        f"""INSERT INTO reconciliation_line (account_id, statement_id, revision, removed, {names})
            SELECT %s, %s, 0, false, {names} FROM {TABLE} WHERE reason IS NULL
            ON CONFLICT (account_id, line_key) DO NOTHING""",
        statement.account_id,
        statement.pk,
    )


def merge_rest(statement: Statement, now: datetime, merged: Merged) -> None:
    """What `add_new` did not take: twice in this file, or known from another report."""
    ours = "l.account_id = %s AND l.line_key = s.line_key AND l.statement_id = %s"
    key = (statement.account_id, statement.pk)
    _run(
        f"DELETE FROM {TABLE} s USING reconciliation_line l WHERE s.reason IS NULL AND {ours} AND l.number = s.number",
        *key,
    )
    merged.known += _run(
        f"DELETE FROM {TABLE} s USING reconciliation_line l WHERE s.reason IS NULL AND {ours} "
        f"AND l.content_hash = s.content_hash",
        *key,
    )
    merged.rejected += _run(
        f"""UPDATE {TABLE} s SET reason = 'Line ' || l.number || ' has the same key and says something else.'
            FROM reconciliation_line l WHERE s.reason IS NULL AND {ours}""",
        *key,
    )
    _within_the_file(merged)
    merged.known += _run(
        f"""DELETE FROM {TABLE} s USING reconciliation_line l WHERE s.reason IS NULL AND l.account_id = %s
            AND l.line_key = s.line_key AND l.content_hash = s.content_hash AND NOT l.removed""",
        statement.account_id,
    )
    _tell(statement, now, merged)


def _within_the_file(merged: Merged) -> None:
    """Keys known from before that stand here more than once: the first counts."""
    first = f"""(SELECT ctid AS place, number, content_hash,
                        first_value(number) OVER w AS first_number, first_value(content_hash) OVER w AS first_hash,
                        row_number() OVER w AS time
                 FROM {TABLE} WHERE reason IS NULL WINDOW w AS (PARTITION BY line_key ORDER BY number)) o"""
    merged.known += _run(
        f"DELETE FROM {TABLE} s USING {first} WHERE s.ctid = o.place AND o.time > 1 AND o.content_hash = o.first_hash"
    )
    merged.rejected += _run(
        f"""UPDATE {TABLE} s SET reason = 'Line ' || o.first_number || ' has the same key and says something else.'
            FROM {first} WHERE s.ctid = o.place AND o.time > 1"""
    )


def _tell(statement: Statement, now: datetime, merged: Merged) -> None:
    """Compare with the rows, write what is different, and keep before and after."""
    old = {name: f"told.l_{name}" for name in _ALL}
    fresh = {name: f"told.m_{name}" for name in _ALL}
    changes = f"""
        INSERT INTO reconciliation_linechange
               (statement_id, line_id, kind, before, after, net_difference_minor, currency, at)
        SELECT %s, line_id, change, {_differences(old, old, fresh)}, {_differences(fresh, old, fresh)},
               CASE WHEN l_removed THEN COALESCE(m_net_minor, m_gross_minor)
                    WHEN l_net_minor IS NULL THEN m_gross_minor - l_gross_minor
                    ELSE COALESCE(m_net_minor, m_gross_minor) - l_net_minor END,
               m_currency, %s
        FROM told WHERE change <> ''"""
    updates = f"""
        UPDATE reconciliation_line l
        SET {", ".join(f"{name} = {fresh[name]}" for name in _ALL)}, removed = false,
            revision = l.revision + CASE WHEN told.restates OR told.l_removed THEN 1 ELSE 0 END,
            statement_id = CASE WHEN told.restates THEN %s ELSE l.statement_id END,
            number = CASE WHEN told.restates THEN told.s_number ELSE l.number END,
            content_hash = CASE WHEN told.restates THEN told.s_content_hash ELSE l.content_hash END,
            raw = CASE WHEN told.restates AND told.same_format THEN told.s_raw ELSE l.raw || told.s_raw END
        FROM told WHERE l.id = told.line_id AND told.change <> ''"""
    query = f"""
        WITH {_TOLD}, changes AS ({changes}), updates AS ({updates})
        SELECT count(*) FILTER (WHERE change = ''), count(*) FILTER (WHERE change = 'completed'),
               count(*) FILTER (WHERE change IN ('changed', 'added'))
        FROM told"""
    told = (statement.source, statement.closed, statement.account_id)
    with connection.cursor() as cursor:
        cursor.execute(query, [*told, statement.pk, now, statement.pk])
        known, completed, restated = cursor.fetchone()
    merged.known += known
    merged.completed += completed
    merged.restated += restated


def note_added(statement: Statement, now: datetime) -> int:
    """New lines of a report that restates another: each is a change of that report."""
    return _run(
        """INSERT INTO reconciliation_linechange
                  (statement_id, line_id, kind, before, after, net_difference_minor, currency, at)
           SELECT %s, id, %s, '{}', '{}', COALESCE(net_minor, gross_minor), currency, %s
           FROM reconciliation_line WHERE statement_id = %s AND revision = 0""",
        statement.pk,
        LineChange.Kind.ADDED.value,
        now,
        statement.pk,
    )


def remove_gone(statement: Statement, earlier: list[int], now: datetime) -> int:
    """Lines that stood in the reports `earlier` of this very period and stand here no longer.

    To be called while all staged lines are still there. A line that somebody else's report holds is not looked at.
    """
    return _run(
        f"""WITH gone AS (
                UPDATE reconciliation_line l SET removed = true, revision = l.revision + 1
                WHERE l.statement_id = ANY(%s) AND l.account_id = %s AND NOT l.removed
                  AND NOT EXISTS (SELECT 1 FROM {TABLE} s WHERE s.line_key = l.line_key AND s.reason IS NULL)
                RETURNING l.id, l.net_minor, l.gross_minor, l.currency)
            INSERT INTO reconciliation_linechange
                   (statement_id, line_id, kind, before, after, net_difference_minor, currency, at)
            SELECT %s, id, %s, '{{}}', '{{}}', -COALESCE(net_minor, gross_minor), currency, %s FROM gone""",
        earlier,
        statement.account_id,
        statement.pk,
        LineChange.Kind.REMOVED.value,
        now,
    )


def share_found(earlier: list[int], account_id: int) -> tuple[int, int]:
    """How many lines these reports brought, and how many of them stand among the staged ones."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT count(*), count(s.line_key) FROM reconciliation_line l
                LEFT JOIN {TABLE} s ON s.line_key = l.line_key AND s.reason IS NULL
                WHERE l.statement_id = ANY(%s) AND l.account_id = %s AND NOT l.removed""",
            [earlier, account_id],
        )
        brought, found = cursor.fetchone()
    return brought, found


def keep_rejected(statement: Statement) -> None:
    """Every line nobody could use, with its number and reason."""
    _run(
        f"""INSERT INTO reconciliation_rejectedrow (statement_id, number, reason, raw)
            SELECT %s, number, left(reason, 400), raw FROM {TABLE} WHERE reason IS NOT NULL
            ON CONFLICT (statement_id, number) DO NOTHING""",
        statement.pk,
    )


def _run(query: str, *values: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute(query, list(values) if values else None)
        return int(cursor.rowcount)


# --- the comparison of one line, as SQL -------------------------------------------------------------------------------


def _known(alias: str, name: str) -> str:
    """The value, or null where that side does not tell it."""
    return f"NULLIF(({alias}).{name}, '')" if name in _TEXTS else f"({alias}).{name}"


def _contradict(names: tuple[str, ...]) -> str:
    return " OR ".join(f"{_known('l', name)} <> {_known('s', name)}" for name in names)


def _adds() -> str:
    return " OR ".join(f"({_known('l', name)} IS NULL AND {_known('s', name)} IS NOT NULL)" for name in _ALL)


def _merged(name: str) -> str:
    """The value the line has afterwards."""
    ours, theirs = _known("l", name), _known("s", name)
    empty = ", ''" if name in _TEXTS else ""
    kept = f"COALESCE({ours}, {theirs}{empty})"
    if name in _WORDING:
        return kept
    overrules = "restates" if name in _HARD else "restates AND same_format"
    return f"CASE WHEN {overrules} THEN COALESCE({theirs}, {ours}{empty}) ELSE {kept} END"


def _differences(shown: dict[str, str], old: dict[str, str], fresh: dict[str, str]) -> str:
    """JSON of the fields that differ, as `shown` has them; what was not told is left out."""
    parts = ", ".join(
        f"'{name}', CASE WHEN {old[name]} IS DISTINCT FROM {fresh[name]} THEN to_jsonb({_told(shown, name)}) END"
        for name in _ALL
    )
    return f"jsonb_strip_nulls(jsonb_build_object({parts}))"


def _told(shown: dict[str, str], name: str) -> str:
    return f"NULLIF({shown[name]}, '')" if name in _TEXTS else shown[name]


_TOLD: Final = f"""
    pairs AS (
        SELECT s, l, o.source = %s AS same_format, o.closed AS was_closed, %s::boolean AS closed
        FROM {TABLE} s
        JOIN reconciliation_line l ON l.account_id = %s AND l.line_key = s.line_key
        JOIN reconciliation_statement o ON o.id = l.statement_id
        WHERE s.reason IS NULL
    ), judged AS (
        SELECT (l).id AS line_id, s, l, same_format, was_closed,
               (closed OR NOT was_closed) AND COALESCE(
                   {_contradict(_HARD)} OR (same_format AND ({_contradict(_SAME_FORMAT)})), false) AS restates,
               ({_adds()}) AS adds
        FROM pairs
    ), told AS MATERIALIZED (
        SELECT line_id, same_format, restates, (s).number AS s_number, (s).content_hash AS s_content_hash, (s).raw AS s_raw,
               (l).removed AS l_removed,
               CASE WHEN (l).removed THEN 'added' WHEN restates AND was_closed THEN 'changed'
                    WHEN restates OR adds THEN 'completed' ELSE '' END AS change,
               {", ".join(f"(l).{name} AS l_{name}" for name in _ALL)},
               {", ".join(f"{_merged(name)} AS m_{name}" for name in _ALL)}
        FROM judged
    )"""
