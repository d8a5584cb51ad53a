"""Can a person ask for a report, watch it, take it away and set a schedule in the browser? As roles see it."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.core import mail
from django.core.management import call_command

from config.services import sync_roles
from reconciliation.models import ReportDownload, ReportJob, ReportSchedule
from reconciliation.services import report_jobs
from reconciliation.services.report_sweep import sweep_reports
from reconciliation.states import JobState
from tests.payments.admin.desk import prepare, signed_in, text_of
from tests.reconciliation.reports.books import books

pytestmark = pytest.mark.django_db(transaction=True)
REPORTS = "/admin/reconciliation/reportjob/"
SCHEDULES = "/admin/reconciliation/reportschedule/"


@pytest.fixture(autouse=True)
def _folder(settings: object, tmp_path: Path) -> None:
    settings.DATA_DIR, settings.DEMO = tmp_path, True  # a demo asks for no second factor
    sync_roles()


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing counts as small: every report is left to a worker."""
    monkeypatch.setattr(report_jobs, "AT_ONCE_ROWS", -1)


def ask(client, report: str = "journal", kind: str = "csv", **parameters: str):
    return client.post(f"{REPORTS}ask/", {"report": report, "format": kind, **parameters})


def page_of(job: ReportJob) -> str:
    return f"{REPORTS}{job.public_id}/"


class TestAsking:
    def test_every_report_has_a_card_with_its_question_and_formats(self) -> None:
        page = signed_in("finance").get(f"{REPORTS}ask/")

        assert len(page.context["cards"]) == 12
        assert "Do debits equal credits" in text_of(page) or "do debits equal credits?" in text_of(page)
        assert page.content.decode().count('value="beancount"') == 1

    def test_a_small_one_is_there_at_once_and_opens_as_it_was_asked(self) -> None:
        books()
        client = signed_in("finance")

        answer = ask(client, "trial_balance", currency="JPY")
        job = ReportJob.objects.get()
        page = client.get(answer.url)
        file = client.post(f"{page_of(job)}download/")

        assert (answer.status_code, answer.url, job.state) == (302, page_of(job), JobState.DONE)
        assert "JPY 2 1,200 JPY 1,200 JPY 1,200 JPY 1,200 JPY" in text_of(page)
        assert file[
            "Content-Disposition"
        ] == f'attachment; filename="trial_balance-2026-11-21-{job.public_id}.csv"'.replace(
            "2026-11-21", job.parameters["day"]
        )
        assert b"".join(file.streaming_content).splitlines()[1].startswith(b"1110,Gateway receivable")
        assert "finance" in text_of(client.get(answer.url)).split("Taken by")[1]

    def test_what_is_wrong_is_said_at_its_field(self) -> None:
        page = ask(signed_in("finance"), "journal", **{"from": "2026-03-11", "to": "2026-03-10"})

        assert page.status_code == 422
        assert "The period ends on 2026-03-10 before it starts" in text_of(page)
        assert not ReportJob.objects.exists()

    def test_a_report_there_is_not_and_a_missing_account_are_refused(self) -> None:
        client = signed_in("operator")

        assert ask(client, "profit").status_code == 422
        assert ask(client, "account_statement").status_code == 422


class TestWatching:
    def test_a_large_one_shows_how_far_it_is_until_it_is_there(self, later: None) -> None:
        books()
        client = signed_in("finance")
        place = ask(client).url
        job = ReportJob.objects.get()
        ReportJob.objects.update(state="running", rows_done=7, rows_total=14)

        moving = client.get(f"{place}progress/")
        ReportJob.objects.update(state="queued")
        sweep_reports(lambda: datetime.now(UTC))
        ended = client.get(f"{place}progress/")

        assert "7 rows written of 14" in text_of(moving)
        assert 'value="50" max="100"' in moving.content.decode()
        assert 'hx-trigger="every 2s' in moving.content.decode()
        assert (ended["HX-Refresh"], "hx-get" in ended.content.decode()) == ("true", False)
        job.refresh_from_db()
        assert job.state == JobState.DONE

    def test_it_can_be_cancelled(self, later: None) -> None:
        client = signed_in("operator")
        ask(client)
        job = ReportJob.objects.get()

        answer = client.post(f"{page_of(job)}cancel/", follow=True)

        assert "Cancelled by operator." in text_of(answer)
        assert ReportJob.objects.get().state == JobState.FAILED

    def test_the_list_opens_with_a_constant_number_of_queries(self, django_assert_max_num_queries: object) -> None:
        client = signed_in("auditor")
        client.get(REPORTS)
        for _ in range(3):
            ask(client)

        with django_assert_max_num_queries(14):
            page = client.get(REPORTS)

        assert "Journal, CSV" in text_of(page)


