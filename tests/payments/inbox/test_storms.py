"""A thousand deliveries of one event, several drains over the same rows: one movement, one entry, one transition."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from datetime import datetime

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from redis import Redis

from payments.models import GatewayAccount, InboundEvent, Movement
from payments.services.inbox import drain_inbox
from payments.states import OperationState
from tests.payments.inbox.conftest import SetClock, assert_exactly_once, store, waiting_payment
from tests.payments.inbox.deliveries import Delivery, sale

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(workers: int, work: Callable[[int], None]) -> None:
    """Run `work(n)` in that many threads, started together; the first error is raised here."""
    barrier = threading.Barrier(workers)
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            barrier.wait()
            work(number)
        except BaseException as error:  # noqa: BLE001 - raised again in the test's own thread
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def post(delivery: Delivery, client: Client) -> str:
    response = client.post("/webhooks/nmi/", delivery.body, delivery.content_type, headers=delivery.wsgi)
    assert response.status_code == 200, response.content
    return response.content.decode().strip()


def drain_from_four_threads(clock: Callable[[], datetime]) -> None:
    """Drain, and see that PostgreSQL had no circle of waiters to break: a bisected batch would hide one."""
    before = deadlocks()

    def drain(_: int) -> None:
        drain_inbox(clock)

    at_once(4, drain)
    assert deadlocks() == before


def deadlocks() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


def test_the_same_event_a_thousand_times_at_once(account: GatewayAccount) -> None:
    delivery = sale("9001", waiting_payment(account).reference)
    answers: Counter[str] = Counter()

    def send(_: int) -> None:
        client = Client()
        answers.update([post(delivery, client) for _ in range(50)])

    at_once(20, send)

    assert answers == {"stored": 1, "already known": 999}
    assert InboundEvent.objects.count() == 1
    drain_from_four_threads(timezone.now)
    assert InboundEvent.objects.get().state == "applied"
    assert_exactly_once()


def test_one_movement_under_two_hundred_event_ids_drained_by_four_at_once(
    account: GatewayAccount, clock: SetClock
) -> None:
    reference = waiting_payment(account).reference
    for _ in range(200):
        store(sale("9001", reference))

    drain_from_four_threads(clock)

    assert Counter(InboundEvent.objects.values_list("state", flat=True)) == {"applied": 1, "ignored": 199}
    assert_exactly_once()


def test_events_of_forty_payments_in_opposite_orders_drained_by_four_at_once(
    account: GatewayAccount, clock: SetClock
) -> None:
    """Each payment's movement comes twice; ended operations let the drains build batches over the same payments."""
    attempts = [waiting_payment(account, operation_state=OperationState.DECLINED) for _ in range(40)]
    for ordered in (attempts, attempts[::-1]):
        for attempt in ordered:
            store(sale(f"tx-{attempt.pk}", attempt.reference))

    drain_from_four_threads(clock)

    assert Counter(InboundEvent.objects.values_list("state", flat=True)) == {"applied": 40, "ignored": 40}
    assert InboundEvent.objects.filter(attempts__gt=0).count() == 0
    assert_exactly_once(movements=40)


def test_nobodys_money_twice_in_opposite_orders_is_one_orphan_each(account: GatewayAccount, clock: SetClock) -> None:
    numbers = list(range(30))
    for ordered in (numbers, numbers[::-1]):
        for number in ordered:
            store(sale(f"foreign-{number}", f"other-{number}"))
    clock.advance(seconds=account.orphan_seconds)

    drain_from_four_threads(clock)

    assert Movement.objects.count() == 30
    assert InboundEvent.objects.filter(attempts__gt=0).count() == 0
    assert_exactly_once(movements=30)


def test_many_events_nudge_a_worker_once_and_events_after_a_drain_nudge_again(
    account: GatewayAccount, clock: SetClock, redis: Redis
) -> None:
    for number in range(20):
        store(sale(f"tx-{number}", waiting_payment(account).reference))
    assert redis.llen("inbox") == 1

    drain_inbox(clock)
    store(sale("tx-late", waiting_payment(account).reference))

    assert redis.llen("inbox") == 2


def test_drains_beside_deliveries_lose_nothing(account: GatewayAccount) -> None:
    deliveries = [sale(f"tx-{n}", waiting_payment(account).reference) for n in range(40)]

    def work(number: int) -> None:
        if number < 2:
            for delivery in deliveries[number::2]:
                post(delivery, Client())
        else:
            for _ in range(5):
                drain_inbox(timezone.now)

    at_once(4, work)

    drain_inbox(timezone.now)
    assert Counter(InboundEvent.objects.values_list("state", flat=True)) == {"applied": 40}
    assert_exactly_once(movements=40)
