"""Do payments follow their movements: settled by batch or payout, reconciled when all is matched, and back?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ledger.money import Money
from payments.facts import FactKind, PayoutTold
from payments.models import Movement, Payment
from payments.services.payouts import tell_payout
from payments.services.settling import derive, settles_by
from payments.states import MovementKind, PaymentState, PayoutState
from reconciliation.models import Break, Match
from reconciliation.queries.settlement import live_matches, open_differences
from reconciliation.services.settlement import settle, settle_payments
from reconciliation.states import LineKind
from tests.payments.admin import payment_scenes as scenes
from tests.reconciliation.booking.world import LINE_OF, World

pytestmark = pytest.mark.django_db

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
NOW = datetime(2026, 3, 3, 6, tzinfo=UTC)
S = PaymentState


class Nmi(World):
    """NMI, which settles by batches: a line of its statement is the proof."""

    def __init__(self) -> None:
        super().__init__("nmi", "nmi")

    def reported(self, payment: Payment, **fields: object) -> list[Match]:
        """Every movement of a payment meets a line of its own."""
        matches = []
        for movement in Movement.objects.filter(payment=payment).exclude(kind="authorisation"):
            if live_matches().filter(movement_id=movement.pk).exists():
                continue
            sign = -1 if movement.kind in {"refund", "chargeback"} else 1
            line = self.line(LINE_OF[MovementKind(movement.kind)], sign * movement.amount_minor, **fields)
            matches += self.match(line, movement)
        return matches


@pytest.fixture
def nmi(monkeypatch: pytest.MonkeyPatch) -> Nmi:
    scenes.set_credentials(monkeypatch)
    return Nmi()


def state_after(nmi: Nmi, payment: Payment) -> str:
    settle(nmi.run, NOW)
    return Payment.objects.get(pk=payment.pk).state


class TestForward:
    def test_not_reported_it_stays_captured(self, nmi):
        assert state_after(nmi, scenes.captured(AT)) == S.CAPTURED

    def test_matched_by_a_statement_it_is_reconciled_and_the_log_says_why(self, nmi):
        payment = scenes.captured(AT)
        nmi.reported(payment, payout_id="batch-7")

        assert state_after(nmi, payment) == S.RECONCILED
        movement = Movement.objects.get(payment=payment, kind="capture")
        assert (movement.batch_id, movement.settled_at is not None) == ("batch-7", True)
        steps = list(payment.transitions.order_by("-id")[:2])[::-1]
        assert [(step.before["payment"], step.after["payment"]) for step in steps] == [
            ("captured", "settled"), ("settled", "reconciled"),
        ]  # fmt: skip
        assert steps[0].because == "Every capture (1) stands in a closed payout or batch."
        assert steps[1].inputs["fact"]["cause"] == f"run {nmi.run.public_id}"

    def test_twice_moves_nothing(self, nmi):
        payment = scenes.captured(AT)
        nmi.reported(payment)
        settle(nmi.run, NOW)

        again = settle(nmi.run, NOW)

        assert (again.movements, again.payments) == (0, {})

    def test_settled_by_the_gateways_word_waits_for_its_line(self, nmi):
        payment = scenes.captured(AT)
        scenes.tell(payment, scenes.money(FactKind.SETTLED, AT + timedelta(hours=8)), AT + timedelta(hours=8))

        assert state_after(nmi, payment) == S.SETTLED
        nmi.reported(payment)
        assert state_after(nmi, payment) == S.RECONCILED

    def test_an_open_difference_holds_it_back(self, nmi):
        payment = scenes.captured(AT)
        nmi.reported(payment)
        found = Break.objects.create(
            account=nmi.account, kind="amount_mismatch", key="x", day=AT.date(), difference_minor=5, payment_id=payment.pk,
            opened_at=NOW, last_seen_at=NOW, due_at=NOW,
        )  # fmt: skip

        assert state_after(nmi, payment) == S.SETTLED
        found.mark_resolved()
        found.ended_at = NOW
        found.save()
        assert state_after(nmi, payment) == S.RECONCILED

    def test_a_capture_that_was_voided_before_settlement_expects_no_line(self, nmi):
        payment = scenes.refunded(AT)

        assert state_after(nmi, payment) == S.REFUNDED
        assert not Match.objects.exists()

    def test_what_was_refunded_stays_refunded(self, nmi):
        payment = scenes.refunded(AT)
        nmi.match(nmi.line(LineKind.CHARGE, 12_500), Movement.objects.get(payment=payment, kind="capture"))

        assert state_after(nmi, payment) == S.REFUNDED


class TestBack:
    def test_an_undone_match(self, nmi):
        payment = scenes.captured(AT)
        (match,) = nmi.reported(payment)
        settle(nmi.run, NOW)
        match.undone_at = NOW
        match.save()

        assert state_after(nmi, payment) == S.SETTLED
        assert "no line of a statement" in payment.transitions.latest("id").because

    def test_a_new_movement(self, nmi):
        payment = scenes.captured(AT)
        nmi.reported(payment)
        settle(nmi.run, NOW)
        part = scenes.money(FactKind.REFUND, AT, minor=500)
        scenes.told(
            payment, scenes.replace(part, gateway_id="990001", original_gateway_id=scenes.gateway_id(payment)), AT
        )
        assert Movement.objects.filter(payment=payment, kind="refund").exists()

        assert state_after(nmi, payment) == S.SETTLED
        nmi.reported(payment)
        assert state_after(nmi, payment) == S.RECONCILED

    def test_by_hand_for_just_these(self, nmi):
        payment, other = scenes.captured(AT), scenes.captured(AT, reference="order-2")
        for one in (payment, other):
            nmi.reported(one)
        settle(nmi.run, NOW)
        Match.objects.update(undone_at=NOW)
        movement = Movement.objects.get(payment=payment, kind="capture")

        moved = settle_payments(movement_ids=[movement.pk], cause="resolution res_1", now=NOW)

        assert moved == {"reconciled -> settled": 1}
        assert Payment.objects.get(pk=other.pk).state == S.RECONCILED


class TestPayouts:
    def test_a_movement_is_settled_once_its_payout_has_left(self):
        world = World("stripe")
        movement = world.moved(MovementKind.CAPTURE, 10_000)
        line = world.line(LineKind.CHARGE, 10_000, payout_id="po_1")
        world.match(line, movement)
        assert settles_by("stripe") == "payouts"
        assert settle(world.run, NOW).movements == 0

        tell_payout("stripe", PayoutTold("po_1", PayoutState.PAID, Money(10_000, "USD"), AT, AT), now=NOW)

        assert settle(world.run, NOW).movements == 1
        movement.refresh_from_db()
        assert (movement.batch_id, movement.settled_at) == ("po_1", AT)


def test_nothing_is_derived_for_what_is_not_paid(nmi):
    payment = scenes.authorised(AT)

    assert derive([payment.pk], matched=live_matches(), broken=open_differences(), cause="", now=NOW) == {}
