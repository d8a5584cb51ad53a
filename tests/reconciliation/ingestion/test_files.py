"""A file becomes lines that count once: repeated, overlapping, completed, restated or cut off."""

from __future__ import annotations

from datetime import date
from io import BytesIO

import pytest

from payments.errors import Forbidden, InvalidInput, NotFound
from payments.services.actors import Actor
from reconciliation.models import Line, LineChange, RejectedRow, Statement
from reconciliation.services.ingestion import ingest
from reconciliation.states import StatementState
from tests.reconciliation.ingestion.reports import (
    DAY,
    NOW,
    adds_up,
    api_report,
    balance_row,
    csv_file,
    gateway,
    lines,
    mapping,
    read,
    sale,
)

pytestmark = pytest.mark.django_db


def _changes() -> list[tuple[str, str, int]]:
    rows = LineChange.objects.order_by("line__line_key").select_related("line")
    return [(change.line.line_key, change.kind, change.net_difference_minor) for change in rows]


def test_a_file_becomes_lines_with_their_evidence():
    gateway()
    statement = read("acme", csv_file(sale(1), sale(2, Type="Refund", gross="-5.00", fee="", net="")), name="day.csv")
    assert (statement.lines_read, statement.lines_new, statement.complete) == (2, 2, True)
    assert (statement.starts_on, statement.ends_on, statement.mapping.number) == (DAY, DAY, 1)
    first, second = lines()
    assert (first.kind, first.net_minor, first.payout_id, first.raw["Gross"]) == ("charge", 970, "b1", "10.00")
    assert (second.kind, second.gross_minor, second.fee_minor, second.net_minor) == ("refund", -500, None, None)


def test_a_key_twice_in_one_file_counts_once_and_contradicts_itself_openly():
    gateway()
    statement = read("acme", csv_file(sale(1), sale(1), sale(1, gross="11.00", net="10.70"), sale(2)))
    assert (statement.lines_new, statement.lines_known, statement.lines_rejected) == (2, 1, 1)
    assert [line.gross_minor for line in lines()] == [1000, 1000]
    assert RejectedRow.objects.get().reason == "Line 1 has the same key and says something else."
    assert adds_up(statement)


def test_keys_known_before_may_contradict_themselves_in_a_later_file():
    gateway()
    read("acme", csv_file(sale(1)))
    statement = read("acme", csv_file(sale(1), sale(1, gross="11.00", net="10.70"), sale(1), sale(2)))
    assert (statement.lines_new, statement.lines_known, statement.lines_rejected, statement.lines_restated) == (
        1,
        2,
        1,
        0,
    )
    assert adds_up(statement)


def test_lines_without_a_key_are_counted_by_content():
    account = gateway()
    columns = {"gross": "Gross", "occurred_at": "Day", "currency": "Currency"}
    mapping(account, columns=columns, kinds={}, date_format="%Y-%m-%d")
    content = b"Day,Currency,Gross\n2026-11-20,USD,5.00\n2026-11-20,USD,5.00\n2026-11-20,USD,-2.00\n"
    assert read("acme", content).lines_new == 3
    overlapping = read("acme", content + b"2026-11-20,USD,5.00\n2026-11-21,USD,1.00\n")
    assert (overlapping.lines_known, overlapping.lines_new) == (3, 2)
    assert sum(line.gross_minor for line in lines()) == 1400


def test_a_restated_report_shows_what_changed_line_by_line():
    gateway()
    first = read("acme", csv_file(sale(1), sale(2), sale(3)))
    restated = read("acme", csv_file(sale(1), sale(2, fee="0.50", net="9.50"), sale(4)))
    assert (restated.lines_known, restated.lines_restated, restated.lines_new, restated.lines_removed) == (1, 1, 1, 1)
    assert restated.restates_id == first.pk
    assert Statement.objects.get(pk=first.pk).state == StatementState.SUPERSEDED
    assert _changes() == [("k2", "changed", -20), ("k3", "removed", -970), ("k4", "added", 970)]
    changed = LineChange.objects.get(kind="changed")
    assert (changed.before, changed.after) == ({"fee_minor": 30, "net_minor": 970}, {"fee_minor": 50, "net_minor": 950})
    second, third = Line.objects.get(line_key="k2"), Line.objects.get(line_key="k3")
    assert (second.fee_minor, second.revision, second.statement_id) == (50, 1, restated.pk)
    assert third.removed
    assert adds_up(restated)


def test_a_line_that_comes_back_counts_again():
    gateway()
    for rows in ((1, 2, 3), (1, 2), (1, 2, 3, 4)):
        read("acme", csv_file(*map(sale, rows)))
    assert [line.removed for line in lines()] == [False] * 4
    assert _changes()[-1] == ("k4", "added", 970)
    assert [change[1:] for change in _changes() if change[0] == "k3"] == [("removed", -970), ("added", 970)]


