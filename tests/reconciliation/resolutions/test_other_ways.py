"""Do the rarer ways out end what they are for, and refuse what they are not? And can two people end one break twice?"""

from __future__ import annotations

from datetime import timedelta
from threading import Barrier, Thread

import pytest
from django.db import connection

from ledger.money import Money
from ledger.queries import balances
from payments.errors import Conflict, NotAllowedNow, PaymentsError
from payments.facts import PayoutTold
from payments.models import Refund
from payments.services.approvals import approve
from payments.services.payouts import tell_payout
from payments.states import MovementKind, PayoutState
from reconciliation.models import Break, Line, Resolution, Statement, StatementAccount
from reconciliation.services.booking import book_days
from reconciliation.services.desk import lay_evidence
from reconciliation.services.resolutions.commanding import resolve
from reconciliation.services.resolutions.undoing import undo
from reconciliation.states import BreakState, BreakType, LineKind
from tests.payments.factories import Clock, paid
from tests.payments.flows.conftest import account, clock, simulator
from tests.reconciliation.booking.world import DAY, NOW, at_noon
from tests.reconciliation.factories import a_break, may_alone, person, wish
from tests.reconciliation.resolutions.scene import LATER, Scene
from tests.simulator_fixture import SimulatorProcess

__all__ = ["account", "clock", "simulator"]
pytestmark = pytest.mark.django_db(transaction=True)
B = BreakType


@pytest.fixture
def scene() -> Scene:
    return Scene()


def balance(code: str) -> int:
    return sum(found.amount_minor for found in balances([code]))


def ended(broken: Break) -> bool:
    broken.refresh_from_db()
    return broken.state == BreakState.RESOLVED


def test_exchange_that_nobody_booked_is_a_gain_or_a_loss(scene: Scene) -> None:
    broken = a_break(scene.account, B.FX_VARIANCE, line=scene.line(LineKind.CHARGE, 1000), difference_minor=-7)
    scene.resolve(broken, "post_exchange")
    assert (balance("5030"), ended(broken)) == (7, True)
    booked = a_break(scene.account, B.FX_VARIANCE, line=scene.line(LineKind.CHARGE, 1000), difference_minor=0)
    with pytest.raises(NotAllowedNow, match="has booked the exchange already"):
        scene.resolve(booked, "post_exchange")


def test_a_fee_beyond_the_contract_is_claimed_out_of_its_variance(scene: Scene) -> None:
    scene.rate(fixed=0)
    movement = scene.moved(MovementKind.CAPTURE, 1000)
    scene.match(scene.line(LineKind.CHARGE, 1000, fee_minor=69), movement)
    book_days(scene.account, [DAY], now=NOW)
    fields = {"key": f"fee:{DAY}:USD:charge:", "difference_minor": 0, "value_minor": 40}
    broken = a_break(scene.account, B.FEE_MISMATCH, **fields)
    scene.resolve(broken, "post_fee", treatment="claim")
    assert (balance("1160"), balance("5015"), ended(broken)) == (40, 0, True)
    again = a_break(scene.account, B.FEE_MISMATCH, **fields)
    with pytest.raises(NotAllowedNow, match="the gateway owes nothing here"):
        scene.resolve(again, "post_fee", treatment="claim")


def test_what_touches_no_balance_is_closed_with_evidence(scene: Scene) -> None:
    broken = a_break(scene.account, B.REPORT_GAP, currency="", difference_minor=0)
    with pytest.raises(NotAllowedNow, match="needs evidence"):
        scene.resolve(broken, "close_explained")
    lay_evidence(broken.public_id, name="mail.eml", content=b"no report that day", actor=scene.fiona, now=LATER)
    scene.resolve(broken, "close_explained")
    assert ended(broken)


def test_a_row_is_mended_by_reading_the_report_again(scene: Scene) -> None:
    broken = a_break(scene.account, B.ROW_REJECTED, currency="", difference_minor=0)
    Statement.objects.filter(pk=scene.statement.pk).update(starts_on=DAY, ends_on=DAY, lines_rejected=2)
    Break.objects.filter(pk=broken.pk).update(statement=scene.statement)
    with pytest.raises(NotAllowedNow, match="read the report again"):
        scene.resolve(broken, "mend_row")
    Statement.objects.create(
        account=scene.account, source="csv", name="again.csv", sha256="f" * 64, state="read", received_at=NOW,
        starts_on=DAY, ends_on=DAY, lines_read=2,
    )  # fmt: skip
    scene.resolve(broken, "mend_row")
    assert ended(broken)


def test_a_restated_fee_is_accepted_as_the_report_says_now(scene: Scene) -> None:
    line = scene.line(LineKind.CHARGE, 1000)
    broken = a_break(scene.account, B.REPORT_RESTATED, line=line, difference_minor=0, value_minor=20)
    scene.resolve(broken, "accept_restated")
    assert ended(broken)


