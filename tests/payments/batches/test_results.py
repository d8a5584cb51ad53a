"""Are files of results complete, safe to open in a spreadsheet, and readable as an upload again?"""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from openpyxl import load_workbook

from payments.models import Batch, Payment
from payments.services.accounts import ensure_gateway_account
from payments.services.batches.files import FORMULA_SIGNS
from payments.services.batches.reading import read_table
from payments.services.batches.results import RESULT_HEADINGS, results_file, safe, template_file
from tests.payments.batches.sheets import csv_file, order
from tests.payments.batches.uploads import run_rounds, started, uploaded
from tests.payments.factories import Clock, nmi_account

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def account() -> None:
    nmi_account()


def csv_rows(batch: Batch) -> list[dict[str, str]]:
    content = b"".join(results_file(batch.public_id, "csv")).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(content)))


def xlsx_rows(batch: Batch) -> list[tuple[Any, ...]]:
    content = io.BytesIO(b"".join(results_file(batch.public_id, "xlsx")))
    return list(load_workbook(content).worksheets[0].iter_rows(values_only=True))


def test_every_row_says_what_became_of_it(clock: Clock) -> None:
    batch = run_rounds(started(clock, file=csv_file(order("a"), order("b", "x"), order("c", "1200", "JPY"))), clock)
    first, second = Payment.objects.order_by("id")

    rows = csv_rows(batch)

    assert tuple(rows[0]) == RESULT_HEADINGS
    assert [(row["line"], row["reference"], row["amount"], row["currency"], row["outcome"]) for row in rows] == [
        ("2", "a", "12.34", "USD", "begun"), ("3", "b", "x", "USD", "bad"), ("4", "c", "1200", "JPY", "begun"),
    ]  # fmt: skip
    assert [row["payment"] for row in rows] == [first.public_id, "", second.public_id]
    assert "amount: 'x' is not an amount" in rows[1]["why"]


def test_amounts_in_the_workbook_are_exact_numbers(clock: Clock) -> None:
    batch = uploaded(clock, file=csv_file(order("a", "19.99"), order("b", "92233720368547758.07", "EUR")))

    rows = xlsx_rows(batch)

    assert rows[0] == RESULT_HEADINGS
    assert [row[2] for row in rows[1:]] == [19.99, "92233720368547758.07"]


@pytest.mark.parametrize("sign", FORMULA_SIGNS)
def test_nothing_in_a_file_is_run_as_a_formula(clock: Clock, sign: str) -> None:
    reference = f"{sign}2+5|cmd"
    batch = uploaded(clock, "x")
    batch.rows.update(reference=reference)

    assert csv_rows(batch)[0]["reference"] == f"'{reference}"
    content = io.BytesIO(b"".join(results_file(batch.public_id, "xlsx")))
    cell = load_workbook(content).worksheets[0]["B2"]
    assert cell.data_type == "s"
    assert not str(cell.value).startswith(FORMULA_SIGNS)


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_results_are_read_again_with_the_references_they_came_with(clock: Clock, kind: str) -> None:
    references = ["=1+1", "+49", "-x", "@a", "plain", "0012", "1" * 22]
    batch = uploaded(clock, *references)
    assert batch.rows_bad == 0

    again = io.BytesIO(b"".join(results_file(batch.public_id, kind)))
    headings = [*RESULT_HEADINGS, "token"]
    table = read_table(f"r.{kind}", _with_token_column(again, kind), {"nmi"})

    assert table.headings == headings
    assert [cells[1].text for _, cells in table.lines] == references


def _with_token_column(file: io.BytesIO, kind: str) -> io.BytesIO:
    """Results carry no credential: whoever sends them again adds one."""
    if kind == "csv":
        lines = file.getvalue().decode("utf-8-sig").splitlines()
        return io.BytesIO("\n".join([f"{lines[0]},token", *(f"{line},tok_ok" for line in lines[1:])]).encode())
    book = load_workbook(file)
    for at, row in enumerate(book.worksheets[0].iter_rows(), start=1):
        book.worksheets[0].cell(at, len(row) + 1, "token" if at == 1 else "tok_ok")
    made = io.BytesIO()
    book.save(made)
    made.seek(0)
    return made


def test_a_payers_text_is_told_apart_from_an_escaped_one() -> None:
    assert safe("plain") == "plain"
    assert safe("=1") == "'=1"


class TestTheTemplate:
    @pytest.mark.parametrize("kind", ["csv", "xlsx"])
    def test_has_a_column_for_each_gateway_account_and_can_be_filled_in(self, clock: Clock, kind: str) -> None:
        ensure_gateway_account("second", "nmi", "Second")
        content = b"".join(template_file(kind))
        if kind == "csv":
            headings = content.decode("utf-8-sig").strip().split(",")
        else:
            book = load_workbook(io.BytesIO(content))
            headings = [str(cell.value) for cell in book.worksheets[0][1]]
            assert book.worksheets[1].title == "Explanations"
            assert any("no second one is made" in str(row[2]) for row in book.worksheets[1].values)

        assert headings[:3] == ["reference", "amount", "currency"]
        assert headings[-2:] == ["nmi", "second"]
        batch = uploaded(
            clock, file=csv_file(["a", "1.00", "USD", *[""] * (len(headings) - 4), "v"], headings=headings)
        )
        assert batch.rows_bad == 0, list(batch.rows.values("problems"))
