"""Is each thing that can be wrong with a row named, in the right column, and is a good row read exactly?"""

from __future__ import annotations

import pytest

from ledger.money import Money
from payments.services.batches.checking import CARD_SENTENCE, Checked, Checker
from payments.services.batches.files import Cell
from tests.payments.batches.sheets import CARD

GOOD = {"reference": "o-1", "amount": "12.34", "currency": "USD", "token": "tok_ok"}
ACCOUNTS = ("nmi", "stripe")


def check(**cells: str | Cell) -> Checked:
    """One row; what is not named is as in a good one."""
    row = GOOD | cells
    made = [cell if isinstance(cell, Cell) else Cell(cell) for cell in row.values()]
    return Checker(list(row), ACCOUNTS).check((2, made))


def problem(**cells: str | Cell) -> tuple[str, str]:
    """The one problem of a row."""
    (found,) = check(**cells).problems
    return found


class TestGoodRows:
    @pytest.mark.parametrize(
        ("amount", "currency", "minor"),
        [
            ("12.34", "USD", 1234),
            ("12.3", "USD", 1230),
            ("1200", "JPY", 1200),
            ("1.234", "KWD", 1234),
            ("0.00000001", "BTC", 1),
        ],
    )
    def test_amounts_are_exact(self, amount: str, currency: str, minor: int) -> None:
        row = check(amount=amount, currency=currency)

        assert (row.problems, row.money) == ([], Money(minor, currency))

    def test_numbers_of_a_workbook_are_taken_where_nothing_was_lost(self) -> None:
        row = check(amount=Cell("19.99", "number"), reference=Cell("100000000000001", "number"))

        assert (row.problems, row.money, row.reference) == ([], Money(1999, "USD"), "100000000000001")

    def test_every_cell_is_kept_as_text_also_what_looks_like_a_formula(self) -> None:
        row = check(payer_name="=cmd|' /C calc'!A0", description="+1")

        assert row.problems == []
        assert row.values["payer_name"] == "=cmd|' /C calc'!A0"

    def test_columns_of_a_file_of_results_are_left_aside(self) -> None:
        assert "outcome" not in check(outcome="failed", why="declined").values


