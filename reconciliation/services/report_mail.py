"""Has a scheduled report reached its readers? Small ones travel with the e-mail, for large ones it leads to the download."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.urls import reverse

from reconciliation.models import ReportJob
from reconciliation.reports.registry import REPORTS
from reconciliation.services import report_files
from reconciliation.services.report_downloads import name_of
from reconciliation.states import JobState

log = logging.getLogger(__name__)
ATTACHED = 5 * 1024 * 1024
"""Bytes up to which a file travels with the e-mail."""
MOST_TRIES = 6
_FIRST_PAUSE = timedelta(minutes=2)
_HOLD = timedelta(minutes=5)  # while one worker speaks with the mail server, no other does
TYPES = {
    "csv": "text/csv",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "beancount": "text/plain",
}


def send_report(job_id: int, now: datetime) -> bool:
    """This function will send a scheduled report to its readers; returns whether the e-mail left.

    One that does not leave is tried again with growing pauses, and the reason stays on the report. It may come twice if this
    process dies between sending and noting. Writes: the row.
    """
    job = _take(job_id, now)
    if job is None:
        return False
    trouble = ""
    try:
        _message(job).send()
    except (OSError, ValueError) as refused:  # the network, the mail server (SMTPException), an address, a missing file
        log.warning("Report %s could not be sent: %s", job.public_id, refused)
        trouble = f"{type(refused).__name__}: {refused}"[:400]
    _note(job_id, trouble, now)
    return not trouble


def _take(job_id: int, now: datetime) -> ReportJob | None:
    with transaction.atomic():
        due = ReportJob.objects.select_for_update(skip_locked=True, of=("self",)).select_related("schedule")
        job = due.filter(
            pk=job_id, state=JobState.DONE.value, schedule__isnull=False, mailed_at__isnull=True, next_check_at__lte=now
        ).first()
        if job is None or job.mail_tries >= MOST_TRIES:
            return None
        job.next_check_at = now + _HOLD
        job.save(update_fields=["next_check_at"])
        return job


def _note(job_id: int, trouble: str, now: datetime) -> None:
    with transaction.atomic():
        job = ReportJob.objects.select_for_update().get(pk=job_id)
        job.mail_failed_because = trouble
        job.mail_tries += 1
        if not trouble:
            job.mailed_at = now
        if not trouble or job.mail_tries >= MOST_TRIES:
            job.next_check_at = job.expires_at
        else:
            job.next_check_at = now + _FIRST_PAUSE * 2 ** (job.mail_tries - 1)
        job.save()


def _message(job: ReportJob) -> EmailMessage:
    assert job.schedule is not None, "only scheduled reports are sent"
    title = REPORTS[job.report].title
    attached = job.size <= ATTACHED
    address = settings.PUBLIC_URL + reverse("admin:reconciliation_reportjob_change", args=(job.public_id,))
    lines = [
        f"{title}, {' to '.join(_days(job))}",
        f"{job.manifest['rows']:,} rows, {job.size:,} bytes, SHA-256 {job.sha256}",
        "",
        *(f"{currency}: {_sums(sums)}" for currency, sums in job.manifest["totals"].items()),
        "",
        f"The file is attached. {address}"
        if attached
        else f"Fetch the file until {job.expires_at:%d %b %H:%M} UTC: {address}",
    ]
    message = EmailMessage(f"{title}, {' to '.join(_days(job))}", "\n".join(lines), to=job.schedule.recipients)
    if attached:
        message.attach(name_of(job), report_files.path_of(job.file_name).read_bytes(), TYPES[job.format])
    return message


def _days(job: ReportJob) -> list[str]:
    days = [job.parameters[name] for name in ("from", "to", "day") if name in job.parameters]
    return sorted(set(days)) or [f"{job.for_day}"]


def _sums(sums: dict[str, str]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {amount}" for name, amount in sums.items())
