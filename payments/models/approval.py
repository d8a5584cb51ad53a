"""What waits for a second person, and from which sum on? Requests bound to what was shown, and the table of limits."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django_fsm import FSMModelMixin

from payments.models.fsm import move, public_id_field, state_field, states_check
from payments.states import ApprovalState

S = ApprovalState


class Approval(FSMModelMixin, models.Model):
    """One command that a second person must agree to. `digest` is over exactly what was shown; maker is never checker."""

    public_id = public_id_field("apr")
    command = models.CharField(max_length=40, help_text="Which command it executes, e.g. start_batch.")
    subject = models.CharField(max_length=100, help_text="Public id of what it is about.")
    arguments = models.JSONField(help_text="What the command is executed with; no secret.")
    shown = models.JSONField(help_text="What both people saw: lines of label and value.")
    digest = models.CharField(max_length=64, help_text="SHA-256 over command, subject, arguments and what was shown.")
    reason = models.CharField(max_length=400)
    state = state_field(S.PENDING, S)
    asked_by = models.CharField(max_length=100)
    asked_by_user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    asked_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    due_at = models.DateTimeField(help_text="Past it the request is red.")
    decided_by = models.CharField(max_length=100, blank=True)
    decided_by_user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    decided_at = models.DateTimeField(null=True)
    note = models.CharField(max_length=400, blank=True)
    outcome = models.CharField(max_length=400, blank=True, help_text="What executing it did, or why it could not.")

    class Meta:
        constraints = (
            states_check("approval_state_is_known", S),
            models.UniqueConstraint(
                fields=("command", "subject"),
                condition=models.Q(state=S.PENDING.value),
                name="one_pending_approval_per_command_and_subject",
            ),
        )
        indexes = (models.Index(fields=("state", "due_at"), name="approval_queue"),)
        permissions = (("approve", "Can approve what another person asked for"),)

    def __str__(self) -> str:
        return self.public_id

    @move(source=(S.PENDING,), target=S.EXECUTED)
    def mark_executed(self) -> None:
        """A second person agreed and the command was carried out."""

    @move(source=(S.PENDING,), target=S.REJECTED)
    def mark_rejected(self) -> None:
        """A second person said no, or the maker took it back."""

    @move(source=(S.PENDING,), target=S.EXPIRED)
    def mark_expired(self) -> None:
        """Nobody decided in time."""

    @move(source=(S.PENDING,), target=S.OUTDATED)
    def mark_outdated(self) -> None:
        """What was shown is no longer so: it must be asked for anew."""


class Limit(models.Model):
    """Up to which sum may a role do a thing alone? No row: a second person is always needed."""

    action = models.CharField(max_length=40, help_text="A command, e.g. start_batch.")
    currency = models.CharField(max_length=10)
    role = models.CharField(max_length=40, help_text="Name of the group; api for callers of the API.")
    per_item_minor = models.BigIntegerField(help_text="One item up to this needs no second person; minor units.")
    per_day_minor = models.BigIntegerField(help_text="All items of one person and day up to this; minor units.")
    version = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("action", "currency", "role"), name="one_limit_per_action_currency_role"),
            models.CheckConstraint(
                condition=models.Q(per_item_minor__gte=0, per_day_minor__gte=0), name="limits_are_not_negative"
            ),
        )
        permissions = (("edit_limit", "Can ask for changes of limits"),)

    def __str__(self) -> str:
        return f"{self.action} {self.currency} {self.role}"


class LimitUse(models.Model):
    """What one person did alone on one business day; counted against `per_day_minor`."""

    action = models.CharField(max_length=40)
    currency = models.CharField(max_length=10)
    person = models.CharField(max_length=100, help_text="user:<number>, which outlives a new name; or an API token's.")
    day = models.DateField()
    used_minor = models.BigIntegerField(default=0)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("action", "currency", "person", "day"), name="one_limit_use_per_day"),
        )

    def __str__(self) -> str:
        return f"{self.person} {self.action} {self.day}"