class TestTakingAway:
    def test_another_person_sees_it_and_gets_no_file(self) -> None:
        ask(signed_in("finance"))
        job = ReportJob.objects.get()
        auditor = signed_in("auditor")

        assert "finance asked for it" in text_of(auditor.get(page_of(job)))
        assert auditor.post(f"{page_of(job)}download/").status_code == 403
        assert not ReportDownload.objects.exists()

    def test_an_expired_file_is_gone_and_says_how_to_get_it_again(self) -> None:
        client = signed_in("auditor")
        ask(client)
        ReportJob.objects.update(expires_at=datetime.now(UTC) - timedelta(seconds=1))
        job = ReportJob.objects.get()

        page = client.post(f"{page_of(job)}download/")

        assert page.status_code == 410
        assert "Ask for the report again" in text_of(page)

    def test_its_manifest_lies_beside_the_file_for_verifying(self, tmp_path: Path) -> None:
        books()
        client = signed_in("finance")
        ask(client)
        place = page_of(ReportJob.objects.get())
        for answer in (client.post(f"{place}download/"), client.get(f"{place}manifest/")):
            name = answer["Content-Disposition"].split('"')[1]
            (tmp_path / name).write_bytes(
                b"".join(answer) if not answer.streaming else b"".join(answer.streaming_content)
            )

        file = next(path for path in tmp_path.glob("journal-*") if path.suffix == ".csv")
        call_command("export", "verify", str(file), stdout=io.StringIO())

    def test_it_is_taken_by_post_alone(self) -> None:
        client = signed_in("finance")
        ask(client)

        assert client.get(f"{page_of(ReportJob.objects.get())}download/").status_code == 405

    def test_support_sees_no_reports(self) -> None:
        client = signed_in("support")

        assert client.get(REPORTS).status_code == 403
        assert ask(client).status_code == 403

    def test_an_administrator_sees_what_was_exported_and_exports_nothing(self) -> None:
        ask(signed_in("finance"))
        job, client = ReportJob.objects.get(), signed_in("admin")

        assert "needs the right to export" in text_of(client.get(page_of(job)))
        assert client.post(f"{page_of(job)}download/").status_code == 403


class TestSchedules:
    ANSWERS = {
        "report": "journal", "kind": "csv", "every": "week", "hour": "6", "recipients": "books@example.com\naudit@example.com",
        "currency": "USD",
    }  # fmt: skip

    def test_one_is_set_up_switched_off_and_on_again(self) -> None:
        client = signed_in("finance")
        shown, confirmed = prepare(client, f"{SCHEDULES}add/", **self.ANSWERS)
        assert "Journal is made on Mondays" in text_of(shown)
        assert client.post(f"{SCHEDULES}add/", confirmed).status_code == 302
        assert client.post(f"{SCHEDULES}add/", confirmed).status_code == 302  # pressed twice

        schedule = ReportSchedule.objects.get()
        assert (schedule.recipients, schedule.parameters) == (
            ["books@example.com", "audit@example.com"],
            {"currency": "USD"},
        )
        for name, enabled in (("pause", False), ("resume", True)):
            _, sure = prepare(client, f"{SCHEDULES}{schedule.pk}/{name}/")
            client.post(f"{SCHEDULES}{schedule.pk}/{name}/", sure)
            schedule.refresh_from_db()
            assert schedule.enabled is enabled

    def test_its_page_shows_what_it_made_and_whether_it_left(self) -> None:
        client = signed_in("finance")
        _, confirmed = prepare(client, f"{SCHEDULES}add/", **{**self.ANSWERS, "every": "day"})
        client.post(f"{SCHEDULES}add/", confirmed)
        ReportSchedule.objects.update(next_check_at=datetime.now(UTC) - timedelta(minutes=1))
        for _ in range(2):
            sweep_reports(lambda: datetime.now(UTC))

        page = client.get(f"{SCHEDULES}{ReportSchedule.objects.get().pk}/")

        assert len(mail.outbox) == 1
        assert ReportJob.objects.get().public_id in text_of(page)
        assert "ready" in text_of(page).split("Made by it")[1]

    def test_the_home_page_says_which_report_did_not_come(self) -> None:
        client = signed_in("finance")
        _, confirmed = prepare(client, f"{SCHEDULES}add/", **{**self.ANSWERS, "every": "day"})
        client.post(f"{SCHEDULES}add/", confirmed)
        job = {"report": "journal", "format": "csv", "asked_by": "a schedule", "asked_at": datetime.now(UTC)}
        schedule = ReportSchedule.objects.get()
        assert "Reports that did not come" not in text_of(client.get("/admin/"))

        ReportJob.objects.create(
            **job, schedule=schedule, for_day="2026-03-01", state="done", mail_failed_because="no server"
        )
        ReportJob.objects.create(**job, state="failed", failed_because="nobody is told: it was another's")

        page = text_of(client.get("/admin/"))
        assert "Reports that did not come" in page
        assert "no server" in page
        assert "nobody is told" not in page

    def test_what_its_report_does_not_take_is_refused_in_the_preview(self) -> None:
        client = signed_in("finance")

        shown, _ = prepare(client, f"{SCHEDULES}add/", **{**self.ANSWERS, "claim": "on"})

        assert shown.status_code == 422
        assert "no parameter “claim”" in text_of(shown)

    def test_an_auditor_sees_schedules_and_sets_none(self) -> None:
        client = signed_in("auditor")

        assert "New schedule" not in text_of(client.get(SCHEDULES))
        assert client.get(f"{SCHEDULES}add/").status_code == 403
