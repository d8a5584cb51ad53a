"""Can a file be loaded without editing, and opened without danger? CSV, XLSX and beancount, read back by others' code."""

from __future__ import annotations

import csv
import io
from datetime import date
from decimal import Decimal

import pytest
from beancount import loader
from beancount.core import data, realization
from django.db import connection
from openpyxl import load_workbook

from ledger.money import MINOR_DIGITS
from ledger.queries import balances
from payments.errors import InvalidInput
from reconciliation.reports.journal import REPORT as JOURNAL
from reconciliation.reports.rendering import decimal_sql, safe_sql
from reconciliation.services.exporting.sink import Sink
from reconciliation.services.exporting.snapshot import snapshot
from reconciliation.services.exporting.workbook import write_xlsx
from tests.ledger.books import capture, entry, post
from tests.reconciliation.reports.books import FIRST, HOSTILE, books, exported, rows_of

in_a_transaction = pytest.mark.django_db
committed = pytest.mark.django_db(transaction=True)


def asked(sql: str, *args: object) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {sql}", args)
        return str(cursor.fetchone()[0])


class TestCells:
    @in_a_transaction
    def test_every_currency_of_the_table_gets_its_own_decimals(self) -> None:
        from ledger.money import Money

        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT code, {decimal_sql('(-1234567)', 'code')} FROM unnest(%s::text[]) AS code",
                [list(MINOR_DIGITS)],
            )
            written = {code: f"{amount:f}" for code, amount in cursor.fetchall()}

        assert written == {code: Money(-1_234_567, code).to_decimal_string() for code in MINOR_DIGITS}

    @in_a_transaction
    def test_an_amount_of_a_currency_nobody_knows_is_no_number(self) -> None:
        assert asked(decimal_sql("1", "'XXX'")) == "None"

    @in_a_transaction
    @pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
    def test_what_a_spreadsheet_would_run_gets_an_apostrophe(self, text: str) -> None:
        assert asked(safe_sql("%s::text"), text, text, text) == f"'{text}"

    @in_a_transaction
    @pytest.mark.parametrize("text", ["", "a=1", "1-2", "'=1", "ünïcode", " =1"])
    def test_other_text_is_left_alone(self, text: str) -> None:
        assert asked(safe_sql("%s::text"), text, text, text) == text


@committed
class TestCsv:
    def test_hostile_text_is_text_and_negative_numbers_stay_numbers(self) -> None:
        books()

        rows = rows_of("account_statement", code="2020", currency="USD")

        assert [row["description"] for row in rows if "HYPERLINK" in row["description"]] == [f"'{HOSTILE}"]
        assert [row["balance"] for row in rows][-1] == "-100.00"

    def test_text_is_quoted_so_that_a_semicolon_begins_no_cell(self) -> None:
        post(capture("mov_x", 100, subject="pay;=1+1", at=FIRST))

        written, _ = exported("journal")

        assert b'"pay;=1+1"' in written

    def test_headings_are_the_columns_even_when_there_are_no_rows(self) -> None:
        written, manifest = exported("journal")

        assert written.decode() == ",".join(column.name for column in JOURNAL.columns) + "\n"
        assert (manifest["rows"], manifest["totals"]) == (0, {})

    def test_lines_quotes_and_signs_of_every_script_come_back_as_they_were(self) -> None:
        odd = 'a "quoted", 多字节 line\nand a second'
        post(entry("mov_x", *capture("mov_y", 100, at=FIRST).postings, at=FIRST, description=odd))

        written, _ = exported("journal")

        assert [row["description"] for row in csv.DictReader(io.StringIO(written.decode(), newline=""))] == [odd, odd]


