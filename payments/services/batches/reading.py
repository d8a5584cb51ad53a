"""Which kind of file is this, and may it be read at all? Name and first bytes must agree; the rest is read as a stream."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from contextlib import suppress
from itertools import chain
from typing import IO, Final

from payments.card_numbers import has_card_number
from payments.services.batches.columns import heading_problem
from payments.services.batches.csv_files import open_csv
from payments.services.batches.files import MAX_BYTES, MAX_ROWS, Line, Table, Unreadable
from payments.services.batches.xlsx_files import open_xlsx

_ZIP: Final = b"PK\x03\x04"
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED: Final = "EncryptedPackage".encode("utf-16-le")
_PIECE: Final = 256 * 1024


def digest_of(file: IO[bytes]) -> str:
    """SHA-256 of the whole file; leaves it at its beginning. Raises: Unreadable if it is larger than an upload may be."""
    found, size = hashlib.sha256(), 0
    file.seek(0)
    while piece := file.read(_PIECE):
        size += len(piece)
        if size > MAX_BYTES:
            raise Unreadable(f"The file is larger than {MAX_BYTES // 1024 // 1024} MB. Split it.")
        found.update(piece)
    file.seek(0)
    return found.hexdigest()


def read_table(name: str, file: IO[bytes], accounts: Collection[str]) -> Table:
    """This function will open a spreadsheet of payments; `accounts` are the slugs that may stand as headings.

    Raises: Unreadable with one sentence, also later, while the lines are read.
    """
    table = _open(name.lower(), file)
    if any(has_card_number(heading) for heading in table.headings):
        raise Unreadable("The heading line holds what looks like a card number. Nothing of the file was stored.")
    problem = heading_problem(table.headings, accounts)
    if problem:
        raise Unreadable(problem)
    lines = _capped(table.lines)
    first = next(lines, None)
    if first is None:
        raise Unreadable("The file has headings, and no row below them.")
    return Table(table.headings, table.read_as, chain([first], lines))


def _open(name: str, file: IO[bytes]) -> Table:
    file.seek(0)
    begin = file.read(8)
    file.seek(0)
    if begin.startswith(_OLE):
        raise Unreadable(_ole_sentence(file))
    is_zip = begin.startswith(_ZIP)
    if name.endswith(".xlsx"):
        if not is_zip:
            raise Unreadable("The file is named .xlsx, but it is no workbook.")
        return open_xlsx(file)
    if not name.endswith(".csv"):
        raise Unreadable("The file must be named .csv or .xlsx.")
    if is_zip:
        raise Unreadable("The file is named .csv, but it is a workbook or another archive.")
    return open_csv(file)


def _ole_sentence(file: IO[bytes]) -> str:
    content = file.read(MAX_BYTES)
    with suppress(OSError):
        file.seek(0)
    if _ENCRYPTED in content:
        return "The workbook is protected with a password. Save it without one."
    return "The file is in the old .xls format. Save it as “Excel workbook (.xlsx)” or as CSV."


def _capped(lines: Iterator[Line]) -> Iterator[Line]:
    for count, line in enumerate(lines, start=1):
        if count > MAX_ROWS:
            raise Unreadable(f"The file has more than {MAX_ROWS:,} rows. Split it.")
        yield line
