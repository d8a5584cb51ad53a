"""Spreadsheets for tests: as people write them, and as spreadsheets mangle them."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Any

from openpyxl import Workbook

HEADINGS = ("reference", "amount", "currency", "token")
CARD = "4111 1111 1111 1111"


def csv_file(*rows: Sequence[str], headings: Sequence[str] = HEADINGS, separator: str = ",") -> io.BytesIO:
    """A CSV file in UTF-8; cells are not quoted."""
    lines = [separator.join(row) for row in (headings, *rows)]
    return io.BytesIO(("\r\n".join(lines) + "\r\n").encode())


def xlsx_file(*rows: Sequence[Any], headings: Sequence[Any] = HEADINGS) -> io.BytesIO:
    """A workbook whose cells have the types that are given."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet("Payments")
    for row in (headings, *rows):
        sheet.append(list(row))
    file = io.BytesIO()
    book.save(file)
    file.seek(0)
    return file


def order(reference: str, amount: str = "12.34", currency: str = "USD", token: str = "tok_ok") -> tuple[str, ...]:
    return reference, amount, currency, token


def orders(references: Iterable[str], **fields: str) -> list[tuple[str, ...]]:
    return [order(reference, **fields) for reference in references]
