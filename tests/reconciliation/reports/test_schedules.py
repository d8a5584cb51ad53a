"""Do reports come by themselves, each day's once, at the hour people live by, and do they arrive?"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from django.core import mail

from config.services import make_staff, sync_roles
from payments.errors import Conflict, Forbidden, InvalidInput
from payments.services.actors import Actor
from reconciliation.models import ReportJob, ReportSchedule
from reconciliation.services import report_mail
from reconciliation.services.report_schedules import (
    Wanted,
    add_schedule,
    next_firing,
    period_of,
    run_schedule,
    switch_schedule,
)
from reconciliation.services.report_sweep import sweep_reports
from reconciliation.states import JobState
from tests.reconciliation.reports.books import books
from tests.reconciliation.reports.test_jobs import Clock

BERLIN = "Europe/Berlin"
READERS = ("books@example.com", "audit@example.com")


class TestTheHour:
    @pytest.mark.parametrize(
        ("every", "after", "expected"),
        [
            ("day", "2026-03-20T09:30", "2026-03-21T06:00"),
            ("day", "2026-03-20T05:59", "2026-03-20T06:00"),
            ("day", "2026-03-20T06:00", "2026-03-21T06:00"),
            ("day", "2026-03-28T06:00", "2026-03-29T05:00"),  # a day of 23 hours: 7 o'clock comes an hour sooner
            ("day", "2026-10-24T05:00", "2026-10-25T06:00"),  # a day of 25 hours
            ("week", "2026-03-20T09:30", "2026-03-23T06:00"),
            ("month", "2026-03-20T09:30", "2026-04-01T05:00"),
        ],
    )
    def test_is_the_businesss(self, settings: object, every: str, after: str, expected: str) -> None:
        settings.BUSINESS_TIME_ZONE = BERLIN

        found = next_firing(every, 7, datetime.fromisoformat(after).replace(tzinfo=UTC))

        assert found == datetime.fromisoformat(expected).replace(tzinfo=UTC)

    def test_that_a_clock_skips_comes_once_all_the_same(self, settings: object) -> None:
        settings.BUSINESS_TIME_ZONE = BERLIN
        start = datetime(2026, 3, 28, 12, tzinfo=UTC)

        first = next_firing("day", 2, start)
        second = next_firing("day", 2, first)

        assert (first, second) == (datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 3, 30, 0, tzinfo=UTC))

    def test_that_a_clock_shows_twice_comes_once(self, settings: object) -> None:
        settings.BUSINESS_TIME_ZONE = BERLIN
        start = datetime(2026, 10, 24, 12, tzinfo=UTC)

        first = next_firing("day", 2, start)
        second = next_firing("day", 2, first)

        assert (first, second) == (datetime(2026, 10, 25, 0, tzinfo=UTC), datetime(2026, 10, 26, 1, tzinfo=UTC))

    @pytest.mark.parametrize(
        ("every", "fired", "first", "last"),
        [
            ("day", date(2026, 3, 1), date(2026, 2, 28), date(2026, 2, 28)),
            ("week", date(2026, 3, 23), date(2026, 3, 16), date(2026, 3, 22)),
            ("month", date(2026, 3, 1), date(2026, 2, 1), date(2026, 2, 28)),
        ],
    )
    def test_closes_a_period(self, every: str, fired: date, first: date, last: date) -> None:
        assert period_of(every, fired) == (first, last)


@pytest.mark.django_db(transaction=True)
class TestSchedules:
    @pytest.fixture(autouse=True)
    def _folder(self, settings: object, tmp_path: Path) -> None:
        settings.DATA_DIR = tmp_path
        sync_roles()

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock(datetime(2026, 3, 11, 12, tzinfo=UTC))

    @pytest.fixture
    def finance(self) -> Actor:
        return Actor.for_user(make_staff("fay", "finance", "pw"))

    @pytest.fixture
    def daily(self, clock: Clock, finance: Actor) -> ReportSchedule:
        books()
        return add_schedule(
            Wanted("journal", "csv", {"currency": "USD"}, "day", 7, READERS), actor=finance, now=clock()
        )

    def test_makes_and_sends_the_report_of_the_day_before(self, daily: ReportSchedule, clock: Clock) -> None:
        clock.now = datetime(2026, 3, 12, 7, 1, tzinfo=UTC)

        swept = sweep_reports(clock)
        assert (swept.asked, swept.written) == (1, 1)
        assert sweep_reports(clock).sent == 1

        job = ReportJob.objects.get()
        assert job.parameters == {"from": "2026-03-11", "to": "2026-03-11", "currency": "USD"}
        (message,) = mail.outbox
        (name, content, kind) = message.attachments[0]
        assert (message.to, name, kind) == (
            [*READERS],
            f"journal-2026-03-11-2026-03-11-{job.public_id}.csv",
            "text/csv",
        )
        assert content.startswith("booked_on,entry")
        assert "USD: rows 4, debit 28.45, credit 28.45" in message.body

    def test_makes_each_day_once_however_often_it_is_swept(self, daily: ReportSchedule, clock: Clock) -> None:
        clock.now = datetime(2026, 3, 12, 7, 1, tzinfo=UTC)
        for _ in range(4):
            sweep_reports(clock)
        ReportSchedule.objects.update(next_check_at=clock())  # as if another process had not seen the new hour
        sweep_reports(clock)

        assert (ReportJob.objects.count(), len(mail.outbox)) == (1, 1)

    def test_makes_up_for_the_days_nothing_ran(self, daily: ReportSchedule, clock: Clock) -> None:
        clock.now = datetime(2026, 3, 14, 9, tzinfo=UTC)
        for _ in range(4):
            run_schedule(daily.pk, clock())

        assert list(ReportJob.objects.order_by("for_day").values_list("for_day", flat=True)) == [
            date(2026, 3, 11), date(2026, 3, 12), date(2026, 3, 13),
        ]  # fmt: skip

    def test_sends_a_link_where_the_file_is_large(
        self, daily: ReportSchedule, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(report_mail, "ATTACHED", 10)
        clock.now = datetime(2026, 3, 12, 7, 1, tzinfo=UTC)
        sweep_reports(clock)
        sweep_reports(clock)

        (message,) = mail.outbox
        assert message.attachments == []
        assert f"/admin/reconciliation/reportjob/{ReportJob.objects.get().public_id}/" in message.body

    def test_an_email_that_does_not_leave_is_tried_again_and_seen(
        self, daily: ReportSchedule, clock: Clock, settings: object, free_port: int
    ) -> None:
        sent_to = settings.EMAIL_BACKEND
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", free_port  # nobody listens there
        clock.now = datetime(2026, 3, 12, 7, 1, tzinfo=UTC)
        sweep_reports(clock)
        assert sweep_reports(clock).sent == 0
        job = ReportJob.objects.get()
        assert (job.state, job.mail_tries) == (JobState.DONE, 1)
        assert "ConnectionRefusedError" in job.mail_failed_because

        settings.EMAIL_BACKEND = sent_to
        clock.pass_(minutes=3)

        assert sweep_reports(clock).sent == 1
        job.refresh_from_db()
        assert (job.mailed_at, job.mail_failed_because, job.next_check_at) == (clock(), "", job.expires_at)

    def test_pausing_makes_nothing_and_nothing_of_the_pause_is_made_up_for(
        self, daily: ReportSchedule, clock: Clock, finance: Actor
    ) -> None:
        switch_schedule(daily.pk, enabled=False, version=0, actor=finance, now=clock())
        clock.pass_(days=5)
        assert sweep_reports(clock).asked == 0
        switch_schedule(daily.pk, enabled=True, version=1, actor=finance, now=clock())

        assert sweep_reports(clock).asked == 0
        with pytest.raises(Conflict):
            switch_schedule(daily.pk, enabled=False, version=0, actor=finance, now=clock())

    def test_an_auditor_may_not_set_one(self, clock: Clock) -> None:
        auditor = Actor.for_user(make_staff("audrey", "auditor", "pw"))
        with pytest.raises(Forbidden):
            add_schedule(Wanted("journal", "csv", {}, "day", 7, READERS), actor=auditor, now=clock())

    @pytest.mark.parametrize(
        ("changed", "field"),
        [
            ({"recipients": ()}, "recipients"),
            ({"recipients": ("not an address",)}, "recipients"),
            ({"hour": 24}, "hour"),
            ({"every": "year"}, "every"),
            ({"parameters": {"to": "2026-03-01"}}, "to"),
            ({"parameters": {"claim": "yes"}}, "claim"),
            ({"format": "pdf"}, "format"),
        ],
    )
    def test_what_cannot_be_is_refused_by_name(
        self, clock: Clock, finance: Actor, changed: dict[str, object], field: str
    ) -> None:
        usual = {
            "report": "journal",
            "format": "csv",
            "parameters": {},
            "every": "day",
            "hour": 7,
            "recipients": READERS,
        }
        with pytest.raises(InvalidInput) as refused:
            add_schedule(Wanted(**{**usual, **changed}), actor=finance, now=clock())

        assert refused.value.field == field

    def test_hands_sales_over_every_night(self, clock: Clock, finance: Actor) -> None:
        books()
        add_schedule(Wanted("sales_hand_over", "csv", {}, "day", 2, READERS), actor=finance, now=clock())
        clock.now = datetime(2026, 3, 12, 2, 1, tzinfo=UTC)
        sweep_reports(clock)

        job = ReportJob.objects.get()
        assert (job.state, job.rows_done, job.parameters) == (JobState.DONE, 5, {"day": "2026-03-11"})
        clock.pass_(days=1)
        sweep_reports(clock)
        sweep_reports(clock)
        assert [job.rows_done for job in ReportJob.objects.order_by("id")] == [5, 0]
        assert clock() - timedelta(days=1) < ReportJob.objects.latest("id").asked_at