def test_another_part_of_the_day_takes_nothing_away():
    gateway()
    read("acme", csv_file(sale(1), sale(2), sale(3)))
    other = read("acme", csv_file(sale(3), sale(4)))
    assert (other.lines_removed, other.restates_id) == (0, None)


def test_an_incomplete_report_takes_nothing_away():
    account = gateway()
    mapping(account, total_row="Total", columns=account.mappings.get().columns | {"gross": "Gross"})
    total = "Total,,USD,{},,,,,,"
    read("acme", csv_file(sale(1), sale(2), sale(3), total.format("30.00")))
    cut = read("acme", csv_file(sale(1), sale(2), total.format("30.00")))
    assert (cut.complete, cut.lines_removed) == (False, 0)
    assert cut.incomplete_because == "Its sum of gross is 30.00 USD, but its lines add up to 20.00 USD."


def test_a_report_that_is_not_closed_promises_nothing():
    gateway()
    read("acme", csv_file(sale(1)), closed=False)
    final = read("acme", csv_file(sale(1, fee="0.40", net="9.60")))
    assert (final.lines_completed, final.lines_restated) == (1, 0)
    late = read("acme", csv_file(sale(1, fee="0.90", net="9.10")), closed=False)
    assert (late.lines_known, late.lines_restated) == (1, 0)
    assert lines()[0].fee_minor == 40


def test_a_file_read_again_another_way_takes_back_what_was_misread():
    account = gateway()
    columns = {"gross": "Gross", "occurred_at": "Day", "currency": "Currency"}
    mapping(account, columns=columns, kinds={}, date_format="%Y-%m-%d", decimal_mark="")
    content = b"Day,Currency,Gross\n2026-11-20,USD,500\n"
    read("acme", content)
    mapping(account, columns=columns, kinds={}, date_format="%Y-%m-%d")
    again = read("acme", content)
    assert (again.lines_new, again.lines_removed) == (1, 1)
    assert sorted((line.gross_minor, line.removed) for line in lines()) == [(500, True), (50_000, False)]


def test_a_whole_report_takes_the_place_of_a_part_of_it():
    gateway("acme", source="stripe_balance")
    part = read("acme", api_report([balance_row(1)], incomplete="Page 2 did not answer."), starts_on=DAY, ends_on=DAY)
    whole = read("acme", api_report([balance_row(1), balance_row(2)]), starts_on=DAY, ends_on=DAY)
    assert whole.restates_id == part.pk
    assert not LineChange.objects.exists()


def test_two_formats_of_one_day_complete_each_other():
    account = gateway("nmi", source="nmi_window")
    columns = {"line_key": "{Id}:{kind}", "gateway_id": "Id", "kind": "Type", "gross": "Gross", "fee": "Fee"}
    mapping(
        account,
        columns=columns | {"currency": "Currency", "occurred_at": "Day"},
        kinds={"Sale": "charge"},
        date_format="%Y-%m-%d",
    )
    action = {"action_type": "sale", "amount": "10.00", "date": "20261120120000", "success": True, "batch_id": ""}
    settle = action | {"action_type": "settle", "date": "20261120220000", "batch_id": "77"}
    row = {
        "object": "transaction",
        "transaction_id": "17",
        "order_id": "att_1",
        "condition": "complete",
        "currency": "USD",
    }
    read("nmi", api_report([row | {"actions": [action, settle]}]))
    statement = read("nmi", b"Id,Type,Currency,Gross,Fee,Day\n17,Sale,USD,10.00,0.29,2026-11-20\n", source="csv_mapped")
    assert (statement.lines_completed, statement.lines_restated, statement.lines_new) == (1, 0, 0)
    (line,) = lines("nmi")
    assert (line.line_key, line.reference, line.payout_id, line.fee_minor, line.net_minor) == (
        "17:charge",
        "att_1",
        "77",
        29,
        971,
    )
    assert line.occurred_at.hour == 22
    assert line.raw["order_id"] == "att_1" and line.raw["Fee"] == "0.29"