class TestProblems:
    @pytest.mark.parametrize("column", ["reference", "amount", "currency"])
    def test_what_is_missing_is_named(self, column: str) -> None:
        found = check(**{column: ""}).problems

        assert found == [(column, f"The {column} is missing.")]

    @pytest.mark.parametrize(
        ("amount", "sentence"),
        [
            ("12,34", "12,34 has a comma, which may stand for decimals or thousands."),
            ("1,234", "1,234 has a comma, which may stand for decimals or thousands."),
            ("1,234.56", "1,234.56 has separators of thousands."),
            ("1.234,56", "1.234,56 has separators of thousands."),
            ("1.23E+15", "1.23E+15 is what a spreadsheet makes of a long number"),
            ("1,23E+15", "1,23E+15 is what a spreadsheet makes of a long number"),
            ("19.989999999", "19.989999999 is what a spreadsheet calculated"),
            ("0.30000000000000004", "0.30000000000000004 is what a spreadsheet calculated"),
            ("12.345", "'12.345' has 3 decimals, but USD has 2."),
            ("$12.34", "'$12.34' is not an amount"),
            ("#REF!", "'#REF!' is not an amount"),
            ("0.00", "The amount must be more than zero."),
            ("-5", "The amount must be more than zero."),
            ("99999999999999999999", "more than the books can hold"),
            ("NaN", "'NaN' is not an amount"),
            ("١٢", "is not an amount"),
        ],
    )
    def test_amounts_that_nobody_can_be_sure_of_are_refused(self, amount: str, sentence: str) -> None:
        column, said = problem(amount=amount)

        assert column == "amount"
        assert sentence in said

    @pytest.mark.parametrize(
        ("cell", "sentence"),
        [
            (Cell("2026-03-04 00:00:00", "date"), "made the date 2026-03-04 00:00:00 of this amount"),
            (Cell("1e+21", "number"), "1e+21 is what a spreadsheet makes of a long number"),
            (Cell("0.3333333333333333", "number"), "has 16 decimals, but USD has 2."),
            (Cell("TRUE", "boolean"), "TRUE is no amount."),
        ],
    )
    def test_amounts_that_a_spreadsheet_mangled_are_refused(self, cell: Cell, sentence: str) -> None:
        assert sentence in problem(amount=cell)[1]

    def test_decimals_are_judged_by_the_currency(self) -> None:
        assert problem(amount="12.5", currency="JPY") == ("amount", "'12.5' has 1 decimal, but JPY has none.")

    @pytest.mark.parametrize(
        ("currency", "sentence"),
        [("usd", "Write USD in capitals."), ("XXX", "There is no currency 'XXX'."), ("US", "no currency")],
    )
    def test_currencies_are_not_guessed(self, currency: str, sentence: str) -> None:
        column, said = problem(currency=currency)

        assert column == "currency"
        assert sentence in said

    @pytest.mark.parametrize(
        "cell",
        [
            Cell("1.23457E+15"),
            Cell("1234567890123456", "number"),
            Cell("1.5", "number"),
            Cell("2026-03-04", "date"),
            Cell("1e+20", "number"),
        ],
    )
    def test_references_that_a_spreadsheet_mangled_are_refused(self, cell: Cell) -> None:
        column, said = problem(reference=cell)

        assert column == "reference"
        assert "Format the column as text" in said

    def test_a_long_reference_typed_as_text_is_good(self) -> None:
        assert check(reference=Cell("1234567890123456789012")).problems == []

    def test_the_second_of_two_equal_references_names_the_first(self) -> None:
        checker = Checker(list(GOOD), ACCOUNTS)
        line = [Cell(text) for text in GOOD.values()]
        checker.check((2, line))

        assert checker.check((7, line)).problems == [("reference", "The same reference stands in line 2 already.")]

    @pytest.mark.parametrize(
        ("cells", "sentence"),
        [
            ({"token": ""}, "No column of this row says how the payer pays."),
            ({"payment_method": "pm_1"}, "token and payment_method are filled; one way to pay is possible."),
            ({"nmi": "vault-1"}, "token and nmi are filled; one way to pay is possible."),
            ({"token": "abc"}, "Several gateway accounts are set up"),
            (
                {"token": "", "nmi": "v", "gateway": "stripe"},
                "stripe has to take it, but its column holds no credential.",
            ),
            ({"capture": "later"}, "'later' is not possible; automatic or manual is."),
            ({"goods_class": "cash"}, "physical or digital or cash_like is."),
            ({"payer_email": "ada"}, "This is no e-mail address."),
            ({"payer_name": "a\u202eb"}, "a sign that cannot be seen"),
            ({"payer_name": "a\x00b"}, "a sign that cannot be seen"),
            ({"payer_name": "x" * 201}, "It has 201 signs; 200 are possible."),
            ({"reference": "x" * 101}, "It has 101 signs; 100 are possible."),
        ],
    )
    def test_other_columns_are_checked(self, cells: dict[str, str], sentence: str) -> None:
        assert sentence in problem(**cells)[1]


class TestCardNumbers:
    @pytest.mark.parametrize(
        "column", ["reference", "amount", "token", "payer_name", "description", "metadata.note", "outcome"]
    )
    def test_the_row_is_refused_and_nothing_of_it_is_kept_but_the_column(self, column: str) -> None:
        row = check(**{column: f"x {CARD} y"})

        assert row.problems == [(column, CARD_SENTENCE)]
        assert (row.values, row.reference, row.money) == ({}, "", None)

    def test_as_a_number_of_a_workbook_too(self) -> None:
        assert problem(amount=Cell("4111111111111111", "number")) == ("amount", CARD_SENTENCE)

    def test_and_its_reference_does_not_count_as_the_first_of_two(self) -> None:
        checker = Checker(list(GOOD), ACCOUNTS)
        checker.check((2, [Cell("o-1"), Cell(CARD), Cell("USD"), Cell("tok_ok")]))

        assert checker.check((3, [Cell(text) for text in GOOD.values()])).problems == []
