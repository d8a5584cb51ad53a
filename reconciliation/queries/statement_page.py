"""What does a person need to see of a report: is it whole, what came of its lines, what was rejected, what it changed?"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any, Final

from django.urls import reverse

from console.display import money_text
from console.values import Amount, Chip, KeyValue, Link, Shown, Tone
from reconciliation.models import LineChange, RejectedRow, Statement
from reconciliation.sources.registry import SOURCES
from reconciliation.states import StatementState

TOTAL_COLUMNS: Final = ("Currency", "Lines", "Gross", "Fees", "Tax on fees", "Net")
CONTROL_COLUMNS: Final = ("What the report says", "It says", "Found", "")
REJECTED_COLUMNS: Final = ("Row", "Why", "What stands there")
CHANGE_COLUMNS: Final = ("Line", "What", "Before", "Now", "Net effect")
LINE_COLUMNS: Final = ("Line", "What", "Day", "Gross", "Fee", "Net", "Reference")
SHOWN: Final = 100
_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")
HOLDS: Final = Chip("holds", Tone.GOOD, "check_circle")
BROKEN: Final = Chip("does not hold", Tone.BAD, "error")


def statement_chip(statement: Statement) -> Chip:
    """Where it stands, worst first."""
    if statement.state == StatementState.REFUSED:
        return Chip("refused", Tone.BAD, "block", statement.refused_because)
    if statement.state == StatementState.SUPERSEDED:
        return Chip("replaced", Tone.QUIET, "history", "A later report of the same period took its place.")
    if not statement.complete:
        return Chip("incomplete", Tone.BAD, "error", statement.incomplete_because)
    if not statement.closed:
        return Chip("not final", Tone.INFO, "schedule", "A later report completes it.")
    if statement.lines_rejected:
        return Chip(
            "lines rejected", Tone.WARN, "warning", f"{statement.lines_rejected} lines cannot be used as they are."
        )
    return Chip("whole", Tone.GOOD, "check_circle", "Pages, totals and balances add up.")


def equation_of(statement: Statement) -> dict[str, Any]:
    """Lines read, and what became of them. The parts add up to the whole, or the page says so."""
    parts = (
        ("New", statement.lines_new, "never seen before"),
        ("Known", statement.lines_known, "said by an earlier report, and the same"),
        ("Completed", statement.lines_completed, "known, and told more of here"),
        ("Restated", statement.lines_restated, "known, and told otherwise here"),
        ("Rejected", statement.lines_rejected, "cannot be used as they are"),
    )
    holds = statement.lines_read == sum(count for _, count, _ in parts)
    terms = [{"name": name, "count": f"{count:,}", "hint": hint} for name, count, hint in parts]
    return {"whole": f"{statement.lines_read:,}", "terms": terms, "holds": holds}


def facts_of(statement: Statement) -> list[KeyValue]:
    source = SOURCES[statement.source].words if statement.source in SOURCES else statement.source
    mapping = statement.mapping
    facts = [
        KeyValue("Account", Link(statement.account.name, _url("statementaccount", statement.account_id))),
        KeyValue("Format", source),
        KeyValue("Covers", days_of(statement), f"Days in {statement.time_zone}"),
        KeyValue("Received", statement.received_at),
        KeyValue("Received by", statement.received_by or "fetched by itself"),
        KeyValue("Size", f"{statement.size:,} bytes"),
        KeyValue("SHA-256", statement.sha256 or None),
    ]
    if mapping is not None:
        facts.insert(2, KeyValue("Read by", Link(f"mapping {mapping.number}", _url("columnmapping", mapping.pk))))
    if statement.payout_id:
        facts.append(KeyValue("Itemises payout", statement.payout_id))
    if statement.restates is not None:
        facts.append(KeyValue("Takes the place of", _link(statement.restates)))
    later = statement.restated_by.first()
    if later is not None:
        facts.append(KeyValue("Replaced by", _link(later)))
    return facts


def days_of(statement: Statement) -> str:
    if statement.starts_on is None:
        return "no day"
    same = statement.starts_on == statement.ends_on
    return (
        f"{statement.starts_on:%d %b %Y}" if same else f"{statement.starts_on:%d %b %Y} to {statement.ends_on:%d %b %Y}"
    )


def totals_of(sums: dict[str, dict[str, int]]) -> list[tuple[Shown, ...]]:
    """A row a currency."""
    names = ("gross", "fee", "tax", "net")
    return [
        (currency, f"{found.get('lines', 0):,}", *(Amount(found.get(name, 0), currency) for name in names))
        for currency, found in sorted(sums.items())
    ]


def controls_of(controls: list[dict[str, Any]]) -> list[tuple[Shown, ...]]:
    """What it says it holds beside what was found."""
    return [
        (
            control["name"].capitalize() if control["said"] is not None else control["words"],
            _said(control, "said"),
            _said(control, "found"),
            HOLDS if control["holds"] else BROKEN,
        )
        for control in controls
    ]


def balances_of(statement: Statement) -> list[KeyValue]:
    return [
        KeyValue(
            f"{'Opening' if one['opening'] else 'Closing'} balance",
            Amount(one["amount_minor"], one["currency"]),
            one["on"],
        )
        for one in statement.balances
    ]


def rejected_of(statement: Statement) -> list[tuple[Shown, ...]]:
    rows = RejectedRow.objects.filter(statement=statement).order_by("number")[:SHOWN]
    return [(f"{row.number:,}", row.reason, cells_of(row.raw)) for row in rows]


def changes_of(statement: Statement) -> list[tuple[Shown, ...]]:
    """What it says differently, line by line."""
    rows = LineChange.objects.filter(statement=statement).select_related("line").order_by("id")[:SHOWN]
    return [
        (
            Link(change.line.line_key, _url("line", change.line_id), code=True),
            change.kind,
            _told(change.before, change.currency),
            _told(change.after, change.currency),
            Amount(change.net_difference_minor, change.currency),
        )
        for change in rows
    ]


def changes_count(statement: Statement) -> int:
    return LineChange.objects.filter(statement=statement).count()


def lines_of(statement: Statement) -> list[tuple[Shown, ...]]:
    """The first lines whose present word is this report's."""
    rows = statement.lines.order_by("id")[:20]
    return [
        (
            Link(line.line_key, _url("line", line.pk), code=True),
            line.kind.replace("_", " "),
            f"{line.day:%d %b %Y}",
            Amount(line.gross_minor, line.currency),
            amount_or_unknown(line.fee_minor, line.currency),
            amount_or_unknown(line.net_minor, line.currency),
            line.reference or line.gateway_id,
        )
        for line in rows
    ]


