"""Does a report reach the one who asked, once, whatever dies on the way? Jobs, takeovers, downloads, expiry."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.db import connection

from config.services import make_staff, sync_roles
from payments.errors import Forbidden, InvalidInput, NotAllowedNow
from payments.services.actors import Actor
from reconciliation.errors import ExportBroken, Gone
from reconciliation.models import ReportDownload, ReportJob
from reconciliation.services import report_files, report_jobs
from reconciliation.services.report_downloads import open_download
from reconciliation.services.report_jobs import ask_report, cancel_report, run_report
from reconciliation.services.report_sweep import sweep_reports
from reconciliation.states import JobState
from tests.ledger.books import capture, post
from tests.reconciliation.reports.books import NOW, books

pytestmark = pytest.mark.django_db(transaction=True)


@dataclass
class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **time: float) -> None:
        self.now += timedelta(**time)


@pytest.fixture(autouse=True)
def _folder(settings: object, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def finance() -> Actor:
    sync_roles()
    return Actor.for_user(make_staff("fay", "finance", "pw"))


@pytest.fixture
def auditor() -> Actor:
    sync_roles()
    return Actor.for_user(make_staff("audrey", "auditor", "pw"))


@pytest.fixture
def queued(monkeypatch: pytest.MonkeyPatch, clock: Clock, finance: Actor) -> ReportJob:
    """A journal that is left to a worker, because nothing counts as small."""
    books()
    monkeypatch.setattr(report_jobs, "AT_ONCE_ROWS", -1)
    return ask_report("journal", "csv", {}, actor=finance, clock=clock)


def files() -> list[Path]:
    return sorted(report_files.folder().iterdir())


class TestAsking:
    def test_a_small_report_is_there_at_once(self, clock: Clock, finance: Actor) -> None:
        books()

        job = ask_report("trial_balance", "csv", {"currency": "JPY"}, actor=finance, clock=clock)

        assert (job.state, job.rows_done, job.asked_by) == (JobState.DONE, 2, "fay")
        assert job.parameters == {"currency": "JPY", "day": "2026-03-20"}
        assert (files()[0].name, files()[0].stat().st_mode & 0o777) == (job.file_name, 0o600)
        assert report_files.folder().stat().st_mode & 0o777 == 0o700

    def test_asking_twice_with_one_request_makes_one(self, clock: Clock, finance: Actor) -> None:
        first = ask_report("journal", "csv", {}, actor=finance, clock=clock, request_id="r1")

        assert ask_report("journal", "csv", {}, actor=finance, clock=clock, request_id="r1").pk == first.pk
        assert len(files()) == 1

    def test_support_may_not(self, clock: Clock) -> None:
        sync_roles()
        with pytest.raises(Forbidden):
            ask_report("journal", "csv", {}, actor=Actor.for_user(make_staff("sue", "support", "pw")), clock=clock)

        assert not ReportJob.objects.exists()

    def test_an_auditor_may_but_hands_nothing_over(self, clock: Clock, auditor: Actor) -> None:
        assert ask_report("journal", "xlsx", {}, actor=auditor, clock=clock).state == JobState.DONE
        with pytest.raises(Forbidden):
            ask_report("sales_hand_over", "csv", {}, actor=auditor, clock=clock)

    def test_a_refusal_found_late_fails_the_report_with_its_reason(self, clock: Clock, finance: Actor) -> None:
        job = ask_report("sales_hand_over", "csv", {"day": "2026-03-20"}, actor=finance, clock=clock)
        run_report(job.pk, clock)

        job.refresh_from_db()
        assert (job.state, files()) == (JobState.FAILED, [])
        assert "not over" in job.failed_because


class TestWorkers:
    def test_a_queued_report_is_written_by_the_sweep(self, queued: ReportJob, clock: Clock) -> None:
        assert queued.state == JobState.QUEUED

        assert sweep_reports(clock).written == 1

        queued.refresh_from_db()
        assert (queued.state, queued.rows_done, queued.rows_total) == (JobState.DONE, 14, 14)
        assert sweep_reports(clock).written == 0

    def test_two_workers_at_once_write_one_file(self, queued: ReportJob, clock: Clock) -> None:
        done: list[bool] = []
        at_once = threading.Barrier(2)

        def work() -> None:
            at_once.wait()
            done.append(run_report(queued.pk, clock))
            connection.close()

        workers = [threading.Thread(target=work) for _ in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

        queued.refresh_from_db()
        assert (sorted(done), queued.tries, len(files())) == ([False, True], 1, 1)

    def test_one_whose_worker_fell_silent_is_taken_over(self, queued: ReportJob, clock: Clock) -> None:
        assert report_jobs._take(queued.pk, clock()) is not None  # and its worker is killed here
        clock.pass_(minutes=2)
        assert run_report(queued.pk, clock) is False
        clock.pass_(minutes=2)

        assert run_report(queued.pk, clock) is True

        queued.refresh_from_db()
        assert (queued.state, queued.tries, len(files())) == (JobState.DONE, 2, 1)

    def test_a_worker_that_was_given_up_and_comes_back_changes_nothing(self, queued: ReportJob, clock: Clock) -> None:
        slow = report_jobs._take(queued.pk, clock())
        clock.pass_(minutes=4)
        run_report(queued.pk, clock)
        kept = files()

        beats = report_jobs._Beats(slow, clock)
        clock.pass_(seconds=5)
        with pytest.raises(report_jobs._LostHold):
            beats(7, 14)
        assert report_jobs._finish(slow, "other.csv", {"size": 1, "sha256": "", "rows": 1}, clock()) is False

        queued.refresh_from_db()
        assert [path.name for path in kept] == [queued.file_name]

    def test_a_worker_says_how_far_it_is(self, queued: ReportJob, clock: Clock) -> None:
        held = report_jobs._take(queued.pk, clock())
        beats = report_jobs._Beats(held, clock)
        clock.pass_(seconds=3)
        beats(7, 14)

        queued.refresh_from_db()
        assert (queued.rows_done, queued.rows_total, queued.beaten_at) == (7, 14, clock())
        assert queued.next_check_at == clock() + report_jobs.LEASE

    def test_one_that_kills_every_worker_is_given_up(self, queued: ReportJob, clock: Clock) -> None:
        for _ in range(report_jobs.MOST_TRIES):
            assert report_jobs._take(queued.pk, clock()) is not None
            clock.pass_(minutes=5)

        sweep_reports(clock)

        queued.refresh_from_db()
        assert queued.state == JobState.FAILED
        assert "no worker came to its end" in queued.failed_because

    def test_a_disk_in_trouble_is_tried_again_and_then_said(
        self, queued: ReportJob, clock: Clock, settings: object
    ) -> None:
        (settings.DATA_DIR / "reports").touch()  # a file where the folder should be
        for _ in range(report_jobs.MOST_TRIES):
            queued.refresh_from_db()
            assert queued.state != JobState.FAILED
            sweep_reports(clock)
            clock.pass_(minutes=4)

        queued.refresh_from_db()
        assert queued.state == JobState.FAILED
        assert queued.failed_because.startswith("FileExistsError")

    def test_cancelling_stops_the_worker_at_its_next_word(
        self, queued: ReportJob, clock: Clock, finance: Actor
    ) -> None:
        held = report_jobs._take(queued.pk, clock())
        cancel_report(queued.public_id, actor=finance)
        beats = report_jobs._Beats(held, clock)
        clock.pass_(seconds=3)

        with pytest.raises(report_jobs._LostHold):
            beats(1, 14)
        queued.refresh_from_db()
        assert (queued.state, queued.failed_because) == (JobState.FAILED, "Cancelled by fay.")
        with pytest.raises(NotAllowedNow):
            cancel_report(queued.public_id, actor=finance)


class TestDownloads:
    @pytest.fixture
    def ready(self, clock: Clock, finance: Actor) -> ReportJob:
        post(capture("mov_1", 100), now=NOW)
        return ask_report("journal", "csv", {"from": "2026-03-01"}, actor=finance, clock=clock)

    def test_whoever_asked_gets_it_and_is_remembered(self, ready: ReportJob, clock: Clock, finance: Actor) -> None:
        download = open_download(ready.public_id, actor=finance, now=clock())

        assert download.name == f"journal-2026-03-01-{ready.public_id}.csv"
        assert download.path.read_bytes().startswith(b"booked_on,entry")
        assert list(ReportDownload.objects.values_list("job", "by", "at")) == [(ready.pk, "fay", clock())]

    def test_nobody_else_does(self, ready: ReportJob, clock: Clock, auditor: Actor) -> None:
        with pytest.raises(Forbidden, match="fay asked"):
            open_download(ready.public_id, actor=auditor, now=clock())

        assert not ReportDownload.objects.exists()

    def test_it_expires_and_its_file_is_removed(self, ready: ReportJob, clock: Clock, finance: Actor) -> None:
        clock.pass_(hours=24)
        with pytest.raises(Gone):
            open_download(ready.public_id, actor=finance, now=clock())

        assert sweep_reports(clock).expired == 1

        ready.refresh_from_db()
        assert (ready.state, files(), ready.manifest["rows"]) == (JobState.EXPIRED, [], 2)

    def test_a_file_that_was_changed_is_not_handed_out(self, ready: ReportJob, clock: Clock, finance: Actor) -> None:
        with report_files.path_of(ready.file_name).open("ab") as file:
            file.write(b"one more line\n")

        with pytest.raises(ExportBroken):
            open_download(ready.public_id, actor=finance, now=clock())

    def test_what_a_dead_worker_left_is_removed_after_days(self, ready: ReportJob, clock: Clock) -> None:
        name, left = report_files.begin("csv")
        left.close()
        clock.now = datetime.now(NOW.tzinfo) + timedelta(days=1)
        assert sweep_reports(clock).forgotten == 0

        clock.pass_(days=2)

        assert sweep_reports(clock).forgotten == 1
        assert name not in [path.name for path in files()]

    def test_a_parameter_that_is_wrong_makes_no_report(self, clock: Clock, finance: Actor) -> None:
        with pytest.raises(InvalidInput):
            ask_report("journal", "csv", {"to": "soon"}, actor=finance, clock=clock)

        assert not ReportJob.objects.exists()
