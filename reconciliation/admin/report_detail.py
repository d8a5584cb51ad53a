"""What stands on a report's page? Chip, progress, facts, manifest and who took it away, put together from its row."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.template.defaultfilters import filesizeformat
from django.urls import reverse

from console.values import Amount, Chip, KeyValue, Link, Shown, Step, Tone
from ledger.money import Money
from reconciliation.models import ReportJob
from reconciliation.reports.registry import REPORTS
from reconciliation.states import JobState

S = JobState
_CHIPS: Final = {
    S.QUEUED: Chip("waits", Tone.INFO, "hourglass_empty", "No worker has begun it yet"),
    S.RUNNING: Chip("being written", Tone.INFO, "sync", "A worker writes it"),
    S.DONE: Chip("ready", Tone.GOOD, "check_circle", "The file is there"),
    S.FAILED: Chip("failed", Tone.BAD, "error", "There is no file"),
    S.EXPIRED: Chip("expired", Tone.QUIET, "history", "The file was removed; ask for it again"),
}
UNDER_WAY: Final = frozenset({S.QUEUED, S.RUNNING})
COLUMN_COLUMNS: Final = ("Column", "Holds", "What it is")
DOWNLOAD_COLUMNS: Final = ("Taken by", "When")


def chip_of(job: ReportJob) -> Chip:
    return _CHIPS[JobState(job.state)]


def title_of(job: ReportJob) -> str:
    """The report's title and its format: "Journal, XLSX"."""
    report = REPORTS.get(job.report)
    return f"{report.title if report else job.report}, {format_words(job.format)}"


def format_words(name: str) -> str:
    """A format as people write it."""
    return name if name == "beancount" else name.upper()


def narrowed(job: ReportJob) -> str:
    """Its parameters in one line, in the order in which they are asked for."""
    report = REPORTS.get(job.report)
    asked = [parameter.name for parameter in report.parameters] if report else []
    names = sorted(job.parameters, key=lambda name: asked.index(name) if name in asked else len(asked))
    return ", ".join(f"{name} {job.parameters[name]}" for name in names) or "everything"


def percent(job: ReportJob) -> int | None:
    """How far it is; None while nobody knows how much there is."""
    if job.state == S.DONE:
        return 100
    return min(99, job.rows_done * 100 // job.rows_total) if job.rows_total else None


def facts_of(job: ReportJob) -> list[KeyValue]:
    return [
        KeyValue("Asked for by", job.asked_by or "the system"),
        KeyValue("Asked for", job.asked_at),
        KeyValue("Only", narrowed(job)),
        *([KeyValue("Ready since", job.finished_at)] if job.finished_at else []),
        *([KeyValue("File", filesizeformat(job.size))] if job.size else []),
        *([KeyValue("SHA-256", Link(job.sha256, "", code=True))] if job.sha256 else []),
        *([KeyValue("Removed at", job.expires_at, "The report can be made again.")] if job.state == S.DONE else []),
        *_batch(job),
        *_mail(job),
    ]


def _batch(job: ReportJob) -> list[KeyValue]:
    batch = job.manifest.get("hand_over", "")
    return (
        [KeyValue("Hand-over", Link(batch, "", code=True), "Every entry is in one of them at most.")] if batch else []
    )


def _mail(job: ReportJob) -> list[KeyValue]:
    if job.schedule is None:
        return []
    address = reverse("admin:reconciliation_reportschedule_change", args=(job.schedule.pk,))
    readers = ", ".join(job.schedule.recipients)
    lines = [KeyValue("Schedule", Link(f"{job.schedule}", address)), KeyValue("Sent", job.mailed_at, readers)]
    if job.mail_failed_because and job.mailed_at is None:
        lines.append(KeyValue("E-mail did not leave", f"{job.mail_tries} tries", job.mail_failed_because))
    return lines


def total_columns(job: ReportJob) -> list[str]:
    """Headings of the control totals."""
    names = _total_names(job)
    return ["Currency", *(name.replace("_", " ").capitalize() for name in names)] if names else []


def total_rows(job: ReportJob) -> list[list[Shown]]:
    """One row a currency, as the manifest has them."""
    totals: dict[str, dict[str, str]] = job.manifest.get("totals", {})
    names = _total_names(job)
    return [
        [
            currency or "about no money",
            *(_total(name, sums[name], currency) if name in sums else None for name in names),
        ]
        for currency, sums in totals.items()
    ]


def _total_names(job: ReportJob) -> list[str]:
    """Of every total there is; rows without a currency have fewer than others."""
    return list(max(job.manifest.get("totals", {}).values(), key=len, default={}))


def _total(name: str, text: str, currency: str) -> Shown:
    return int(text) if name == "rows" else Amount(Money.parse(text, currency).amount_minor, currency)


def column_rows(job: ReportJob) -> list[list[Shown]]:
    return [[one["name"], one["kind"], one["words"]] for one in job.manifest.get("columns", [])]


def live(job: ReportJob, *, may: bool, mine: bool, urls: dict[str, str]) -> dict[str, Any]:
    """The part that changes while it is written. `may`: holds the right; `mine`: may have the file."""
    return {
        "job": job,
        "chip": chip_of(job),
        "moving": job.state in UNDER_WAY,
        "percent": percent(job),
        "rows_words": f"{job.rows_done:,} rows written" + (f" of {job.rows_total:,}" if job.rows_total else ""),
        "progress_url": urls["progress"],
        "download_url": urls["download"] if may and mine and job.state == S.DONE else "",
        "manifest_url": urls["manifest"] if job.manifest else "",
        "download_blocked": _blocked(job, may=may, mine=mine),
        "cancel": Step("Cancel", urls["cancel"], post=True) if may and job.state in UNDER_WAY else None,
        "facts": facts_of(job),
    }


def _blocked(job: ReportJob, *, may: bool, mine: bool) -> str:
    if job.state != S.DONE:
        return ""
    if not may:
        return "Downloading needs the right to export reports."
    return "" if mine else f"{job.asked_by} asked for it. Ask for one of your own: the figures are the same."


def downloads_of(job: ReportJob) -> list[list[Shown]]:
    """Who took it away, the last first."""
    found: list[tuple[str, datetime]] = list(job.downloads.order_by("-id").values_list("by", "at")[:50])
    return [[by, at] for by, at in found]
