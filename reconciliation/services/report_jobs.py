"""How does a report become a file that waits for somebody? A row first; a worker writes it, says how far it is, and may die.

One that is small by the planner's estimate is written at once. A worker holds a report by the moment it began and says every few
seconds that it lives; one that falls silent is taken over from the start, and what it still writes counts no more.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from payments.errors import NotAllowedNow, NotFound, PaymentsError
from payments.jobs import enqueue
from payments.services.actors import Actor
from reconciliation.models import HandOver, ReportJob, ReportSchedule
from reconciliation.reports.base import Given, Report
from reconciliation.reports.days import day_of
from reconciliation.reports.parameters import as_text
from reconciliation.reports.sales_hand_over import REPORT as SALES
from reconciliation.services import handing_over, report_files
from reconciliation.services.exporting.manifest import Manifest
from reconciliation.services.exporting.snapshot import expected_rows
from reconciliation.services.reporting import check, export
from reconciliation.states import JobState

log = logging.getLogger(__name__)
Clock = Callable[[], datetime]
RUN_REPORT = "reconciliation.run_report"
KEPT = timedelta(hours=24)
LEASE = timedelta(minutes=3)  # of silence; sorting millions of rows comes before the first word
BEAT = timedelta(seconds=2)
MOST_TRIES = 3
AT_ONCE_ROWS = 5_000
AT_ONCE_COST = 200_000  # of the planner's units: about a second
_UNDER_WAY = (JobState.QUEUED.value, JobState.RUNNING.value)


class _LostHold(Exception):
    """Somebody cancelled the report, or another worker took it over."""


def ask_report(
    name: str,
    kind: str,
    raw: Mapping[str, object],
    *,
    actor: Actor,
    clock: Clock,
    request_id: str | None = None,
) -> ReportJob:
    """This function will write a small report at once and leave a large one to a worker; returns its row either way.

    Raises: Forbidden, NotFound for a report there is not, InvalidInput naming the parameter.
    Idempotent on: request_id. Writes: the row; for a small one the file.
    """
    now = clock()
    report, checked, given = check(name, kind, raw, actor=actor, now=now)
    if report.name == SALES.name:
        _may_hand_over(given, actor)
    try:
        with transaction.atomic():
            job = ReportJob.objects.create(
                report=report.name, format=checked.value, parameters=as_text(given), asked_by=actor.label,
                asked_by_user_id=actor.user_id, asked_at=now, next_check_at=now, request_id=request_id,
            )  # fmt: skip
    except IntegrityError:
        return ReportJob.objects.get(request_id=request_id)
    if _is_small(report, given):
        run_report(job.pk, clock)
        job.refresh_from_db()
    else:
        enqueue(RUN_REPORT, job.pk)
    return job


def scheduled_report(
    schedule: ReportSchedule, raw: Mapping[str, object], for_day: date, now: datetime
) -> ReportJob | None:
    """This function will make the row of a schedule's report for one day; None if it was made before, or cannot be asked so.

    Inside the caller's transaction. Idempotent on: schedule and day.
    """
    system = Actor(label=f"schedule of {schedule.made_by}", is_system=True)
    report, kind, given = check(schedule.report, schedule.format, raw, actor=system, now=now)
    job, made = ReportJob.objects.get_or_create(
        schedule=schedule,
        for_day=for_day,
        defaults={
            "report": report.name, "format": kind.value, "parameters": as_text(given), "asked_by": system.label,
            "asked_at": now, "next_check_at": now,
        },
    )  # fmt: skip
    if made:
        enqueue(RUN_REPORT, job.pk)
    return job if made else None


def run_report(job_id: int, clock: Clock) -> bool:
    """This function will write a report that is queued, or one whose worker fell silent. Returns whether it did.

    One worker at a time: whoever comes second finds it held. Trouble that is ours is tried again, a refusal is final.
    Writes: the file, the row.
    """
    job = _take(job_id, clock())
    if job is None:
        return False
    name, kept = "", False
    try:
        name, file = report_files.begin(job.format)
        with file:
            actor = Actor(label=job.asked_by, user_id=job.asked_by_user_id, is_system=True)  # asked when it was made
            manifest = export(
                job.report, job.format, job.parameters, file, actor=actor, now=clock(), progress=_Beats(job, clock)
            )
        kept = _finish(job, name, manifest, clock())
    except _LostHold:
        log.info("Report %s was cancelled or taken over.", job.public_id)
    except PaymentsError as refusal:
        _fail(job, refusal.detail)
    except Exception as trouble:  # held until its lease ends, and begun again then
        log.exception("Report %s could not be written.", job.public_id)
        if job.tries >= MOST_TRIES:
            _fail(job, f"{type(trouble).__name__}: {trouble}")
    if not kept:
        report_files.remove(name)
    return True


def cancel_report(public_id: str, *, actor: Actor) -> ReportJob:
    """This function will stop a report that is not written yet; its worker notices with its next word.

    Raises: NotFound; Forbidden; NotAllowedNow if it has ended. Writes: the row.
    """
    actor.require("reconciliation.export_reports")
    with transaction.atomic():
        job = ReportJob.objects.select_for_update().filter(public_id=public_id).first()
        if job is None:
            raise NotFound("There is no report with this id.")
        if job.state not in _UNDER_WAY:
            raise NotAllowedNow("It has ended: there is nothing to cancel.")
        job.mark_failed()
        job.failed_because = f"Cancelled by {actor.label or 'the system'}."
        job.next_check_at = None
        job.save()
    return job


def _may_hand_over(given: Given, actor: Actor) -> None:
    day = day_of(given, "day")
    assert day is not None, "the parameter has a default"
    if not HandOver.objects.filter(day=day).exists():
        actor.require(handing_over.RIGHT)


def _is_small(report: Report, given: Given) -> bool:
    if report.name == SALES.name:
        return False  # it writes a batch first: never in somebody's request
    rows, cost = expected_rows(report.query(given))
    return rows <= AT_ONCE_ROWS and cost <= AT_ONCE_COST


def _take(job_id: int, now: datetime) -> ReportJob | None:
    """Hold it, if it is due and not held. One that has died on every worker so far is given up."""
    with transaction.atomic():
        due = ReportJob.objects.select_for_update(skip_locked=True, of=("self",))
        job = due.filter(pk=job_id, state__in=_UNDER_WAY, next_check_at__lte=now).first()
        if job is None:
            return None
        if job.tries >= MOST_TRIES:
            job.mark_failed()
            job.failed_because = f"It was begun {job.tries} times, and no worker came to its end."
            job.next_check_at = None
            job.save()
            return None
        job.mark_running()
        job.started_at = job.beaten_at = now
        job.next_check_at = now + LEASE
        job.rows_done = 0
        job.tries += 1
        job.save()
        return job


class _Beats:
    """A worker's word, every few seconds: so many rows, and alive. Raises _LostHold when the report is no longer its own."""

    def __init__(self, job: ReportJob, clock: Clock) -> None:
        self._job, self._clock = job, clock
        self._last = clock()

    def __call__(self, rows: int, total: int) -> None:
        now = self._clock()
        if now - self._last < BEAT:
            return
        self._last = now
        said = _held(self._job).update(rows_done=rows, rows_total=total, beaten_at=now, next_check_at=now + LEASE)
        if not said:
            raise _LostHold


def _held(job: ReportJob) -> QuerySet[ReportJob]:
    """The row while this worker holds it: nobody else began at that moment."""
    return ReportJob.objects.filter(pk=job.pk, state=JobState.RUNNING.value, started_at=job.started_at, tries=job.tries)


def _finish(job: ReportJob, name: str, manifest: Manifest, now: datetime) -> bool:
    with transaction.atomic():
        held = _held(job).select_for_update().first()
        if held is None:
            return False
        held.mark_done()
        held.file_name, held.size, held.sha256 = name, manifest["size"], manifest["sha256"]
        held.manifest = manifest
        held.rows_done = held.rows_total = manifest["rows"]
        held.beaten_at = held.finished_at = now
        held.expires_at = now + KEPT
        held.next_check_at = now if held.schedule_id else held.expires_at  # an e-mail is due at once
        held.save()
        return True


def _fail(job: ReportJob, because: str) -> None:
    with transaction.atomic():
        held = _held(job).select_for_update().first()
        if held is not None:
            held.mark_failed()
            held.failed_because = because[:400]
            held.next_check_at = None
            held.save()
