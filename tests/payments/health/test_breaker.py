"""Does a breaker open by real silence alone, ask before it lets one payment try, and close by an answer?"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from payments.models import GatewayAccount, GatewayHealth, HealthEvent, Incident, Switch
from payments.services.health import note_outcome, probe_due, why_not
from payments.services.sweep import sweep
from payments.states import BreakerState, Certainty
from tests.payments.factories import Clock, new_payment
from tests.payments.health.scenes import at_once, call_of
from tests.simulator_fixture import SimulatorProcess

REFUSED = "no connection could be made (ConnectError)"


def fail(account: GatewayAccount, clock: Clock, times: int = 1, *, payment_id: int | None = None) -> None:
    for _ in range(times):
        note_outcome(account.pk, certainty=Certainty.NOT_SENT, message=REFUSED, now=clock(), payment_id=payment_id)


def answered(account: GatewayAccount, clock: Clock, payment_id: int | None = None) -> None:
    note_outcome(account.pk, certainty=Certainty.REFUSED, message="declined", now=clock(), payment_id=payment_id)


def health_of(account: GatewayAccount) -> GatewayHealth:
    return GatewayHealth.objects.get(gateway_account=account)


def history() -> list[str]:
    return [event.what for event in HealthEvent.objects.order_by("id")]


def half_opened(account: GatewayAccount, clock: Clock) -> None:
    """Opened, and its probe answered."""
    fail(account, clock, 3)
    clock.pass_(seconds=61)
    assert probe_due(clock) == 1
    assert health_of(account).state == BreakerState.HALF_OPEN


class TestOpening:
    def test_silence_in_a_row_opens_it_and_tells_people(self, account: GatewayAccount, clock: Clock) -> None:
        fail(account, clock, 2)
        assert why_not(account, payment_id=1, now=clock()) == ""

        note_outcome(account.pk, certainty=Certainty.UNKNOWN, message="no answer came in time", now=clock())

        health = health_of(account)
        assert (health.state, health.failures) == (BreakerState.OPEN, 3)
        assert health.opened_at is not None and health.next_check_at is not None
        assert health.next_check_at - health.opened_at == timedelta(seconds=60)
        assert "no answer 3 times in a row (no answer came in time)" in why_not(account, payment_id=1, now=clock())
        incident = Incident.objects.get()
        assert (incident.kind, incident.closed_at) == ("breaker_open", None)
        assert incident.detail == "No answer 3 times in a row: no answer came in time."
        assert history() == ["breaker opened"]

    @pytest.mark.parametrize("certainty", [Certainty.TAKEN, Certainty.REFUSED])
    def test_any_answer_starts_the_count_anew(
        self, account: GatewayAccount, clock: Clock, certainty: Certainty
    ) -> None:
        fail(account, clock, 2)
        note_outcome(account.pk, certainty=certainty, message="", now=clock())
        fail(account, clock, 2)

        assert health_of(account).state == BreakerState.CLOSED
        assert history() == []

    def test_while_all_is_well_nothing_is_written_nor_locked(self, account: GatewayAccount, clock: Clock) -> None:
        fail(account, clock)
        answered(account, clock)

        with CaptureQueriesContext(
            connection,
        ) as asked:
            answered(account, clock)

        assert [query["sql"].split()[0] for query in asked] == ["SELECT"]

    def test_what_fails_while_it_is_open_was_under_way_before(self, account: GatewayAccount, clock: Clock) -> None:
        fail(account, clock, 3)
        due = health_of(account).next_check_at
        fail(account, clock, 5)

        assert (health_of(account).failures, health_of(account).next_check_at) == (3, due)
        assert history() == ["breaker opened"]

    def test_a_late_answer_does_not_close_it(self, account: GatewayAccount, clock: Clock) -> None:
        fail(account, clock, 3)
        answered(account, clock, payment_id=1)

        assert health_of(account).state == BreakerState.OPEN

    def test_eight_workers_that_fail_at_once_open_it_once(self, account: GatewayAccount, clock: Clock) -> None:
        at_once(8, lambda _: fail(account, clock))

        assert health_of(account).state == BreakerState.OPEN
        assert history() == ["breaker opened"]
        assert Incident.objects.count() == 1


class TestProbing:
    def test_a_dead_gateway_is_asked_less_and_less_often_ten_minutes_at_most(
        self, account: GatewayAccount, clock: Clock
    ) -> None:
        """Nobody listens at the account's address."""
        fail(account, clock, 3)
        waits = []
        for _ in range(6):
            clock.pass_(seconds=605)
            assert probe_due(clock) == 1
            due = health_of(account).next_check_at
            assert due is not None
            waits.append(round((due - clock()).total_seconds() / 60))

        assert waits == [2, 4, 8, 10, 10, 10]
        assert health_of(account).state == BreakerState.OPEN
        assert Incident.objects.get().count == 7

    def test_before_its_time_nothing_is_asked(self, account: GatewayAccount, clock: Clock) -> None:
        fail(account, clock, 3)

        assert probe_due(clock) == 0

    def test_an_outage_on_the_wire_keeps_it_open_and_its_end_lets_one_payment_try(
        self, account: GatewayAccount, clock: Clock, simulator: SimulatorProcess
    ) -> None:
        simulator.fault("outage")
        fail(account, clock, 3)
        clock.pass_(seconds=61)
        assert probe_due(clock) == 1
        assert health_of(account).state == BreakerState.OPEN

        simulator.clear_faults()
        clock.pass_(seconds=121)
        sweep(clock)

        assert health_of(account).state == BreakerState.HALF_OPEN
        assert history() == ["breaker opened", "breaker half open"]
        assert Incident.objects.get().closed_at is None

    def test_a_probe_only_reads(self, account: GatewayAccount, clock: Clock, simulator: SimulatorProcess) -> None:
        half_opened(account, clock)

        books = simulator.books()
        assert books["requests"] == {"query": 1}
        assert books["transactions"] == []

    def test_two_sweeps_at_once_ask_once(
        self, account: GatewayAccount, clock: Clock, simulator: SimulatorProcess
    ) -> None:
        fail(account, clock, 3)
        clock.pass_(seconds=61)

        assert sum(at_once(4, lambda _: probe_due(clock))) == 1
        assert simulator.books()["requests"] == {"query": 1}

    def test_while_everything_is_stopped_nothing_is_asked(self, account: GatewayAccount, clock: Clock) -> None:
        fail(account, clock, 3)
        clock.pass_(seconds=61)
        Switch.objects.create(kind="everything", because="drill", thrown_by="olga", thrown_at=clock())

        assert probe_due(clock) == 0


