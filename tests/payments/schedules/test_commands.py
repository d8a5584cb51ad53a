"""Can a person make, change, pause, resume and stop a recurring charge, and does a second one agree where that is needed?"""

from __future__ import annotations

from datetime import timedelta

import pytest

from payments.errors import CardNumberRefused, Conflict, Forbidden, InvalidInput, NotAllowedNow, NotFound
from payments.models import Approval, Payment, Schedule
from payments.services.actors import SYSTEM
from payments.services.schedules.editing import edit_schedule, preview_edit
from payments.services.schedules.making import make_schedule, preview_schedule
from payments.services.schedules.moving import pause_schedule, resume_schedule, stop_schedule
from payments.services.schedules.overdue import charge_overdue
from payments.services.schedules.requests import Changes
from payments.services.schedules.rows import business_day
from payments.services.schedules.running import run_due
from payments.states import ApprovalState, ScheduleState
from tests.payments.approvals.people import agree, person
from tests.payments.factories import Clock, operator
from tests.payments.health.scenes import at_once
from tests.payments.schedules.scenes import allow_alone, days_pass, fresh, schedule, stored_method, told, wish, work
from tests.simulator_fixture import SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)
REASON = "the contract says so"
CARD = "4111 1111 1111 1111"


class TestMaking:
    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"name": " "}, "name"),
            ({"mandate": ""}, "mandate"),
            ({"reference": "r" * 81}, "reference"),
            ({"amount_minor": 0}, "amount_minor"),
            ({"currency": "usd"}, "currency"),
            ({"interval": "fortnight"}, "interval"),
            ({"every": 0}, "every"),
            ({"payment_method": "pm_none"}, "payment_method"),
        ],
    )
    def test_names_what_is_wrong(self, clock: Clock, fields: dict[str, object], field: str) -> None:
        with pytest.raises(InvalidInput) as refused:
            make_schedule(wish(clock, **fields), actor=SYSTEM, now=clock())

        assert refused.value.field == field
        assert Schedule.objects.count() == 0

    def test_refuses_days_that_are_over_and_card_numbers(self, clock: Clock) -> None:
        yesterday = business_day(clock()) - timedelta(days=1)

        with pytest.raises(InvalidInput, match="in the past"):
            make_schedule(wish(clock, anchor=yesterday), actor=SYSTEM, now=clock())
        with pytest.raises(InvalidInput, match="can not end before"):
            make_schedule(wish(clock, ends_on=yesterday), actor=SYSTEM, now=clock())
        with pytest.raises(CardNumberRefused):
            make_schedule(wish(clock, mandate=f"card {CARD}"), actor=SYSTEM, now=clock())

    def test_twice_makes_one_and_another_of_the_reference_is_refused(self, clock: Clock) -> None:
        asked = wish(clock)
        made = at_once(4, lambda _number: make_schedule(asked, actor=SYSTEM, now=clock()).schedule)

        assert {row.pk for row in made if row} == {Schedule.objects.get().pk}
        other = wish(clock, reference=f" {asked.reference} ")
        with pytest.raises(InvalidInput, match="charges under this reference already"):
            make_schedule(other, actor=SYSTEM, now=clock())

    def test_needs_the_right(self, clock: Clock) -> None:
        with pytest.raises(Forbidden, match="finance, operator"):
            make_schedule(wish(clock), actor=person("susi", "support"), now=clock())

    def test_above_the_limit_a_second_person_agrees(self, clock: Clock) -> None:
        allow_alone(minor=1500)
        olga, fred = person("olga", "operator"), person("fred", "finance")
        alone = make_schedule(wish(clock), actor=olga, now=clock())
        asked = make_schedule(wish(clock), reason=REASON, actor=olga, now=clock())

        assert alone.schedule is not None and alone.approval is None
        assert asked.schedule is None and asked.approval is not None
        assert "more than the 15.00 USD a day that one person may do alone" in asked.because
        assert Schedule.objects.count() == 1
        done = agree(asked.approval, fred, clock)

        assert done.state == ApprovalState.EXECUTED
        made = Schedule.objects.get(reference=asked.approval.subject)
        assert (made.created_by, made.money) == ("olga, approved by fred", alone.schedule.money)
        assert run_due(clock) == 2

    def test_what_can_no_longer_be_made_is_not(self, clock: Clock) -> None:
        method = stored_method()
        asked = make_schedule(
            wish(clock, method), reason=REASON, actor=person("olga", "operator"), now=clock()
        ).approval
        assert asked is not None
        method.credentials.all().delete()

        done = agree(asked, person("fred"), clock)

        assert (done.state, Schedule.objects.count()) == (ApprovalState.OUTDATED, 0)
        assert "can not be charged again and again" in done.outcome

    def test_a_preview_writes_nothing(self, clock: Clock) -> None:
        lines, beware = preview_schedule(wish(clock, interval="week", every=2), clock())

        assert ("Due", "every 2 weeks") in lines and ("Last", "until it is stopped") in lines
        assert (beware, Schedule.objects.count()) == ("", 0)


