"""How often is a worker nudged about one payment? Once: whoever works on it looks again by itself."""

from __future__ import annotations

import json

import redis as redis_client

from payments.services.execution import advance_payment
from payments.states import PaymentState
from tests.payments.factories import Clock, new_payment
from tests.simulator_fixture import SimulatorProcess


def nudged(redis: redis_client.Redis) -> list[list[int]]:
    """What each message on the queue of gateway calls asks for, the oldest first."""
    waiting = [json.loads(message) for message in reversed(redis.lrange("gateway", 0, -1))]
    return [json.loads(message["headers"]["argsrepr"].replace("(", "[").replace(",)", "]")) for message in waiting]


def test_a_payment_that_is_taken_at_once_was_nudged_once(
    simulator: SimulatorProcess, clock: Clock, redis: redis_client.Redis
) -> None:
    payment = new_payment(clock)
    assert nudged(redis) == [[payment.pk]]

    advance_payment(payment.pk, clock)

    payment.refresh_from_db()
    assert payment.state == PaymentState.CAPTURED
    assert nudged(redis) == [[payment.pk]]


def test_another_payment_of_the_same_moment_is_nudged(
    simulator: SimulatorProcess, clock: Clock, redis: redis_client.Redis
) -> None:
    first, second = new_payment(clock), new_payment(clock)
    advance_payment(first.pk, clock)
    advance_payment(second.pk, clock)
    assert nudged(redis) == [[first.pk], [second.pk]]
