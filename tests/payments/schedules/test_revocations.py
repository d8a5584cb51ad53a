"""Does a recurring charge stop when the payer's bank says so, by the codes that the gateways send?"""

from __future__ import annotations

from datetime import timedelta

import pytest

from payments.models import Operation, Payment
from payments.services.execution import advance_payment
from payments.services.schedules.moving import resume_schedule
from payments.services.schedules.revocations import revoked_before
from payments.services.schedules.running import run_due
from payments.states import ScheduleState
from tests.payments.factories import Clock, operator
from tests.payments.schedules.scenes import days_pass, fresh, schedule, stored_method, told, work
from tests.simulator_fixture import SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)


def decline(simulator: SimulatorProcess, code: str, times: int = 1) -> None:
    simulator.fault(f"decline:{code}", "sale", times=times)


@pytest.mark.parametrize(("code", "words"), [("262", "Stop this recurring"), ("261", "Stop all recurring")])
def test_a_revocation_stops_it_with_the_bank_s_words(
    simulator: SimulatorProcess, clock: Clock, code: str, words: str
) -> None:
    decline(simulator, code)
    daily = schedule(clock, interval="day")
    work(clock)
    days_pass(clock, 3)

    row = fresh(daily)
    assert (row.state, row.halted_by, row.next_check_at) == (ScheduleState.STOPPED, "", None)
    assert row.because.startswith(f"The payer has taken the consent back: NMI answered {code}, ")
    assert words.lower() in row.because.lower()
    assert [state for _, state, _ in told(daily)] == ["failed"]
    assert daily.changes.first().what == f"Stopped: {row.because}"


def test_stop_all_ends_every_charge_of_the_card_and_stop_this_one_alone(
    simulator: SimulatorProcess, clock: Clock
) -> None:
    method, other_card = stored_method(fingerprint="nmi:one"), stored_method(fingerprint="nmi:other")
    twin = stored_method(fingerprint="nmi:one")
    first = schedule(clock, method)
    decline(simulator, "261")
    work(clock)
    later = clock().date() + timedelta(days=20)
    same = schedule(clock, twin, anchor=later)  # made before the refusal is heard, and with it
    elsewhere = schedule(clock, other_card, anchor=later)
    assert fresh(same).state == ScheduleState.ACTIVE

    clock.pass_(hours=2)
    work(clock)

    assert fresh(first).state == ScheduleState.STOPPED
    assert fresh(elsewhere).state == ScheduleState.ACTIVE
    assert fresh(same).state == ScheduleState.ACTIVE, "its mandate is newer than the refusal"
    assert "answered 261" in revoked_before(twin)
    assert revoked_before(other_card) == ""


@pytest.mark.parametrize(("code", "state"), [("261", ScheduleState.STOPPED), ("262", ScheduleState.ACTIVE)])
def test_another_charge_of_the_card_hears_it_at_once(
    simulator: SimulatorProcess, clock: Clock, code: str, state: ScheduleState
) -> None:
    method = stored_method()
    sibling = schedule(clock, method, anchor=clock().date() + timedelta(days=20))
    decline(simulator, code)
    refused = schedule(clock, method)
    work(clock)
    clock.pass_(hours=2)
    work(clock)

    assert fresh(refused).state == ScheduleState.STOPPED
    assert fresh(sibling).state == state
    assert told(sibling) == []


def test_what_was_still_to_be_tried_is_cancelled_with_it(simulator: SimulatorProcess, clock: Clock) -> None:
    decline(simulator, "202")
    daily = schedule(clock, interval="day")
    work(clock)
    first = Payment.objects.get()
    assert (first.state, first.retries.get().state) == ("pending", "waiting")

    decline(simulator, "262")
    days_pass(clock, 1)
    clock.pass_(hours=2)
    work(clock)

    assert fresh(daily).state == ScheduleState.STOPPED
    first.refresh_from_db()
    days_pass(clock, 10)
    assert [state for _, state, _ in told(daily)] == ["cancelled", "failed"]
    assert first.attempts.count() == 1
    assert simulator.movements() == []


