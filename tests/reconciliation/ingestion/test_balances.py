"""Bank statements follow on: an opening balance is the closing one of the statement before, and gaps are seen."""

from __future__ import annotations

import pytest

from reconciliation.models import Statement
from tests.reconciliation.ingestion.reports import gateway, read

pytestmark = pytest.mark.django_db


def _statement(day: int, opening: str, amount: str, closing: str) -> bytes:
    return (
        f":20:S{day}\n:25:DE1\n:28C:1/1\n:60F:C2611{day - 1:02d}EUR{opening}\n"
        f":61:2611{day:02d}11{day:02d}C{amount}NTRFREF{day}\n:62F:C2611{day:02d}EUR{closing}\n-\n"
    ).encode()


def _bank():
    gateway("main", kind="bank", source="mt940")


def test_statements_that_follow_on_are_complete():
    _bank()
    first = read("main", _statement(19, "100,00", "1,00", "101,00"))
    second = read("main", _statement(20, "101,00", "2,00", "103,00"))
    assert (first.complete, second.complete) == (True, True)
    assert [control["name"] for control in second.controls] == ["closing balance", "opening balance"]


def test_a_missing_statement_is_seen_and_its_arrival_heals():
    _bank()
    read("main", _statement(18, "90,00", "10,00", "100,00"))
    after = read("main", _statement(20, "101,00", "2,00", "103,00"))
    assert (
        after.incomplete_because == "Its opening balance is 101.00 EUR, but the statement before closed at 100.00 EUR."
    )
    read("main", _statement(19, "100,00", "1,00", "101,00"))
    assert Statement.objects.get(pk=after.pk).complete


def test_lines_that_do_not_lead_from_balance_to_balance_are_seen():
    _bank()
    statement = read("main", _statement(19, "100,00", "1,00", "109,00"))
    assert statement.incomplete_because == "Its closing balance is 109.00 EUR, but its lines add up to 101.00 EUR."
