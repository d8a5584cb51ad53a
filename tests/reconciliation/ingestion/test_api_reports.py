"""What gateways tell by API becomes lines: once each, whole or said not to be."""

import pytest

from reconciliation.models import LineChange, RejectedRow, Statement
from reconciliation.states import StatementState
from tests.reconciliation.ingestion.reports import DAY, adds_up, api_report, balance_row, gateway, lines, read

pytestmark = pytest.mark.django_db


def test_balance_transactions_become_lines_of_the_account():
    gateway(source="stripe_balance")
    statement = read("acme", api_report([balance_row(1), balance_row(2)]))
    assert (statement.state, statement.complete, statement.lines_new) == (StatementState.READ, True, 2)
    assert (statement.starts_on, statement.ends_on) == (DAY, DAY)
    first = lines()[0]
    assert (first.line_key, first.kind, first.gateway_id, first.reference) == ("txn_1", "charge", "ch_1", "att_1")
    assert (first.gross_minor, first.fee_minor, first.tax_minor, first.net_minor) == (1000, 59, 0, 941)
    assert first.day == DAY
    assert statement.totals == {"USD": {"lines": 2, "gross": 2000, "fee": 118, "tax": 0, "net": 1882}}


def test_the_same_report_twice_is_the_first_statement():
    gateway(source="stripe_balance")
    content = api_report([balance_row(1)])
    first, again = read("acme", content), read("acme", content, name="once more")
    assert again.pk == first.pk
    assert Statement.objects.count() == 1


def test_overlapping_windows_double_nothing():
    gateway(source="stripe_balance")
    read("acme", api_report([balance_row(1), balance_row(2)]))
    second = read("acme", api_report([balance_row(2), balance_row(3)]))
    assert (second.lines_new, second.lines_known, second.lines_restated) == (1, 1, 0)
    assert len(lines()) == 3
    assert adds_up(second)


def test_a_payouts_report_completes_the_lines_of_the_day():
    gateway(source="stripe_balance")
    read("acme", api_report([balance_row(1), balance_row(2)]))
    itemised = read("acme", api_report([balance_row(1)]), payout_id="po_1")
    assert (itemised.lines_completed, itemised.lines_restated, itemised.lines_new) == (1, 0, 0)
    assert [line.payout_id for line in lines()] == ["po_1", ""]
    change = LineChange.objects.get()
    assert (change.kind, change.before, change.after) == ("completed", {}, {"payout_id": "po_1"})
    assert change.net_difference_minor == 0


def test_a_page_that_never_came_makes_the_report_incomplete():
    gateway(source="stripe_balance")
    statement = read("acme", api_report([balance_row(1)], rows=101, incomplete="Page 2 did not answer."))
    assert not statement.complete
    assert statement.incomplete_because == "Page 2 did not answer. It says 101 rows, but 1 were read."


def test_a_garbled_row_is_rejected_with_its_number_and_reason():
    gateway(source="stripe_balance")
    statement = read("acme", api_report([balance_row(1), balance_row(2, net=1), balance_row(3, amount="7")]))
    assert (statement.lines_new, statement.lines_rejected) == (1, 2)
    rows = list(RejectedRow.objects.order_by("number").values_list("number", "reason"))
    assert rows == [
        (2, "Net 1 is not gross 1000 less fee 59."),
        (3, "The balance transaction's amount is '7', no whole number."),
    ]
    assert adds_up(statement)


def test_a_report_that_breaks_off_says_so():
    gateway(source="stripe_balance")
    statement = read("acme", api_report([balance_row(1), balance_row(2)])[:-40])
    assert (statement.lines_new, statement.lines_rejected, statement.complete) == (1, 1, False)
    assert statement.incomplete_because == "It says 2 rows, but 1 were read."
    assert RejectedRow.objects.get().reason == "The row is no whole JSON object."


def test_the_control_row_missing_refuses_the_file():
    gateway(source="stripe_balance")
    statement = read("acme", api_report([balance_row(1)]).split(b"\n")[1])
    assert statement.state == StatementState.REFUSED
    assert "no control row" in statement.refused_because
    assert not lines()
