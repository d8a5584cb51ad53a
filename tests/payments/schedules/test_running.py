"""Is each due date charged once, whatever dies, doubles or stands still meanwhile?"""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.db import IntegrityError

from ledger.money import Money
from payments.models import Credential, DueDate, Payment, Schedule
from payments.services.accounts import ensure_gateway_account
from payments.services.methods import record_block
from payments.services.schedules.charging import reference_of
from payments.services.schedules.rows import business_day, day_begins
from payments.services.schedules.running import run_due
from payments.services.switches import lift_switch, throw_switch
from payments.states import ScheduleState
from tests.payments.batches.uploads import person
from tests.payments.factories import Clock, new_payment, nmi_account, operator
from tests.payments.flows.books import assert_books_agree
from tests.payments.health.scenes import at_once
from tests.payments.schedules.scenes import days_pass, fresh, schedule, stored_method, told, work
from tests.simulator_fixture import SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)


def states(row: Schedule) -> list[str]:
    return [state or "skipped" for _, state, _ in told(row)]


class TestADueDate:
    def test_makes_one_payment_that_goes_the_way_of_every_payment(
        self, simulator: SimulatorProcess, clock: Clock
    ) -> None:
        monthly = schedule(clock)
        today = business_day(clock())

        work(clock)

        payment = Payment.objects.get()
        assert payment.state == "captured"
        assert payment.money == Money(1000, "USD")
        assert payment.reference == f"{monthly.reference}-{today.isoformat()}"
        assert (payment.initiated_by, payment.schedule_id) == ("merchant", monthly.pk)
        assert payment.expires_at - payment.created_at == timedelta(days=15)
        assert told(monthly) == [(today, "captured", "")]
        assert_books_agree(simulator)

    def test_is_charged_every_day_and_not_past_its_end(self, simulator: SimulatorProcess, clock: Clock) -> None:
        today = business_day(clock())
        daily = schedule(clock, interval="day", ends_on=today + timedelta(days=2))

        work(clock)
        days_pass(clock, 5)

        assert [due_on for due_on, _, _ in told(daily)] == [today + timedelta(days=n) for n in range(3)]
        assert states(daily) == ["captured"] * 3
        assert (fresh(daily).state, fresh(daily).next_check_at) == (ScheduleState.ENDED, None)
        assert daily.changes.first().what == "Ended: its last date has come."

    def test_waits_for_the_business_day_where_the_business_is(self, clock: Clock, settings: object) -> None:
        settings.BUSINESS_TIME_ZONE = "Pacific/Kiritimati"  # type: ignore[attr-defined]  # fourteen hours ahead
        tomorrow = business_day(clock()) + timedelta(days=1)
        monthly = schedule(clock, anchor=tomorrow)
        assert monthly.next_check_at == day_begins(tomorrow)

        clock.offset = day_begins(tomorrow) - clock() - timedelta(minutes=1) + clock.offset
        run_due(clock)
        assert told(monthly) == []
        clock.pass_(minutes=2)
        run_due(clock)

        assert [due_on for due_on, _, _ in told(monthly)] == [tomorrow]

    def test_doubled_runs_and_many_at_once_make_one_payment(self, clock: Clock) -> None:
        monthly = schedule(clock)

        at_once(6, lambda _number: run_due(clock))
        Schedule.objects.update(next_check_at=clock(), next_due_on=business_day(clock()))
        run_due(clock)

        assert Payment.objects.count() == 1
        assert DueDate.objects.filter(schedule=monthly).count() == 1

    def test_can_not_be_written_down_twice(self, clock: Clock) -> None:
        monthly = schedule(clock)
        run_due(clock)

        with pytest.raises(IntegrityError, match="one_charge_per_due_date"):
            DueDate.objects.create(schedule=monthly, due_on=business_day(clock()), decided_at=clock())

    def test_is_skipped_where_its_reference_was_paid_another_way(
        self, simulator: SimulatorProcess, clock: Clock
    ) -> None:
        monthly = schedule(clock)
        today = business_day(clock())
        new_payment(clock, reference=reference_of(monthly, today))

        work(clock)

        ((_, _, because),) = told(monthly)
        assert because.startswith("It was not charged: Payment pay_")
        assert Payment.objects.count() == 1
        assert fresh(monthly).state == ScheduleState.ACTIVE

    def test_that_can_not_be_worked_on_delays_no_other(self, clock: Clock) -> None:
        broken, fine = schedule(clock), schedule(clock)
        Schedule.objects.filter(pk=broken.pk).update(interval="never")

        run_due(clock)

        assert (told(broken), len(told(fine))) == ([], 1)
        wait = fresh(broken).next_check_at - clock()
        assert timedelta(minutes=4) < wait <= timedelta(minutes=5)

    @pytest.mark.parametrize(
        ("reference", "due_on", "expected"),
        [
            ("member-17", date(2026, 10, 5), "member-17-2026-10-05"),
            ("41111111", date(2026, 10, 6), "41111111-due-2026-10-06"),  # 4111111120261006 is right by Luhn
        ],
    )
    def test_its_reference_never_looks_like_a_card_number(self, reference: str, due_on: date, expected: str) -> None:
        assert reference_of(Schedule(reference=reference), due_on) == expected


