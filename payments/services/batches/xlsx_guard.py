"""Would a workbook's XML cost more to read than a sheet of payments is worth? Counted before a tree is built of it.

Sizes alone do not tell: a megabyte of empty cells unpacks from a kilobyte, and becomes a hundred of objects.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from typing import IO, Any, Final
from xml.etree import ElementTree
from xml.parsers import expat

from payments.services.batches.files import Unreadable

STRINGS: Final = "xl/sharedStrings.xml"
SHEETS: Final = "xl/worksheets/"
_MANIFEST: Final = "[Content_Types].xml"
_SHEET_TYPE: Final = "worksheet+xml"
_STRINGS_TYPE: Final = "sharedStrings+xml"
_HARMLESS: Final = 64 * 1024  # a part so small holds no bomb
_MOST_IN_PART: Final = 100_000  # elements of styles, relations and the like
_MOST_IN_STRINGS: Final = 2_000_000
_MOST_IN_ROW: Final = 1_000
_MOST_BESIDE_ROWS: Final = 300_000  # column widths, links, formats
_MOST_IN_SHEET: Final = 12_000_000
_EMPTY_SHEET: Final = b"<worksheet/>"
_LONGEST_ROW: Final = 8 * 1024 * 1024  # also of what stands between two rows
_PIECE: Final = 64 * 1024
_ROW_DEPTH: Final = 3  # worksheet, sheetData, row
_TOO_MUCH: Final = "The workbook unpacks to far more than a sheet of payments needs. It was not opened."


def refuse_heavy_parts(archive: zipfile.ZipFile) -> None:
    """Every part that is read whole, by its elements; sheets are guarded while they are read. Raises: Unreadable."""
    _refuse_other_roles(archive)
    for part in archive.infolist():
        if part.file_size > _HARMLESS and not part.filename.startswith(SHEETS):
            most = _MOST_IN_STRINGS if part.filename == STRINGS else _MOST_IN_PART
            with archive.open(part) as source:
                _count(source, most)


def _refuse_other_roles(archive: zipfile.ZipFile) -> None:
    """A part's size and weight are judged by its name: what it is used for has to be what the name says."""
    manifest = archive.getinfo(_MANIFEST)  # KeyError: the library would not open it either
    with archive.open(manifest) as source:
        _count(source, _MOST_IN_PART)
    for element in ElementTree.fromstring(archive.read(manifest)):  # noqa: S314 - counted above, without a DOCTYPE
        kind, name = element.get("ContentType", ""), element.get("PartName", "").lstrip("/")
        as_sheet, as_strings = kind.endswith(_SHEET_TYPE), kind.endswith(_STRINGS_TYPE)
        if (name.startswith(SHEETS) and not as_sheet) or (as_strings and name not in ("", STRINGS)):
            raise Unreadable("The workbook's parts are not where a workbook has them. Save it again, or as CSV.")


def _count(source: IO[bytes], most: int) -> None:
    counted = 0

    def element(name: str, attributes: Any) -> None:
        nonlocal counted
        counted += 1
        if counted > most:
            raise Unreadable(_TOO_MUCH)

    parser = _parser(element)
    try:
        while piece := source.read(_PIECE):
            parser.Parse(piece, False)  # noqa: FBT003 - the C function takes it by place
    except expat.ExpatError:
        return  # no XML, or damaged from here on: nothing more can be built of it


def _parser(element: Callable[[str, Any], None]) -> Any:
    parser = expat.ParserCreate()
    parser.StartElementHandler = element
    parser.StartDoctypeDeclHandler = _no_doctype
    return parser


def _no_doctype(*declared: Any) -> None:
    raise Unreadable(
        "The workbook cannot be read: it declares entities, which no spreadsheet needs. Save it again, or as CSV."
    )


class GuardedArchive(zipfile.ZipFile):
    """A workbook's parts as the library asks for them; sheets are counted on their way. Raises: Unreadable, also later."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file)
        self._asked_for_size: set[str] = set()
        refuse_heavy_parts(self)

    def open(self, name: Any, *args: Any, **kwargs: Any) -> Any:
        """A part, one piece at a time. The library first looks for each sheet's size, which is not believed: it finds none."""
        path = name.filename if isinstance(name, zipfile.ZipInfo) else name
        if path.startswith(SHEETS) and path not in self._asked_for_size:
            self._asked_for_size.add(path)
            return io.BytesIO(_EMPTY_SHEET)
        source = super().open(name, *args, **kwargs)
        return _GuardedSheet(source) if path.startswith(SHEETS) else source


class _GuardedSheet:
    """A sheet's bytes on their way to the library."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._parser = _parser(self._began)
        self._parser.EndElementHandler = self._ended
        self._depth = self._in_row = self._beside = self._all = 0
        self._is_row = False
        self._read = self._row_ended_at = 0
        self._damaged = False

    def read(self, size: int = -1) -> bytes:
        """The next piece; a reader who asks for everything at once gets one piece too."""
        piece = self._source.read(size if 0 < size <= _PIECE else _PIECE)
        self._read += len(piece)
        if not self._damaged:
            try:
                self._parser.Parse(piece, False)  # noqa: FBT003 - the C function takes it by place
            except expat.ExpatError:
                self._damaged = True  # the library meets the same fault in this piece, and says so
        if self._read - self._row_ended_at > _LONGEST_ROW:
            raise Unreadable(_TOO_MUCH)
        return piece

    def close(self) -> None:
        self._source.close()

    def __enter__(self) -> _GuardedSheet:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _began(self, name: str, attributes: Any) -> None:
        self._depth += 1
        self._all += 1
        if self._depth == _ROW_DEPTH:
            self._is_row = name.endswith("row")
        if self._is_row:
            self._in_row += 1
        else:
            self._beside += 1
        if self._in_row > _MOST_IN_ROW or self._beside > _MOST_BESIDE_ROWS or self._all > _MOST_IN_SHEET:
            raise Unreadable(_TOO_MUCH)

    def _ended(self, name: str) -> None:
        if self._depth == _ROW_DEPTH and self._is_row:
            self._is_row, self._in_row, self._row_ended_at = False, 0, self._read
        self._depth -= 1
