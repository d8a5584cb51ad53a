"""Is every file read as it is, or refused in one clear sentence?"""

from __future__ import annotations

import io
import struct
import zipfile
from datetime import datetime

import pytest

from payments.services.batches.files import MAX_ROWS, Cell, Unreadable
from payments.services.batches.reading import digest_of, read_table
from tests.payments.batches.sheets import CARD, HEADINGS, csv_file, order, xlsx_file

ACCOUNTS = ("nmi", "stripe")
HEAD = b"reference,amount,currency,token\n"


def texts(name: str, file: io.BytesIO) -> list[tuple[int, list[str]]]:
    return [(number, [cell.text for cell in cells]) for number, cells in read_table(name, file, ACCOUNTS).lines]


def refusal(name: str, content: bytes | io.BytesIO) -> str:
    file = io.BytesIO(content) if isinstance(content, bytes) else content
    with pytest.raises(Unreadable) as refused:
        list(read_table(name, file, ACCOUNTS).lines)
    return str(refused.value)


class TestCsv:
    @pytest.mark.parametrize(("sign", "word"), [(",", "commas"), (";", "semicolons"), ("\t", "tabs")])
    def test_the_separator_is_found_in_the_heading_line_and_told(self, sign: str, word: str) -> None:
        table = read_table("a.csv", csv_file(order("o-1"), separator=sign), ACCOUNTS)

        assert table.read_as == f"CSV in UTF-8, separated by {word}"
        assert [cell.text for cell in next(table.lines)[1]] == ["o-1", "12.34", "USD", "tok_ok"]

    def test_a_byte_order_mark_blank_lines_and_line_breaks_in_cells_keep_the_line_numbers(self) -> None:
        content = b"\xef\xbb\xbf" + HEAD + b'\n"a\nb",1,USD,tok\n,,,\nc,2,USD,tok'

        assert texts("A.CSV", io.BytesIO(content)) == [(3, ["a\nb", "1", "USD", "tok"]), (6, ["c", "2", "USD", "tok"])]

    def test_a_file_without_headings_is_refused_and_none_of_its_cells_repeated(self) -> None:
        line = b"Ada Lovelace,4111 1111 1111,12.50,nmi\n"

        with pytest.raises(Unreadable) as refused:
            read_table("a.csv", io.BytesIO(line + line), ACCOUNTS)

        assert str(refused.value).startswith(
            "The first line holds no headings. Expected are reference, amount, currency"
        )
        assert not any(cell in str(refused.value) for cell in ("Ada", "4111", "12.50"))

    def test_headings_may_be_written_as_people_write_them(self) -> None:
        file = io.BytesIO(b" Reference ,AMOUNT,Currency,Payment method\na,1,USD,pm_1\n")

        assert read_table("a.csv", file, ACCOUNTS).headings == ["reference", "amount", "currency", "payment_method"]

    def test_a_wrong_byte_is_named_with_its_line(self) -> None:
        said = refusal("a.csv", HEAD + b"a,1,USD,tok\nJos\xe9,1,USD,tok\n")

        assert "Line 3 is not UTF-8: byte 0xE9 at position 48 of the file." in said

    @pytest.mark.parametrize(
        ("content", "sentence"),
        [
            (b"", "The file is empty."),
            (b"\n\n  \n", "The file is empty."),
            (HEAD, "The file has headings, and no row below them."),
            (HEAD + b",,,\n", "The file has headings, and no row below them."),
            (b"reference,amount,token\na,1,t\n", "The column 'currency' is missing."),
            (b"reference,amount,currency\na,1,USD\n", "No column says how the payer pays"),
            (b"reference,amount,currency,token,amount\na,1,USD,t,1\n", "The heading 'amount' stands there twice."),
            (b"reference,amount,currency,token,colour\na,1,USD,t,1\n", "The heading 'colour' is not known."),
            (b"reference,amount,currency,token,metadata.\na,1,USD,t,1\n", "The heading 'metadata.' is not known."),
            (b",,,\na,1,USD,t\n", "The first line holds no headings. Expected are reference, amount, currency, and"),
            (HEAD + b"a,1,USD,t,5\n", "Line 2 has 5 cells, the heading line 4."),
            (HEAD + b'a,1,USD,"t\n' + b"b,1,USD,t\n" * 20000, "Is a quotation mark left open?"),
            (HEAD + b'a,"1"2,USD,t\n', "Line 2 cannot be read"),
            (HEAD + b"a" * 70_000, "Line 2 is longer than 64 KB."),
            (b"\xff\xfer\x00e\x00", "The file is in UTF-16."),
            (b"reference,amount,currency," + CARD.encode() + b"\n", "looks like a card number"),
            (b"PK\x03\x04junk", "The file is named .csv, but it is a workbook"),
        ],
    )
    def test_what_can_not_be_read_is_refused_in_one_sentence(self, content: bytes, sentence: str) -> None:
        said = refusal("a.csv", content)

        assert sentence in said
        assert CARD not in said

    def test_one_row_too_many_is_refused(self) -> None:
        rows = b"".join(b"o-%d,1.00,USD,tok_ok\n" % number for number in range(MAX_ROWS + 1))

        assert "more than 50,000 rows" in refusal("a.csv", HEAD + rows)

    def test_a_file_that_is_too_large_is_refused_while_its_digest_is_made(self) -> None:
        with pytest.raises(Unreadable, match="larger than 20 MB"):
            digest_of(io.BytesIO(b"x" * (20 * 1024 * 1024 + 1)))


