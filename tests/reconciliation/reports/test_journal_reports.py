"""Do the reports of the books say exactly what was booked? A small book made by hand, every cell."""

from __future__ import annotations

import pytest

from payments.errors import InvalidInput, NotFound
from tests.ledger.books import NOON
from tests.reconciliation.reports.books import books, exported, rows_of

pytestmark = pytest.mark.django_db(transaction=True)


def shape(rows: list[dict[str, str]], *names: str) -> list[tuple[str, ...]]:
    return [tuple(row[name] for name in names) for row in rows]


def test_the_journal_has_debit_and_credit_columns_with_each_currencys_decimals() -> None:
    books()

    rows = rows_of("journal", to="2026-03-10")

    assert sorted(shape(rows, "source_key", "code", "currency", "debit", "credit")) == [
        ("fee_1", "1110", "USD", "", "0.59"),
        ("fee_1", "5010", "USD", "0.59", ""),
        ("mov_1", "1110", "USD", "123.45", ""),
        ("mov_1", "2020", "USD", "", "123.45"),
        ("mov_2", "1110", "JPY", "1200", ""),
        ("mov_2", "2020", "JPY", "", "1200"),
        ("mov_3", "1110", "KWD", "1.234", ""),
        ("mov_3", "2020", "KWD", "", "1.234"),
        ("mov_4", "1110", "BTC", "0.00000001", ""),
        ("mov_4", "2020", "BTC", "", "0.00000001"),
    ]


def test_a_posting_carries_its_entry_its_times_and_the_original_payment() -> None:
    books()

    refund = next(row for row in rows_of("journal", from_="2026-03-11") if row["source_key"] == "mov_5")

    assert refund["subject"] == "pay_1"
    assert refund["entry"].startswith("je_")
    assert (refund["booked_on"], refund["occurred_at"]) == ("2026-03-11", "2026-03-11T12:00:00Z")
    assert (refund["name"], refund["gateway"], refund["actor"]) == ("Sales clearing", "", "olga")


@pytest.mark.parametrize(
    ("narrowed", "keys"),
    [
        ({"from_": "2026-03-11"}, {"mov_5", "mov_6"}),
        ({"currency": "KWD"}, {"mov_3"}),
        ({"code": "5010"}, {"fee_1"}),
        ({"account": "stripe"}, set()),
    ],
)
def test_the_journal_is_narrowed(narrowed: dict[str, str], keys: set[str]) -> None:
    books()

    assert {row["source_key"] for row in rows_of("journal", **narrowed)} == keys


def test_the_trial_balance_balances_in_every_currency() -> None:
    books()

    rows = rows_of("trial_balance", currency="USD")

    assert shape(rows, "code", "gateway", "memo", "debit_turnover", "credit_turnover", "debit", "credit") == [
        ("1110", "nmi", "no", "128.45", "24.04", "104.41", "0.00"),
        ("2010", "", "no", "0.00", "5.00", "0.00", "5.00"),
        ("2020", "", "no", "23.45", "123.45", "0.00", "100.00"),
        ("5010", "nmi", "no", "0.59", "0.00", "0.59", "0.00"),
    ]


def test_the_trial_balance_is_as_of_a_day() -> None:
    books()

    rows = rows_of("trial_balance", currency="USD", day="2026-03-10")

    assert shape(rows, "code", "debit", "credit") == [
        ("1110", "122.86", "0.00"),
        ("2020", "0.00", "123.45"),
        ("5010", "0.59", "0.00"),
    ]


def test_control_totals_are_sums_of_the_file_by_currency() -> None:
    books()

    _, manifest = exported("journal")

    assert manifest["rows"] == 14
    assert manifest["totals"] == {
        "BTC": {"rows": "2", "debit": "0.00000001", "credit": "0.00000001"},
        "JPY": {"rows": "2", "debit": "1200", "credit": "1200"},
        "KWD": {"rows": "2", "debit": "1.234", "credit": "1.234"},
        "USD": {"rows": "8", "debit": "152.49", "credit": "152.49"},
    }


def test_open_items_are_what_does_not_come_to_zero_with_its_age() -> None:
    books()

    rows = rows_of("open_items", currency="USD", day="2026-03-15")

    assert sorted(shape(rows, "code", "item", "since", "age_days", "debit", "credit")) == [
        ("1110", "pay_1", "2026-03-10", "5", "100.00", ""),
        ("1110", "pay_6", "2026-03-11", "4", "5.00", ""),
        ("1110", "po_1", "2026-03-10", "5", "", "0.59"),
    ]


def test_an_account_statement_runs_from_opening_to_closing_balance() -> None:
    books()

    rows = rows_of("account_statement", code="2020", currency="USD", from_="2026-03-11", to="2026-03-12")

    assert shape(rows, "booked_on", "description", "debit", "credit", "balance") == [
        ("2026-03-11", "Opening balance", "", "", "-123.45"),
        ("2026-03-11", "'=HYPERLINK(\"http://127.0.0.1/\";'x')", "23.45", "", "-100.00"),
        ("2026-03-12", "Closing balance", "", "", "-100.00"),
    ]


def test_an_amount_beyond_what_a_float_holds_keeps_every_digit() -> None:
    from tests.ledger.books import capture, post

    post(capture("mov_big", 9_007_199_254_740_993, at=NOON))

    assert {row["debit"] or row["credit"] for row in rows_of("journal")} == {"90071992547409.93"}


@pytest.mark.parametrize(
    ("name", "raw", "field"),
    [
        ("journal", {"day": "2026-03-10"}, "day"),
        ("journal", {"from_": "10.3.2026"}, "from"),
        ("journal", {"from_": "2026-03-11", "to": "2026-03-10"}, "to"),
        ("journal", {"currency": "usd"}, "currency"),
        ("journal", {"code": "9999"}, "code"),
        ("account_statement", {}, "code"),
        ("payments", {"state": "lost"}, "state"),
        ("fees", {"claim": "perhaps"}, "claim"),
        ("journal", {"account": "a\nb"}, "account"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(name: str, raw: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        exported(name, **raw)

    assert refused.value.field == field


def test_a_report_there_is_not_names_those_there_are() -> None:
    with pytest.raises(NotFound, match="trial_balance"):
        exported("profit")
