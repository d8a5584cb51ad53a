"""Whatever happens in whatever order to payments that take parts: the rules of all payments, with the rest collected, accepted
short or given back on the way. `ANY_ORDER_EXAMPLES` and `ANY_ORDER_STEPS` run it long, as they do the other one."""

from __future__ import annotations

import pytest
from django.db.models import Sum
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from payments.models import Movement, Operation, Payment, Transition
from payments.services.actors import SYSTEM
from payments.services.execution import advance_payment
from payments.services.retries import retry_now
from payments.services.short import accept_short
from payments.states import COLLECTING, MovementKind, PaymentState
from tests.payments.factories import Clock, new_payment, nmi_account
from tests.payments.flows.books import balance
from tests.payments.flows.conftest import simulator
from tests.payments.flows.test_any_order import EXAMPLES, SHRINK, STEPS, AnyOrder, now_or_later, who
from tests.payments.flows.world import World
from tests.simulator_fixture import SimulatorProcess

__all__ = ["simulator"]
pytestmark = pytest.mark.django_db(transaction=True)
_BACK = (MovementKind.REFUND.value, MovementKind.VOID.value)


class PartsWorld(World):
    """Every payment takes parts."""

    def pay(self, amount_minor: int, capture: str, token: str, *, at_once: bool) -> None:
        payment = new_payment(
            self.clock, amount_minor=amount_minor, capture=capture, token=token, email="payer@example.com",
            accept_partial=True,
        )  # fmt: skip
        if at_once:
            advance_payment(payment.pk, self.clock)

    def collect(self, index: int, *, at_once: bool) -> None:
        payment = self.payment(index)
        if payment is not None and self._try(lambda: retry_now(payment.public_id, actor=SYSTEM, now=self.clock())):
            self._maybe(at_once, payment)

    def accept(self, index: int) -> None:
        payment = self.payment(index)
        if payment is not None:
            self._try(lambda: accept_short(payment.public_id, reason="agreed discount", actor=SYSTEM, now=self.clock()))

    def assert_books_hold(self) -> None:
        """And what is held is what stands of partially paid payments: never nothing, never all of it."""
        super().assert_books_hold()
        held = 0
        for payment in Payment.objects.filter(state=PaymentState.PARTIALLY_PAID):
            part = standing(payment)
            assert 0 < part < payment.amount_minor, f"{payment}: {part} of {payment.amount_minor}"
            held += part
        assert -balance("2025") == held

    def assert_no_second_charge(self) -> None:
        """No call of ours asked for more than was missing, and no more counts than is due unless a person said so."""
        for payment in Payment.objects.all():
            for call in Operation.objects.filter(payment=payment, kind__in=[k.value for k in COLLECTING]):
                before = Movement.objects.filter(payment=payment, operation__lt=call.pk, counts=True, kind="capture")
                assert call.amount_minor <= payment.amount_minor, f"{call} asked for too much"
                if call.sent_at is not None and call.state == "succeeded":
                    before = before.filter(posted_at__lt=call.planned_at, currency=payment.currency)
                    back = Movement.objects.filter(
                        payment=payment, counts=True, kind__in=_BACK, posted_at__lt=call.planned_at
                    )
                    stood = _sum(before) - _sum(back.exclude(kind="void", of_captured_money=False))
                    assert call.amount_minor + max(stood, 0) <= payment.amount_minor, (
                        f"{call} asked for more than the rest"
                    )
            told = Transition.objects.filter(payment=payment, fact="review_decided").exists()
            assert told or standing(payment) <= payment.amount_minor, f"{payment} counts too much"


def _sum(rows: object) -> int:
    return rows.aggregate(sum=Sum("amount_minor"))["sum"] or 0  # type: ignore[attr-defined,no-any-return]


def standing(payment: Payment) -> int:
    """What came in less what went back, of what counts."""
    rows = payment.movements.filter(counts=True, currency=payment.currency)
    back = rows.filter(kind="refund") | rows.filter(kind="void", of_captured_money=True)
    kept = rows.filter(kind="refund_return")
    return _sum(rows.filter(kind="capture")) - _sum(back) + _sum(kept)


class PartsInAnyOrder(AnyOrder):
    """The same rules, and the three ways a part goes on."""

    def __init__(self) -> None:
        super().__init__()
        nmi_account()
        self.world: PartsWorld = PartsWorld(self.simulator, Clock())

    # Two captures in one transaction are the other machine's; here each transaction brings one part.
    capture_by_force = None  # type: ignore[assignment]

    @rule(index=who, at_once=now_or_later)
    def collect(self, index: int, at_once: bool) -> None:
        self.do(lambda: self.world.collect(index, at_once=at_once))

    @rule(index=who)
    def accept(self, index: int) -> None:
        self.do(lambda: self.world.accept(index))

    @rule(operation=st.sampled_from(["sale", "auth"]))
    def wants_funds(self, operation: str) -> None:
        self.do(lambda: self.world.fault("decline:202", operation))

    @rule(less=st.sampled_from([-100, -300, 100]))
    def takes_less(self, less: int) -> None:
        self.do(lambda: self.world.fault(f"amount_off:{less}", "sale"))


def test_parts_in_any_order_end_right(simulator: SimulatorProcess) -> None:
    phases = [Phase.explicit, Phase.generate] + ([Phase.shrink] if SHRINK else [])
    PartsInAnyOrder.simulator = simulator
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        PartsInAnyOrder,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            phases=phases,
            print_blob=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
