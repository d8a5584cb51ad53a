"""What does a start leave to be compared: nothing from before a demo began, and what was missed without a false alarm?"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from django.test import RequestFactory

from config.services import make_staff, prepare_people, prepare_start
from payments.models import Movement
from payments.services.accounts import ensure_gateway_account
from reconciliation.models import Alert, Break, Run, StatementAccount
from reconciliation.queries.night_queue import nights_in_trouble
from reconciliation.services import alerts, nightly
from reconciliation.services.comparing import compare_day
from reconciliation.states import RunState
from tests.reconciliation.moved_clock import MovedClock

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 11, 12, 0, tzinfo=UTC)
TODAY, YESTERDAY = date(2026, 3, 11), date(2026, 3, 10)
DEMO = {"nmi", "convesiopay", "stripe", "main"}


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock(NOON)


def begins() -> dict[str, date | None]:
    return dict(StatementAccount.objects.values_list("slug", "books_start_on"))


def home(now: datetime) -> Any:
    """What the home page tells finance of the night."""
    request = RequestFactory().get("/")
    request.user = make_staff("fay", "finance", "pw")
    return nights_in_trouble(request, now)


def money_moved(slug: str, at: datetime) -> None:
    Movement.objects.create(
        gateway_account=ensure_gateway_account(slug, slug, slug), gateway_id=slug, kind="capture", amount_minor=5,
        currency="USD", occurred_at=at, posted_at=at, entry_source_key=slug,
    )  # fmt: skip


class TestADemo:
    def test_begins_with_the_day_of_its_start_and_awaits_nothing_from_before(self, clock: MovedClock) -> None:
        prepare_start(demo=True, now=clock())
        assert begins() == dict.fromkeys(DEMO, TODAY)

        for _ in range(3):
            assert nightly.tick(clock) == nightly.Ran()
            alerts.watch(clock)
            clock.pass_(minutes=1)
        assert (Break.objects.count(), Alert.objects.count(), home(clock())) == (0, 0, None)

        clock.now = NOON.replace(hour=6) + timedelta(days=1)
        assert nightly.plan(clock()) == len(DEMO)
        assert set(Run.objects.values_list("day", flat=True)) == {TODAY}

    @pytest.mark.parametrize("slug", sorted(DEMO))
    def test_compared_by_hand_the_day_before_is_empty_and_waits_for_nothing(self, clock: MovedClock, slug: str) -> None:
        prepare_start(demo=True, now=clock())
        told = compare_day(slug, YESTERDAY, clock)
        assert (told.exit_code, told.breaks, told.numbers["lines"]["read"]) == (0, {}, 0)
        assert told.because == "The books start on 2026-03-11: nothing of this day is compared."
        alerts.watch(clock)
        assert (Alert.objects.count(), home(clock())) == (0, None)

    def test_begins_where_its_accounts_are_whatever_the_clock_on_the_wall_says(self) -> None:
        tokyo = timezone(timedelta(hours=9))
        prepare_start(demo=True, now=datetime(2026, 3, 12, 8, 30, tzinfo=tokyo))
        assert begins() == dict.fromkeys(DEMO, TODAY)

    def test_started_again_it_keeps_its_first_day_and_what_people_set(self, clock: MovedClock) -> None:
        prepare_start(demo=True, now=clock())
        StatementAccount.objects.filter(slug="nmi").update(books_start_on=None)
        StatementAccount.objects.filter(slug="main").update(books_start_on=date(2026, 1, 1))
        clock.pass_(days=2)
        prepare_start(demo=True, now=clock())
        assert begins() == {"nmi": None, "convesiopay": TODAY, "stripe": TODAY, "main": date(2026, 1, 1)}

    def test_leaves_accounts_that_people_made_and_those_wheremoney_moved_before(self, clock: MovedClock) -> None:
        prepare_people(demo=True)
        ensure_gateway_account("shop", "nmi", "The shop's own")
        money_moved("nmi", NOON - timedelta(days=1))
        money_moved("stripe", NOON - timedelta(hours=1))
        prepare_start(demo=True, now=clock())
        assert begins() == {"nmi": None, "shop": None, "convesiopay": TODAY, "stripe": TODAY, "main": TODAY}


class TestAStartAfterALongStop:
    @pytest.fixture(autouse=True)
    def _before(self, db: None) -> None:
        account = StatementAccount.objects.create(slug="a", name="A", kind="bank", source="camt053")
        Run.objects.create(account=account, day=YESTERDAY - timedelta(days=2), state=RunState.DONE, balanced=True)

    def test_the_home_page_waits_until_there_was_time_enough(self, clock: MovedClock) -> None:
        prepare_start(demo=False, now=clock())
        assert set(Run.objects.filter(state=RunState.DUE).values_list("day", "next_check_at")) == {
            (YESTERDAY - timedelta(days=1), NOON), (YESTERDAY, NOON),
        }  # fmt: skip
        clock.pass_(minutes=59)
        assert home(clock()) is None

        clock.pass_(minutes=1)
        [row] = home(clock()).rows
        assert (row.why, row.chip.text) == (
            "2026-03-09 and 1 later. Nothing has begun to compare it: do the workers run?",
            "not compared",
        )

    def test_one_that_somebody_has_taken_up_is_asked_no_such_thing(self, clock: MovedClock) -> None:
        prepare_start(demo=False, now=clock())
        Run.objects.filter(day__lt=YESTERDAY).update(next_check_at=NOON + timedelta(hours=1))
        [row] = home(clock()).rows
        assert (row.chip.text, "workers" in row.why) == ("due", False)

    def test_no_alarm_goes_out_before_the_days_could_be_made_up_for(self, clock: MovedClock) -> None:
        prepare_start(demo=False, now=clock())
        alerts.watch(clock)
        assert Alert.objects.count() == 0

        clock.pass_(hours=1)
        alerts.watch(clock)
        assert [(alert.kind, alert.level) for alert in Alert.objects.all()] == [("silence", 31)]