def _bank_line(minor: int) -> tuple[StatementAccount, Line]:
    bank = StatementAccount.objects.create(slug="main", name="Main account", kind="bank", source="camt053")
    told = Statement.objects.create(
        account=bank, source="camt053", name="bank.xml", sha256="b" * 64, state="read", received_at=NOW
    )
    line = Line.objects.create(
        account=bank, statement=told, number=1, line_key="ref-1", kind=LineKind.BANK_CREDIT, day=DAY, currency="USD",
        occurred_at=at_noon(DAY), gross_minor=minor, content_hash="",
    )  # fmt: skip
    return bank, line


def test_a_line_of_the_bank_is_linked_to_its_payout(scene: Scene) -> None:
    told = PayoutTold("po_9", PayoutState.PAID, Money(5000, "USD"), at_noon(DAY), at_noon(DAY))
    payout = tell_payout("stripe", told, now=NOW)
    bank, line = _bank_line(5000)
    broken = a_break(bank, B.BANK_UNMATCHED, line=line)
    waiting = a_break(scene.account, B.PAYOUT_NOT_IN_BANK, difference_minor=0, payout_id=payout.pk)
    done = scene.resolve(broken, "link_by_hand", counterpart=payout.public_id)
    payout.refresh_from_db()
    assert (payout.state, balance("1010"), balance("1020")) == ("in_bank", 5000, 0)
    assert ended(broken) and ended(waiting)
    assert done.resolution is not None
    with pytest.raises(NotAllowedNow, match="in the bank by the bank's own line"):
        undo(done.resolution.public_id, reason="not ours", actor=scene.fiona, now=LATER)


def test_a_payout_of_another_sum_is_another_payout(scene: Scene) -> None:
    told = PayoutTold("po_9", PayoutState.PAID, Money(5000, "USD"), at_noon(DAY), at_noon(DAY))
    payout = tell_payout("stripe", told, now=NOW)
    bank, line = _bank_line(4990)
    broken = a_break(bank, B.BANK_UNMATCHED, line=line)
    with pytest.raises(NotAllowedNow, match=r"The payout is 50\.00 USD, the bank's line 49\.90 USD"):
        scene.resolve(broken, "link_by_hand", counterpart=payout.public_id)
    lost = a_break(
        scene.account, B.PAYOUT_NOT_IN_BANK, difference_minor=0, value_minor=5000, payout_id=payout.pk,
        ours={"payout": "po_9"},
    )  # fmt: skip
    lay_evidence(lost.public_id, name="mail.txt", content=b"the bank closed", actor=scene.fiona, now=LATER)
    done = scene.resolve(lost, "write_off")
    assert done.approval is not None
    approve(done.approval.public_id, digest=done.approval.digest, note="", actor=person("frank"), clock=lambda: LATER)
    assert (balance("1020"), balance("5040")) == (0, 5000)


def test_what_was_taken_too_much_goes_back_to_the_payer(simulator: SimulatorProcess, clock: Clock) -> None:
    payment = paid(clock)
    terms = StatementAccount.objects.create(slug="nmi", name="NMI", kind="gateway", source="csv")
    may_alone()
    broken = a_break(
        terms, B.AMOUNT_MISMATCH, day=clock().date(), now=clock(), payment_id=payment.pk,
        payment_public_id=payment.public_id, difference_minor=0, value_minor=250,
    )  # fmt: skip
    done = resolve(broken.public_id, wish("refund_payer", broken, amount_minor=250), actor=person(), clock=clock)
    assert (Refund.objects.get().amount_minor, ended(broken)) == (250, True)
    assert done.resolution is not None
    with pytest.raises(NotAllowedNow, match="stopped on the payment's own page"):
        undo(done.resolution.public_id, reason="not meant", actor=person(), now=clock() + timedelta(minutes=1))


def test_two_people_at_once_end_a_break_once(scene: Scene) -> None:
    line = scene.line(LineKind.ADJUSTMENT, -500)
    broken = a_break(scene.account, B.GATEWAY_ADJUSTMENT, line=line)
    people, start = [scene.fiona, person("frank")], Barrier(2)
    told: list[str] = []

    def press(number: int) -> None:
        try:
            start.wait(60)
            resolve(
                broken.public_id, wish("post_fee", broken, treatment="fee"), actor=people[number], clock=lambda: LATER
            )
            told.append("done")
        except PaymentsError as refusal:
            told.append(type(refusal).__name__)
        finally:
            connection.close()

    threads = [Thread(target=press, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert sorted(told) == ["Conflict", "done"]
    assert (Resolution.objects.count(), balance("5010"), scene.residual()) == (1, 500, 0)
    with pytest.raises(Conflict):
        scene.resolve(broken, "post_fee", treatment="fee")