class TestChanging:
    def test_holds_for_later_dates_alone_and_is_kept_in_its_history(
        self, simulator: SimulatorProcess, clock: Clock
    ) -> None:
        allow_alone()
        olga = person("olga", "operator")
        daily = schedule(clock, interval="day")
        work(clock)

        edit_schedule(
            daily.public_id,
            Changes(amount_minor=1200, name="Gold"),
            version=fresh(daily).version,
            actor=olga,
            now=clock(),
        )
        days_pass(clock, 1)

        assert [*Payment.objects.order_by("id").values_list("amount_minor", flat=True)] == [1000, 1200]
        newest = daily.changes.first()
        assert (newest.by, newest.what) == (
            "olga", f"Name: {daily.name} → Gold; Each charge: 10.00 USD → 12.00 USD",
        )  # fmt: skip

    def test_more_money_or_another_card_needs_a_second_person_and_less_does_not(self, clock: Clock) -> None:
        olga, fred = person("olga", "operator"), person("fred", "finance")
        daily, other = schedule(clock), stored_method()

        def ask(changes: Changes) -> Approval | None:
            version = fresh(daily).version
            return edit_schedule(
                daily.public_id, changes, version=version, reason=REASON, actor=olga, now=clock()
            ).approval

        assert ask(Changes(amount_minor=900)) is None
        raised = ask(Changes(amount_minor=901))
        assert raised is not None and fresh(daily).amount_minor == 900
        assert agree(raised, fred, clock).state == ApprovalState.EXECUTED
        moved = ask(Changes(payment_method=other.public_id))
        assert moved is not None and fresh(daily).method != other
        assert agree(moved, fred, clock).state == ApprovalState.EXECUTED
        assert (fresh(daily).amount_minor, fresh(daily).method) == (901, other)
        assert daily.changes.first().by == "olga, approved by fred"

    def test_that_was_agreed_to_is_void_once_what_was_shown_has_changed(self, clock: Clock) -> None:
        olga, fred = person("olga", "operator"), person("fred", "finance")
        row = schedule(clock)
        asked = edit_schedule(
            row.public_id, Changes(amount_minor=2000), version=row.version, reason=REASON, actor=olga, now=clock()
        ).approval
        edit_schedule(row.public_id, Changes(amount_minor=500), version=row.version, actor=olga, now=clock())
        assert asked is not None

        done = agree(asked, fred, clock)

        assert (done.state, fresh(row).amount_minor) == (ApprovalState.OUTDATED, 500)

    def test_of_what_somebody_changed_meanwhile_is_refused_and_says_who(self, clock: Clock) -> None:
        allow_alone()
        row = schedule(clock)
        edit_schedule(
            row.public_id, Changes(name="Gold"), version=row.version, actor=operator("edit_schedule"), now=clock()
        )

        with pytest.raises(Conflict) as refused:
            edit_schedule(
                row.public_id, Changes(name="Silver"), version=row.version, actor=operator("edit_schedule"), now=clock()
            )

        assert refused.value.extra["who"] == "olga"

    def test_looking_at_an_open_charge_is_no_other_version(self, simulator: SimulatorProcess, clock: Clock) -> None:
        simulator.fault("decline:202", "sale", times=1)
        row = schedule(clock)
        work(clock)
        before = fresh(row).version

        clock.pass_(hours=3)
        run_due(clock)

        assert fresh(row).version == before

    def test_the_end_may_move_and_go(self, clock: Clock) -> None:
        row = schedule(clock)
        today = business_day(clock())
        boss = operator("edit_schedule")

        def changed(changes: Changes) -> Schedule:
            edit_schedule(row.public_id, changes, version=fresh(row).version, actor=boss, now=clock())
            return fresh(row)

        assert changed(Changes(ends_on=today + timedelta(days=40))).ends_on == today + timedelta(days=40)
        assert changed(Changes(endless=True)).ends_on is None
        with pytest.raises(InvalidInput, match="Nothing would change"):
            preview_edit(row.public_id, Changes(endless=True), actor=boss, now=clock())


