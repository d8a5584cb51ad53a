"""What is common to every kind of spreadsheet file? Its limits, its cells, and the way it is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from payments.errors import InvalidInput

MAX_ROWS: Final = 50_000
MAX_BYTES: Final = 20 * 1024 * 1024
MAX_COLUMNS: Final = 100
MAX_LINE: Final = 64 * 1024
FORMULA_SIGNS: Final = ("=", "+", "-", "@", "\t", "\r")


class Unreadable(InvalidInput):
    """The file is no spreadsheet of payments; the sentence says why, and where."""


class Cell(NamedTuple):
    """One cell as text. `kind` tells what a workbook had made of it: number, date or boolean; empty for text."""

    text: str
    kind: str = ""


EMPTY: Final = Cell("")
Line = tuple[int, list[Cell]]
"""A line's number in the file, and its cells."""


@dataclass(frozen=True)
class Table:
    """A file that could be opened: its headings, how it was read, and its lines, one at a time."""

    headings: list[str]
    read_as: str
    lines: Iterator[Line]


def clean(text: str) -> str:
    """Without blanks around it, and without the apostrophe that keeps a spreadsheet from running it as a formula."""
    text = text.strip()
    return text[1:] if text.startswith("'") and text[1:2] in FORMULA_SIGNS and len(text) > 1 else text


def heading(text: str) -> str:
    return text.strip().lower().replace(" ", "_")
