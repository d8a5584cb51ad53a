"""What is due of reports? Schedules, files to write, e-mails to send, files to remove; found by query, doubled runs are safe."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from reconciliation.models import ReportJob, ReportSchedule
from reconciliation.services.report_downloads import expire, remove_forgotten
from reconciliation.services.report_jobs import run_report
from reconciliation.services.report_mail import send_report
from reconciliation.services.report_schedules import run_schedule
from reconciliation.states import JobState

log = logging.getLogger(__name__)
_AFTER_ERROR = timedelta(minutes=5)


@dataclass
class SweptReports:
    """How much was due and done; `failed` counts rows that raised and are looked at again in five minutes."""

    asked: int = 0
    written: int = 0
    sent: int = 0
    expired: int = 0
    forgotten: int = 0
    failed: int = 0


def sweep_reports(clock: Callable[[], datetime], *, limit: int = 50) -> SweptReports:
    """This function will work on every due schedule and report once. One row's error does not stop the others."""
    swept, now = SweptReports(), clock()
    due = ReportSchedule.objects.filter(enabled=True, next_check_at__lte=now).order_by("next_check_at")
    for schedule in due[:limit]:
        swept.asked += _one(swept, schedule, clock, lambda s=schedule: run_schedule(s.pk, now))  # type: ignore[misc]  # mypy knows no type for a lambda's default
    jobs = ReportJob.objects.filter(next_check_at__lte=clock()).order_by("next_check_at")
    for job in jobs[:limit]:
        if job.state != JobState.DONE:
            swept.written += _one(swept, job, clock, lambda j=job: run_report(j.pk, clock))  # type: ignore[misc]  # the same
        elif job.expires_at is not None and job.expires_at <= now:
            swept.expired += _one(swept, job, clock, lambda j=job: expire(j.pk, now))  # type: ignore[misc]  # the same
        else:
            swept.sent += _one(swept, job, clock, lambda j=job: send_report(j.pk, now))  # type: ignore[misc]  # the same
    try:
        swept.forgotten = remove_forgotten(now)
    except OSError:  # the folder; whoever writes the next report says it to a person
        log.exception("Files that no report names could not be removed.")
    return swept


def _one(
    swept: SweptReports, row: ReportJob | ReportSchedule, clock: Callable[[], datetime], work: Callable[[], bool]
) -> int:
    try:
        return int(work())
    except Exception:  # one row must not stop the sweep; it is logged, and seen again
        log.exception("The sweep could not work on %s %s.", type(row).__name__, row.pk)
        swept.failed += 1
        row.next_check_at = clock() + _AFTER_ERROR
        row.save(update_fields=["next_check_at"])
        return 0