class TestPausing:
    def test_charges_nothing_and_resuming_makes_up_for_nothing(self, simulator: SimulatorProcess, clock: Clock) -> None:
        boss = operator("edit_schedule")
        daily = schedule(clock, interval="day")
        work(clock)
        row = fresh(daily)
        pause_schedule(row.public_id, because="moving house", version=row.version, actor=boss, now=clock())
        days_pass(clock, 3)
        assert len(told(daily)) == 1

        row = fresh(daily)
        resume_schedule(row.public_id, because="moved in", version=row.version, actor=boss, now=clock())
        work(clock)

        assert [state or because for _, state, because in told(daily)] == [
            "captured", "It was paused then: moving house", "It was paused then: moving house", "captured",
        ]  # fmt: skip
        assert [c.what for c in daily.changes.all()][:2] == ["Resumed: moved in", "Paused: moving house"]

    def test_what_is_stopped_stays_so(self, clock: Clock) -> None:
        boss = operator("edit_schedule", "create_payment")
        row = schedule(clock)
        stop_schedule(row.public_id, because="left the club", version=0, actor=boss, now=clock())

        assert (fresh(row).state, fresh(row).halted_by) == (ScheduleState.STOPPED, "olga")
        for again in (pause_schedule, resume_schedule, stop_schedule):
            with pytest.raises(NotAllowedNow, match="has stopped: left the club"):
                again(row.public_id, because="x", version=1, actor=boss, now=clock())
        days_pass(clock, 40, each_day=False)
        assert told(row) == []

    def test_needs_a_reason_and_the_right(self, clock: Clock) -> None:
        row = schedule(clock)

        with pytest.raises(InvalidInput, match="Say why"):
            pause_schedule(row.public_id, because=" ", version=0, actor=operator("edit_schedule"), now=clock())
        with pytest.raises(Forbidden):
            stop_schedule(row.public_id, because="x", version=0, actor=operator("refund_payment"), now=clock())


class TestADateThatWasSkipped:
    def test_is_charged_once_by_a_person(self, simulator: SimulatorProcess, clock: Clock) -> None:
        allow_alone("charge_overdue")
        olga = person("olga", "operator")
        daily = schedule(clock, interval="day")
        work(clock)
        days_pass(clock, 3, each_day=False)
        missed = [due_on for due_on, _, because in told(daily) if because]

        made = at_once(4, lambda _number: charge_overdue(daily.public_id, missed[0], actor=olga, now=clock()).payment)
        work(clock)

        assert len({payment.pk for payment in made if payment}) == 1
        assert [state or "skipped" for _, state, _ in told(daily)] == ["captured", "captured", "skipped", "captured"]
        assert len(simulator.movements()) == 3
        with pytest.raises(NotFound, match="was not due on"):
            charge_overdue(daily.public_id, missed[0] - timedelta(days=9), actor=olga, now=clock())

    def test_above_the_limit_a_second_person_agrees(self, simulator: SimulatorProcess, clock: Clock) -> None:
        olga, fred = person("olga", "operator"), person("fred", "finance")
        daily = schedule(clock, interval="day")
        days_pass(clock, 2, each_day=False)
        missed = told(daily)[0][0]

        asked = charge_overdue(daily.public_id, missed, reason=REASON, actor=olga, now=clock())
        assert asked.payment is None and asked.approval is not None
        assert ("Due", f"{missed:%d %b %Y}") in [tuple(line) for line in asked.approval.shown]
        done = agree(asked.approval, fred, clock)
        work(clock)

        assert done.state == ApprovalState.EXECUTED
        assert told(daily)[0][1:] == ("captured", "")

    def test_is_refused_once_it_is_stopped(self, simulator: SimulatorProcess, clock: Clock) -> None:
        allow_alone("charge_overdue")
        daily = schedule(clock, interval="day")
        days_pass(clock, 2, each_day=False)
        row, boss = fresh(daily), operator("edit_schedule", "create_payment")
        stop_schedule(row.public_id, because="left", version=row.version, actor=boss, now=clock())

        with pytest.raises(NotAllowedNow, match="has stopped: left"):
            charge_overdue(row.public_id, told(daily)[0][0], actor=boss, now=clock())
