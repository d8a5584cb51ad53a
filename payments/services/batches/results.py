"""What does an upload's file of results hold, and the template? Streams of CSV and XLSX, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import islice
from typing import IO, Any, Final

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter

from ledger.money import Money
from payments.models import Batch, GatewayAccount
from payments.queries.batch_page import RowView, judged_rows, views_of
from payments.services.batches.columns import COLUMNS, REQUIRED
from payments.services.batches.files import FORMULA_SIGNS

CSV: Final = "csv"
XLSX: Final = "xlsx"
RESULT_HEADINGS: Final = (
    "line", "reference", "amount", "currency", "outcome", "decline_class", "payment", "taken_by", "why",
)  # fmt: skip
_CHUNK: Final = 500
_PIECE: Final = 64 * 1024
_BOM: Final = "\ufeff"  # without it a spreadsheet takes UTF-8 for Windows-1252
_EXACT_DIGITS: Final = 15  # of a spreadsheet's number; an amount with more is written as text
Value = str | Decimal


def results_file(public_id: str, kind: str) -> Iterator[bytes]:
    """This function will write an upload's rows with what became of them, a piece at a time; also while it runs.

    Raises: Batch.DoesNotExist. Credentials are not among the columns. Reads only.
    """
    batch = Batch.objects.get(public_id=public_id)
    rows = (_result(view) for view in _views(batch))
    return _xlsx(RESULT_HEADINGS, rows) if kind == XLSX else _csv(RESULT_HEADINGS, rows)


def template_file(kind: str) -> Iterator[bytes]:
    """An empty spreadsheet with the headings that fit the gateway accounts; the workbook explains them on a second sheet."""
    slugs = list(GatewayAccount.objects.filter(enabled=True).order_by("slug").values_list("slug", flat=True))
    headings = [column.name for column in COLUMNS] + slugs
    if kind != XLSX:
        return _csv(headings, ())
    lines = [(column.name, _needed(column.name), column.explanation, column.example) for column in COLUMNS]
    lines += [(slug, "one way to pay", "The credential that this gateway account issued.", "") for slug in slugs]
    lines.append(("metadata.<key>", "optional", "Kept with the payment under this key; any number of columns.", ""))
    return _xlsx(headings, (), explanations=[("Column", "Needed", "What belongs there", "Example"), *lines])


def safe(text: str) -> str:
    """The text so that no spreadsheet runs it as a formula; reading it back takes the apostrophe away again."""
    return f"'{text}" if text.startswith(FORMULA_SIGNS) else text


def _needed(name: str) -> str:
    if name in REQUIRED:
        return "required"
    return "one way to pay" if name in {"token", "payment_method"} else "optional"


def _views(batch: Batch) -> Iterator[RowView]:
    rows = judged_rows(batch).iterator(chunk_size=_CHUNK)
    while chunk := list(islice(rows, _CHUNK)):
        yield from views_of(chunk)


def _result(view: RowView) -> list[Value]:
    row = view.row
    amount: Value = row.values.get("amount", "")
    if row.amount_minor is not None:
        amount = Decimal(Money(row.amount_minor, row.currency).to_decimal_string())
    return [
        Decimal(row.number),
        row.reference,
        amount,
        row.currency or row.values.get("currency", ""),
        view.outcome.value,
        view.failure_class,
        row.payment.public_id if row.payment else "",
        view.gateway,
        view.why,
    ]


def _csv(headings: Sequence[str], rows: Iterable[Sequence[Value]]) -> Iterator[bytes]:
    page = io.StringIO()
    writer = csv.writer(page)
    page.write(_BOM)
    writer.writerow(headings)
    for row in rows:
        writer.writerow([safe(value) if isinstance(value, str) else f"{value:f}" for value in row])
        if page.tell() > _PIECE:
            yield page.getvalue().encode()
            page.seek(0)
            page.truncate()
    yield page.getvalue().encode()


def _xlsx(
    headings: Sequence[str], rows: Iterable[Sequence[Value]], explanations: Sequence[Sequence[str]] = ()
) -> Iterator[bytes]:
    """Row by row into a temporary file: a workbook is an archive, whose directory comes last."""
    book = Workbook(write_only=True)
    _sheet(book, "Payments", headings, rows)
    if explanations:
        _sheet(book, "Explanations", explanations[0], explanations[1:])
    with tempfile.TemporaryFile() as file:
        book.save(file)
        file.seek(0)
        yield from _pieces(file)


def _sheet(book: Workbook, title: str, headings: Sequence[str], rows: Iterable[Sequence[Value]]) -> None:
    sheet = book.create_sheet(title)
    sheet.freeze_panes = "A2"
    for at, name in enumerate(headings, start=1):
        sheet.column_dimensions[get_column_letter(at)].width = max(12, len(name) + 2)
    heads = [WriteOnlyCell(sheet, value=name) for name in headings]
    for head in heads:
        head.font = Font(bold=True)
    sheet.append(heads)
    for row in rows:
        sheet.append([_cell(sheet, value) for value in row])


def _cell(sheet: Any, value: Value) -> Any:
    if isinstance(value, Decimal):
        digits, exponent = value.as_tuple().digits, value.as_tuple().exponent
        if len(digits) <= _EXACT_DIGITS:
            cell = WriteOnlyCell(sheet, value=value)  # type: ignore[arg-type]  # it writes a Decimal digit by digit
            cell.number_format = "0" if not exponent else "0." + "0" * abs(int(exponent))
            return cell
        value = f"{value:f}"
    cell = WriteOnlyCell(sheet, value=safe(ILLEGAL_CHARACTERS_RE.sub(" ", value)) or None)
    cell.number_format = "@"  # text stays text when somebody edits the sheet
    return cell


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece
