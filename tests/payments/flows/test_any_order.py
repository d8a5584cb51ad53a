"""Whatever happens in whatever order, the money is booked once, nothing is stuck, and every case can be decided.

A machine of rules draws payments, commands, acts in the gateway's dashboard, faults on the wire, webhooks in any order,
time and decisions. CI runs a few examples; `ANY_ORDER_EXAMPLES=300 ANY_ORDER_STEPS=60` runs it long.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.conftest import _empty_database
from tests.payments.factories import Clock, nmi_account
from tests.payments.flows.world import World
from tests.simulator_fixture import SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)

EXAMPLES = int(os.environ.get("ANY_ORDER_EXAMPLES", "4"))
STEPS = int(os.environ.get("ANY_ORDER_STEPS", "14"))
SHRINK = os.environ.get("ANY_ORDER_SHRINK") == "1"

who = st.integers(0, 5)
share = st.integers(1, 4)
now_or_later = st.booleans()
FAULTS = st.sampled_from(
    [
        "lost_response",
        "dropped_request",
        "server_error",
        "server_error_after",
        "html_body_after",
        "rate_limited",
        "communication_error",
        "decline:200",
        "decline:202",
        "decline:300",
        "amount_off:200",
        "amount_off:-200",
        "amount_off:100:silent",
        "currency_off:EUR",
        "duplicate",
        "lookup_lag:60",
        "webhook_other_id:1",
        "late_authorisation:30",
    ]
)


class AnyOrder(RuleBasedStateMachine):
    """The rules over one simulator. What fails tells its whole story first."""

    simulator: ClassVar[SimulatorProcess]

    def __init__(self) -> None:
        super().__init__()
        _empty_database(None)  # type: ignore[arg-type]
        self.simulator.clear_faults()
        self.simulator.reset()
        nmi_account()
        self.world = World(self.simulator, Clock())
        self.failed = False

    def tell(self, error: BaseException) -> None:
        self.failed = True
        print(self.world.story())
        raise error

    @rule(
        amount=st.sampled_from([1000, 1200, 800]),
        capture=st.sampled_from(["automatic", "manual"]),
        token=st.sampled_from(["tok_ok", "tok_ok", "tok_ok", "tok_decline_insufficient_funds"]),
        at_once=now_or_later,
    )
    def pay(self, amount: int, capture: str, token: str, at_once: bool) -> None:
        self.do(lambda: self.world.pay(amount, capture, token, at_once=at_once))

    @rule(index=who)
    def work(self, index: int) -> None:
        self.do(lambda: self.world.work(index))

    @rule(index=who, part=share, final=st.booleans(), at_once=now_or_later)
    def capture(self, index: int, part: int, final: bool, at_once: bool) -> None:
        self.do(lambda: self.world.capture(index, part, final=final, at_once=at_once))

    @rule(index=who, at_once=now_or_later)
    def cancel(self, index: int, at_once: bool) -> None:
        self.do(lambda: self.world.cancel(index, at_once=at_once))

    @rule(index=who, part=share, at_once=now_or_later)
    def refund(self, index: int, part: int, at_once: bool) -> None:
        self.do(lambda: self.world.refund(index, part, at_once=at_once))

    @rule(index=who, amount=st.sampled_from([None, 400]))
    def capture_in_the_dashboard(self, index: int, amount: int | None) -> None:
        self.do(lambda: self.world.dashboard("capture", index, **({"amount_minor": amount} if amount else {})))

    @rule(index=who, amount=st.sampled_from([1000, 1200, 800, 500]))
    def capture_by_force(self, index: int, amount: int) -> None:
        self.do(lambda: self.world.dashboard("capture", index, force=True, amount_minor=amount))

    @rule(index=who)
    def void_in_the_dashboard(self, index: int) -> None:
        self.do(lambda: self.world.dashboard("void", index))

    @rule(index=who, amount=st.sampled_from([None, 300, 1000]))
    def refund_in_the_dashboard(self, index: int, amount: int | None) -> None:
        self.do(lambda: self.world.dashboard("refund", index, **({"amount_minor": amount} if amount else {})))

    @rule(index=who)
    def void_a_refund_in_the_dashboard(self, index: int) -> None:
        self.do(lambda: self.world.void_a_refund(index))

    @rule(index=who, amount=st.sampled_from([1000, 700]), action=st.sampled_from(["sale", "auth"]))
    def same_order_again_in_the_dashboard(self, index: int, amount: int, action: str) -> None:
        self.do(lambda: self.world.dashboard(action, index, amount_minor=amount))

    @rule(amount=st.sampled_from([1000, 700]))
    def sale_of_nobody(self, amount: int) -> None:
        self.do(lambda: self.world.simulator.act("foreign_sale", amount_minor=amount))

    @rule(index=who)
    def hold_lapses(self, index: int) -> None:
        self.do(lambda: self.world.dashboard("expire_hold", index))

    @rule()
    def batch(self) -> None:
        self.do(self.world.settle_batch)

    @rule(fault=FAULTS, operation=st.sampled_from(["any", "sale", "auth", "capture", "void", "refund"]))
    def trouble(self, fault: str, operation: str) -> None:
        self.do(lambda: self.world.fault(fault, "any" if fault.startswith("lookup") else operation))

    @rule()
    def look_ups_are_down(self) -> None:
        self.do(lambda: self.world.fault("lookup_down", "query"))

    @rule(index=st.integers(0, 30))
    def webhook(self, index: int) -> None:
        self.do(lambda: self.world.deliver(index))

    @rule()
    def all_webhooks(self) -> None:
        self.do(self.world.deliver_rest)

    @rule(minutes=st.sampled_from([1, 5, 30, 90, 1500, 9000]))
    def time(self, minutes: int) -> None:
        self.do(lambda: self.world.pass_time(minutes=minutes))

    @rule()
    def sweep(self) -> None:
        self.do(self.world.sweep)

    @rule(review=who, option=who)
    def decide(self, review: int, option: int) -> None:
        self.do(lambda: self.world.decide(review, option))

    @invariant()
    def books_hold(self) -> None:
        self.do(self.world.assert_books_hold)

    def do(self, act: Callable[[], object]) -> None:
        try:
            act()
        except BaseException as error:  # noqa: BLE001 - told and raised again
            self.tell(error)

    def teardown(self) -> None:
        if self.failed:
            return
        self.do(self.world.settle)
        self.do(self.world.decide_all)
        self.do(self.world.assert_at_rest)
        self.do(self.world.assert_all_decided)


def test_any_order_ends_right(simulator: SimulatorProcess):
    phases = [Phase.explicit, Phase.generate] + ([Phase.shrink] if SHRINK else [])
    AnyOrder.simulator = simulator
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        AnyOrder,
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
