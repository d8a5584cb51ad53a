"""Can a parameter or a name break out of a report's query or file?"""

from __future__ import annotations

import csv
import io
from datetime import date

import pytest
from beancount import loader
from openpyxl import load_workbook

from ledger.drafts import credit, debit
from ledger.money import Money
from payments.errors import InvalidInput
from reconciliation.reports.parameters import read_parameters
from reconciliation.reports.registry import REPORTS
from tests.ledger.books import capture, entry, post, sales, wallet
from tests.reconciliation.reports.books import exported

pytestmark = pytest.mark.django_db(transaction=True)
WORST = (
    "x'; DROP TABLE ledger_posting; --",
    "%s %(code)s %%",
    "' OR 1=1 --",
    "$$x$$",
    "\\' OR TRUE --",
    '"; --',
    "{0}",
    "x" * 200,
)
PAYEES = (
    '=HYPERLINK("http://x")',
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    'a"\n2026-01-01 open Assets:X\n',
    "a\\",
    '"',
    'a\u20282026-01-01 * "x"',
    "=1;=2",
    "a\x1f=1",
    "x'; DROP TABLE ledger_posting; --",
)
WRITTEN = ("subject", "description", "actor", "customer")
RUN = ("=", "+", "-", "@", "\t", "\r", "\n")


@pytest.mark.parametrize("text", WORST)
def test_a_text_parameter_is_a_value_in_every_format(text: str) -> None:
    post(capture("mov_1"))
    for kind in ("csv", "xlsx"):
        assert exported("account_statement", kind=kind, code="2010", customer=text)[1]["rows"] == 0
    assert exported("journal")[1]["rows"] == 2


def test_parameters_that_are_none_are_refused() -> None:
    report = {one.name: one for one in REPORTS.values()}["account_statement"]
    today = date(2026, 3, 10)
    for raw in (
        {"code": "2010", "customer": "x" * 201}, {"code": "2010 OR 1=1"}, {"code": "2010", "customer": "a\0b"},
        {"code": "2010", "day; --": "1"}, {"code": "2010", "from": "9" * 10_000}, {"code": "2010", "currency": "USD' OR '1"},
    ):  # fmt: skip
        with pytest.raises(InvalidInput):
            read_parameters(report, raw, today)


@pytest.mark.parametrize("payee", PAYEES)
def test_what_a_payee_is_called_runs_nowhere(payee: str) -> None:
    money = Money(1234, "USD")
    plain = payee if payee.isprintable() else "cus_1"  # control characters are refused as names
    lines = debit(sales(), money), credit(wallet(plain), money)
    post(entry("e1", *lines, subject=plain, description=payee, actor=plain))
    rows = list(csv.DictReader(io.StringIO(exported("journal")[0].decode(), newline="")))
    assert len(rows) == 2
    assert not [row[name] for row in rows for name in WRITTEN if row[name].startswith(RUN)]
    sheet = load_workbook(io.BytesIO(exported("journal", kind="xlsx")[0])).active
    assert sheet.max_row == 3
    assert {cell.data_type for row in sheet.iter_rows(min_row=2) for cell in row} <= {"s", "n", "d"}
    entries, errors, _ = loader.load_string(exported("journal", kind="beancount")[0].decode())
    assert not errors
    assert sum(type(one).__name__ == "Transaction" for one in entries) == 1
