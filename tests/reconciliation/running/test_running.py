"""Does a night account for every line and movement, say what differs once, and end what is no longer so?"""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest

from payments.models import Movement
from reconciliation.models import Booking, Break, Match, RejectedRow, StatementAccount
from reconciliation.queries.proof import proof
from reconciliation.states import BreakState, RunState
from tests.reconciliation.running.night import DAY, LATER, NIGHT, LineKind, MovementKind, Night, at_noon, bank

pytestmark = pytest.mark.django_db


def test_a_clean_day_is_matched_booked_and_proven() -> None:
    night = Night()
    night.rate()
    night.taken(10_000, fee_minor=320)
    night.taken(4_000, MovementKind.REFUND)
    night.line(LineKind.FEE, -500)
    night.line(LineKind.PAYOUT, -5_180, payout_id="po_1")
    run = night.compare()
    assert (run.state, run.balanced, run.because) == (RunState.DONE, True, "")
    assert {name: run.lines[name] for name in ("read", "matched", "booked", "broken", "lost")} == {
        "read": 4, "matched": 2, "booked": 2, "broken": 0, "lost": 0,
    }  # fmt: skip
    assert (run.movements["open"], run.movements["matched"], run.movements["expected"]) == (2, 2, 0)
    assert night.kinds() == []
    proven = proof(night.account.pk, "USD", DAY)
    assert (proven.books.amount_minor, proven.gateway.amount_minor, proven.residual_minor) == (0, 0, 0)


@pytest.mark.django_db(transaction=True)
def test_running_again_doubles_nothing() -> None:
    night = Night()
    night.taken(10_000)
    night.line(LineKind.CHARGE, 700, gateway_id="tx_unknown")
    first = night.compare(now=NIGHT)
    before = (Match.objects.count(), Break.objects.count(), Booking.objects.count())
    broken = night.open_breaks()[0]
    second = night.compare(now=NIGHT + timedelta(hours=1))
    assert (Match.objects.count(), Break.objects.count(), Booking.objects.count()) == before
    assert second.times == 2
    assert (second.lines, second.movements) == (first.lines, first.movements)
    again = night.open_breaks()[0]
    assert (again.pk, again.opened_at, again.version) == (broken.pk, broken.opened_at, broken.version)
    assert again.last_seen_at > broken.last_seen_at


@pytest.mark.django_db(transaction=True)
def test_every_difference_of_a_day_is_one_break_and_the_proof_holds() -> None:
    """A residual of zero beside ten differences: each stands between the balances with exactly its own money."""
    night = Night()
    off, _ = night.moved(MovementKind.CAPTURE, 1000), None
    night.reports(off, gross_minor=1100, fee_minor=60)
    voided = night.moved(MovementKind.CAPTURE, 2000)
    night.reports(voided, kind=LineKind.DECLINE, gross_minor=0, net_minor=0, status="canceled")
    movement, _ = night.taken(3000)
    night.reports(movement)  # once more
    night.moved(MovementKind.CAPTURE, 4000)  # nobody reports it
    night.line(LineKind.CHARGE, 5000, gateway_id="tx_new", fee_minor=100)
    night.line(LineKind.REFUND, -600, gateway_id="tx_back")
    night.line(LineKind.CHARGEBACK, -700, gateway_id="tx_claim")
    night.line(LineKind.ADJUSTMENT, -80)
    night.line(LineKind.RESERVE_HOLD, -90)
    night.line(LineKind.RESERVE_RELEASE, 30)
    night.reported(DAY + timedelta(days=1), LATER)
    run = night.compare(LATER)
    assert sorted(night.kinds()) == [
        "amount_mismatch", "chargeback_unrecorded", "duplicate_at_gateway", "gateway_adjustment", "missing_at_gateway",
        "missing_in_payments", "refund_unmatched", "reserve_hold", "reserve_release", "status_mismatch",
    ]  # fmt: skip
    assert run.balanced, run.because
    proven = proof(night.account.pk, "USD", LATER)
    assert proven.residual_minor == 0
    assert {part.title: part.amount_minor for part in proven.breaks} == {
        "amount mismatch": 40, "chargeback unrecorded": -700, "duplicate at gateway": 3000, "gateway adjustment": -80,
        "missing at gateway": -4000, "missing in payments": 4900, "refund unmatched": -600, "reserve hold": -90,
        "reserve release": 30, "status mismatch": -2000,
    }  # fmt: skip


