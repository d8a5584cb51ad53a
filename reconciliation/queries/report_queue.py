"""Which reports did not come? Those that failed, and those whose e-mail has not left, of the last days; for the home page."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse

from console.values import Chip, Link, QueueRow, Tone, WorkQueue
from payments.queries.queues import MOST_COUNTED, MOST_SHOWN, capped
from reconciliation.models import ReportJob
from reconciliation.states import JobState

SHOWN_FOR = timedelta(days=3)


def reports_missing(request: HttpRequest, now: datetime) -> WorkQueue | None:
    """Scheduled reports in trouble and one's own that failed, the newest first; no heap at all while there is none."""
    if not request.user.has_perm("reconciliation.view_reportjob"):
        return None
    meant = Q(schedule__isnull=False) | Q(asked_by_user=request.user.pk)
    trouble = Q(state=JobState.FAILED.value) & ~Q(failed_because__startswith="Cancelled by")
    unsent = Q(mailed_at__isnull=True) & ~Q(mail_failed_because="")
    recent = ReportJob.objects.filter(meant, trouble | unsent, asked_at__gt=now - SHOWN_FOR).order_by("-id")
    found = list(recent[: MOST_COUNTED + 1])
    if not found:
        return None
    return WorkQueue(
        title="Reports that did not come",
        url=reverse("admin:reconciliation_reportjob_changelist"),
        rows=[_row(job) for job in found[:MOST_SHOWN]],
        more=len(found) > MOST_SHOWN,
        count=capped(len(found)),
    )


def _row(job: ReportJob) -> QueueRow:
    failed = job.state == JobState.FAILED
    return QueueRow(
        title=Link(
            job.report.replace("_", " "), reverse("admin:reconciliation_reportjob_change", args=(job.public_id,))
        ),
        why=job.failed_because if failed else job.mail_failed_because,
        since=job.asked_at,
        chip=Chip("failed", Tone.BAD, "error") if failed else Chip("not sent", Tone.WARN, "mail_off"),
        suggestion="Ask for it again" if failed else "Look at the mail server and the addresses",
    )
