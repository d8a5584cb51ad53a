"""Is an alarm said once, again when it grows, and never lost to a mail server that is away?"""

from __future__ import annotations

import smtplib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from django.core import mail
from django.core.mail.backends.base import BaseEmailBackend
from pytest_django import Settings

from reconciliation.models import Alert, Break, Run, StatementAccount
from reconciliation.queries import metrics
from reconciliation.services.alerts import ring, tell, watch
from reconciliation.states import BreakType
from tests.reconciliation.moved_clock import MovedClock

NOON = datetime(2026, 3, 11, 12, 0, tzinfo=UTC)
DAY = date(2026, 3, 10)


class AwayBackend(BaseEmailBackend):
    """A mail server that is away."""

    def send_messages(self, email_messages: object) -> int:
        raise smtplib.SMTPServerDisconnected("nobody there")


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock(NOON)


@pytest.fixture
def account(db: None) -> StatementAccount:
    """Rings for nothing but what a test turns on."""
    return StatementAccount.objects.create(
        slug="nmi", name="NMI", kind="gateway", source="csv", alert_count=0, alert_value_minor=0, alert_age_days=0,
        alert_share=0, alert_to=["finance@example.com"],
    )  # fmt: skip


def terms(account: StatementAccount, **changes: object) -> None:
    StatementAccount.objects.filter(pk=account.pk).update(**changes)


def breaks(account: StatementAccount, count: int, value_minor: int = 500, day: date = DAY, **more: object) -> None:
    made = Break.objects.count()
    for number in range(made, made + count):
        Break.objects.create(**{
            "account": account, "kind": BreakType.MISSING_IN_PAYMENTS, "key": f"l{number}", "currency": "USD",
            "difference_minor": value_minor, "value_minor": value_minor, "day": day, "cause": "c", "because": "b",
            "opened_at": NOON, "last_seen_at": NOON, "due_at": NOON, **more,
        })  # fmt: skip


def end_all(now: datetime) -> None:
    for broken in Break.objects.filter(state="open"):
        broken.mark_resolved()
        broken.ended_at = now
        broken.save()


def subjects() -> list[str]:
    return [str(message.subject) for message in mail.outbox]


class TestThresholds:
    def test_a_count_rings_once_again_when_it_has_grown_by_itself_and_ends(
        self, account: StatementAccount, clock: MovedClock
    ) -> None:
        terms(account, alert_count=3)
        breaks(account, 2)
        assert watch(clock) == 0

        breaks(account, 1)
        assert watch(clock) == 1
        breaks(account, 2)
        assert watch(clock) == 0  # five: not yet twice what was told
        breaks(account, 1)
        assert watch(clock) == 1
        assert subjects() == ["NMI: 3 open breaks: 3 missing in payments", "NMI: 6 open breaks: 6 missing in payments"]
        assert mail.outbox[0].to == ["finance@example.com"]

        end_all(clock.pass_(hours=1))
        assert watch(clock) == 0
        [alert] = Alert.objects.all()
        assert (alert.ended_at, alert.next_check_at) == (clock.now, None)

    def test_what_rings_again_after_it_ended_is_another_alarm(
        self, account: StatementAccount, clock: MovedClock
    ) -> None:
        terms(account, alert_count=1)
        breaks(account, 1)
        watch(clock)
        end_all(clock.pass_(hours=1))
        watch(clock)
        breaks(account, 1)

        assert watch(clock) == 1
        assert Alert.objects.count() == len(mail.outbox) == 2

    def test_value_counts_by_currency(self, account: StatementAccount, clock: MovedClock) -> None:
        terms(account, alert_value_minor=1_000)
        breaks(account, 1, 999)
        breaks(account, 1, 1_000, currency="JPY")

        assert [(alert.kind, alert.currency) for alert in ring(account.pk, clock())] == [("value", "JPY")]
        breaks(account, 1, 1)
        assert {alert.currency: alert.level for alert in ring(account.pk, clock())} == {"JPY": 1_000, "USD": 1_000}

    def test_age_is_counted_in_days_of_the_accounts_zone(self, account: StatementAccount) -> None:
        terms(account, alert_age_days=7, time_zone="Pacific/Auckland")
        breaks(account, 1, day=date(2026, 3, 5))

        assert ring(account.pk, datetime(2026, 3, 11, 10, 59, tzinfo=UTC)) == []
        [alert] = ring(account.pk, datetime(2026, 3, 11, 11, 1, tzinfo=UTC))
        assert (alert.kind, alert.level) == ("age", 7)

    def test_share_is_that_of_the_last_run_that_ended(self, account: StatementAccount, clock: MovedClock) -> None:
        terms(account, alert_share=1)
        for day, broken in ((DAY - timedelta(days=1), 50), (DAY, 2)):
            run = Run(account=account, day=day, lines={"read": 200, "matched": 200 - broken, "broken": broken})
            run.mark_running()
            run.mark_done()
            run.save()

        [alert] = ring(account.pk, clock())
        assert (alert.kind, alert.level) == ("share", 100)
        assert "1.00 % of the lines of 10 Mar 2026 are broken: 2 of 200" in alert.detail
        terms(account, alert_share="1.01")
        assert ring(account.pk, clock()) == []

    def test_a_report_that_does_not_come_rings_after_six_hours_and_once_a_day(
        self, account: StatementAccount, clock: MovedClock
    ) -> None:
        run = Run(account=account, day=DAY, because="No report yet.")
        run.mark_waiting()
        run.save()
        clock.now = NOON - timedelta(minutes=1)  # expected at 06:00
        assert ring(account.pk, clock()) == []

        clock.now = NOON
        assert watch(clock) == 1
        assert subjects() == ["NMI: Not compared for 6 hours past its time: 10 Mar 2026: No report yet"]
        clock.pass_(hours=23)
        assert watch(clock) == 0
        clock.pass_(hours=1)
        assert watch(clock) == 1

        run.mark_running()
        run.mark_done()
        run.save()
        assert ring(account.pk, clock()) == []
        assert Alert.objects.get().ended_at == clock.now

    def test_money_that_nothing_explains_rings_at_any_amount(
        self, account: StatementAccount, clock: MovedClock
    ) -> None:
        breaks(account, 1, 1, kind=BreakType.BALANCE_DRIFT)

        [alert] = ring(account.pk, clock())
        assert (alert.kind, alert.level, alert.detail) == (
            "drift", 1, "The balance is off by 0.01 USD, and nothing explains it",
        )  # fmt: skip