def test_the_same_file_is_read_again_once_its_mapping_is_mended():
    account = gateway()
    content = csv_file(sale(1), sale(2, Type="Auto"))
    assert read("acme", content).lines_rejected == 1
    mapping(account, kinds={"Sale": "charge", "Auto": "charge"})
    first = Statement.objects.get()
    mended = read("acme", content)
    assert mended.restates_id == first.pk
    assert Statement.objects.get(pk=first.pk).state == StatementState.SUPERSEDED
    assert (mended.lines_new, mended.lines_known, mended.lines_rejected) == (1, 1, 0)
    assert read("acme", content).pk == mended.pk


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "The file is empty."),
        (csv_file(), "The file holds no line: say which days it covers."),
        (csv_file(sale(1)).replace(b",", b";"), "Is the delimiter ',' right?"),
        (csv_file(sale(1)) + "é".encode("cp1252"), "is not in utf-8-sig"),
        (b"x" * 3_000_000, "longer than 1024 KB"),
    ],
)
def test_a_file_that_can_not_be_read_is_kept_as_refused_with_the_sentence(content, sentence):
    gateway()
    statement = read("acme", content)
    assert statement.state == StatementState.REFUSED
    assert sentence in statement.refused_because
    assert not Line.objects.exists()
    assert not RejectedRow.objects.exists()


def test_a_quiet_day_is_a_report_if_somebody_says_which_day():
    gateway()
    statement = read("acme", csv_file(), starts_on=DAY, ends_on=DAY)
    assert (statement.state, statement.complete, statement.lines_read) == (StatementState.READ, True, 0)


def test_a_file_whose_every_line_is_rejected_is_incomplete():
    gateway()
    statement = read("acme", csv_file(sale(1, gross="1x")), starts_on=DAY, ends_on=DAY)
    assert (statement.complete, statement.lines_rejected) == (False, 1)
    assert statement.incomplete_because == "Every line was rejected: does the mapping fit this file?"


def test_currencies_the_account_does_not_settle_in_are_rejected():
    gateway(currencies=["EUR"])
    statement = read("acme", csv_file(sale(1), sale(2, Currency="EUR")))
    assert (statement.lines_new, statement.lines_rejected) == (1, 1)
    assert RejectedRow.objects.get().reason == "It is in USD; this account settles in EUR."


def test_lines_before_the_books_began_are_kept():
    gateway(books_start_on=date(2026, 12, 1))
    assert read("acme", csv_file(sale(1))).lines_new == 1


def test_card_numbers_are_never_kept():
    account = gateway()
    mapping(account, columns=account.mappings.get().columns | {"text": "Note"})
    heading = "Id,Type,Currency,Gross,Fee,Net,Time,Transaction,Order,Batch,Note"
    card = "4111 1111 1111 1111"
    content = csv_file(f"{sale(1)},paid with {card}", f"{sale(2, Order=card)},", heading=heading)
    statement = read("acme", content, name=f"{card}.csv")
    assert (statement.lines_new, statement.lines_rejected) == (1, 1)
    (line,), (row,) = lines(), RejectedRow.objects.all()
    assert (line.text, line.raw["Note"], row.raw["Order"]) == (
        "paid with [card number]",
        "paid with [card number]",
        "[card number]",
    )
    assert row.reason == "What identifies it looks like a card number: the line was not kept."
    assert statement.name == "[card number].csv"


def test_odd_characters_survive_or_are_refused():
    account = gateway()
    mapping(account, columns=account.mappings.get().columns | {"text": "Note"})
    heading = "Id,Type,Currency,Gross,Fee,Net,Time,Transaction,Order,Batch,Note"
    named_oddly = sale(2, Order="o\x002")
    content = csv_file(f'{sale(1)},"a\\N\tb\n\\. ""c"" \x01"', f"{named_oddly},", f"{sale(3)},\x01", heading=heading)
    statement = read("acme", content)
    assert (statement.lines_new, statement.lines_rejected) == (2, 1)
    assert [line.text for line in lines()] == ['a\\N b \\. "c"  ', " "]
    assert lines()[0].raw["Note"] == 'a\\N\tb\n\\. "c" \x01'
    assert RejectedRow.objects.get().reason == "What identifies it holds control characters."


def test_a_day_is_the_accounts_day():
    gateway(time_zone="America/New_York")
    statement = read("acme", csv_file(sale(1, Time="2026-11-20 23:30:00")))
    (line,) = lines()
    assert (line.day, line.occurred_at.day, statement.time_zone) == (DAY, 21, "America/New_York")


def test_only_whoever_may_run_comparisons_reads_reports():
    gateway()
    with pytest.raises(Forbidden):
        ingest("acme", BytesIO(csv_file(sale(1))), name="x", actor=Actor("kim"), now=NOW)
    assert not Statement.objects.exists()


def test_nonsense_about_a_report_is_said_by_field():
    gateway()
    gateway("bare", source="camt053")
    with pytest.raises(NotFound, match="There are: acme, bare"):
        read("nobody", b"x")
    for fields in ({"source": "pdf"}, {"starts_on": DAY}, {"starts_on": DAY, "ends_on": date(2026, 11, 1)}):
        with pytest.raises(InvalidInput):
            read("acme", b"x", **fields)
    with pytest.raises(InvalidInput, match="no column mapping yet"):
        read("bare", b"x", source="csv_mapped")
