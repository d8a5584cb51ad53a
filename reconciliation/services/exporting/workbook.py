"""How is a report written as XLSX? Row by row, in constant memory: amounts as exact numbers, days as dates, text as text."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter

from reconciliation.reports.base import Column, Query, Report
from reconciliation.reports.rendering import typed_select
from reconciliation.services.exporting.sink import BLOCK, Sink
from reconciliation.services.exporting.snapshot import rows_of

SHEET_ROWS: Final = 1_048_576
"""Rows a sheet can have, its heading included."""
_EXACT_DIGITS: Final = 15  # of a spreadsheet's number; an amount with more is written as text
_LONGEST_TEXT: Final = 32_767
_DAY: Final = "yyyy-mm-dd"
_MOMENT: Final = "yyyy-mm-dd hh:mm:ss"  # in UTC: a spreadsheet knows no time zones
Row = tuple[object, ...]


def write_xlsx(
    own: BaseDatabaseWrapper, report: Report, query: Query, sink: Sink, *, sheet_rows: int = SHEET_ROWS
) -> None:
    """Sheet after sheet, each with the headings, into a temporary file: an archive's directory comes last."""
    book = Workbook(write_only=True)
    sheets = _Sheets(book, report.columns, sheet_rows)
    for row in rows_of(own, typed_select(report, query), query.args):
        sheets.append(row)
        sink.count_row()
    with tempfile.TemporaryFile() as file:
        book.save(file)
        file.seek(0)
        while piece := file.read(BLOCK):
            sink.write(piece)


class _Sheets:
    """The rows, spread over as many sheets as they need. Cells are made once a column and used again for each row."""

    def __init__(self, book: Workbook, columns: Sequence[Column], sheet_rows: int) -> None:
        self._book, self._columns, self._most = book, columns, sheet_rows
        self._number = 0
        self._begin()

    def append(self, row: Row) -> None:
        if self._filled == self._most:
            self._begin()
        self._sheet.append([self._cell(at, value) for at, value in enumerate(row)])
        self._filled += 1

    def _begin(self) -> None:
        self._number += 1
        self._sheet: Any = self._book.create_sheet("Rows" if self._number == 1 else f"Rows {self._number}")
        self._sheet.freeze_panes = "A2"
        self._cells: dict[tuple[int, str], Any] = {}
        for at, column in enumerate(self._columns, start=1):
            self._sheet.column_dimensions[get_column_letter(at)].width = max(12, len(column.name) + 2)
        self._sheet.append(list(_bold(self._sheet, [column.name for column in self._columns])))
        self._filled = 1

    def _cell(self, at: int, value: object) -> object:
        if isinstance(value, str):
            return ILLEGAL_CHARACTERS_RE.sub(" ", value)[:_LONGEST_TEXT] or None
        if isinstance(value, datetime):
            return self._formatted(at, _MOMENT, value.astimezone(UTC).replace(tzinfo=None))
        if isinstance(value, date):
            return self._formatted(at, _DAY, value)
        return self._number_cell(at, value) if isinstance(value, Decimal) else value

    def _number_cell(self, at: int, value: Decimal) -> object:
        _, digits, exponent = value.as_tuple()
        if len(digits) > _EXACT_DIGITS:
            return f"{value:f}"
        return self._formatted(at, "0." + "0" * -int(exponent) if exponent else "0", value)

    def _formatted(self, at: int, number_format: str, value: object) -> object:
        cell = self._cells.get((at, number_format))
        if cell is None:
            cell = self._cells[at, number_format] = WriteOnlyCell(self._sheet)
            cell.number_format = number_format
        cell.value = value
        cell.number_format = number_format  # a date brings a format of its own
        return cell


def _bold(sheet: Any, names: Iterable[str]) -> Iterable[Any]:
    for name in names:
        head = WriteOnlyCell(sheet, value=name)
        head.font = Font(bold=True)
        yield head
