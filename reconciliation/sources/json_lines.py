"""How are rows that a gateway's API told read back? One JSON object a line, and one that says how many there are.

The control row stands anywhere: {"object": "report", "rows": 120, "pages": 2, "window": ["2026-11-20T00:00:00Z", "…"]}.
`rows` counts the others. "incomplete": "page 7 did not answer" says that the report is not whole; so does a last line
that breaks off.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, BinaryIO

from reconciliation.errors import UnreadableStatement
from reconciliation.lines import ControlTotal, RejectedLine, Shortfall
from reconciliation.sources.base import LONGEST_LINE

Row = dict[str, Any]
Read = tuple[int, Row] | RejectedLine | ControlTotal | Shortfall


def rows_of(content: BinaryIO) -> Iterator[Read]:
    """Each row with its number from 1, in order; last what the control row says against what was counted.

    Raises: UnreadableStatement for a file that is no JSON lines at all, or has no control row.
    """
    number, broken, control = 0, 0, None
    while line := content.readline(LONGEST_LINE + 1):
        if len(line) > LONGEST_LINE:
            raise UnreadableStatement(f"A line after row {number} is longer than {LONGEST_LINE // 1024} KB.")
        if not line.strip():
            continue
        row = _object(line)
        if row is not None and row.get("object") == "report":
            control = row
            continue
        number += 1
        if row is None and number == 1:
            raise UnreadableStatement("The file holds no JSON lines: its first line is no object.")
        if row is None:
            broken += 1
            yield RejectedLine(number, "The row is no whole JSON object.", _begin(line))
        else:
            yield number, row
    if control is None:
        raise UnreadableStatement("The report has no control row: nobody can tell whether it is whole.")
    yield from _controls(control, number - broken)


def _controls(control: Row, counted: int) -> Iterator[ControlTotal | Shortfall]:
    said = control.get("rows")
    if isinstance(said, bool) or not isinstance(said, int):
        yield Shortfall("The report does not say how many rows it has.")
    else:
        yield ControlTotal("rows", said, found=counted)
    if control.get("incomplete"):
        yield Shortfall(str(control["incomplete"])[:300])


def _object(line: bytes) -> Row | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _begin(line: bytes) -> dict[str, str]:
    return {"row": line[:120].decode(errors="replace").strip()}