class TestXlsx:
    def test_numbers_are_their_shortest_exact_decimal_and_say_what_they_were(self) -> None:
        moment = datetime(2026, 3, 4)  # noqa: DTZ001 - a workbook's dates have no zone
        file = xlsx_file(
            ("a", 19.99, "USD", "t"), ("b", 1 / 3, "USD", "t"), (1001, 20.0, "USD", True), ("d", moment, 1e21, 1e-08)
        )

        rows = [cells for _, cells in read_table("a.xlsx", file, ACCOUNTS).lines]

        assert [row[1] for row in rows] == [
            Cell("19.99", "number"), Cell("0.3333333333333333", "number"), Cell("20", "number"),
            Cell("2026-03-04 00:00:00", "date"),
        ]  # fmt: skip
        assert rows[2][0] == Cell("1001", "number")
        assert rows[2][3] == Cell("TRUE", "boolean")
        assert rows[3][2:] == [Cell("1e+21", "number"), Cell("0.00000001", "number")]

    def test_the_seventeen_digits_a_spreadsheet_stores_are_the_amount_somebody_typed(self) -> None:
        file = with_part(
            xlsx_file(("a", 1.5, "USD", "t")), "xl/worksheets/sheet1.xml", b"<v>1.5</v>", b"<v>19.989999999999998</v>"
        )

        assert texts("a.xlsx", file)[0][1][1] == "19.99"

    def test_empty_rows_keep_the_line_numbers_and_are_no_payments(self) -> None:
        file = xlsx_file(order("a"), (None,) * 4, ("", " ", None, None), order("b"))

        assert [number for number, _ in texts("a.xlsx", file)] == [2, 5]

    def test_only_the_first_sheet_is_read_and_that_is_said(self) -> None:
        from openpyxl import Workbook

        book = Workbook()
        book.active.append(list(HEADINGS))
        book.active.append(list(order("a")))
        book.create_sheet("Second").append(["never"])
        file = io.BytesIO()
        book.save(file)

        table = read_table("a.xlsx", file, ACCOUNTS)

        assert "The workbook has 2 sheets; only this one is read." in table.read_as
        assert len(list(table.lines)) == 1

    @pytest.mark.parametrize(
        ("name", "content", "sentence"),
        [
            ("a.xlsx", HEAD, "The file is named .xlsx, but it is no workbook."),
            ("a.txt", HEAD, "The file must be named .csv or .xlsx."),
            ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"x" * 600, "The file is in the old .xls format."),
            (
                "a.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"),
                "The workbook is protected with a password.",
            ),
            ("a.xlsx", b"PK\x03\x04 and no archive", "The file is damaged"),
        ],
    )  # fmt: skip
    def test_what_is_no_workbook_is_refused_in_one_sentence(self, name: str, content: bytes, sentence: str) -> None:
        assert sentence in refusal(name, content)

    def test_an_archive_that_is_no_workbook_is_refused(self) -> None:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("content.xml", "<a/>")

        assert "an archive, but no XLSX workbook" in refusal("a.xlsx", file)

    def test_a_zip_bomb_is_refused_before_it_is_unpacked(self) -> None:
        file = xlsx_file(order("a"))
        with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("xl/big.xml", "w") as part:
            for _ in range(9):
                part.write(b"0" * 1024 * 1024)

        assert "It was not opened." in refusal("a.xlsx", file)

    def test_a_bomb_that_lies_about_its_size_ends_at_the_size_it_named(self) -> None:
        real = b"<x>" + b"0" * 30_000_000 + b"</x>"
        file = with_part(xlsx_file(order("a")), "xl/worksheets/sheet1.xml", None, real)
        data = bytearray(file.getvalue())
        at = data.rindex(b"xl/worksheets/sheet1.xml") - 46  # the directory's entry of the part
        data[at + 24 : at + 28] = struct.pack("<L", 1000)

        assert "cannot be read" in refusal("a.xlsx", bytes(data))

    def test_entities_are_not_expanded(self) -> None:
        bomb = (
            b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa">]><worksheet><sheetData>&a;</sheetData></worksheet>'
        )
        file = with_part(xlsx_file(order("a")), "xl/worksheets/sheet1.xml", None, bomb)

        with pytest.raises(Unreadable, match="cannot be read: it declares entities"):
            read_table("a.xlsx", file, ACCOUNTS)

    def test_a_row_with_an_absurd_number_is_refused_in_time(self) -> None:
        file = with_part(xlsx_file(order("a")), "xl/worksheets/sheet1.xml", b'<row r="2"', b'<row r="99999999"')
        file = with_part(file, "xl/worksheets/sheet1.xml", b'r="A2"', b'r="A99999999"')

        assert "empty rows" in refusal("a.xlsx", file)

    @pytest.mark.parametrize("seed", range(40))
    def test_damaged_workbooks_end_in_a_sentence(self, seed: int) -> None:
        import random

        random_ = random.Random(seed)
        data = bytearray(xlsx_file(*[order(f"o-{n}") for n in range(5)]).getvalue())
        for _ in range(random_.randint(1, 30)):
            data[random_.randrange(4, len(data))] = random_.randrange(256)

        said = "."
        try:
            list(read_table("a.xlsx", io.BytesIO(bytes(data)), ACCOUNTS).lines)
        except Unreadable as refused:
            said = str(refused)

        assert said.endswith((".", "?"))


def with_part(file: io.BytesIO, name: str, old: bytes | None, new: bytes) -> io.BytesIO:
    """The workbook with one part changed; `old` None replaces all of it."""
    changed = io.BytesIO()
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as target:
        for part in source.infolist():
            content = source.read(part)
            if part.filename == name:
                assert old is None or old in content
                content = new if old is None else content.replace(old, new)
            target.writestr(part.filename, content)
    changed.seek(0)
    return changed
