"""Are there never more calls under way, nor more begun within a second, than the account's caps allow?"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Lock

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from payments.models import GatewayAccount, Operation, Payment
from payments.services.throttle import turn
from payments.states import OperationState
from tests.payments.factories import Clock, new_payment
from tests.payments.health.scenes import at_once, call_of
from tests.simulator_fixture import wait_for

WORKERS = 8
PATIENCE = 120.0


def capped(account: GatewayAccount, **caps: int) -> GatewayAccount:
    GatewayAccount.objects.filter(pk=account.pk).update(**caps)
    account.refresh_from_db()
    return account


def asked(account: GatewayAccount, now: datetime) -> timedelta | None:
    with transaction.atomic():
        return turn(account, now)


@pytest.fixture
def payment(account: GatewayAccount, clock: Clock) -> Payment:
    return new_payment(clock)


class TestInFlight:
    def test_only_calls_that_may_still_be_running_count(
        self, account: GatewayAccount, payment: Payment, clock: Clock
    ) -> None:
        capped(account, max_in_flight=1)
        operation = call_of(payment, account, clock(), state=OperationState.SENT)

        assert asked(account, clock()) == timedelta(seconds=1)
        clock.pass_(seconds=31)  # past its end, though nobody has written its outcome yet
        assert asked(account, clock()) is None
        clock.pass_(seconds=-31)
        Operation.objects.filter(pk=operation.pk).update(state=OperationState.SUCCEEDED)
        assert asked(account, clock()) is None

    def test_another_accounts_calls_take_no_turn(self, account: GatewayAccount, payment: Payment, clock: Clock) -> None:
        other = GatewayAccount.objects.create(slug="other", provider="nmi", name="Other", max_in_flight=1)
        call_of(payment, account, clock(), state=OperationState.SENT)

        assert asked(other, clock()) is None


class TestWithinASecond:
    def test_says_how_long_until_there_is_room(self, account: GatewayAccount, clock: Clock) -> None:
        capped(account, max_per_second=2)
        now = clock()
        for ago in (0.7, 0.2):
            call_of(new_payment(clock), account, now - timedelta(seconds=ago), state=OperationState.SENT)

        assert asked(account, now) == timedelta(seconds=0.3)
        assert asked(account, now + timedelta(seconds=0.3)) is None


def test_an_account_without_caps_is_asked_nothing(account: GatewayAccount) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert turn(account, datetime.now(UTC)) is None

    assert len(queries) == 0


@dataclass
class Road:
    """What was really under way at each moment, counted beside the database."""

    lock: Lock = field(default_factory=Lock)
    now: int = 0
    most: int = 0
    done: int = 0

    def enter(self) -> None:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)

    def leave(self) -> None:
        with self.lock:
            self.now -= 1
            self.done += 1


@pytest.mark.parametrize("cap", [1, 3])
def test_eight_workers_never_have_more_than_the_cap_under_way(account: GatewayAccount, clock: Clock, cap: int) -> None:
    capped(account, max_in_flight=cap)
    calls = [call_of(new_payment(clock), account, clock()).pk for _ in range(WORKERS * 3)]
    road = Road()

    def work(number: int) -> None:
        for pk in calls[number::WORKERS]:
            _begin(account, pk, road)
            wait_for(lambda: road.most >= cap, PATIENCE)  # so many may be under way: nobody ends before they are
            road.leave()  # the answer is there before its row says so
            Operation.objects.filter(pk=pk).update(state=OperationState.SUCCEEDED)

    at_once(WORKERS, work)

    assert road.done == len(calls)
    assert road.most == cap


def _begin(account: GatewayAccount, pk: int, road: Road) -> None:
    """As a worker does: ask for a turn, and mark the call sent in the same transaction."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with transaction.atomic():
            now = datetime.now(UTC)
            if turn(account, now) is None:
                Operation.objects.filter(pk=pk).update(
                    state=OperationState.SENT, sent_at=now, done_before=now + timedelta(seconds=30)
                )
                road.enter()
                return
        time.sleep(0.005)
    raise AssertionError("no turn came in time")


def test_eight_workers_never_begin_more_than_the_cap_within_a_second(account: GatewayAccount, clock: Clock) -> None:
    capped(account, max_per_second=5)
    calls = [call_of(new_payment(clock), account, clock()).pk for _ in range(12)]
    road = Road()

    def work(number: int) -> None:
        for pk in calls[number::WORKERS]:
            _begin(account, pk, road)

    at_once(WORKERS, work)

    begun = sorted(sent for sent in Operation.objects.values_list("sent_at", flat=True) if sent)
    assert len(begun) == 12
    assert all(later - earlier >= timedelta(seconds=1) for earlier, later in zip(begun, begun[5:], strict=False))
