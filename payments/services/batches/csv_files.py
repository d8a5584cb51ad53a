"""What stands in a CSV file? Read line by line: UTF-8 only, comma, semicolon or tab by its heading line. Nothing is guessed."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import IO, Final

from payments.services.batches.columns import BY_NAME, RESULTS
from payments.services.batches.files import EMPTY, MAX_COLUMNS, MAX_LINE, Cell, Line, Table, Unreadable, clean, heading

_WORDS: Final = {",": "commas", ";": "semicolons", "\t": "tabs"}
_BOM: Final = b"\xef\xbb\xbf"


def open_csv(file: IO[bytes]) -> Table:
    """The table of a CSV file. Raises: Unreadable, also later, while its lines are read."""
    texts = _texts(file)
    first = next((text for text in texts if text.strip()), "")
    if not first:
        raise Unreadable("The file is empty.")
    delimiter = max(_WORDS, key=lambda sign: _known_headings(first, sign))
    reader = csv.reader(_again(first, texts), delimiter=delimiter, strict=True)
    headings = [heading(text) for text in _next(reader) or []]
    if len(headings) > MAX_COLUMNS:
        raise Unreadable(f"The file has {len(headings)} columns; {MAX_COLUMNS} are possible.")
    return Table(headings, f"CSV in UTF-8, separated by {_WORDS[delimiter]}", _lines(reader, len(headings)))


def _known_headings(line: str, sign: str) -> int:
    return sum(heading(part.strip('"')) in {*BY_NAME, *RESULTS} for part in line.rstrip("\r\n").split(sign))


def _again(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _texts(file: IO[bytes]) -> Iterator[str]:
    """The file's lines as text. Any other encoding than UTF-8 is refused with the place of the first wrong byte."""
    number, offset = 0, 0
    while raw := file.readline(MAX_LINE + 1):
        number += 1
        if len(raw) > MAX_LINE:
            raise Unreadable(f"Line {number} is longer than {MAX_LINE // 1024} KB. Is a quotation mark left open?")
        if number == 1 and raw.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise Unreadable("The file is in UTF-16. Save it again as “CSV UTF-8”.")
        line = raw.removeprefix(_BOM) if number == 1 else raw
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            raise Unreadable(
                f"Line {number} is not UTF-8: byte 0x{line[error.start]:02X} at position {offset + error.start + 1} of the "
                "file. It looks like Windows-1252. Save it again as “CSV UTF-8”."
            ) from error
        offset += len(raw)
        yield text


def _next(reader: Iterator[list[str]]) -> list[str] | None:
    try:
        return next(reader, None)
    except csv.Error as error:
        line = getattr(reader, "line_num", 0)
        raise Unreadable(f"Line {line} cannot be read: {error}. Is a quotation mark left open?") from error


def _lines(reader: Iterator[list[str]], width: int) -> Iterator[Line]:
    """A cell may hold line breaks: a row's number is that of its first line."""
    while True:
        number = getattr(reader, "line_num", 0) + 1
        found = _next(reader)
        if found is None:
            return
        if not any(text.strip() for text in found):
            continue
        if any(text.strip() for text in found[width:]):
            raise Unreadable(f"Line {number} has {len(found)} cells, the heading line {width}. Is a cell not quoted?")
        yield number, [Cell(clean(text)) if text else EMPTY for text in found[:width]]
