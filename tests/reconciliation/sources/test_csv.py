"""CSV is read by its mapping, strictly: what does not fit is rejected or refused with a sentence, never guessed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from io import BytesIO

import pytest

from reconciliation.errors import UnreadableStatement
from reconciliation.lines import ControlTotal, RejectedLine, StatementLine
from reconciliation.sources.base import Columns, Reading
from reconciliation.sources.csv_mapped import CSV_MAPPED
from reconciliation.states import LineKind

COLUMNS = Columns(
    columns={
        "line_key": "Id",
        "kind": "Type",
        "currency": "Cur",
        "gross": "Gross",
        "fee": "Fee",
        "net": "Net",
        "occurred_at": "Day",
    },
    kinds={"Sale": "charge", "Refund": "refund", "Fee": "fee", "Payout": "payout"},
    date_format="%Y-%m-%d",
)
HEADING = "Id,Type,Cur,Gross,Fee,Net,Day"


def _read(text: str | bytes, columns: Columns = COLUMNS, **fields):
    content = text if isinstance(text, bytes) else text.encode()
    return list(CSV_MAPPED.read(BytesIO(content), Reading(columns=columns, **fields)))


def _line(row: str, columns: Columns = COLUMNS, heading: str = HEADING, **fields) -> StatementLine:
    (found,) = _read(f"{heading}\n{row}\n", columns, **fields)
    assert isinstance(found, StatementLine), found
    return found


def _reason(row: str, columns: Columns = COLUMNS, heading: str = HEADING) -> str:
    (found,) = _read(f"{heading}\n{row}\n", columns)
    assert isinstance(found, RejectedLine), found
    return found.reason


def test_a_line_says_what_its_cells_say():
    line = _line("k1,Sale,USD,10.00,0.30,9.70,2026-11-20")
    assert (line.line_key, line.kind, line.currency, line.number) == ("k1", LineKind.CHARGE, "USD", 1)
    assert (line.gross_minor, line.fee_minor, line.tax_minor, line.net_minor) == (1000, 30, None, 970)
    assert line.raw == {
        "Id": "k1",
        "Type": "Sale",
        "Cur": "USD",
        "Gross": "10.00",
        "Fee": "0.30",
        "Net": "9.70",
        "Day": "2026-11-20",
    }


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("k1,Sale,USD,10,5,0.30,9.70,2026-11-20", "It has 8 cells, the heading 7."),
        ("k1,Sale,USD,\"10,50\",0.30,9.70,2026-11-20", "Gross: '10,50' is no amount with '.' before decimals."),
        ("k1,Sale,USD,10.005,0.30,9.70,2026-11-20", "Gross: '10.005' has 3 decimals, but USD has 2."),
        ("k1,Sale,JPY,10.5,,,2026-11-20", "Gross: '10.5' has 1 decimals, but JPY has none."),
        ("k1,Sale,USD,,0.30,9.70,2026-11-20", "The gross amount is empty."),
        ("k1,Sale,USD,1e3,,,2026-11-20", "Gross: '1e3' is no amount with '.' before decimals."),
        ("k1,Sale,USD,NaN,,,2026-11-20", "Gross: 'NaN' is no amount with '.' before decimals."),
        ("k1,Sale,USD,99999999999999999999,,,2026-11-20", "Gross: '99999999999999999999' is more than the books can hold."),
        ("k1,Sale,XXX,10.00,,,2026-11-20", "Currency 'XXX' is in no table."),
        ("k1,Sale,,10.00,,,2026-11-20", "No currency is named."),
        ("k1,Gift,USD,10.00,,,2026-11-20", "The kind 'Gift' is not in the mapping."),
        ("k1,Sale,USD,10.00,0.30,9.00,2026-11-20", "Net 900 is not gross 1000 less fee 30 and tax 0, in minor units."),
        ("k1,Sale,USD,10.00,,,20.11.2026", "'20.11.2026' is no time of the form '%Y-%m-%d'."),
        ("k1,Sale,USD,10.00,,,", "The time is empty."),
        ("k1,Refund,USD,10.00,,,2026-11-20", "A refund is above zero here; the mapping says that they have a minus."),
        (",Sale,USD,10.00,,,2026-11-20", "What identifies the line is empty."),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_rejected_and_says_why(row, reason):
    assert _reason(row) == reason


@pytest.mark.parametrize(
    ("currency", "text", "minor"),
    [("USD", "10", 1000), ("USD", "10.5", 1050), ("JPY", "1200", 1200), ("KWD", "1.234", 1234), ("USD", "0", 0),
     ("USD", "-7.00", -700),
     ("USD", "−7.00", -700), ("USD", "92233720368547758.07", 2**63 - 1)],
)  # fmt: skip
def test_amounts_keep_the_decimals_of_their_currency(currency, text, minor):
    assert _line(f"k1,Sale,{currency},{text},,,2026-11-20").gross_minor == minor


def test_marks_of_amounts_are_those_of_the_mapping():
    columns = replace(COLUMNS, delimiter=";", decimal_mark=",", thousands_mark=".")
    heading = HEADING.replace(",", ";")
    assert _line("k1;Sale;EUR;1.234,50;;;2026-11-20", columns, heading).gross_minor == 123_450
    assert "is no amount" in _reason("k1;Sale;EUR;1234.50;;;2026-11-20", columns, heading)
    assert "is no amount" in _reason("k1;Sale;EUR;12.34,50;;;2026-11-20", columns, heading)


def test_without_a_decimal_mark_amounts_are_minor_units():
    assert _line("k1,Sale,USD,1050,,,2026-11-20", replace(COLUMNS, decimal_mark="")).gross_minor == 1050


def test_debits_without_a_minus_are_turned():
    columns = replace(COLUMNS, debits_positive=True)
    refund = _line("k1,Refund,USD,10.00,0.30,10.30,2026-11-20", columns)
    assert (refund.gross_minor, refund.fee_minor, refund.net_minor) == (-1000, 30, -1030)
    assert _line("k1,Payout,USD,10.00,,,2026-11-20", columns).net_minor == -1000
    assert "has a minus here" in _reason("k1,Refund,USD,-10.00,,,2026-11-20", columns)


def test_fees_with_a_minus_take_away():
    line = _line("k1,Sale,USD,10.00,-0.30,9.70,2026-11-20", replace(COLUMNS, fees_negative=True))
    assert (line.fee_minor, line.net_minor) == (30, 970)


def test_what_is_not_told_is_unknown_and_what_follows_is_worked_out():
    gross_alone = _line("k1,Sale,USD,10.00,,,2026-11-20")
    assert (gross_alone.fee_minor, gross_alone.net_minor) == (None, None)
    assert _line("k1,Sale,USD,10.00,0.30,,2026-11-20").net_minor == 970
    assert _line("k1,Sale,USD,10.00,,9.70,2026-11-20").fee_minor == 30


def test_a_key_can_be_put_together():
    columns = replace(COLUMNS, columns=COLUMNS.columns | {"line_key": "{Id}:{kind}", "gateway_id": "Id"})
    line = _line("17,Sale,USD,10.00,,,2026-11-20", columns)
    assert (line.line_key, line.gateway_id) == ("17:charge", "17")


def test_debit_and_credit_columns_make_the_sign():
    columns = Columns(columns={"debit": "Out", "credit": "In", "occurred_at": "Day"}, date_format="%d.%m.%Y")
    rows = _read("Day,Out,In\n20.11.2026,,5.00\n20.11.2026,2.00,\n20.11.2026,2.00,1.00\n", columns, currency="EUR")
    assert [(row.kind, row.gross_minor, row.net_minor) for row in rows[:2]] == [
        ("bank_credit", 500, 500),
        ("bank_debit", -200, -200),
    ]
    assert rows[2].reason == "One of debit and credit has to hold an amount, without a sign."


def test_presentment_money_keeps_its_own_decimals():
    columns = replace(
        COLUMNS, columns=COLUMNS.columns | {"presentment": "Paid", "presentment_currency": "In", "rate": "Rate"}
    )
    line = _line("k1,Sale,USD,10.00,,,2026-11-20,1500,JPY,0.00667", columns, f"{HEADING},Paid,In,Rate")
    assert (line.presentment_minor, line.presentment_currency, line.rate) == (1500, "JPY", Decimal("0.00667"))


def test_a_row_of_totals_is_control_and_no_line():
    columns = replace(COLUMNS, columns=COLUMNS.columns | {"count": "Id2"}, total_row="Total")
    items = _read(f"{HEADING},Id2\nk1,Sale,USD,10.00,0.30,9.70,2026-11-20,\nTotal,,USD,10.00,0.30,9.70,,1\n", columns)
    assert items[1:] == [
        ControlTotal("gross", 1000, "USD"), ControlTotal("fee", 30, "USD"), ControlTotal("net", 970, "USD"),
        ControlTotal("lines", 1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "no heading line"),
        (HEADING.replace(",", ";").encode(), "Is the delimiter ',' right?"),
        (f"{HEADING},Id\n".encode(), "has the column 'Id' twice"),
        ((HEADING + "\nk1,Sal\u00e9,USD,1,,,2026-11-20").encode("cp1252"), "is not in utf-8-sig: byte"),
        (f'{HEADING}\n"k1,Sale'.encode(), "is no CSV"),
        (b"x" * 3_000_000, "longer than 1024 KB"),
        (HEADING.encode("utf-16"), "is not in utf-8-sig"),
    ],
)
def test_a_file_that_is_something_else_is_refused(content, sentence):
    with pytest.raises(UnreadableStatement, match=sentence.replace("?", r"\?")):
        _read(content)


def test_a_file_without_its_totals_was_cut_off():
    with pytest.raises(UnreadableStatement, match="without its row of totals"):
        _read(f"{HEADING}\nk1,Sale,USD,10.00,,,2026-11-20\n", replace(COLUMNS, total_row="Total"))


def test_byte_order_mark_and_mixed_line_ends_are_nothing():
    content = (
        b"\xef\xbb\xbf" + f"{HEADING}\r\nk1,Sale,USD,1.00,,,2026-11-20\nk2,Sale,USD,2.00,,,2026-11-20\r\r\n\n".encode()
    )
    assert [line.gross_minor for line in _read(content)] == [100, 200]
    assert _read(content, replace(COLUMNS, encoding="utf-8"))[0].line_key == "k1"


def test_other_encodings_are_read_as_the_mapping_says():
    columns = replace(COLUMNS, encoding="cp1252", columns=COLUMNS.columns | {"text": "Über"})
    items = _read(f"{HEADING},Über\nk1,Sale,USD,1.00,,,2026-11-20,Café\n".encode("cp1252"), columns)
    assert items[0].text == "Café"


def test_days_are_read_beside_times():
    columns = replace(COLUMNS, columns=COLUMNS.columns | {"available_on": "Due"}, date_format="%d.%m.%Y %H:%M:%S")
    line = _line("k1,Sale,USD,1.00,,,20.11.2026 09:30:00,22.11.2026", columns, f"{HEADING},Due")
    assert line.available_on == date(2026, 11, 22)


def test_nul_and_formulas_stay_text():
    (line,) = _read(f"{HEADING}\n=1+1\x00,Gift,USD,1.00,,,2026-11-20\n")
    assert line.raw["Id"] == "=1+1␀"
