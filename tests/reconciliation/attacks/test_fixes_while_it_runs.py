"""What becomes of a fix that comes while a comparison is under way, or of two fixes of one break at once?"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection, transaction

from payments.errors import Conflict, PaymentsError
from payments.services.approvals import approve
from reconciliation.models import Match, Resolution, StatementAccount
from reconciliation.services.desk import lay_evidence
from reconciliation.services.resolutions.commanding import resolve
from reconciliation.services.resolutions.undoing import undo
from reconciliation.states import BreakState
from tests.reconciliation.attacks.ends import AFTER, MORNING, booked, clock, end, residual
from tests.reconciliation.factories import person, wish
from tests.reconciliation.running.night import LATER, LineKind, MovementKind, Night

pytestmark = pytest.mark.django_db(transaction=True)


def elsewhere(pool: ThreadPoolExecutor, work: Callable[[], Any]) -> Future[Any]:
    """On a connection of its own."""

    def run() -> Any:
        try:
            return work()
        finally:
            connection.close()

    return pool.submit(run)


def until(holds: Callable[[], bool]) -> None:
    for _ in range(3000):
        if holds():
            return
        time.sleep(0.02)
    raise AssertionError("it never came")


def waiting() -> bool:
    """Somebody waits for a row, in this database: other tests wait for theirs on the same server."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")  # inside a transaction the first look would stand for all
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(cursor.fetchone()[0])


def test_money_that_has_just_come_is_not_written_off(night: Night) -> None:
    """The line has met its movement, and the run has not yet ended the break: whoever agrees now agrees to old news."""
    movement = night.moved(MovementKind.CAPTURE, 1000)
    night.compare(LATER)
    broken = night.open_breaks()[0]
    lay_evidence(broken.public_id, name="mail.txt", content=b"gone", actor=person(), now=MORNING)
    asked = resolve(broken.public_id, wish("write_off", broken), actor=person(), clock=clock).approval
    assert asked is not None
    night.reports(movement, on=LATER)
    frank = person("frank")
    with ThreadPoolExecutor(2) as pool:
        with transaction.atomic():
            StatementAccount.objects.select_for_update(no_key=True).get(pk=night.account.pk)
            run = elsewhere(pool, lambda: night.compare(LATER, AFTER))
            until(waiting)
            assert Match.objects.filter(undone_at=None).exists()
            agreed = elsewhere(
                pool, lambda: approve(asked.public_id, digest=asked.digest, note="", actor=frank, clock=clock)
            )
            time.sleep(0.5)
        run.result(timeout=120)
        try:
            print(agreed.result(timeout=120).outcome)
        except PaymentsError as refused:
            print(refused.detail)
    broken.refresh_from_db()
    assert booked("5040") == 0
    assert (broken.state, broken.ended_by) == (BreakState.RESOLVED, "a later report")
    assert residual(night) == 0


def test_two_people_who_end_one_break_at_once_end_it_once(night: Night) -> None:
    night.line(LineKind.ADJUSTMENT, -500)
    night.compare(LATER)
    broken = night.open_breaks()[0]
    people = [person(), person("frank")]

    def fix(at: int) -> str:
        try:
            wanted = wish("post_fee", broken, treatment="fee")
            resolve(broken.public_id, wanted, actor=people[at], clock=clock)
        except Conflict as refused:
            return refused.detail
        return ""

    with ThreadPoolExecutor(2) as pool:
        said = [future.result(timeout=120) for future in [elsewhere(pool, partial(fix, at)) for at in range(2)]]
    assert sorted(bool(text) for text in said) == [False, True]
    assert (booked("5010"), Resolution.objects.count(), residual(night)) == (500, 1, 0)


def test_two_who_take_it_back_at_once_take_it_back_once(night: Night) -> None:
    night.line(LineKind.ADJUSTMENT, -500)
    night.compare(LATER)
    made = end(night.open_breaks()[0], "post_fee", treatment="fee")
    people = [person(), person("frank")]

    def back(at: int) -> str:
        try:
            undo(made.public_id, reason="it was wrong", actor=people[at], now=MORNING + timedelta(hours=1))
        except Conflict as refused:
            return refused.detail
        return ""

    with ThreadPoolExecutor(2) as pool:
        said = [future.result(timeout=120) for future in [elsewhere(pool, partial(back, at)) for at in range(2)]]
    assert sorted(bool(text) for text in said) == [False, True]
    assert (booked("5010"), residual(night)) == (0, 0)
