"""Do payouts meet only their own money at the bank, whatever ids, currencies and signs gateways give them?"""

from __future__ import annotations

from typing import Any

import pytest

from ledger.money import Money
from payments.facts import PayoutTold
from payments.models import Payout
from payments.services.payouts import tell_payout
from payments.states import PayoutState
from reconciliation.models import Line, Match, Statement, StatementAccount
from reconciliation.queries.proof import proof
from reconciliation.services.running import run_day
from reconciliation.states import RunState
from tests.reconciliation.attacks.ends import AFTER, booked, residual
from tests.reconciliation.booking.world import DAY, at_noon
from tests.reconciliation.running.night import LATER, NIGHT, LineKind, Night


def paid_out(night: Night, gateway_id: str, minor: int = 5000, currency: str = "USD", **more: Any) -> Payout:
    told = PayoutTold(
        gateway_id=gateway_id, state=PayoutState.PAID, money=Money(minor, currency), made_at=at_noon(DAY),
        occurred_at=at_noon(DAY), arrives_on=LATER, **more,
    )  # fmt: skip
    return tell_payout(night.account.slug, told, now=NIGHT)


class Bank:
    def __init__(self) -> None:
        self.account = StatementAccount.objects.create(slug="main", name="Main", kind="bank", source="camt053")
        self.statement = Statement.objects.create(
            account=self.account, source="camt053", name="bank.xml", sha256="b" * 64, state="read", received_at=NIGHT,
            complete=True, closed=True, starts_on=LATER, ends_on=LATER,
        )  # fmt: skip

    def shows(self, minor: int, text: str, number: int) -> Line:
        return Line.objects.create(
            account=self.account, statement=self.statement, number=number, line_key=f"b{number}", day=LATER,
            kind=LineKind.BANK_DEBIT if minor < 0 else LineKind.BANK_CREDIT, occurred_at=at_noon(LATER), currency="USD",
            gross_minor=minor, net_minor=minor, content_hash="", text=text,
        )  # fmt: skip

    def compare(self) -> Any:
        return run_day("main", LATER, lambda: AFTER)


def met(line: Line) -> str:
    row = Match.objects.filter(line=line, undone_at=None).first()
    return Payout.objects.get(pk=row.payout_id).gateway_id if row is not None and row.payout_id else ""


def test_an_id_within_another_id_is_not_named(night: Night) -> None:
    for name in ("po_1", "po_12", "7"):
        paid_out(night, name)
    bank = Bank()
    twelve, one = bank.shows(5000, "payout po_12 of march", 1), bank.shows(5000, "PAYOUT PO_1", 2)
    other = bank.shows(5000, "invoice 4711 of 27 march", 3)
    bank.compare()
    assert (met(twelve), met(one), met(other)) == ("po_12", "po_1", "")


@pytest.mark.parametrize("currency", ["EUR", "USD"])
def test_one_payout_id_for_two_deposits_of_a_day(night: Night, currency: str) -> None:
    night.line(LineKind.PAYOUT, -500, payout_id="2026-03-02")
    night.line(LineKind.PAYOUT, -700, currency, payout_id="2026-03-02")
    for _ in range(2):
        assert night.compare(LATER, AFTER).state == RunState.DONE
        assert (residual(night), proof(night.account.pk, currency, LATER).residual_minor) == (0, 0)
    assert booked("1020") == 1200
    night.line(LineKind.PAYOUT_RETURN, 700, currency, payout_id="2026-03-02", on=LATER)
    assert night.compare(LATER, AFTER).state == RunState.DONE
    assert (residual(night), proof(night.account.pk, currency, LATER).residual_minor) == (0, 0)
    assert booked("1020") == 500


def test_a_gateway_that_draws_from_the_bank(night: Night) -> None:
    night.line(LineKind.PAYOUT, 900, payout_id="po_neg")
    night.compare(LATER, AFTER)
    bank = Bank()
    line = bank.shows(-900, "po_neg", 1)
    bank.compare()
    assert met(line) == "po_neg"
    assert (booked("1010"), booked("1020"), residual(night)) == (-900, 0, 0)


def test_a_payout_that_comes_back_short_is_no_silence(night: Night) -> None:
    night.line(LineKind.PAYOUT, -900, payout_id="po_1")
    night.line(LineKind.PAYOUT_RETURN, 880, payout_id="po_1", on=LATER)
    night.compare(LATER, AFTER)
    assert (night.kinds(), residual(night)) == (["balance_drift"], -20)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_failed_after_it_was_in_the_bank(night: Night, order: tuple[int, ...]) -> None:
    payout = paid_out(night, "po_1")
    bank = Bank()
    bank.shows(5000, "po_1", 1)
    bank.compare()
    assert (booked("1010"), booked("1020")) == (5000, 0)
    failed = PayoutTold(
        gateway_id="po_1", state=PayoutState.FAILED, money=Money(5000, "USD"), made_at=at_noon(DAY),
        occurred_at=at_noon(LATER), arrives_on=None,
    )  # fmt: skip

    def gateway() -> None:
        tell_payout(night.account.slug, failed, now=AFTER)
        tell_payout(night.account.slug, failed, now=AFTER)

    def at_bank() -> None:
        bank.shows(-5000, "return po_1", 2)
        bank.compare()
        bank.compare()

    for at in order:
        (gateway, at_bank)[at]()
    payout.refresh_from_db()
    assert (booked("1010"), booked("1020"), booked("1110")) == (0, 0, 0)