class TestAfterAnOutage:
    def test_the_latest_date_alone_runs_by_itself(self, simulator: SimulatorProcess, clock: Clock) -> None:
        daily = schedule(clock, interval="day")
        work(clock)

        days_pass(clock, 5, each_day=False)
        work(clock)

        assert states(daily) == ["captured", *["skipped"] * 4, "captured"]
        latest = f"{told(daily)[-1][0]:%d %b %Y}"
        assert told(daily)[1][2] == (
            f"It was due while nothing could be charged; of the missed dates only {latest} ran by itself."
        )
        assert fresh(daily).next_due_on == business_day(clock()) + timedelta(days=1)

    def test_of_sending_it_is_the_same(self, simulator: SimulatorProcess, clock: Clock) -> None:
        daily = schedule(clock, interval="day")
        work(clock)
        boss = operator("throw_switch")
        throw_switch("charges", reason="an incident", actor=boss, now=clock())
        days_pass(clock, 4)
        assert states(daily) == ["captured"]

        lift_switch("charges", reason="it is over", actor=boss, now=clock())
        clock.pass_(minutes=10)
        work(clock)

        assert states(daily) == ["captured", "skipped", "skipped", "skipped", "captured"]
        assert Payment.objects.count() == 2

    def test_a_payment_that_never_left_is_taken_back_before_the_next_date(
        self, simulator: SimulatorProcess, clock: Clock
    ) -> None:
        nmi_account(paused_at=clock(), paused_because="maintenance")
        daily = schedule(clock, interval="day")
        work(clock)
        days_pass(clock, 2)
        assert states(daily)[:2] == ["skipped", "skipped"]

        nmi_account(paused_at=None, paused_because="")
        clock.pass_(minutes=10)
        work(clock)

        assert states(daily) == ["skipped", "skipped", "captured"]
        assert "could not be sent before the next date was due, and was cancelled" in told(daily)[0][2]
        assert sorted(Payment.objects.values_list("state", flat=True)) == ["cancelled", "cancelled", "captured"]
        assert len(simulator.movements()) == 1


class TestAMethodThatCanNotBeCharged:
    def test_pauses_with_the_reason_and_the_date_is_written_as_skipped(self, clock: Clock) -> None:
        method = stored_method()
        monthly = schedule(clock, method)
        record_block(method, because="stolen", by="", now=clock())

        run_due(clock)

        ((_, state, because),) = told(monthly)
        assert (state, because.split(":")[-1]) == ("", " stolen")
        row = fresh(monthly)
        assert (row.state, row.halted_by, row.next_check_at) == (ScheduleState.PAUSED, "", None)
        assert row.because == because
        assert Payment.objects.count() == 0

    def test_is_never_charged_by_a_token_that_works_once(self, gateways: SimulatorProcess, clock: Clock) -> None:
        method = stored_method("nmi_tok_decline_soft_decline")
        once = ensure_gateway_account("stripe", "stripe", "Stripe")
        Credential.objects.create(method=method, gateway_account=once, token="stripe_once_unused")
        schedule(clock, method)

        work(clock)

        payment = Payment.objects.get()
        assert [a.gateway_account.slug for a in payment.attempts.select_related("gateway_account")] == ["nmi"]
        assert gateways.books(gateway="stripe")["movements"] == []


def test_support_and_auditors_hold_no_right_to_change_any() -> None:
    for role in ("support", "auditor", "admin"):
        assert "payments.edit_schedule" not in person(role).permissions
    for role in ("operator", "finance"):
        assert "payments.edit_schedule" in person(role).permissions
