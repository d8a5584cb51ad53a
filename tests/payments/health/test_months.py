"""Are declines and disputes counted by month as issuers and payers spoke, and does a crossed line reach a person once?"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from payments.models import Dispute, GatewayAccount, GatewayMonth, Incident, Movement, Payment
from payments.queries.ratios import FEWEST, gauges
from payments.services.months import count_months
from payments.states import DisputeState, FailureClass, MovementKind, OperationKind, OperationState
from tests.payments.factories import Clock, new_payment
from tests.payments.health.scenes import call_of

MARCH = date(2026, 3, 1)
NOW = datetime(2026, 3, 20, 12, 0, tzinfo=UTC)


class At:
    """A clock that stands where the test puts it."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def payment(account: GatewayAccount) -> Payment:
    return new_payment(Clock())


def calls(payment: Payment, account: GatewayAccount, count: int, state: OperationState, **fields: object) -> None:
    for _ in range(count):
        call_of(payment, account, fields.pop("at", NOW), state=state, **fields)  # type: ignore[arg-type]


def captures(payment: Payment, account: GatewayAccount, count: int, at: datetime = NOW) -> None:
    for number in range(count):
        Movement.objects.create(
            gateway_account=account, gateway_id=f"{at:%m}-{number}", kind=MovementKind.CAPTURE, payment=payment,
            amount_minor=100, currency="USD", occurred_at=at, posted_at=at, entry_source_key=f"k-{at:%m}-{number}",
        )  # fmt: skip


def disputes(account: GatewayAccount, *states: DisputeState) -> None:
    for number, state in enumerate(states):
        Dispute.objects.create(
            gateway_account=account, gateway_id=f"dp-{number}", charge_id="x", amount_minor=100, currency="USD",
            opened_at=NOW, act_by=NOW, state=state,
        )  # fmt: skip


def month(account: GatewayAccount, first: date = MARCH) -> GatewayMonth:
    return GatewayMonth.objects.get(gateway_account=account, month=first)


class TestCounting:
    def test_only_what_an_issuer_said_counts(self, account: GatewayAccount, payment: Payment) -> None:
        calls(payment, account, 3, OperationState.SUCCEEDED)
        calls(payment, account, 2, OperationState.DECLINED, failure_class=FailureClass.INSUFFICIENT_FUNDS)
        calls(payment, account, 1, OperationState.DECLINED, failure_class=FailureClass.CONFIGURATION_ERROR)
        calls(payment, account, 1, OperationState.FAILED, failure_class=FailureClass.GATEWAY_UNAVAILABLE)
        calls(payment, account, 1, OperationState.SUCCEEDED, kind=OperationKind.REFUND)

        count_months(At())

        assert (month(account).answered, month(account).declined) == (5, 2)

    def test_captures_and_disputes_that_took_money(self, account: GatewayAccount, payment: Payment) -> None:
        captures(payment, account, 4)
        disputes(account, DisputeState.CHARGEBACK, DisputeState.WON, DisputeState.INQUIRY, DisputeState.CLOSED)

        count_months(At())

        assert (month(account).captured, month(account).disputed) == (4, 2)

    def test_a_month_ends_where_the_business_says(
        self, account: GatewayAccount, payment: Payment, settings: object
    ) -> None:
        settings.BUSINESS_TIME_ZONE = "America/New_York"  # type: ignore[attr-defined]
        for at in (datetime(2026, 3, 1, 4, 59, tzinfo=UTC), datetime(2026, 3, 1, 5, 0, tzinfo=UTC)):
            call_of(payment, account, at, state=OperationState.FAILED, ended_at=at)
            payment.operations.update(state=OperationState.SUCCEEDED)

        clock = At()
        while count_months(clock):
            pass

        assert (month(account).answered, month(account, date(2026, 2, 1)).answered) == (1, 1)

    def test_older_months_are_filled_in_one_by_one_and_then_rest(self, account: GatewayAccount) -> None:
        clock = At()
        runs = 0
        while count_months(clock):
            runs += 1
        assert runs == 6
        assert min(GatewayMonth.objects.values_list("month", flat=True)) == date(2025, 10, 1)

        clock.now += timedelta(minutes=5)
        assert count_months(clock) == 1
        assert month(account).counted_at == clock.now
        assert count_months(clock) == 0

    def test_the_last_month_is_counted_until_its_late_outcomes_are_in(self, account: GatewayAccount) -> None:
        clock = At(datetime(2026, 4, 2, tzinfo=UTC))
        while count_months(clock):
            pass
        clock.now = datetime(2026, 4, 5, tzinfo=UTC)
        while count_months(clock):
            pass
        assert month(account).counted_at == clock.now

        last = clock.now
        clock.now = datetime(2026, 4, 9, tzinfo=UTC)
        while count_months(clock):
            pass
        assert month(account).counted_at == last


