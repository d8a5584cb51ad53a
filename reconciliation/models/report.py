"""Which reports were asked for, handed over or scheduled, and which days were closed? The files themselves lie in DATA_DIR."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django_fsm import FSMModelMixin

from console.machines import move, public_id_field, state_field, states_check
from reconciliation.states import JobState

S = JobState


class ReportJob(FSMModelMixin, models.Model):
    """One report on its way to a file. The download expires; what was exported and its digest stay known."""

    public_id = public_id_field("rpt")
    report = models.CharField(max_length=40)
    format = models.CharField(max_length=10)
    parameters = models.JSONField(default=dict)
    state = state_field(S.QUEUED, S)
    asked_by = models.CharField(max_length=100)
    asked_by_user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    asked_at = models.DateTimeField()
    schedule = models.ForeignKey("ReportSchedule", null=True, on_delete=models.PROTECT, related_name="jobs")
    rows_done = models.PositiveBigIntegerField(default=0)
    rows_total = models.PositiveBigIntegerField(null=True, help_text="Empty: not known before it ends.")
    started_at = models.DateTimeField(null=True)
    beaten_at = models.DateTimeField(null=True, help_text="When its worker last said that it is alive.")
    finished_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    next_check_at = models.DateTimeField(null=True)
    file_name = models.CharField(max_length=200, blank=True)
    size = models.BigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)
    manifest = models.JSONField(default=dict, help_text="Columns, rows, control totals, digest, parameters, made when.")
    failed_because = models.CharField(max_length=400, blank=True)
    request_id = models.CharField(max_length=64, null=True, help_text="Asking twice with it makes one report.")
    for_day = models.DateField(null=True, help_text="Of its schedule: made once a day.")
    tries = models.PositiveSmallIntegerField(default=0, help_text="Workers that began it.")
    mailed_at = models.DateTimeField(null=True, help_text="When its e-mail left.")
    mail_tries = models.PositiveSmallIntegerField(default=0)
    mail_failed_because = models.CharField(max_length=400, blank=True)

    class Meta:
        ordering = ("-id",)
        constraints = (
            states_check("report_state_is_known", S),
            models.UniqueConstraint(fields=("request_id",), name="a_report_is_asked_for_once"),
            models.UniqueConstraint(fields=("schedule", "for_day"), name="a_scheduled_report_is_made_once_a_day"),
        )
        indexes = (
            models.Index(fields=("next_check_at",), name="report_due", condition=models.Q(next_check_at__isnull=False)),
        )

    def __str__(self) -> str:
        return f"{self.report} {self.format}"

    @move(source=(S.QUEUED, S.RUNNING), target=S.RUNNING)
    def mark_running(self) -> None:
        """A worker writes it; one that died is taken over."""

    @move(source=(S.RUNNING,), target=S.DONE)
    def mark_done(self) -> None:
        """The file is there."""

    @move(source=(S.QUEUED, S.RUNNING), target=S.FAILED)
    def mark_failed(self) -> None:
        """It could not be written; the reason is kept."""

    @move(source=(S.DONE,), target=S.EXPIRED)
    def mark_expired(self) -> None:
        """The file was removed; it can be made again."""


class ReportDownload(models.Model):
    """Somebody took a file away: who and when. Appended."""

    job = models.ForeignKey(ReportJob, on_delete=models.PROTECT, related_name="downloads")
    by = models.CharField(max_length=100)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.job} by {self.by}"


class ReportSchedule(models.Model):
    """A report that is made and sent by e-mail, by itself."""

    class Every(models.TextChoices):
        DAY = "day"
        WEEK = "week"
        MONTH = "month"

    report = models.CharField(max_length=40)
    format = models.CharField(max_length=10)
    parameters = models.JSONField(default=dict)
    every = models.CharField(max_length=5, choices=Every.choices)
    hour = models.PositiveSmallIntegerField(default=7, help_text="In BUSINESS_TIME_ZONE.")
    recipients = models.JSONField(default=list)
    enabled = models.BooleanField(default=True)
    last_for = models.DateField(null=True, help_text="The last day it was made for.")
    next_check_at = models.DateTimeField(null=True)
    made_by = models.CharField(max_length=100)
    request_id = models.CharField(max_length=64, null=True, help_text="Pressing twice makes one schedule.")
    version = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("request_id",), name="a_schedule_is_made_once"),)
        indexes = (
            models.Index(
                fields=("next_check_at",),
                name="report_schedule_due",
                condition=models.Q(enabled=True, next_check_at__isnull=False),
            ),
        )

    def __str__(self) -> str:
        return f"{self.report} every {self.every}"


class HandOver(models.Model):
    """One hand-over of sales to the ERP, one a day. An entry is in one of them at most."""

    public_id = public_id_field("hov")
    day = models.DateField(help_text="Entries booked up to and on this day.")
    made_at = models.DateTimeField()
    made_by = models.CharField(max_length=100, blank=True)
    entries_count = models.PositiveIntegerField(default=0)
    totals = models.JSONField(default=dict, help_text="Currency to debits and credits, minor units.")

    class Meta:
        constraints = (models.UniqueConstraint(fields=("day",), name="a_day_is_handed_over_once"),)

    def __str__(self) -> str:
        return self.public_id


class HandedEntry(models.Model):
    """An entry of the books that was handed over."""

    hand_over = models.ForeignKey(HandOver, on_delete=models.PROTECT, related_name="entries")
    entry_id = models.BigIntegerField(unique=True, help_text="Of the ledger: handed over once.")

    def __str__(self) -> str:
        return f"{self.hand_over} {self.entry_id}"


class DayClose(models.Model):
    """One close of one business day: its certificate, and who reopened it if somebody did."""

    public_id = public_id_field("cls")
    day = models.DateField()
    closed_at = models.DateTimeField()
    closed_by = models.CharField(max_length=100)
    approved_by = models.CharField(max_length=100, blank=True)
    certificate = models.JSONField(help_text="As it was handed out; `digest` is over its canonical form.")
    digest = models.CharField(max_length=64)
    previous = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="+")
    reopened_at = models.DateTimeField(null=True)
    reopened_by = models.CharField(max_length=100, blank=True)
    reopened_because = models.CharField(max_length=400, blank=True)

    class Meta:
        ordering = ("-day", "-id")
        constraints = (
            models.UniqueConstraint(
                fields=("day",), condition=models.Q(reopened_at__isnull=True), name="a_day_is_closed_once"
            ),
        )

    def __str__(self) -> str:
        return f"{self.day}"


class OpeningFile(models.Model):
    """A file of opening positions: read, shown, agreed to by a second person, booked. Its rows are kept as they were."""

    public_id = public_id_field("opn")
    name = models.CharField(max_length=200)
    sha256 = models.CharField(max_length=64)
    text = models.TextField(help_text="The file itself: it is read again when it is booked.")
    books_start_on = models.DateField(help_text="Positions lie before this day.")
    rows_count = models.PositiveIntegerField()
    totals = models.JSONField(default=dict, help_text="Currency to the sum of debits and of credits, minor units.")
    uploaded_at = models.DateTimeField()
    uploaded_by = models.CharField(max_length=100)
    booked_at = models.DateTimeField(null=True)
    agreed_by = models.CharField(max_length=100, blank=True)

    class Meta:
        ordering = ("-id",)
        constraints = (models.UniqueConstraint(fields=("sha256",), name="an_opening_file_comes_once"),)

    def __str__(self) -> str:
        return self.name


class OpeningPosition(models.Model):
    """One open item brought over at go-live, booked against 3010."""

    file = models.ForeignKey(OpeningFile, on_delete=models.PROTECT, related_name="positions")
    number = models.PositiveIntegerField(help_text="Row of the file.")
    code = models.CharField(max_length=8)
    gateway = models.CharField(max_length=200, blank=True)
    customer = models.CharField(max_length=200, blank=True)
    currency = models.CharField(max_length=10)
    amount_minor = models.BigIntegerField(help_text="Debit positive.")
    item = models.CharField(max_length=120, help_text="Match key of the open item: the old system's id.")
    occurred_on = models.DateField()
    text = models.CharField(max_length=200, blank=True)
    entry_source_key = models.CharField(max_length=200, unique=True)

    class Meta:
        ordering = ("file", "number")

    def __str__(self) -> str:
        return f"{self.code} {self.item}"
