"""Which spreadsheet was uploaded, and what became of each row? The file itself is not kept; its digest is."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django_fsm import FSMModelMixin

from payments.models.fsm import enum_choices, move, public_id_field, state_field, states_check
from payments.models.payment import Payment
from payments.states import BatchState, RowState

S = BatchState


class Batch(FSMModelMixin, models.Model):
    """One upload. `totals` and `problems` are what the dry run found."""

    public_id = public_id_field("bat")
    name = models.CharField(max_length=200, help_text="The file's name.")
    sha256 = models.CharField(max_length=64)
    read_as = models.CharField(max_length=200, blank=True, help_text="What was told about it: kind, separator, sheet.")
    state = state_field(S.CHECKING, S)
    uploaded_by = models.CharField(max_length=100)
    uploaded_by_user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    uploaded_at = models.DateTimeField()
    rows_total = models.PositiveIntegerField(default=0)
    rows_bad = models.PositiveIntegerField(default=0)
    totals = models.JSONField(default=dict, help_text="Of good rows: currency to count and minor units.")
    refused_because = models.CharField(max_length=400, blank=True)
    paused_because = models.CharField(max_length=200, blank=True)
    started_by = models.CharField(max_length=100, blank=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    next_check_at = models.DateTimeField(null=True)
    retry_by = models.CharField(max_length=100, blank=True, help_text="Who last asked for its declined rows again.")
    version = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = (states_check("batch_state_is_known", S),)
        indexes = (
            models.Index(fields=("next_check_at",), name="batch_due", condition=models.Q(next_check_at__isnull=False)),
            models.Index(fields=("sha256",), name="batch_same_file"),
        )
        permissions = (
            ("upload_batch", "Can upload spreadsheets of payments"),
            ("start_batch", "Can start, pause and cancel uploads"),
        )

    def __str__(self) -> str:
        return self.name

    @move(source=(S.CHECKING,), target=S.CHECKED)
    def mark_checked(self) -> None:
        """The dry run is there to be read."""

    @move(source=(S.CHECKING,), target=S.REFUSED)
    def mark_refused(self) -> None:
        """It could not be read as a spreadsheet of payments."""

    @move(source=(S.CHECKED,), target=S.AWAITING_APPROVAL)
    def mark_awaiting_approval(self) -> None:
        """Starting it needs a second person."""

    @move(source=(S.AWAITING_APPROVAL,), target=S.CHECKED)
    def mark_not_approved(self) -> None:
        """The second person said no, or nobody came."""

    @move(source=(S.CHECKED, S.AWAITING_APPROVAL, S.PAUSED), target=S.RUNNING)
    def mark_running(self) -> None:
        """Rows become payments."""

    @move(source=(S.RUNNING,), target=S.PAUSED)
    def mark_paused(self) -> None:
        """No further row is begun; what is open is followed to its end."""

    @move(source=(S.RUNNING, S.PAUSED), target=S.FINISHED)
    def mark_finished(self) -> None:
        """No row is left to begin."""

    @move(source=(S.CHECKED, S.REFUSED), target=S.DISCARDED)
    def mark_discarded(self) -> None:
        """Read and not wanted."""


class BatchRow(models.Model):
    """One row. `values` are its cells as read, without what was refused as a card number; `problems` name column and fault."""

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="rows", db_index=False)
    number = models.PositiveIntegerField(help_text="Its line in the file; the heading is line 1.")
    state = models.CharField(max_length=10, choices=enum_choices(RowState), default=RowState.READY.value)
    values = models.JSONField()
    problems = models.JSONField(default=list, help_text="Pairs of column and sentence.")
    warnings = models.JSONField(default=list, help_text="The same, for what does not stop the row.")
    reference = models.CharField(max_length=100, blank=True)
    amount_minor = models.BigIntegerField(null=True)
    currency = models.CharField(max_length=10, blank=True)
    payment = models.OneToOneField(Payment, null=True, on_delete=models.PROTECT, related_name="batch_row")
    claimed_at = models.DateTimeField(null=True)
    retry_due = models.BooleanField(default=False, help_text="Its declined payment shall be tried again.")
    retry_said = models.CharField(max_length=300, blank=True, help_text="What came of that: begun, or why not.")

    class Meta:
        ordering = ("batch", "number")
        constraints = (models.UniqueConstraint(fields=("batch", "number"), name="rows_are_numbered"),)
        indexes = (
            models.Index(fields=("batch", "state", "number"), name="row_state"),
            models.Index(fields=("batch", "number"), name="row_retry", condition=models.Q(retry_due=True)),
        )

    def __str__(self) -> str:
        return f"row {self.number}"
