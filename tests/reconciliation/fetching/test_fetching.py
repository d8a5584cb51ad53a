"""Is a day's report by API whole, counted once however often it is asked for, and incomplete where a page did not come?"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from payments.errors import InvalidInput
from payments.models import Payout
from reconciliation.business_days import day_bounds
from reconciliation.models import Line, Statement, StatementAccount
from reconciliation.services.fetching import fetch_day
from tests.payments.factories import Clock
from tests.simulator_fixture import SimulatorProcess

pytestmark = pytest.mark.slow


def sell(simulator: SimulatorProcess, gateway: str, count: int = 3) -> None:
    for number in range(count):
        simulator.act("sale", gateway, reference=f"att_{number}", amount_minor=1_000 + number)


def day_after(clock: Clock) -> date:
    """Today by the gateway's clock, seen from tomorrow morning."""
    today = clock().date()
    clock.pass_(days=1, hours=2)
    return today


class TestStripe:
    def test_a_day_and_its_payouts_count_each_line_once(
        self, simulator: SimulatorProcess, stripe: StatementAccount, clock: Clock
    ) -> None:
        sell(simulator, "stripe")
        paid = simulator.act("settle", "stripe")["payout"]
        simulator.wait_until_quiet()
        day = day_after(clock)

        window, items = fetch_day("stripe", day, clock)

        assert (window.state, window.complete, window.closed) == ("read", True, True)
        assert (window.starts_on, window.ends_on, window.lines_new) == (day, day, 4)
        assert (items.payout_id, items.complete, items.lines_new) == (paid["id"], True, 0)
        lines = Line.objects.filter(account=stripe)
        assert sorted(lines.values_list("kind", flat=True)) == ["charge", "charge", "charge", "payout"]
        assert set(lines.values_list("payout_id", flat=True)) == {paid["id"]}
        assert set(lines.filter(kind="charge").values_list("reference", flat=True)) == {"att_0", "att_1", "att_2"}
        payout = Payout.objects.get()
        assert (payout.gateway_id, payout.state, payout.amount_minor) == (paid["id"], "paid", paid["amount"])

    def test_asked_again_it_reads_nothing_new(
        self, simulator: SimulatorProcess, stripe: StatementAccount, clock: Clock
    ) -> None:
        sell(simulator, "stripe")
        simulator.act("settle", "stripe")
        simulator.wait_until_quiet()
        day = day_after(clock)
        first = [statement.pk for statement in fetch_day("stripe", day, clock)]

        clock.pass_(hours=1)
        again = fetch_day("stripe", day, clock)

        assert [statement.pk for statement in again] == first[:1]  # the payout's items are not asked for again
        assert Statement.objects.count() == 2
        assert Payout.objects.get().words.count() == 2

    def test_a_day_that_is_not_over_is_open_and_its_end_comes_as_another_report(
        self, simulator: SimulatorProcess, stripe: StatementAccount, clock: Clock
    ) -> None:
        sell(simulator, "stripe", 1)
        day = clock().date()

        [before] = fetch_day("stripe", day, clock)
        clock.pass_(days=1, hours=2)
        [after] = fetch_day("stripe", day, clock)

        assert (before.closed, after.closed, after.lines_known) == (False, True, 1)

    def test_a_page_that_fails_leaves_an_incomplete_statement_and_the_next_try_a_whole_one(
        self, simulator: SimulatorProcess, stripe: StatementAccount, clock: Clock
    ) -> None:
        sell(simulator, "stripe", 2)
        day = day_after(clock)
        simulator.fault("server_error", "query", "stripe", times=1)

        [cut] = fetch_day("stripe", day, clock)
        [whole] = fetch_day("stripe", day, clock)

        assert (cut.state, cut.complete, cut.lines_read) == ("read", False, 0)
        assert "STRIPE gave no whole page 1 of its balance" in cut.incomplete_because
        assert (whole.complete, whole.lines_new) == (True, 2)

    def test_a_payout_that_failed_after_it_was_paid_is_heard_of_days_later(
        self, simulator: SimulatorProcess, stripe: StatementAccount, clock: Clock
    ) -> None:
        sell(simulator, "stripe", 1)
        simulator.act("settle", "stripe")
        simulator.wait_until_quiet()
        fetch_day("stripe", day_after(clock), clock)
        simulator.act("payout_fail", "stripe")
        clock.pass_(days=3)

        fetch_day("stripe", clock().date() - timedelta(days=1), clock)

        payout = Payout.objects.get()
        assert (payout.state, payout.failure) == ("failed", "account_closed")

    def test_payouts_from_before_the_books_begin_are_left_alone(
        self, simulator: SimulatorProcess, stripe: StatementAccount, clock: Clock
    ) -> None:
        sell(simulator, "stripe", 1)
        simulator.act("settle", "stripe")
        simulator.wait_until_quiet()
        StatementAccount.objects.update(books_start_on=clock().date() + timedelta(days=1))
        clock.pass_(days=3)

        fetch_day("stripe", clock().date() - timedelta(days=1), clock)

        assert not Payout.objects.exists()


class TestNmi:
    def test_a_day_holds_what_settled_on_it(
        self, simulator: SimulatorProcess, nmi: StatementAccount, clock: Clock
    ) -> None:
        sell(simulator, "nmi")
        simulator.act("batch_settle")
        simulator.act("sale", reference="att_unsettled", amount_minor=500)
        day = day_after(clock)

        [window] = fetch_day("nmi", day, clock)

        assert (window.incomplete_because, window.closed, window.source) == ("", True, "nmi_window")
        lines = Line.objects.filter(account=nmi)
        assert sorted(lines.values_list("reference", "gross_minor")) == [
            ("att_0", 1000),
            ("att_1", 1001),
            ("att_2", 1002),
        ]
        assert lines.exclude(payout_id="").count() == 3  # the batch stands for the payout


class TestRefused:
    def test_an_account_whose_reports_are_files(self, nmi: StatementAccount, clock: Clock) -> None:
        StatementAccount.objects.update(fetched=False)

        with pytest.raises(InvalidInput, match="its report is a file"):
            fetch_day("nmi", clock().date(), clock)

    def test_a_day_that_has_not_begun(self, nmi: StatementAccount, clock: Clock) -> None:
        with pytest.raises(InvalidInput, match="has not begun"):
            fetch_day("nmi", clock().date() + timedelta(days=2), clock)


@pytest.mark.parametrize(
    ("zone", "day", "start", "hours"),
    [
        ("UTC", date(2026, 3, 1), datetime(2026, 3, 1, tzinfo=UTC), 24),
        ("America/New_York", date(2026, 3, 8), datetime(2026, 3, 8, 5, tzinfo=UTC), 23),
        ("America/New_York", date(2026, 11, 1), datetime(2026, 11, 1, 4, tzinfo=UTC), 25),
        ("Asia/Kolkata", date(2026, 3, 1), datetime(2026, 2, 28, 18, 30, tzinfo=UTC), 24),
        ("America/Santiago", date(2026, 9, 6), datetime(2026, 9, 6, 4, tzinfo=UTC), 23),  # midnight itself is skipped
    ],
)
def test_a_day_begins_and_ends_in_its_zone(zone: str, day: date, start: datetime, hours: int) -> None:
    begins, ends = day_bounds(day, ZoneInfo(zone))

    assert (begins, ends - begins) == (start, timedelta(hours=hours))
    assert day_bounds(day + timedelta(days=1), ZoneInfo(zone))[0] == ends