class TestTrying:
    @pytest.fixture(autouse=True)
    def _half_open(self, account: GatewayAccount, clock: Clock, simulator: SimulatorProcess) -> None:
        half_opened(account, clock)
        self.one, self.other = new_payment(clock), new_payment(clock)

    def test_one_payment_is_let_through_and_the_others_go_elsewhere(
        self, account: GatewayAccount, clock: Clock
    ) -> None:
        assert why_not(account, payment_id=self.one.pk, now=clock()) == ""
        assert "one payment is trying it" in why_not(account, payment_id=self.other.pk, now=clock())
        assert why_not(account, payment_id=self.one.pk, now=clock()) == ""  # asked again right before the call

    def test_of_many_at_once_exactly_one(self, account: GatewayAccount, clock: Clock) -> None:
        payments = [self.one, self.other, *(new_payment(clock) for _ in range(4))]

        told = at_once(6, lambda number: why_not(account, payment_id=payments[number].pk, now=clock()))

        assert told.count("") == 1

    def test_its_answer_closes_the_breaker_and_the_trouble(self, account: GatewayAccount, clock: Clock) -> None:
        why_not(account, payment_id=self.one.pk, now=clock())
        answered(account, clock, self.one.pk)

        health = health_of(account)
        assert (health.state, health.failures, health.probe_id, health.next_check_at) == ("closed", 0, None, None)
        assert history()[-1] == "breaker closed"
        assert Incident.objects.get().closed_at is not None

    def test_its_silence_opens_it_again_for_longer(self, account: GatewayAccount, clock: Clock) -> None:
        why_not(account, payment_id=self.one.pk, now=clock())
        fail(account, clock, payment_id=self.one.pk)

        health = health_of(account)
        assert (health.state, health.failures, health.probe_id) == ("open", 4, None)
        assert health.next_check_at is not None
        assert round((health.next_check_at - clock()).total_seconds()) == 120
        assert history()[-1] == "breaker opened again"

    def test_the_others_outcomes_decide_nothing(self, account: GatewayAccount, clock: Clock) -> None:
        why_not(account, payment_id=self.one.pk, now=clock())
        fail(account, clock, 5, payment_id=self.other.pk)
        answered(account, clock, self.other.pk)

        assert health_of(account).state == BreakerState.HALF_OPEN

    def test_a_payment_that_never_calls_gives_its_turn_to_the_next(self, account: GatewayAccount, clock: Clock) -> None:
        why_not(account, payment_id=self.one.pk, now=clock())
        clock.pass_(seconds=61)

        assert probe_due(clock) == 1
        assert why_not(account, payment_id=self.other.pk, now=clock()) == ""

    def test_a_call_that_is_still_open_keeps_its_turn(self, account: GatewayAccount, clock: Clock) -> None:
        why_not(account, payment_id=self.one.pk, now=clock())
        call_of(self.one, account, clock())
        clock.pass_(seconds=61)

        assert probe_due(clock) == 1
        assert "one payment is trying it" in why_not(account, payment_id=self.other.pk, now=clock())