def test_money_on_its_way_is_expected_and_no_difference() -> None:
    night = Night()
    night.moved(MovementKind.CAPTURE, 4000)
    run = night.compare()
    assert night.kinds() == []
    assert run.movements["expected"] == 1
    proven = proof(night.account.pk, "USD", DAY)
    assert (proven.timing[0].amount_minor, proven.residual_minor) == (-4000, 0)


def test_what_a_later_report_brings_ends_the_difference() -> None:
    night = Night()
    movement = night.moved(MovementKind.CAPTURE, 4000)
    night.reported(DAY + timedelta(days=1), LATER)
    night.compare(LATER)
    assert night.kinds() == ["missing_at_gateway"]
    night.reported(LATER + timedelta(days=1))
    night.reports(movement, on=LATER + timedelta(days=1))
    run = night.compare(LATER + timedelta(days=1))
    assert night.kinds() == []
    ended = Break.objects.get()
    assert (ended.state, ended.ended_by) == (BreakState.RESOLVED, "a later report")
    assert run.balanced, run.because


def test_an_old_difference_stays_in_the_equation_until_it_ends() -> None:
    night = Night()
    night.moved(MovementKind.CAPTURE, 4000)
    much_later = DAY + timedelta(days=60)
    night.reported(DAY + timedelta(days=1), much_later)
    night.compare(LATER)
    run = night.compare(much_later, NIGHT + timedelta(days=60))
    assert night.kinds() == ["missing_at_gateway"]
    assert (run.movements["open"], run.movements["broken"]) == (1, 1)


def test_without_a_report_the_run_waits_and_nothing_is_missing() -> None:
    night = Night()
    night.moved(MovementKind.CAPTURE, 4000)
    run = night.compare(LATER)
    assert (run.state, night.kinds()) == (RunState.WAITING, [])
    late = NIGHT + timedelta(hours=6)
    run = night.compare(LATER, late)
    assert (run.state, night.kinds()) == (RunState.WAITING, ["report_missing"])
    night.reported(DAY + timedelta(days=1), LATER, complete=False, incomplete_because="Page 3 of 7 is not there.")
    run = night.compare(LATER, late)
    assert (run.state, night.kinds()) == (RunState.WAITING, ["report_gap"])
    assert "Page 3 of 7" in run.because
    night.reported(DAY + timedelta(days=1), LATER)
    assert night.compare(LATER).state == RunState.DONE
    assert night.kinds() == ["missing_at_gateway"]


def test_a_day_without_report_in_between_is_one_gap_and_not_many_missing() -> None:
    night = Night()
    night.moved(MovementKind.CAPTURE, 4000)
    night.reported(DAY + timedelta(days=2), LATER)
    run = night.compare(LATER)
    assert night.kinds() == ["report_missing"]
    assert run.movements["expected"] == 1
    assert run.balanced


def test_fees_off_the_contract_are_one_break_a_day_and_sort() -> None:
    night = Night()
    night.rate()
    for _ in range(3):
        night.taken(10_000, fee_minor=350, method="visa")
    night.taken(10_000, fee_minor=320, method="amex")
    night.compare()
    found = night.open_breaks()
    assert [(row.kind, row.value_minor, row.difference_minor) for row in found] == [("fee_mismatch", 90, 0)]
    assert found[0].theirs["count"] == "3"
    assert proof(night.account.pk, "USD", DAY).residual_minor == 0


def test_tax_on_fees_is_compared_by_itself() -> None:
    night = Night()
    night.rate(tax_percent="10")
    night.taken(10_000, fee_minor=320, tax_minor=50)
    night.compare()
    assert night.kinds() == ["fee_tax_mismatch"]


def test_payouts_are_the_sum_of_their_items() -> None:
    night = Night()
    night.taken(10_000, fee_minor=300, payout_id="po_1")
    night.line(LineKind.PAYOUT, -9_600, payout_id="po_1")
    night.compare()
    assert [(row.kind, row.value_minor) for row in night.open_breaks()] == [("payout_sum_mismatch", 100)]