class TestAlarm:
    def test_a_crossed_line_is_one_incident_and_ends_by_itself(self, account: GatewayAccount, payment: Payment) -> None:
        calls(payment, account, 11, OperationState.DECLINED, failure_class=FailureClass.SOFT_DECLINE)
        calls(payment, account, 9, OperationState.SUCCEEDED)
        clock = At()

        count_months(clock)
        clock.now += timedelta(minutes=6)
        count_months(clock)

        incident = Incident.objects.get()
        assert (incident.kind, incident.count, incident.closed_at) == ("decline_ratio", 1, None)
        assert incident.detail == "11 of 20 answers declined in March 2026; the line is at 50.00 %."

        calls(payment, account, 2, OperationState.SUCCEEDED)
        clock.now += timedelta(minutes=6)
        count_months(clock)
        incident.refresh_from_db()
        assert incident.closed_at == clock.now

    def test_the_line_itself_is_not_above_it(self, account: GatewayAccount, payment: Payment) -> None:
        calls(payment, account, 10, OperationState.DECLINED, failure_class=FailureClass.SOFT_DECLINE)
        calls(payment, account, 10, OperationState.SUCCEEDED)
        count_months(At())

        assert not Incident.objects.exists()

    def test_too_few_judge_nobody(self, account: GatewayAccount, payment: Payment) -> None:
        calls(payment, account, FEWEST - 1, OperationState.DECLINED, failure_class=FailureClass.FRAUD)
        count_months(At())

        assert not Incident.objects.exists()

    def test_disputes_have_a_line_of_their_own(self, account: GatewayAccount, payment: Payment) -> None:
        captures(payment, account, 100)
        disputes(account, DisputeState.CHARGEBACK)
        count_months(At())

        assert Incident.objects.get().kind == "dispute_ratio"


class TestGauge:
    def test_says_share_counts_and_whether_it_is_above_the_line(self, account: GatewayAccount) -> None:
        rows = [(MARCH, 30, 50, 1, 400), (date(2026, 2, 1), 10, 40, 4, 400), (date(2026, 1, 1), 0, 0, 0, 0)]
        for first, declined, answered, disputed, captured in rows:
            GatewayMonth.objects.create(
                gateway_account=account, month=first, declined=declined, answered=answered, disputed=disputed,
                captured=captured, counted_at=NOW,
            )  # fmt: skip

        with CaptureQueriesContext(connection) as queries:
            declines, disputes_of_it = gauges(account)

        assert len(queries) == 1
        assert [bar.percent for bar in declines.bars] == [Decimal("60.00"), Decimal("25.00"), None]
        assert [bar.tone for bar in declines.bars] == ["bad", "quiet", "quiet"]
        assert [bar.tone for bar in disputes_of_it.bars] == ["quiet", "bad", "quiet"]
        assert (declines.alarm, disputes_of_it.alarm) == (True, False)
        assert declines.bars[0].hint == "Declines in March 2026: 30 of 50; the line is at 50.00 %."
        assert all(0 <= bar.width <= 100 for gauge in (declines, disputes_of_it) for bar in gauge.bars)
        assert declines.bars[0].width > declines.line_at > declines.bars[1].width