@committed
class TestXlsx:
    def test_numbers_are_numbers_days_are_dates_and_text_is_text(self) -> None:
        books()

        written, manifest = exported("journal", "xlsx", from_="2026-03-11")
        sheet = load_workbook(io.BytesIO(written)).active
        head, *rows = sheet.iter_rows()
        cells = {name.value: cell for name, cell in zip(head, rows[0], strict=True)}

        assert [name.value for name in head] == [column["name"] for column in manifest["columns"]]
        assert (cells["debit"].value, cells["debit"].number_format) == (23.45, "0.00")
        assert (cells["booked_on"].value.date(), cells["booked_on"].number_format) == (date(2026, 3, 11), "yyyy-mm-dd")
        assert cells["occurred_at"].value.isoformat() == "2026-03-11T12:00:00"
        assert (cells["description"].value, cells["description"].data_type) == (f"'{HOSTILE}", "s")

    def test_each_currency_has_its_number_format_and_too_many_digits_are_text(self) -> None:
        post(capture("a", 1200, "JPY", at=FIRST), capture("b", 1234, "KWD", at=FIRST))
        post(capture("c", 9_007_199_254_740_993, at=FIRST))

        written, _ = exported("journal", "xlsx", code="1110")
        sheet = load_workbook(io.BytesIO(written)).active
        debits = {row[8].value: row[9] for row in sheet.iter_rows(min_row=2)}

        assert {code: cell.number_format for code, cell in debits.items() if code != "USD"} == {
            "JPY": "0",
            "KWD": "0.000",
        }
        assert debits["USD"].value == "90071992547409.93"

    def test_more_rows_than_a_sheet_holds_go_on_the_next_one_with_headings(self) -> None:
        books()
        file = io.BytesIO()
        sink = Sink(file)
        with snapshot() as own:
            write_xlsx(own, JOURNAL, JOURNAL.query({}), sink, sheet_rows=6)
        sink.flush()

        book = load_workbook(io.BytesIO(file.getvalue()))

        assert {sheet.title: sheet.max_row for sheet in book} == {"Rows": 6, "Rows 2": 6, "Rows 3": 5}
        assert {sheet["A1"].value for sheet in book} == {"booked_on"}
        assert sink.rows == 14


@committed
class TestBeancount:
    def test_another_engine_comes_to_the_same_balances_without_a_complaint(self) -> None:
        books()
        post(
            entry("mov_odd", *capture("x", 700, at=FIRST).postings, at=FIRST, description='say "no" \\ to\nescapes'),
            now=FIRST,
        )

        written, _ = exported("journal", "beancount")
        entries, errors, _ = loader.load_string(written.decode())
        theirs = {
            (position.units.currency, account.rsplit(":", 1)[0]): position.units.number
            for account, inventory in _leaves(realization.realize(entries))
            for position in inventory
        }

        assert errors == []
        ours = {(item.ref.currency, item.ref.code): item for item in balances() if item.amount_minor}
        assert {(currency, name.split(":")[1][:4]): number for (currency, name), number in theirs.items()} == {
            (currency, code): Decimal(item.amount_minor).scaleb(-MINOR_DIGITS[currency])
            for (currency, code), item in ours.items()
        }
        assert sum(isinstance(one, data.Transaction) for one in entries) == 8

    def test_it_would_complain_about_a_balance_that_is_not_so(self) -> None:
        books()

        written, _ = exported("journal", "beancount")
        _, errors, _ = loader.load_string(written.decode().replace("104.41 ~ 0", "104.42 ~ 0"))

        assert len(errors) == 1

    def test_two_customers_never_become_one_account(self) -> None:
        from reconciliation.services.exporting.beancount import account_name

        names = {
            account_name("2010", "Customer wallet", "", customer) for customer in ("a_b", "a-b", "a.b", "A-b", "ä-b")
        }

        assert len(names) == 5

    def test_whole_entries_are_not_narrowed_to_an_account(self) -> None:
        with pytest.raises(InvalidInput) as refused:
            exported("journal", "beancount", code="1110")

        assert refused.value.field == "code"


def _leaves(account):
    for child in account.values():
        yield from _leaves(child)
    if not account.balance.is_empty():
        yield account.account, account.balance


@committed
def test_a_report_that_does_not_come_so_is_refused() -> None:
    with pytest.raises(InvalidInput) as refused:
        exported("payments", "beancount")

    assert refused.value.field == "format"
