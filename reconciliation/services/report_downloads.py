"""Who takes a report's file away, and is it still the file that was written? Each download is kept; files expire."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.db import transaction

from payments.errors import Forbidden, NotAllowedNow, NotFound
from payments.services.actors import Actor
from reconciliation.errors import ExportBroken, Gone
from reconciliation.models import ReportDownload, ReportJob
from reconciliation.services import report_files
from reconciliation.services.exporting.manifest import digest_of
from reconciliation.services.reporting import RIGHT
from reconciliation.states import JobState

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Download:
    """A file to hand out: where it lies, what it is called for people."""

    path: Path
    name: str
    kind: str
    size: int


def open_download(public_id: str, *, actor: Actor, now: datetime) -> Download:
    """This function will note that somebody takes a report's file, and say where it lies.

    Raises: NotFound; Forbidden for what another person asked for; NotAllowedNow while it is not written; Gone when it has
      expired; ExportBroken if the file is not the one that was written: it is not handed out.
    Writes: the download.
    """
    actor.require(RIGHT)
    job = ReportJob.objects.filter(public_id=public_id).first()
    if job is None:
        raise NotFound("There is no report with this id.")
    if not is_for(job, actor):
        raise Forbidden(f"{job.asked_by} asked for this report; ask for one of your own.")
    path = _file_of(job, now)
    if digest_of(path) != job.sha256:
        log.error("The file of report %s is not the one that was written.", job.public_id)
        raise ExportBroken("The file is not the one that was written, and is not handed out. Ask for the report again.")
    ReportDownload.objects.create(job=job, by=actor.label, at=now)
    return Download(path, name_of(job), job.format, job.size)


def is_for(job: ReportJob, actor: Actor) -> bool:
    """Whether a person may have its file: they asked for it, or a schedule did."""
    return job.schedule_id is not None or (job.asked_by_user_id is not None and job.asked_by_user_id == actor.user_id)


def name_of(job: ReportJob) -> str:
    """What the file is called on somebody's disk."""
    days = [job.parameters[name] for name in ("from", "to", "day") if name in job.parameters]
    return "-".join([job.report, *days, job.public_id]) + f".{job.format}"


def expire(job_id: int, now: datetime) -> bool:
    """This function will take away the file of a report that has expired. Writes: the row."""
    with transaction.atomic():
        due = ReportJob.objects.select_for_update(skip_locked=True, of=("self",))
        job = due.filter(pk=job_id, state=JobState.DONE.value, expires_at__lte=now).first()
        if job is None:
            return False
        report_files.remove(job.file_name)
        job.mark_expired()
        job.next_check_at = None
        job.save()
        return True


def remove_forgotten(now: datetime) -> int:
    """This function will take away files that no report names: of workers that died while they wrote."""
    names = report_files.names_older_than(now)
    known = set(ReportJob.objects.filter(file_name__in=names).values_list("file_name", flat=True)) if names else set()
    forgotten = [name for name in names if name not in known]
    report_files.remove_all(forgotten)
    return len(forgotten)


def _file_of(job: ReportJob, now: datetime) -> Path:
    if job.state == JobState.FAILED:
        raise NotAllowedNow(f"There is no file: {job.failed_because}")
    if job.state == JobState.EXPIRED or (job.expires_at is not None and job.expires_at <= now):
        raise Gone("The file has expired and was removed. Ask for the report again.")
    if job.state != JobState.DONE:
        raise NotAllowedNow("The report is not written yet.")
    path = report_files.path_of(job.file_name)
    if not path.is_file():
        raise Gone("The file is not there any more. Ask for the report again.")
    return path
