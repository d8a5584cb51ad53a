"""A day of real payments, and the night after it: asked for by API, compared by itself, every line and movement met."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime, time, timedelta

import pytest

from payments.models import InboundEvent, Payment, Payout
from payments.services.inbox import drain_inbox, store_event
from payments.services.refunds import advance_refund, request_refund
from payments.states import PaymentState
from reconciliation.models import Break, Run, StatementAccount
from reconciliation.services.nightly import Ran, tick
from tests.payments.factories import Clock, operator, paid
from tests.simulator_fixture import SimulatorProcess

pytestmark = pytest.mark.slow


def hear_stripe(simulator: SimulatorProcess, clock: Clock) -> None:
    """Every webhook made so far, signed anew."""
    simulator.wait_until_quiet()
    for delivery in simulator.webhooks(gateway="stripe"):
        body, stamp = str(delivery["body"]).encode(), str(int(clock().timestamp()))
        mac = hmac.new(b"secret", stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
        store_event("stripe", {"stripe-signature": f"t={stamp},v1={mac}"}, body, now=clock())
    for _ in range(3):  # what was parked is heard again
        drain_inbox(clock)
        InboundEvent.objects.filter(state="parked").update(next_check_at=clock())


def refunded(payment: Payment, amount_minor: int, clock: Clock) -> None:
    refund = request_refund(
        payment.public_id, amount_minor=amount_minor, reason="asked", actor=operator("refund_payment"), now=clock()
    )
    advance_refund(refund.pk, clock)


def wait_for_the_night(clock: Clock) -> None:
    """Until two in the morning, whatever time of day the test runs at."""
    StatementAccount.objects.update(nightly_hour=1)
    now = clock()
    tomorrow = datetime.combine(now.date() + timedelta(days=1), time(2), UTC)
    clock.offset += tomorrow - now


def assert_all_met(run: Run) -> None:
    assert [(broken.kind, broken.because) for broken in Break.objects.all()] == []
    assert (run.state, run.balanced, run.because) == ("done", True, "")
    assert [found["residual_minor"] for found in run.legs["proofs"]] == [0]


def test_stripe(simulator: SimulatorProcess, stripe: StatementAccount, clock: Clock) -> None:
    StatementAccount.objects.update(alert_count=1)
    payments = [paid(clock, amount_minor=2_000 + number) for number in range(3)]
    refunded(payments[0], 500, clock)
    simulator.act("settle", "stripe")
    hear_stripe(simulator, clock)
    assert Payout.objects.get().state == "paid"

    wait_for_the_night(clock)
    assert tick(clock) == Ran(planned=1, done=1)

    run = Run.objects.get()
    assert_all_met(run)
    assert run.lines["matched"] == 4
    assert {payment.state for payment in Payment.objects.exclude(pk=payments[0].pk)} == {PaymentState.RECONCILED}


def test_nmi(simulator: SimulatorProcess, nmi: StatementAccount, clock: Clock) -> None:
    for number in range(3):
        paid(clock, amount_minor=2_000 + number)
    simulator.act("batch_settle")

    wait_for_the_night(clock)
    assert tick(clock) == Ran(planned=1, done=1)

    run = Run.objects.get()
    assert_all_met(run)
    assert run.lines["matched"] == 3


def test_a_page_that_does_not_come_holds_the_day_up_and_no_money_is_called_missing(
    simulator: SimulatorProcess, stripe: StatementAccount, clock: Clock
) -> None:
    paid(clock)
    simulator.act("settle", "stripe")
    hear_stripe(simulator, clock)
    simulator.fault("server_error", "query", "stripe", times=1)
    wait_for_the_night(clock)

    assert tick(clock) == Ran(planned=1, waiting=1)
    run = Run.objects.get()
    assert "STRIPE gave no whole page 1 of its balance" in run.because
    assert not Break.objects.exists()  # it may still come

    clock.pass_(minutes=20)
    assert tick(clock) == Ran(done=1)
    assert_all_met(Run.objects.get())
