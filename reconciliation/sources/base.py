"""What is a statement format? A pure reader of bytes, line by line; a new format is one file and one line of the registry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, Final, Protocol
from zoneinfo import ZoneInfo

from reconciliation.lines import Item

LONGEST_LINE: Final = 1024 * 1024
"""Bytes or characters of one line of a file, or of one field: beyond it the file is not what it says."""
LONGEST_CELL: Final = 300
"""Characters of one cell that are kept as evidence."""
UTC: Final = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class Columns:
    """How one CSV layout is read: the values of a `ColumnMapping`, so that readers need no table.

    `columns` is our field to the file's heading; `kinds` the file's word to ours. Our fields are those of
    `StatementLine`, with money as `gross`, `fee`, `tax`, `net`, `presentment`; `debit` and `credit` may stand for `gross`.
    """

    columns: Mapping[str, str]
    kinds: Mapping[str, str] = field(default_factory=dict)
    delimiter: str = ","
    encoding: str = "utf-8-sig"
    decimal_mark: str = "."  # empty: amounts are minor units
    thousands_mark: str = ""
    date_format: str = "%Y-%m-%dT%H:%M:%S%z"
    fees_negative: bool = False
    debits_positive: bool = False
    total_row: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """With what a file is read. `zone` is where times without one are meant; `currency` is meant where a line names none."""

    zone: ZoneInfo = UTC
    currency: str = ""
    provider: str = ""
    columns: Columns | None = None


class Source(Protocol):
    """One format. `tells_all`: a report of a closed period holds every line of it, so that a line gone is a line removed.

    `read` yields in the order of the file and keeps nothing. What it cannot use of one line is a `RejectedLine`.
    Raises: UnreadableStatement, also late, for a file that as a whole is not what it says.
    """

    @property
    def name(self) -> str: ...
    @property
    def words(self) -> str: ...  # what people choose it by
    @property
    def mapped(self) -> bool: ...  # it needs `Reading.columns`
    @property
    def tells_all(self) -> bool: ...
    def read(self, content: BinaryIO, reading: Reading) -> Iterator[Item]: ...


def evidence(cells: Mapping[str, object]) -> dict[str, str]:
    """Cells as they stood there, cut to what a person needs to recognise the line; NUL, which no text column holds, shown."""
    kept = {str(name): str(value) for name, value in cells.items()}
    if (
        "\0" not in "".join(kept) + "".join(kept.values())
        and max(map(len, [*kept, *kept.values()]), default=0) <= LONGEST_CELL
    ):
        return kept
    return {
        name[:LONGEST_CELL].replace("\0", "␀"): value[:LONGEST_CELL].replace("\0", "␀") for name, value in kept.items()
    }
