"""What if reports come late, in part, or on days on which nothing happened? Nothing is called missing that was not looked for."""

from __future__ import annotations

from datetime import date, timedelta
from io import BytesIO

import psycopg
import pytest

from payments.services.actors import SYSTEM
from reconciliation.models import Line, LineChange, RejectedRow, Statement, StatementAccount
from reconciliation.services.ingestion import ingest
from reconciliation.states import BreakState, RunState, StatementState
from tests.reconciliation.ingestion import reports
from tests.reconciliation.running.night import DAY, LATER, NIGHT, LineKind, MovementKind, Night

pytestmark = pytest.mark.django_db
ONE_DAY = timedelta(days=1)


def _bank(night: Night, slug: str, currency: str, *, compared: date | None, whole: date = LATER + ONE_DAY) -> None:
    """A bank with whole reports up to a day, compared up to another."""
    gateway, night.account = night.account, StatementAccount.objects.create(
        slug=slug, name=slug, kind="bank", source="camt053", currencies=[currency]
    )  # fmt: skip
    night.reported(DAY, whole)
    if compared is not None:
        assert night.compare(compared).state == RunState.DONE
    night.account = gateway


def _paid_out() -> Night:
    night = Night()
    night.taken(1000)
    night.line(LineKind.PAYOUT, -1000, payout_id="po_77", available_on=DAY)
    night.reported(DAY + ONE_DAY, LATER)
    return night


def test_the_bank_of_another_currency_says_nothing_of_a_payout() -> None:
    night = _paid_out()
    _bank(night, "yen", "JPY", compared=LATER)
    night.compare(LATER)
    assert night.kinds() == []
    _bank(night, "dollars", "USD", compared=LATER)
    night.compare(LATER)
    assert night.kinds() == ["payout_not_in_bank"]


def test_a_bank_that_was_not_compared_yet_says_nothing_of_a_payout() -> None:
    night = _paid_out()
    _bank(night, "dollars", "USD", compared=None)
    night.compare(LATER)
    assert night.kinds() == []


def test_a_bank_whose_report_of_the_day_is_not_there_says_nothing_of_a_payout() -> None:
    night = _paid_out()
    _bank(night, "dollars", "USD", compared=LATER)
    Statement.objects.filter(account__slug="dollars").update(starts_on=DAY + 3 * ONE_DAY)
    night.compare(LATER)
    assert night.kinds() == []


def test_comparing_an_earlier_day_again_ends_nothing_that_a_later_one_missed() -> None:
    night = Night()
    movement = night.moved(MovementKind.CAPTURE, 4000)
    night.reported(DAY + ONE_DAY, LATER)
    night.compare(LATER)
    (missing,) = night.open_breaks()
    night.compare(DAY, NIGHT + ONE_DAY)
    assert [row.pk for row in night.open_breaks()] == [missing.pk]
    night.reports(movement, on=DAY)
    night.compare(DAY, NIGHT + 2 * ONE_DAY)
    assert night.kinds() == []


@pytest.mark.django_db(transaction=True)
def test_an_entry_of_nothing_stays_a_difference_however_old(owner_connection: psycopg.Connection) -> None:
    night = Night()
    movement, _ = night.taken(1000)
    with owner_connection.transaction():
        owner_connection.execute("SET LOCAL session_replication_role = replica")
        owner_connection.execute(
            "UPDATE payments_movement SET entry_source_key = 'movement:nmi:gone:capture' WHERE id = %s", [movement.pk]
        )
    night.reported(DAY + ONE_DAY, DAY + 6 * ONE_DAY)
    night.compare()
    night.compare(DAY + 6 * ONE_DAY, NIGHT + 6 * ONE_DAY)
    assert sorted(night.kinds()) == ["duplicate_internal", "missing_in_ledger"]


def test_a_line_that_was_taken_back_before_it_met_anybody_is_no_trouble() -> None:
    night = Night()
    line = night.line(LineKind.CHARGE, 700, gateway_id="tx_ghost")
    night.compare()
    assert night.kinds() == ["missing_in_payments"]
    Line.objects.filter(pk=line.pk).update(removed=True)
    LineChange.objects.create(
        statement=night.statement, line=line, kind="removed", net_difference_minor=-700, currency="USD",
        at=NIGHT + timedelta(hours=1),
    )  # fmt: skip
    assert night.compare(now=NIGHT + timedelta(hours=2)).state == RunState.DONE
    assert night.kinds() == ["report_restated"]


def test_rejected_rows_of_a_report_that_was_told_anew_are_over() -> None:
    night = Night()
    night.taken(1000)
    RejectedRow.objects.create(statement=night.statement, number=7, reason="The amount is 1,00,0.")
    night.compare()
    (rejected,) = night.open_breaks()
    Statement.objects.filter(pk=night.statement.pk).update(state=StatementState.SUPERSEDED)
    night.reported(DAY)
    night.compare(now=NIGHT + ONE_DAY)
    rejected.refresh_from_db()
    assert (rejected.state, night.kinds()) == (BreakState.RESOLVED, [])


def test_a_payout_first_told_by_half_a_report_is_compared_with_its_items() -> None:
    night = Night()
    night.reported(DAY, complete=False)
    night.taken(10_000, fee_minor=300, payout_id="po_1")
    night.line(LineKind.PAYOUT, -9_600, payout_id="po_1")
    Statement.objects.filter(account=night.account).update(state=StatementState.SUPERSEDED)
    night.reported(DAY)
    night.compare()
    assert [(row.kind, row.value_minor) for row in night.open_breaks()] == [("payout_sum_mismatch", 100)]


def test_reports_of_two_days_on_which_nothing_happened_both_stand() -> None:
    account = reports.gateway()
    for day in (DAY, DAY + ONE_DAY):
        content = BytesIO(reports.HEADING.encode())
        ingest(account.slug, content, name=f"{day}.csv", starts_on=day, ends_on=day, actor=SYSTEM, now=NIGHT)
    states = Statement.objects.filter(account=account).values_list("starts_on", "state").order_by("starts_on")
    assert list(states) == [(DAY, "read"), (DAY + ONE_DAY, "read")]
