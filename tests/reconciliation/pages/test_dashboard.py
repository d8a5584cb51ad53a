"""Does the dashboard show what the rows say, each number leading to them, at a constant number of queries?"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, timedelta

import pytest
from django.test import Client
from django.urls import reverse

from ledger.money import Money
from payments.facts import PayoutTold
from payments.services.accounts import ensure_gateway_account
from payments.services.payouts import tell_payout
from payments.states import PayoutState
from reconciliation.models import Booking, Break, Run, StatementAccount
from reconciliation.queries.dashboard import dashboard, percent, rate_of
from reconciliation.states import BreakType
from tests.payments.admin.desk import signed_in, text_of

NOW = datetime.now(UTC)
TODAY = NOW.date()


@pytest.fixture
def account(db: None) -> StatementAccount:
    return StatementAccount.objects.create(slug="nmi", name="NMI", kind="gateway", source="csv_mapped")


def compared(account: StatementAccount, days_ago: int, **lines: int) -> Run:
    money = {"USD": {"expected": 1500}}
    run = Run(
        account=account, day=TODAY - timedelta(days=days_ago), lines={**lines}, movements={"open": 1, "money": money},
        balanced=True,
    )  # fmt: skip
    run.mark_running()
    run.mark_done()
    run.save()
    return run


def broken(account: StatementAccount, kind: BreakType, days_ago: int, value: int, *, late: bool = False) -> None:
    due = NOW - timedelta(hours=1) if late else NOW + timedelta(days=1)
    Break.objects.create(
        account=account, kind=kind, key=f"{kind}{days_ago}{value}", currency="USD", value_minor=value,
        day=TODAY - timedelta(days=days_ago), cause="c", because="b", opened_at=NOW, last_seen_at=NOW, due_at=due,
    )  # fmt: skip


def figure(name: str) -> str:
    found = next(one for one in dashboard(NOW).figures if one.name == name)
    return " ".join(str(getattr(value, "amount_minor", value)) for value in found.values)


class TestFigures:
    def test_the_match_rate_is_never_rounded_up_to_all(self, account: StatementAccount) -> None:
        compared(account, 1, read=100_000, matched=99_990, booked=9, broken=1)
        assert figure("Match rate") == "99.99 %"
        assert percent(rate_of(3, 2)) == "66.66 %"
        assert percent(rate_of(0, 0)) == "100.00 %"

    def test_the_match_rate_says_that_open_lines_are_looked_at_again(self, account: StatementAccount) -> None:
        compared(account, 2, read=10, matched=9, broken=1)
        compared(account, 1, read=11, matched=10, broken=1)
        (rate,) = (one for one in dashboard(NOW).figures if one.name == "Match rate")
        assert rate.hint == "19 of 21 looked at by 2 nights; open ones again each night"
        assert dashboard(NOW).match_rate.scale == ("100 %", "0 %")

    def test_risk_age_type_and_lateness_are_those_of_open_breaks(self, account: StatementAccount) -> None:
        broken(account, BreakType.MISSING_IN_PAYMENTS, 0, 1000, late=True)
        broken(account, BreakType.MISSING_IN_PAYMENTS, 5, 2000)
        broken(account, BreakType.AMOUNT_MISMATCH, 40, 5)
        shown = dashboard(NOW)
        assert figure("Value at risk") == "3005"
        assert [(bar.label, bar.value) for bar in shown.by_type.bars] == [("Unknown to us", 2), ("Other amount", 1)]
        assert [bar.value for bar in shown.by_age.bars] == [1, 0, 1, 0, 1]
        assert "1 past their time" in next(one.hint for one in shown.figures if one.name == "Open differences")

    def test_payouts_in_transit_and_what_is_not_reported_yet(self, account: StatementAccount) -> None:
        ensure_gateway_account("stripe", "stripe", "Stripe")
        told = PayoutTold("po_1", PayoutState.IN_TRANSIT, Money(700, "USD"), NOW, NOW, arrives_on=date(2020, 1, 1))
        tell_payout("stripe", told, now=NOW)
        compared(account, 1, read=1, matched=1)
        assert (figure("Payouts in transit"), figure("Not reconciled yet")) == ("700", "1500")
        (bar,) = dashboard(NOW).on_the_way.bars
        assert (bar.label, bar.tone) == ("Stripe USD", "warn")

    def test_fee_variance_is_what_was_charged_beyond_the_contract(self, account: StatementAccount) -> None:
        Booking.objects.create(
            account=account, kind="fees", currency="USD", amount_minor=-350, expected_minor=300, tax_minor=0, day=TODAY,
            entry_source_key="k", booked_at=NOW,
        )  # fmt: skip
        assert figure("Fee variance this month") == "50"
        (chart,) = dashboard(NOW).variance
        assert [(bar.value, bar.tone) for bar in chart.bars] == [(50, "bad")]


class TestPage:
    @pytest.fixture
    def fay(self, settings: object, db: None) -> Client:
        settings.DEMO = True  # type: ignore[attr-defined]
        return signed_in("finance", "fay")

    def test_an_empty_one_says_so(self, fay: Client, db: None) -> None:
        words = text_of(fay.get(reverse("admin:reconciliation_run_dashboard")))
        assert "No day was compared yet" in words
        assert "None: everything lines up" in words
        assert "Nothing is on its way" in words
        assert "100.00 %" not in words  # of nothing, nothing was matched

    def test_costs_the_same_however_much_there_is(
        self,
        fay: Client,
        account: StatementAccount,
        django_assert_max_num_queries: Callable[..., AbstractContextManager[object]],
    ) -> None:
        for days_ago in range(1, 20):
            compared(account, days_ago, read=10, matched=9, broken=1)
            broken(account, BreakType.MISSING_IN_PAYMENTS, days_ago, days_ago)
        with django_assert_max_num_queries(9):
            dashboard(NOW)
        words = text_of(fay.get(reverse("admin:reconciliation_run_dashboard")))
        assert "90.00 %" in words
        assert "100 % 0 %" in words
