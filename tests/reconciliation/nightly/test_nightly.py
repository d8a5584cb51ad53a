"""Is every day compared by itself, once, at the account's own hour, whatever stood still, came late or was started twice?"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from secrets import token_hex

import psycopg
import pytest

from reconciliation.models import Alert, Break, Run, Statement, StatementAccount
from reconciliation.services import alerts, nightly
from reconciliation.services.nightly import CATCH_UP_DAYS, plan, run_due, tick
from tests import services
from tests.reconciliation.moved_clock import MovedClock

SUNDAY = date(2026, 3, 8)  # clocks change in New York: two in the morning is three
MONDAY_NOON = datetime(2026, 3, 9, 12, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock(MONDAY_NOON)


def compared(slug: str = "bank", **terms: object) -> StatementAccount:
    """An account of the bank, whose comparison needs no gateway; its reports are files."""
    values = {"name": slug, "kind": "bank", "source": "camt053", "nightly_hour": 6, **terms}
    return StatementAccount.objects.create(slug=slug, **values)


@pytest.fixture
def account(db: None) -> StatementAccount:
    return compared()


def reported(account: StatementAccount, day: date, at: datetime = MONDAY_NOON, **fields: object) -> Statement:
    """A whole report of a day with nothing in it."""
    values = {"complete": True, "closed": True, "state": "read", **fields}
    return Statement.objects.create(
        account=account, source="camt053", name=f"{day}", sha256=token_hex(32), starts_on=day,
        ends_on=day, received_at=at, **values,
    )  # fmt: skip


def days(account: StatementAccount) -> list[date]:
    return list(Run.objects.filter(account=account).order_by("day").values_list("day", flat=True))


class TestPlanning:
    @pytest.mark.parametrize(
        ("zone", "hour", "before", "last"),
        [
            ("UTC", 6, datetime(2026, 3, 9, 5, 59, tzinfo=UTC), SUNDAY - timedelta(days=1)),
            ("UTC", 6, datetime(2026, 3, 9, 6, 0, tzinfo=UTC), SUNDAY),
            ("Pacific/Auckland", 6, datetime(2026, 3, 8, 17, 0, tzinfo=UTC), SUNDAY),
            ("America/New_York", 2, datetime(2026, 3, 8, 6, 59, tzinfo=UTC), SUNDAY - timedelta(days=2)),
            ("America/New_York", 2, datetime(2026, 3, 8, 7, 0, tzinfo=UTC), SUNDAY - timedelta(days=1)),
        ],
        ids=["before its hour", "at its hour", "ahead of us", "before an hour that is skipped", "at it"],
    )
    def test_a_day_is_due_at_the_accounts_hour_of_the_day_after(
        self, db: None, zone: str, hour: int, before: datetime, last: date
    ) -> None:
        account = compared(time_zone=zone, nightly_hour=hour)

        plan(before)

        assert days(account) == [last]

    def test_planned_twice_it_is_one_row(self, account: StatementAccount, clock: MovedClock) -> None:
        assert (plan(clock()), plan(clock())) == (1, 0)
        assert days(account) == [SUNDAY]

    def test_days_missed_are_made_up_for_oldest_first_and_within_bounds(
        self, account: StatementAccount, clock: MovedClock
    ) -> None:
        plan(clock())
        Run.objects.update(state="done", next_check_at=None)
        clock.pass_(days=3)
        assert plan(clock()) == 3

        clock.pass_(days=100)
        assert plan(clock()) == CATCH_UP_DAYS
        found = days(account)
        assert found[-CATCH_UP_DAYS:] == [
            found[-1] - timedelta(days=number) for number in range(CATCH_UP_DAYS - 1, -1, -1)
        ]

    def test_a_hole_in_the_past_is_filled(self, account: StatementAccount, clock: MovedClock) -> None:
        for back in (0, 1, 3):
            Run.objects.create(account=account, day=SUNDAY - timedelta(days=back))

        assert plan(clock()) == 1
        assert SUNDAY - timedelta(days=2) in days(account)

    def test_books_that_began_last_week_are_compared_from_their_first_day(
        self, account: StatementAccount, clock: MovedClock
    ) -> None:
        StatementAccount.objects.update(books_start_on=SUNDAY - timedelta(days=6))
        assert plan(clock()) == 7

    def test_books_that_begin_later_wait(self, account: StatementAccount, clock: MovedClock) -> None:
        StatementAccount.objects.update(books_start_on=SUNDAY + timedelta(days=1))
        assert plan(clock()) == 0

    def test_an_account_that_is_compared_by_hand_is_left_alone(
        self, account: StatementAccount, clock: MovedClock
    ) -> None:
        StatementAccount.objects.update(nightly=False)
        assert plan(clock()) == 0


class TestRunning:
    def test_a_day_with_its_report_is_compared_once(self, account: StatementAccount, clock: MovedClock) -> None:
        reported(account, SUNDAY)

        assert tick(clock) == nightly.Ran(planned=1, done=1)
        assert tick(clock) == nightly.Ran()
        run = Run.objects.get()
        assert (run.state, run.times, run.next_check_at) == ("done", 1, None)

    def test_days_are_compared_oldest_first_and_one_that_waits_holds_up_no_other(
        self, account: StatementAccount, clock: MovedClock
    ) -> None:
        other = compared("other")
        StatementAccount.objects.update(books_start_on=SUNDAY - timedelta(days=1))
        for late in (SUNDAY - timedelta(days=1), SUNDAY):
            reported(other, late)

        assert tick(clock) == nightly.Ran(planned=4, done=2, waiting=2)
        order = Run.objects.filter(account=other).order_by("started_at", "pk").values_list("day", flat=True)
        assert list(order) == [SUNDAY - timedelta(days=1), SUNDAY]

    def test_a_late_report_is_asked_for_with_growing_pauses(self, account: StatementAccount, clock: MovedClock) -> None:
        clock.now = datetime(2026, 3, 9, 6, 0, tzinfo=UTC)
        pauses = []
        for _ in range(12):
            tick(clock)
            run = Run.objects.get()
            assert (run.state, run.next_check_at is not None) == ("waiting", True)
            assert run.next_check_at is not None
            pauses.append(run.next_check_at - clock())
            clock.now = run.next_check_at
        assert pauses[0] == timedelta(minutes=5)
        assert pauses == sorted(pauses)
        assert pauses[-1] > timedelta(minutes=10)

    def test_it_does_not_ask_before_the_pause_is_over_unless_a_report_has_come(
        self, account: StatementAccount, clock: MovedClock
    ) -> None:
        tick(clock)
        clock.pass_(minutes=1)
        assert tick(clock) == nightly.Ran()

        reported(account, SUNDAY, clock(), complete=False)
        clock.pass_(minutes=1)
        assert tick(clock) == nightly.Ran()  # not a whole one
        reported(account, SUNDAY, clock())
        clock.pass_(minutes=1)
        assert tick(clock) == nightly.Ran(done=1)

    def test_one_break_and_one_alarm_for_a_report_that_stays_away_and_both_end_when_it_comes(
        self, account: StatementAccount, clock: MovedClock
    ) -> None:
        clock.now = datetime(2026, 3, 9, 6, 0, tzinfo=UTC)
        for _ in range(30):
            tick(clock)
            alerts.watch(clock)
            clock.pass_(minutes=30)
        assert [broken.kind for broken in Break.objects.all()] == ["report_missing"]
        [alert] = Alert.objects.filter(kind="silence")
        assert alert.raised_at == datetime(2026, 3, 9, 12, 0, tzinfo=UTC)
        assert Break.objects.get().opened_at >= alert.raised_at

        reported(account, SUNDAY, clock())
        clock.pass_(minutes=1)
        tick(clock)
        alerts.watch(clock)
        alert.refresh_from_db()
        assert (Break.objects.get().state, alert.ended_at) == ("resolved", clock())

    def test_a_day_that_breaks_off_says_so_and_is_tried_again(
        self, account: StatementAccount, clock: MovedClock
    ) -> None:
        reported(account, SUNDAY)
        StatementAccount.objects.update(time_zone="UTC")
        plan(clock())
        StatementAccount.objects.update(holidays=["no day"])  # terms that nobody could have entered by a form

        assert run_due(clock) == nightly.Ran(waiting=1)
        run = Run.objects.get()
        assert (run.state, run.next_check_at) == ("failed", clock() + timedelta(hours=1, minutes=30))
        assert "It broke off" in run.because

        StatementAccount.objects.update(holidays=[])
        clock.pass_(hours=1, minutes=30)
        assert run_due(clock) == nightly.Ran(done=1)

    def test_a_day_whose_process_died_is_taken_up_after_an_hour(
        self, account: StatementAccount, clock: MovedClock
    ) -> None:
        reported(account, SUNDAY)
        run = Run(account=account, day=SUNDAY, next_check_at=clock() + timedelta(hours=1), times=1)
        run.mark_running()
        run.save()

        assert tick(clock) == nightly.Ran()
        clock.pass_(hours=1)
        assert tick(clock) == nightly.Ran(done=1)


@pytest.mark.django_db(transaction=True)
def test_a_second_beat_at_the_same_time_leaves_it_to_the_first(clock: MovedClock) -> None:
    account = compared()
    reported(account, SUNDAY)
    plan(clock())

    with psycopg.connect(services.owner_url(), autocommit=True) as first:
        first.execute("SELECT pg_advisory_lock(%s)", [nightly._RUNNING])
        assert run_due(clock) == nightly.Ran()
        first.execute("SELECT pg_advisory_unlock(%s)", [nightly._RUNNING])
    assert run_due(clock) == nightly.Ran(done=1)
