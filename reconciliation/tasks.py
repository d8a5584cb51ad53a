"""Which timers does the comparison have? Each makes one service call; all are safe to run twice."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from reconciliation.services import alerts, desk, nightly
from reconciliation.services.report_jobs import run_report as write_report
from reconciliation.services.report_sweep import sweep_reports as sweep_due


@shared_task(name="reconciliation.run_report")
def run_report(job_id: int) -> None:
    """A report that was asked for is to be written."""
    write_report(job_id, timezone.now)


@shared_task(name="reconciliation.sweep_reports")
def sweep_reports() -> None:
    """Beat: schedules, reports, e-mails and files that are due."""
    sweep_due(timezone.now)


@shared_task(name="reconciliation.run_nights")
def run_nights() -> None:
    """Beat: days that an account should have been compared for by now."""
    nightly.tick(timezone.now)


@shared_task(name="reconciliation.watch_alarms")
def watch_alarms() -> None:
    """Beat: thresholds may be passed by time alone, and an e-mail that did not leave is due again."""
    alerts.watch(timezone.now)


@shared_task(name="reconciliation.watch_breaks")
def watch_breaks() -> None:
    """Beat: breaks past their time rise, and what was only late and has not come opens again."""
    desk.watch(timezone.now)
