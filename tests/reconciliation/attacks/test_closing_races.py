"""Does a certificate say what the books say, whoever posts, fixes or compares while the day is being closed?"""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, date, datetime

import pytest
from django.db import connection, transaction

from ledger.queries import closed_through
from ledger.services import post_entries
from payments.errors import NotAllowedNow
from payments.services.actors import Actor
from reconciliation.models import DayClose, Run, StatementAccount
from reconciliation.services import closing
from tests.ledger.books import capture
from tests.payments.approvals.people import person

DAY = date(2026, 3, 10)
NOW = datetime(2026, 3, 13, 9, 0, tzinfo=UTC)
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def fay() -> Actor:
    account = StatementAccount.objects.create(slug="nmi", name="NMI", kind="gateway", source="csv")
    run = Run(account=account, day=DAY, balanced=True, rules_version="1", lines={"read": 0}, movements={"open": 0})
    run.mark_running()
    run.mark_done()
    run.save()
    return person("fay")


def closing_elsewhere(pool: ThreadPoolExecutor, actor: Actor) -> Future[DayClose]:
    def close() -> DayClose:
        try:
            return closing.close_day(DAY, actor=actor, now=NOW)
        finally:
            connection.close()

    return pool.submit(close)


def wait_for_the_book(count: int = 1) -> None:
    """Until so many wait for the book's lock."""
    for _ in range(3000):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
            if cursor.fetchone()[0] >= count:
                return
        time.sleep(0.02)
    raise AssertionError("nobody waits")


def test_a_posting_under_way_is_in_the_proofs_or_stops_the_close(fay: Actor) -> None:
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            post_entries([capture("day/late")], now=NOW)
            close = closing_elsewhere(pool, fay)
            wait_for_the_book()
        with pytest.raises(NotAllowedNow, match="explained by nothing"):
            close.result(timeout=120)
    assert closed_through() is None


def test_two_closes_at_once_make_one_certificate(fay: Actor) -> None:
    with ThreadPoolExecutor(2) as pool:
        with transaction.atomic():
            post_entries([capture("other", currency="EUR", at=NOW)], now=NOW)
            both = [closing_elsewhere(pool, fay), closing_elsewhere(pool, fay)]
            wait_for_the_book(2)
        done = [close.result(timeout=120) for close in both]
    assert done[0].pk == done[1].pk
