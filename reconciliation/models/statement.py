"""What did a gateway or bank report? Statements and their lines: appended, restated in the open, never quietly replaced."""

from __future__ import annotations

from django.db import models
from django_fsm import FSMModelMixin

from console.machines import enum_choices, move, public_id_field, state_field, states_check
from reconciliation.models.terms import ColumnMapping, StatementAccount
from reconciliation.states import LineKind, StatementState

S = StatementState


class Statement(FSMModelMixin, models.Model):
    """One report, fetched or uploaded. The same file (digest) is read once an account, format, mapping and time zone.

    Lines read = new + known + completed + restated + rejected.
    """

    public_id = public_id_field("stm")
    account = models.ForeignKey(StatementAccount, on_delete=models.PROTECT, related_name="statements")
    source = models.CharField(max_length=30)
    name = models.CharField(max_length=200, help_text="File name, or the window that was asked for.")
    sha256 = models.CharField(max_length=64, help_text="Of the file, or of the pages as they came.")
    size = models.BigIntegerField(default=0, help_text="Bytes.")
    mapping = models.ForeignKey(ColumnMapping, null=True, on_delete=models.PROTECT, related_name="+")
    state = state_field(S.READING, S)
    starts_on = models.DateField(null=True, help_text="First day it covers, in the account's zone.")
    ends_on = models.DateField(null=True, help_text="Last day it covers.")
    payout_id = models.CharField(max_length=100, blank=True, help_text="Set where it itemises one payout.")
    time_zone = models.CharField(
        max_length=50, default="UTC", help_text="In which its times and days were read: the account's, at that time."
    )
    told_account = models.CharField(
        max_length=64, blank=True, help_text="Whose it is, as the source says: an IBAN or the bank's own number."
    )
    closed = models.BooleanField(default=True, help_text="The source calls it final: a later difference restates it.")
    complete = models.BooleanField(default=False, help_text="Pages, totals and balances add up.")
    incomplete_because = models.CharField(max_length=400, blank=True)
    lines_read = models.PositiveIntegerField(default=0)
    lines_new = models.PositiveIntegerField(default=0)
    lines_known = models.PositiveIntegerField(default=0, help_text="Known from another statement, and the same.")
    lines_completed = models.PositiveIntegerField(default=0, help_text="Known, and told more of here.")
    lines_restated = models.PositiveIntegerField(default=0, help_text="Known, and told otherwise here.")
    lines_removed = models.PositiveIntegerField(default=0, help_text="Stood in the report it restates, and no longer.")
    lines_rejected = models.PositiveIntegerField(default=0)
    totals = models.JSONField(default=dict, help_text="Currency to sums of gross, fee, tax and net, minor units.")
    controls = models.JSONField(default=list, help_text="What the source says it holds, beside what was read.")
    balances = models.JSONField(default=list, help_text="Opening and closing, where stated.")
    restates = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="restated_by")
    received_at = models.DateTimeField()
    received_by = models.CharField(max_length=100, blank=True, help_text="Who uploaded it; empty: fetched by itself.")
    refused_because = models.CharField(max_length=400, blank=True)

    class Meta:
        ordering = ("-id",)
        constraints = (
            states_check("statement_state_is_known", S),
            models.UniqueConstraint(
                fields=("account", "sha256", "starts_on", "ends_on", "payout_id", "source", "mapping", "time_zone"),
                condition=~models.Q(state=S.REFUSED.value),
                nulls_distinct=False,
                name="a_report_is_read_once",
            ),
        )
        indexes = (models.Index(fields=("account", "ends_on"), name="statements_of_a_day"),)

    def __str__(self) -> str:
        return f"{self.account} {self.name}"

    @move(source=(S.READING,), target=S.READ)
    def mark_read(self) -> None:
        """Every line is kept, known or rejected."""

    @move(source=(S.READING,), target=S.REFUSED)
    def mark_refused(self) -> None:
        """It is not what its source says; nothing of it was kept."""

    @move(source=(S.READ,), target=S.SUPERSEDED)
    def mark_superseded(self) -> None:
        """A later report of the same period says something else."""


class Line(models.Model):
    """One line, once an account whatever statements it stands in. What a later report says differently is a `LineChange`.

    The columns hold the present word of the source; `revision` counts how often it was restated. Signs are ours.
    """

    account = models.ForeignKey(StatementAccount, on_delete=models.PROTECT, related_name="+", db_index=False)
    statement = models.ForeignKey(Statement, on_delete=models.PROTECT, related_name="lines")
    number = models.PositiveIntegerField()
    line_key = models.CharField(max_length=120, help_text="Its identity at the source.")
    revision = models.PositiveSmallIntegerField(default=0)
    kind = models.CharField(max_length=20, choices=enum_choices(LineKind))
    day = models.DateField(help_text="In the account's zone.")
    occurred_at = models.DateTimeField()
    gateway_id = models.CharField(max_length=100, blank=True)
    parent_id = models.CharField(max_length=100, blank=True)
    reference = models.CharField(max_length=120, blank=True)
    payout_id = models.CharField(max_length=100, blank=True)
    bank_ref = models.CharField(max_length=140, blank=True)
    currency = models.CharField(max_length=10)
    gross_minor = models.BigIntegerField()
    fee_minor = models.BigIntegerField(null=True)
    tax_minor = models.BigIntegerField(null=True)
    net_minor = models.BigIntegerField(null=True)
    presentment_minor = models.BigIntegerField(null=True)
    presentment_currency = models.CharField(max_length=10, blank=True)
    rate = models.DecimalField(max_digits=20, decimal_places=10, null=True)
    status = models.CharField(max_length=30, blank=True)
    method = models.CharField(max_length=40, blank=True)
    text = models.CharField(max_length=300, blank=True)
    available_on = models.DateField(null=True)
    raw = models.JSONField(default=dict)
    content_hash = models.CharField(max_length=64)
    removed = models.BooleanField(default=False, help_text="A restated report no longer has it.")

    class Meta:
        constraints = (models.UniqueConstraint(fields=("account", "line_key"), name="a_line_counts_once_per_account"),)
        indexes = (
            models.Index(fields=("account", "day", "id"), name="lines_of_a_day"),
            models.Index(fields=("account", "gateway_id"), name="lines_of_a_transaction"),
            models.Index(fields=("account", "payout_id"), name="lines_of_a_payout", condition=~models.Q(payout_id="")),
        )

    def __str__(self) -> str:
        return f"{self.line_key} {self.kind}"


class RejectedRow(models.Model):
    """A line nobody could use: shown with its number and reason, never counted as zero."""

    statement = models.ForeignKey(Statement, on_delete=models.PROTECT, related_name="rejected")
    number = models.PositiveIntegerField()
    reason = models.CharField(max_length=400)
    raw = models.JSONField(default=dict)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("statement", "number"), name="a_row_is_rejected_once"),)

    def __str__(self) -> str:
        return f"{self.statement} line {self.number}"


class LineChange(models.Model):
    """What a later report says differently about a line. `completed` adds what the first source did not tell."""

    class Kind(models.TextChoices):
        CHANGED = "changed"
        ADDED = "added"
        REMOVED = "removed"
        COMPLETED = "completed"

    statement = models.ForeignKey(Statement, on_delete=models.PROTECT, related_name="changes")
    line = models.ForeignKey(Line, on_delete=models.PROTECT, related_name="changes")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    net_difference_minor = models.BigIntegerField(default=0)
    currency = models.CharField(max_length=10)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.line} {self.kind}"
