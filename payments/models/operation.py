"""Which calls cross the boundary, in which phase are they, and what did look-ups find?"""

from __future__ import annotations

from django.db import models
from django_fsm import FSMModelMixin

from ledger.money import Money
from payments.models.attempt import Attempt
from payments.models.fsm import enum_choices, move, public_id_field, state_field, states_check
from payments.models.gateway_account import GatewayAccount
from payments.models.payment import Payment
from payments.states import OPEN_OPERATION_STATES, Certainty, FailureClass, OperationKind, OperationState, Waits

S = OperationState


class Operation(FSMModelMixin, models.Model):
    """One call, in three phases. `certainty` says whether money may have moved; `failure_class` what a refusal means."""

    public_id = public_id_field("op")
    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="operations")
    attempt = models.ForeignKey(Attempt, on_delete=models.PROTECT, related_name="operations")
    refund = models.ForeignKey("Refund", null=True, on_delete=models.PROTECT, related_name="operations")
    gateway_account = models.ForeignKey(GatewayAccount, on_delete=models.PROTECT, related_name="+", db_index=False)
    kind = models.CharField(max_length=10, choices=enum_choices(OperationKind))
    reference = models.CharField(
        max_length=64, help_text="Ours, random, unique at the gateway; also the idempotency key."
    )
    gateway_id = models.CharField(max_length=100, blank=True, help_text="Transaction it acts on, or made.")
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=10)
    final = models.BooleanField(default=True, help_text="A capture after which the rest of the hold is released.")
    request = models.JSONField(
        help_text="The frozen command. It holds the payment token it was sent with; no key of ours, no card number."
    )
    requested_by = models.CharField(max_length=100, blank=True)

    state = state_field(S.PLANNED, S)
    waits_for = models.CharField(max_length=12, blank=True, choices=enum_choices(Waits), default=Waits.WORKER.value)
    next_check_at = models.DateTimeField(null=True)
    planned_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)
    send_before = models.DateTimeField(null=True, help_text="No first byte leaves after this.")
    done_before = models.DateTimeField(null=True, help_text="The call has ended by this.")
    ended_at = models.DateTimeField(null=True)
    certainty = models.CharField(max_length=10, blank=True, choices=enum_choices(Certainty))
    failure_class = models.CharField(max_length=24, blank=True, choices=enum_choices(FailureClass))
    code = models.CharField(max_length=60, blank=True)
    message = models.CharField(max_length=300, blank=True)
    network_code = models.CharField(max_length=10, blank=True, help_text="The card network's own response code.")
    network_advice = models.CharField(max_length=10, blank=True, help_text="Its advice code or category.")
    gateway_advice = models.CharField(max_length=40, blank=True)
    retry_not_before = models.DateTimeField(null=True, blank=True, help_text="The earliest that the refusal allows.")
    fingerprint = models.CharField(
        max_length=64,
        blank=True,
        help_text="Of the card that was asked, for the networks' ceilings; collecting calls only.",
    )
    look_ups_answered = models.PositiveSmallIntegerField(
        default=0, help_text="Without a trace of it, since done_before."
    )
    look_ups_unanswered = models.PositiveSmallIntegerField(default=0)

    class Meta:
        constraints = (
            states_check("operation_state_is_known", S),
            models.UniqueConstraint(fields=("gateway_account", "reference"), name="operation_reference_is_unique"),
            models.UniqueConstraint(
                fields=("attempt",),
                condition=models.Q(state__in=sorted(OPEN_OPERATION_STATES)),
                name="one_open_operation_per_attempt",
            ),
        )
        indexes = (
            models.Index(
                fields=("fingerprint", "ended_at"),
                name="operation_ceilings",
                condition=models.Q(state="declined") & ~models.Q(fingerprint=""),
            ),
            models.Index(  # how often each code has come lately, without visiting the rows
                fields=("ended_at",),
                include=("gateway_account", "code", "failure_class"),
                name="operation_codes",
                condition=models.Q(state__in=["declined", "failed"]) & ~models.Q(code=""),
            ),
            models.Index(fields=("gateway_account", "-sent_at"), name="operation_sent"),
            models.Index(
                fields=("next_check_at",), name="operation_due", condition=models.Q(next_check_at__isnull=False)
            ),
        )

    def __str__(self) -> str:
        return self.public_id

    @property
    def money(self) -> Money:
        """What was asked of the gateway."""
        return Money(self.amount_minor, self.currency)

    @move(source=(S.PLANNED,), target=S.SENT)
    def mark_sent(self) -> None:
        """Committed before the first byte leaves."""

    @move(source=(S.SENT, S.UNKNOWN, S.FAILED, S.DECLINED), target=S.SUCCEEDED)
    def mark_succeeded(self) -> None:
        """The gateway did it; evidence outranks an earlier refusal."""

    @move(source=(S.SENT, S.UNKNOWN, S.SUCCEEDED), target=S.DECLINED)
    def mark_declined(self) -> None:
        """The gateway processed and refused it; or had sent the payer to their bank, which refused."""

    @move(source=(S.PLANNED, S.SENT, S.UNKNOWN), target=S.FAILED)
    def mark_failed(self) -> None:
        """It provably never happened."""

    @move(source=(S.SENT,), target=S.UNKNOWN)
    def mark_unknown(self) -> None:
        """Bytes may have left and no answer came."""


class LookUp(models.Model):
    """One question to the gateway about one operation, kept as evidence. `counts` marks it as part of a proof of absence."""

    class Result(models.TextChoices):
        FOUND = "found"
        IN_PROGRESS = "in_progress", "in progress"
        ABSENT = "absent", "no trace"
        UNANSWERED = "unanswered", "no answer"

    operation = models.ForeignKey(Operation, on_delete=models.PROTECT, related_name="look_ups")
    asked_at = models.DateTimeField()
    asked_by = models.CharField(max_length=100, blank=True, help_text="Empty: the sweep.")
    method = models.CharField(max_length=40, help_text="How it was asked, e.g. by order id or by window.")
    result = models.CharField(max_length=12, choices=Result.choices)
    counts = models.BooleanField(default=False)
    evidence = models.JSONField(default=dict)

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return f"look-up of {self.operation_id}: {self.result}"
