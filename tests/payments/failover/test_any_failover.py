"""Whatever fails over, freezes, comes late or is finished in an old tab: nobody is charged twice by us, and double money is a case.

A machine of rules draws payments over several gateways, troubles on each wire, payers, senders that sleep, switches and time.
CI runs a few examples; `ANY_FAILOVER_EXAMPLES=300 ANY_FAILOVER_STEPS=50` runs it long, each time another way.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from payments.models import Attempt, Payment, Review, Route
from payments.services.accounts import ensure_gateway_account
from payments.services.resolution import ask_about
from tests.conftest import _empty_database
from tests.payments.factories import Clock
from tests.payments.failover.world import GATEWAYS, Gateways
from tests.payments.flows.books import balance
from tests.simulator_fixture import SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)

EXAMPLES = int(os.environ.get("ANY_FAILOVER_EXAMPLES", "3"))
STEPS = int(os.environ.get("ANY_FAILOVER_STEPS", "16"))
LONG = "ANY_FAILOVER_EXAMPLES" in os.environ
HMAC_KEY = "64656d6f2d636f6e766573696f7061792d686d61632d6b6579"

who = st.integers(0, 5)
yes_or_no = st.booleans()
tokens = st.sampled_from(["tok_ok", "tok_ok", "tok_3ds", "tok_3ds", "tok_decline_soft_decline"])
captures = st.sampled_from(["automatic", "automatic", "manual"])
windows = st.sampled_from([0, 15])
gateway = st.sampled_from(["nmi", "nmi", "stripe", "stripe", "convesiopay"])
FAULTS = st.sampled_from(
    [
        "decline:soft_decline",
        "decline:insufficient_funds",
        "lost_response",
        "dropped_request",
        "server_error",
        "server_error_after",
        "rate_limited",
        "late_authorisation:30",
        "late_authorisation:7200",
        "webhook_missing",
        "webhook_duplicate:2",
    ]
)


def fresh_world(simulator: SimulatorProcess) -> Gateways:
    """Nothing has happened yet; the accounts are asked in the order of their names above."""
    _empty_database(None)  # type: ignore[arg-type]
    simulator.clear_faults()
    simulator.reset()
    for place, slug in enumerate(GATEWAYS):
        ensure_gateway_account(slug, slug, slug.upper(), priority=place)
    return Gateways(simulator, Clock())


class AnyFailover(RuleBasedStateMachine):
    """The rules over one simulator of several gateways. What fails tells its whole story first."""

    simulator: ClassVar[SimulatorProcess]

    def __init__(self) -> None:
        super().__init__()
        self.world = fresh_world(self.simulator)
        self.failed = False

    @initialize(
        stripe_first=yes_or_no,
        orders=st.lists(st.tuples(tokens, captures, windows, FAULTS, yes_or_no), min_size=1, max_size=3),
    )
    def begin(self, stripe_first: bool, orders: list[tuple[str, str, int, str, bool]]) -> None:
        """Some payments, each with a trouble at the first gateway that it meets: there is no run without any."""
        first = "stripe" if stripe_first else "nmi"
        if stripe_first:
            Route.objects.filter(gateway_account__slug="nmi").update(priority=1)
            Route.objects.filter(gateway_account__slug="stripe").update(priority=0)
        for place, (token, capture, days, fault, late) in enumerate(orders):
            self.do(lambda f=fault: self.world.trouble(first, f, "any"))  # type: ignore[misc]
            self.pay(token, capture, days)
            self.work(place)
            if late:
                self.do(lambda n=place: self.world.first_attempt_comes_late(n))  # type: ignore[misc]

    @rule(token=tokens, capture=captures, days=windows)
    def pay(self, token: str, capture: str, days: int) -> None:
        self.do(lambda: self.world.begin(token, capture, days))

    @rule(index=who)
    def work(self, index: int) -> None:
        self.do(lambda: self.world.work(index))

    @rule(index=who, answered=yes_or_no)
    def a_sender_freezes(self, index: int, answered: bool) -> None:
        self.do(lambda: self.world.freeze(index, answered=answered))

    @rule(index=who)
    def a_sender_wakes_up(self, index: int) -> None:
        self.do(lambda: self.world.thaw(index))

    @rule(index=who)
    def a_sender_loses_its_session(self, index: int) -> None:
        self.do(lambda: self.world.kill(index))

    @rule(fault=FAULTS, at=gateway, operation=st.sampled_from(["any", "sale", "auth", "close", "void"]))
    def trouble(self, fault: str, at: str, operation: str) -> None:
        self.do(lambda: self.world.trouble(at, fault, "void" if operation == "close" else operation))

    @rule(at=gateway, what=st.sampled_from(["outage", "lookup_down"]))
    def away(self, at: str, what: str) -> None:
        self.do(lambda: self.simulator.fault(what, "any", gateway=at, times=3))

    @rule()
    def all_back(self) -> None:
        self.do(self.simulator.clear_faults)

    @rule(index=who, does=st.sampled_from(["approve", "approve", "fail", "abandon"]))
    def the_payer(self, index: int, does: str) -> None:
        self.do(lambda: self.world.payer(index, does))

    @rule(index=who, manual=st.sampled_from([False, False, True]))
    def money_comes_late(self, index: int, manual: bool) -> None:
        self.do(lambda: self.world.late_money(index, manual=manual))

    @rule(index=who, at_once=yes_or_no)
    def cancel(self, index: int, at_once: bool) -> None:
        self.do(lambda: self.world.cancel(index, at_once=at_once))

    @rule(index=who, part=st.sampled_from([2, 4]), at_once=yes_or_no)
    def capture(self, index: int, part: int, at_once: bool) -> None:
        self.do(lambda: self.world.capture(index, part, final=True, at_once=at_once))

    @rule(index=who, part=st.sampled_from([2, 4]), at_once=yes_or_no)
    def refund(self, index: int, part: int, at_once: bool) -> None:
        self.do(lambda: self.world.refund(index, part, at_once=at_once))

    @rule(index=who)
    def retry_now(self, index: int) -> None:
        self.do(lambda: self.world.retry(index))

    @rule(index=who)
    def cancel_the_retry(self, index: int) -> None:
        self.do(lambda: self.world.cancel_retry(index))

    @rule(kind=st.sampled_from(["charges", "everything"]), thrown=yes_or_no)
    def switch(self, kind: str, thrown: bool) -> None:
        self.do(lambda: self.world.switch(kind, thrown=thrown))

    @rule(at=gateway, paused=yes_or_no)
    def pause(self, at: str, paused: bool) -> None:
        self.do(lambda: self.world.pause(at, paused=paused))

    @rule(index=st.integers(0, 30))
    def webhook(self, index: int) -> None:
        self.do(lambda: self.world.deliver(index))

    @rule()
    def all_webhooks(self) -> None:
        self.do(self.world.deliver_rest)

    @rule(minutes=st.sampled_from([1, 3, 20, 70, 1500, 9000]))
    def time_and_a_sweep(self, minutes: int) -> None:
        self.do(lambda: self.world.pass_time(minutes=minutes))
        self.do(self.world.sweep)

    @rule()
    def sweep(self) -> None:
        self.do(self.world.sweep)

    @invariant()
    def it_holds(self) -> None:
        self.do(self.world.assert_each_step)

    def do(self, act: Callable[[], object]) -> None:
        try:
            act()
        except BaseException:
            self.failed = True
            print(self.world.story())
            self.world.close()
            raise

    def teardown(self) -> None:
        if not self.failed:
            self.do(self.world.settle)
            event(f"cases: {sorted(set(Review.objects.values_list('kind', flat=True)))}")
            event(f"attempts of a payment: {max([*Attempt.objects.values_list('number', flat=True), 0])}")
            self.do(self.world.give_back_doubles)
        self.world.close()


@pytest.fixture
def gateways(simulator: SimulatorProcess, monkeypatch: pytest.MonkeyPatch) -> SimulatorProcess:
    """The three of them on one simulator."""
    monkeypatch.setenv("GATEWAY_STRIPE_BASE_URL", f"{simulator.url}/stripe")
    monkeypatch.setenv("GATEWAY_STRIPE_SECRET_KEY", "sk_test_demo")
    monkeypatch.setenv("GATEWAY_STRIPE_WEBHOOK_SECRET", "whsec_demo")
    monkeypatch.setenv("GATEWAY_CONVESIOPAY_BASE_URL", f"{simulator.url}/convesiopay")
    monkeypatch.setenv("GATEWAY_CONVESIOPAY_SECRET", "demo-convesiopay-secret")
    monkeypatch.setenv("GATEWAY_CONVESIOPAY_INTEGRATION", "int_1")
    monkeypatch.setenv("GATEWAY_CONVESIOPAY_WEBHOOK_SECRET", HMAC_KEY)
    return simulator


def test_any_failover_charges_nobody_twice(gateways: SimulatorProcess) -> None:
    AnyFailover.simulator = gateways
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        AnyFailover,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=not LONG,
            phases=[Phase.explicit, Phase.generate],
            print_blob=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize(("told_by", "earlier_first"), [("webhooks", True), ("look-up", False)])
def test_money_at_two_gateways_is_one_case_and_goes_back_where_it_came_second(
    gateways: SimulatorProcess, told_by: str, earlier_first: bool
) -> None:
    world = fresh_world(gateways)
    gateways.fault("decline:soft_decline", "sale", gateway="nmi", times=1)
    if earlier_first:
        gateways.fault("lost_response", "sale", gateway="stripe", times=1)
    world.begin("tok_ok", "automatic", 15)
    world.work(0)
    assert [a.gateway_account.slug for a in Attempt.objects.order_by("number")] == ["nmi", "stripe"]
    assert Payment.objects.get().state == ("pending" if earlier_first else "captured")

    world.first_attempt_comes_late(0)
    if told_by == "webhooks":
        world.deliver_rest()
    ask_about(Payment.objects.get().pk, world.clock)

    world.assert_each_step()
    review = Review.objects.get()
    second = "stripe" if earlier_first else "nmi"
    assert (review.kind, review.gateway_account.slug) == ("second_capture", second)
    world.settle()
    world.give_back_doubles()
    assert Review.objects.get().decision == "refund"
    assert balance("2040") == 0
    kept = {"nmi": 1000, "stripe": 1000} | {second: 0}
    assert {slug: world.taken_at(slug) for slug in ("nmi", "stripe")} == kept