class TestTelling:
    def test_one_account_gets_one_mail_for_all_that_rings(self, account: StatementAccount, clock: MovedClock) -> None:
        terms(account, alert_count=1, alert_value_minor=500)
        breaks(account, 1)

        assert watch(clock) == 2
        [message] = mail.outbox
        assert message.subject == "NMI: 2 alarms"
        assert "* 5.00 USD at risk in open breaks." in message.body
        assert "* 1 open break: 1 missing in payments." in message.body

    def test_one_that_does_not_leave_is_seen_and_tried_again(
        self, account: StatementAccount, clock: MovedClock, settings: Settings
    ) -> None:
        terms(account, alert_count=1)
        breaks(account, 1)
        settings.EMAIL_BACKEND = f"{__name__}.AwayBackend"
        assert watch(clock) == 0
        [alert] = Alert.objects.all()
        assert alert.told_at is None
        assert alert.failed_because == "SMTPServerDisconnected: nobody there"
        assert ("counterfoil_alerts_not_sent", 1) in [(name, value) for name, _, _, value in metrics.alarms()]

        settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
        assert tell(clock) == 0  # not before its time
        clock.pass_(minutes=5)
        assert tell(clock) == 1
        told = Alert.objects.get()
        assert (told.told_at, told.failed_because, told.told_to) == (clock.now, "", ["finance@example.com"])

    def test_one_that_ended_before_its_mail_could_leave_is_told_all_the_same(
        self, account: StatementAccount, clock: MovedClock
    ) -> None:
        terms(account, alert_count=1)
        breaks(account, 1)
        ring(account.pk, clock())
        end_all(clock.pass_(minutes=1))
        ring(account.pk, clock())

        assert tell(clock) == 1
        assert "(over since 11 Mar 2026 12:01 UTC)" in mail.outbox[0].body
        assert watch(clock) == 0

    def test_mails_are_files_where_no_server_is_named(
        self, account: StatementAccount, clock: MovedClock, settings: Settings, tmp_path: Path
    ) -> None:
        settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
        settings.EMAIL_FILE_PATH = tmp_path
        terms(account, alert_count=1, name="NMI\nBcc: x@example.com", alert_to=[])
        settings.ALERT_TO = ["boss@example.com"]
        breaks(account, 1)

        assert watch(clock) == 1
        [written] = [path.read_text() for path in tmp_path.iterdir()]
        head = written.partition("\n\n")[0]
        assert "To: boss@example.com" in head
        assert "\nBcc" not in head

    def test_nobody_to_tell_leaves_the_alarm_on_the_pages(self, account: StatementAccount, clock: MovedClock) -> None:
        terms(account, alert_count=1, alert_to=[])
        breaks(account, 1)

        assert watch(clock) == 1
        assert mail.outbox == []
        assert Alert.objects.get().told_to == []


def test_metrics_say_what_is_open_where(account: StatementAccount, clock: MovedClock) -> None:
    terms(account, alert_count=2)
    breaks(account, 2, 700)
    run = Run(account=account, day=DAY, finished_at=NOON)
    run.mark_running()
    run.mark_done()
    run.save()
    Run.objects.create(account=account, day=DAY + timedelta(days=1))
    ring(account.pk, clock())

    told = {
        (name, *labels.values()): value
        for name, _, labels, value in (*metrics.open_breaks(), *metrics.runs(), *metrics.alarms())
    }
    assert told["counterfoil_open_breaks", "nmi", "missing_in_payments"] == 2
    assert told["counterfoil_value_at_risk_minor_units", "nmi", "USD"] == 1_400
    assert told["counterfoil_runs_waiting", "nmi"] == 1
    assert told["counterfoil_alerts_firing", "nmi", "count"] == 1
    oldest, last_run = told["counterfoil_oldest_break_seconds", "nmi"], told["counterfoil_last_run_seconds", "nmi"]
    assert 0 <= last_run - oldest < 60  # both since the same noon, asked for one after the other