def test_rejected_rows_and_restated_reports_are_told_once() -> None:
    night = Night()
    night.taken(1000)
    RejectedRow.objects.create(statement=night.statement, number=7, reason="The amount is 1,00,0.")
    run = night.compare()
    assert night.kinds() == ["row_rejected"]
    assert (run.lines["read"], run.lines["rejected"]) == (2, 1)


def test_a_restated_line_is_matched_anew() -> None:
    from reconciliation.models import Line, LineChange

    night = Night()
    _, line = night.taken(1000)
    night.compare()
    Line.objects.filter(pk=line.pk).update(gross_minor=900)
    LineChange.objects.create(
        statement=night.statement, line=line, kind="changed", before={"gross_minor": 1000}, after={"gross_minor": 900},
        net_difference_minor=-100, currency="USD", at=NIGHT + timedelta(hours=1),
    )  # fmt: skip
    run = night.compare(now=NIGHT + timedelta(hours=2))
    assert sorted(night.kinds()) == ["amount_mismatch", "report_restated"]
    assert Match.objects.get().undone_at is not None
    assert run.balanced, run.because


@pytest.mark.django_db(transaction=True)
def test_books_without_movement_and_movements_without_books(owner_connection: psycopg.Connection) -> None:
    """Planted as nothing of ours could: the entry of one is another's."""
    night = Night()
    movement, _ = night.taken(1000)
    with owner_connection.transaction():
        owner_connection.execute("SET LOCAL session_replication_role = replica")
        owner_connection.execute(
            "UPDATE payments_movement SET entry_source_key = 'movement:nmi:gone:capture' WHERE id = %s", [movement.pk]
        )
    run = night.compare()
    assert sorted(night.kinds()) == ["duplicate_internal", "missing_in_ledger"]
    assert run.balanced
    assert proof(night.account.pk, "USD", DAY).residual_minor == 0


def test_what_the_gateway_states_and_nobody_explains_is_a_drift() -> None:
    night = Night()
    night.taken(1000)
    night.statement.balances = [{"opening": False, "currency": "USD", "amount_minor": 1250, "on": DAY.isoformat()}]
    night.statement.save()
    run = night.compare()
    assert [(row.kind, row.value_minor) for row in night.open_breaks()] == [("balance_drift", 250)]
    assert run.legs["proofs"][0]["residual_minor"] == 250
    assert run.balanced


def test_the_bank_shows_a_payout_and_money_nobody_sent() -> None:
    night = Night()
    night.taken(1000)
    night.line(LineKind.PAYOUT, -1000, payout_id="po_77", bank_ref="NMI77")
    night.compare()
    account: StatementAccount = bank()
    night.account = account
    night.reported(DAY)
    night.line(LineKind.BANK_CREDIT, 1000, text="TRANSFER nmi77 THANK YOU")
    night.line(LineKind.BANK_CREDIT, 55, text="INTEREST")
    run = night.compare()
    assert [(row.kind, row.difference_minor) for row in night.open_breaks()] == [("bank_unmatched", 55)]
    assert run.balanced
    assert proof(account.pk, "USD", DAY).residual_minor == 0


def test_a_payout_that_the_bank_should_have_shown() -> None:
    night = Night()
    night.taken(1000)
    night.line(LineKind.PAYOUT, -1000, payout_id="po_77", available_on=DAY)
    night.reported(DAY + timedelta(days=1), LATER)
    gateway = night.account
    night.account = bank()
    night.reported(DAY, LATER + timedelta(days=1))
    night.compare(LATER + timedelta(days=1))
    night.account = gateway
    night.compare(DAY)
    assert night.kinds() == []
    night.compare(LATER)
    assert night.kinds() == ["payout_not_in_bank"]


def test_money_that_left_by_refund_and_by_dispute() -> None:
    night = Night()
    from tests.payments.factories import Clock, new_payment

    payment = new_payment(Clock(), amount_minor=1000)
    for kind in (MovementKind.CAPTURE, MovementKind.REFUND, MovementKind.CHARGEBACK):
        movement, _ = night.taken(1000, kind)
        Movement.objects.filter(pk=movement.pk).update(payment=payment)
    night.compare()
    assert [(row.kind, row.value_minor) for row in night.open_breaks()] == [("dual_refund", 1000)]
    assert at_noon(DAY) == movement.occurred_at