def test_it_is_heard_before_the_next_date_is_charged(simulator: SimulatorProcess, clock: Clock) -> None:
    decline(simulator, "262")
    daily = schedule(clock, interval="day")
    run_due(clock)
    advance_payment(Payment.objects.get().pk, clock)
    assert fresh(daily).state == ScheduleState.ACTIVE
    clock.pass_(days=1)

    run_due(clock)

    assert fresh(daily).state == ScheduleState.STOPPED
    assert Payment.objects.count() == 1


@pytest.mark.parametrize(
    ("slug", "code"),
    [
        ("stripe", "revocation_of_authorization"),
        ("stripe", "revocation_of_all_authorizations"),
        ("stripe", "stop_payment_order"),
        ("convesiopay", "26"),
    ],
)
def test_other_gateways_codes_stop_it_too(gateways: SimulatorProcess, clock: Clock, slug: str, code: str) -> None:
    token = {"stripe": "stripe_tok_ok", "convesiopay": "convesiopay_tok_ok"}[slug]
    gateways.fault(f"decline:{code}", "sale", gateway=slug, times=1)
    monthly = schedule(clock, stored_method(token, slug=slug))
    work(clock)
    clock.pass_(hours=2)
    work(clock)

    assert fresh(monthly).state == ScheduleState.STOPPED, [
        (o.code, o.state, o.message) for o in Payment.objects.get().operations.all()
    ]


@pytest.mark.parametrize("code", ["204", "223", "251"])
def test_a_card_refused_for_good_pauses_it_once(simulator: SimulatorProcess, clock: Clock, code: str) -> None:
    decline(simulator, code)
    method = stored_method()
    daily = schedule(clock, method, interval="day")
    work(clock)
    clock.pass_(hours=2)
    work(clock)

    row = fresh(daily)
    assert (row.state, row.halted_by) == (ScheduleState.PAUSED, "")
    assert row.because.startswith("NMI refused pay_")
    days_pass(clock, 2)
    assert len(told(daily)) == 1

    if code == "251":  # stolen: the card is blocked, and resuming is refused while it is
        return
    boss = operator("edit_schedule")
    resume_schedule(row.public_id, because="the bank was wrong", version=row.version, actor=boss, now=clock())
    work(clock)
    assert [state or "skipped" for _, state, _ in told(daily)] == ["failed", "skipped", "captured"]
    assert fresh(daily).state == ScheduleState.ACTIVE


def test_a_refusal_for_the_moment_neither_stops_nor_pauses_it(simulator: SimulatorProcess, clock: Clock) -> None:
    monthly = schedule(clock, stored_method("nmi_tok_decline_insufficient_funds"))
    work(clock)
    days_pass(clock, 20)

    ((_, state, _),) = told(monthly)
    assert state in {"failed", "expired"}
    assert fresh(monthly).state == ScheduleState.ACTIVE
    assert Payment.objects.get().attempts.count() > 1


@pytest.mark.parametrize(
    ("told", "state", "sibling"),
    [
        ("do_not_honor+advice_21", ScheduleState.STOPPED, ScheduleState.ACTIVE),
        ("do_not_honor+advice_03", ScheduleState.PAUSED, ScheduleState.ACTIVE),
        ("do_not_honor+advice_02", ScheduleState.ACTIVE, ScheduleState.ACTIVE),
        ("do_not_honor+network_R0", ScheduleState.STOPPED, ScheduleState.ACTIVE),
        ("do_not_honor+network_R3", ScheduleState.STOPPED, ScheduleState.STOPPED),
    ],
)
def test_the_networks_own_words_count_whatever_the_gateway_calls_it(
    gateways: SimulatorProcess, clock: Clock, told: str, state: ScheduleState, sibling: ScheduleState
) -> None:
    card = "pm_card_mastercard" if "advice" in told else "pm_card_visa"
    method = stored_method(card, slug="stripe")
    other = schedule(clock, method, anchor=clock().date() + timedelta(days=20))
    gateways.fault(f"decline:{told}", "sale", gateway="stripe", times=1)
    refused = schedule(clock, method)
    work(clock)
    clock.pass_(hours=2)
    work(clock)

    assert (fresh(refused).state, fresh(other).state) == (state, sibling), [
        (o.code, o.network_code, o.network_advice, o.message) for o in Operation.objects.all()
    ]
