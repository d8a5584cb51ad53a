"""What of a hostile spreadsheet is taken, kept or unpacked? Bombs, hidden card numbers, what no table and no book holds."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Callable

import pytest
from openpyxl import Workbook

from payments.models import Batch
from payments.services.actors import SYSTEM
from payments.services.batches.controls import cancel_rest
from payments.services.batches.files import Unreadable
from payments.services.batches.reading import read_table
from payments.states import BatchState, RowState
from tests.payments.batches.sheets import CARD, HEADINGS, csv_file, order, xlsx_file
from tests.payments.batches.uploads import started, uploaded
from tests.payments.factories import Clock, nmi_account

SHEET = "xl/worksheets/sheet1.xml"
_HEAD = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
_STRINGS = "application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"


@pytest.fixture
def clock() -> Clock:
    nmi_account()
    return Clock()


def with_parts(parts: dict[str, bytes]) -> io.BytesIO:
    """A good workbook, some of its parts replaced or added."""
    made = io.BytesIO()
    with (
        zipfile.ZipFile(xlsx_file(order("a"))) as good,
        zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as bad,
    ):
        for name in good.namelist():
            if name not in parts:
                bad.writestr(name, good.read(name))
        for name, content in parts.items():
            bad.writestr(name, content)
    made.seek(0)
    return made


def manifest() -> bytes:
    with zipfile.ZipFile(xlsx_file(order("a"))) as good:
        return good.read("[Content_Types].xml")


def all_of(file: io.BytesIO) -> int:
    return sum(1 for _ in read_table("a.xlsx", file, ["nmi"]).lines)


# Made where they are used: together they are half a gigabyte.
BOMBS: dict[str, Callable[[], bytes]] = {
    "one row of cells": lambda: b"<row>" + b"<c/>" * 5_000_000 + b"</row></sheetData></worksheet>",
    "one cell of text": lambda: (
        b'<row><c t="inlineStr"><is><t>' + b"a" * 50_000_000 + b"</t></is></c></row></sheetData></worksheet>"
    ),
    "elements beside rows": lambda: b"</sheetData>" + b"<x/>" * 5_000_000 + b"</worksheet>",
    "cells in cells": lambda: b"<row>" + b"<c>" * 1_000_000 + b"</c>" * 1_000_000 + b"</row></sheetData></worksheet>",
    "rows of cells": lambda: (b"<row>" + b"<c/>" * 1_100 + b"</row>") * 30_000,
}


class TestBombs:
    """Each unpacks to a size that a sheet may have, and would become a hundred times that in objects."""

    @pytest.mark.parametrize("name", BOMBS)
    def test_a_sheet_is_refused_before_it_becomes_objects(self, name: str) -> None:
        bomb = with_parts({SHEET: _HEAD + BOMBS[name]()})
        began = time.process_time()

        with pytest.raises(Unreadable):
            all_of(bomb)

        assert time.process_time() - began < 20  # some seconds for what may be read, instead of minutes

    @pytest.mark.parametrize("name", ["xl/styles.xml", "xl/workbook.xml", "xl/_rels/workbook.xml.rels"])
    def test_so_is_any_other_part(self, name: str) -> None:
        with pytest.raises(Unreadable, match="unpacks to far more"):
            all_of(with_parts({name: b"<x>" + b"<y/>" * 1_000_000 + b"</x>"}))

    def test_a_part_is_used_only_as_what_its_name_says(self) -> None:
        there = f'<Override PartName="/xl/worksheets/words.xml" ContentType="{_STRINGS}"/></Types>'.encode()
        parts = {
            "[Content_Types].xml": manifest().replace(b"</Types>", there),
            "xl/worksheets/words.xml": b"<sst>" + b"<si><t>a</t></si>" * 1_000_000 + b"</sst>",
        }

        with pytest.raises(Unreadable, match="not where a workbook has them"):
            all_of(with_parts(parts))

    def test_a_large_honest_workbook_is_read(self) -> None:
        wide = [f"metadata.m{number}" for number in range(96)]
        rows = [(*order(f"r{number}"), *(f"text {number}" for _ in wide)) for number in range(300)]

        assert all_of(xlsx_file(*rows, headings=(*HEADINGS, *wide))) == 300


@pytest.mark.django_db(transaction=True)
class TestHiddenCardNumbers:
    def test_in_the_name_of_any_sheet(self, clock: Clock) -> None:
        for sheets in ((CARD, "b"), ("a", CARD)):
            book = Workbook()
            book.active.title = sheets[0]  # type: ignore[union-attr]  # a new workbook has a sheet
            for row in (HEADINGS, order("a")):
                book.active.append(row)  # type: ignore[union-attr]
            book.create_sheet(sheets[1])
            file = io.BytesIO()
            book.save(file)

            batch = uploaded(clock, file=file, name="a.xlsx")

            assert batch.state == BatchState.REFUSED
            assert "The name of a sheet" in batch.refused_because
            assert "4111" not in batch.read_as + batch.refused_because

    @pytest.mark.parametrize(
        "cells", [("4111", "1111", "1111", "1111"), ("3782", "822463", "10005"), ("41111111", "11111111")]
    )
    def test_in_neighbouring_cells(self, clock: Clock, cells: tuple[str, ...]) -> None:
        headings = (*HEADINGS, *(f"metadata.{number}" for number, _ in enumerate(cells)))

        row = uploaded(clock, file=csv_file((*order("a"), *cells), headings=headings)).rows.get()

        assert (row.state, row.values, row.reference) == (RowState.BAD, {}, "")
        assert [column for column, _ in row.problems] == [f"metadata.{number}" for number, _ in enumerate(cells)]

    def test_numbers_that_are_none_may_stand_beside_each_other(self, clock: Clock) -> None:
        headings = (*HEADINGS, "metadata.a", "metadata.b", "metadata.c", "metadata.d")
        file = csv_file((*order("a"), "2026", "1121", "1200", "4711"), headings=headings)

        assert uploaded(clock, file=file).rows.get().state == RowState.READY


@pytest.mark.django_db(transaction=True)
class TestWhatNoTableHolds:
    @pytest.mark.parametrize("key", ["a\x00b", "a\u202eb", "a\u2028b", "k" * 100], ids=["nul", "rtl", "line", "long"])
    def test_a_heading_of_unseen_signs_or_too_many_is_refused(self, clock: Clock, key: str) -> None:
        file = csv_file((*order("a"), "x"), headings=(*HEADINGS, f"metadata.{key}"))

        batch = uploaded(clock, file=file)

        assert batch.state == BatchState.REFUSED
        assert batch.refused_because.startswith("The heading 'metadata.")

    def test_rows_that_add_up_to_more_than_the_books_hold_are_refused_together(self, clock: Clock) -> None:
        most = "92233720368547758.07"

        batch = uploaded(clock, file=csv_file(order("a", most), order("b", "0.01")))

        assert batch.state == BatchState.REFUSED
        assert batch.refused_because == "The rows up to line 3 add up to more than the books can hold."
        assert uploaded(clock, file=csv_file(order("a", most), order("b", "1.00", "EUR"))).state == BatchState.CHECKED


@pytest.mark.django_db(transaction=True)
class TestWhatIsNotNeededIsNotKept:
    def kept(self, batch: Batch) -> str:
        return str(list(batch.rows.values_list("values", flat=True)))

    def test_a_bad_row_keeps_no_credential(self, clock: Clock) -> None:
        rows = [("a", "x", "USD", "tok_secret", ""), ("b", "x", "USD", "", "vault:secret")]

        batch = uploaded(clock, file=csv_file(*rows, headings=(*HEADINGS, "nmi")))

        assert batch.rows_bad == 2
        assert "secret" not in self.kept(batch)
        assert "'reference': 'a'" in self.kept(batch)

    def test_nor_does_a_row_that_was_cancelled(self, clock: Clock) -> None:
        batch = started(clock, "a", "b", token="tok_secret")

        cancel_rest(batch.public_id, version=batch.version, actor=SYSTEM, now=clock())

        assert "secret" not in self.kept(batch)
        assert list(batch.rows.values_list("reference", "amount_minor")) == [("a", 1234), ("b", 1234)]