def amount_or_unknown(amount_minor: int | None, currency: str) -> Shown:
    """Money, or that the source does not tell it."""
    return "not told" if amount_minor is None else Amount(amount_minor, currency)


def rejected_file(statement: Statement) -> Iterator[bytes]:
    """Rejected rows as CSV, a piece at a time; no cell runs as a formula in a spreadsheet."""
    yield _csv_row("row", "reason", "cells")
    for row in RejectedRow.objects.filter(statement=statement).order_by("number").iterator(500):
        yield _csv_row(str(row.number), row.reason, cells_of(row.raw))


def _told(fields: dict[str, Any], currency: str) -> str:
    """Fields of a change in words: money with its marks."""
    words = {
        name.removesuffix("_minor").replace("_", " "): money_text(value, currency)
        if name.endswith("_minor") and name != "presentment_minor"
        else value
        for name, value in fields.items()
    }
    return cells_of(words)


def _csv_row(*cells: str) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerow([f"'{cell}" if cell.startswith(_FORMULAS) else cell for cell in cells])
    return out.getvalue().encode()


def cells_of(raw: dict[str, Any]) -> str:
    """Cells in one text."""
    return "; ".join(f"{name}: {value}" for name, value in raw.items()) or "–"


def _said(control: dict[str, Any], name: str) -> Shown:
    value = control[name]
    if value is None:
        return ""
    return Amount(value, control["currency"]) if control["currency"] else f"{value:,}"


def _link(statement: Statement) -> Link:
    return Link(
        statement.public_id, reverse("admin:reconciliation_statement_change", args=(statement.public_id,)), code=True
    )


def _url(model: str, key: object) -> str:
    return reverse(f"admin:reconciliation_{model}_change", args=(key,))
