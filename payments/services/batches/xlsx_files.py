"""What stands in the first sheet of a workbook? Read row by row; what a spreadsheet made of a cell is told with it."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import IO, Any, Final

from openpyxl.reader.excel import ExcelReader

from payments.card_numbers import has_card_number
from payments.services.batches.files import EMPTY, MAX_COLUMNS, MAX_ROWS, Cell, Line, Table, Unreadable, clean, heading
from payments.services.batches.xlsx_guard import SHEETS, STRINGS, GuardedArchive

_MOST_PARTS: Final = 500
_MOST_SHEET: Final = 256 * 1024 * 1024  # unpacked, all together; a sheet is streamed
_MOST_STRINGS: Final = 48 * 1024 * 1024  # unpacked; the table of strings is held in memory
_MOST_OTHER: Final = 8 * 1024 * 1024
_MOST_EMPTY: Final = 20_000  # a sheet whose last row is number 1048576 costs time, not meaning


def open_xlsx(file: IO[bytes]) -> Table:
    """The table of a workbook's first sheet. Raises: Unreadable, also later, while its lines are read."""
    _refuse_bombs(file)
    with _readable():
        reader = ExcelReader(file, read_only=True, data_only=True, keep_links=False)
        reader.archive = GuardedArchive(file)
        reader.read()
        book = reader.wb
        sheet = book.worksheets[0]
        sheet.reset_dimensions()  # what the file says of its own size is not believed
        rows = sheet.iter_rows(max_col=MAX_COLUMNS + 1, values_only=True)
        first = next(rows, ())
    headings = [heading(_cell(value).text) for value in first]
    if len(headings) > MAX_COLUMNS and headings[MAX_COLUMNS]:
        raise Unreadable(f"The sheet has more than {MAX_COLUMNS} columns.")
    while headings and not headings[-1]:
        headings.pop()
    if has_card_number(" ".join(book.sheetnames)):
        raise Unreadable("The name of a sheet holds what looks like a card number. Nothing of the file was stored.")
    others = f" The workbook has {len(book.worksheets)} sheets; only this one is read." if _more(book) else ""
    title = "".join(sign if sign.isprintable() else " " for sign in sheet.title[:60])
    return Table(headings, f"XLSX, sheet “{title}”.{others}", _lines(rows, len(headings)))


def _more(book: Any) -> bool:
    """Sheets beyond the first that are not our template's explanations."""
    return any(sheet.title != "Explanations" for sheet in book.worksheets[1:])


def _refuse_bombs(file: IO[bytes]) -> None:
    """Look into the archive's directory before anything is unpacked. Reading later stops at the sizes named there."""
    try:
        with zipfile.ZipFile(file) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
        raise Unreadable("The file is damaged: it is no readable XLSX workbook.") from error
    names = {part.filename for part in parts}
    if "xl/workbook.xml" not in names:
        raise Unreadable("The file is an archive, but no XLSX workbook. Save it as “Excel workbook (.xlsx)” or as CSV.")
    if any(part.flag_bits & 1 for part in parts):
        raise Unreadable("The file is protected with a password. Save it without one.")
    sheets = sum(part.file_size for part in parts if part.filename.startswith(SHEETS))
    too_large = sheets > _MOST_SHEET or any(part.file_size > _most(part.filename) for part in parts)
    if len(parts) > _MOST_PARTS or too_large:
        raise Unreadable("The workbook unpacks to far more than a sheet of payments needs. It was not opened.")


def _most(name: str) -> int:
    if name.startswith(SHEETS):
        return _MOST_SHEET
    return _MOST_STRINGS if name == STRINGS else _MOST_OTHER


@contextmanager
def _readable() -> Iterator[None]:
    """A stranger's workbook can make the library raise anything: to the person it is one sentence."""
    try:
        yield
    except (Unreadable, GeneratorExit, MemoryError):
        raise
    except Exception as error:
        raise Unreadable(f"The workbook cannot be read ({type(error).__name__}). Save it again, or as CSV.") from error


def _lines(rows: Iterator[tuple[Any, ...]], width: int) -> Iterator[Line]:
    number, empty = 1, 0
    while True:
        with _readable():
            values = next(rows, None)
        if values is None:
            return
        number += 1
        cells = [_cell(value) if value is not None else EMPTY for value in values[:width]]
        if not any(cell.text for cell in cells):
            empty += 1
            if empty > _MOST_EMPTY and number > MAX_ROWS:
                raise Unreadable(
                    f"The sheet has more than {_MOST_EMPTY} empty rows. Delete them below the last payment."
                )
            continue
        if any(value is not None and str(value).strip() for value in values[width:]):
            raise Unreadable(f"Line {number} has a cell below no heading.")
        yield number, cells + [EMPTY] * (width - len(cells))


def _cell(value: Any) -> Cell:
    """Numbers as their shortest exact decimal: a workbook stores 19.99 as 19.989999999999998, which is the same number."""
    if value is None:
        return EMPTY
    if isinstance(value, str):
        return Cell(clean(value))
    if isinstance(value, bool):
        return Cell(str(value).upper(), "boolean")
    if isinstance(value, datetime | date | time | timedelta):
        return Cell(str(value), "date")
    text = repr(value)
    if "e-" in text:
        text = f"{Decimal(text):f}"  # a small number: 1e-08 is 0.00000001
    return Cell(text if "e" in text else text.removesuffix(".0"), "number")
