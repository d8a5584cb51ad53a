"""What do we owe back, and has it gone? The adapter picks the means: void before settlement, refund after."""

from __future__ import annotations

from django.db import models
from django_fsm import FSMModelMixin

from ledger.money import Money
from payments.models.fsm import enum_choices, move, public_id_field, state_field, states_check
from payments.models.payment import Payment
from payments.states import RefundState, Waits

S = RefundState


class Refund(FSMModelMixin, models.Model):
    """One sum to give back. Counts against the refundable amount in every state but failed and cancelled."""

    class Origin(models.TextChoices):
        REQUESTED = "requested", "requested here"
        EXTERNAL = "external", "made at the gateway"
        REVIEW = "review", "decided in a review"

    public_id = public_id_field("rfnd")
    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="refunds")
    attempt = models.ForeignKey("Attempt", on_delete=models.PROTECT, related_name="refunds", db_index=False)
    review = models.ForeignKey("Review", null=True, on_delete=models.PROTECT, related_name="refunds", db_index=False)
    origin = models.CharField(max_length=10, choices=Origin.choices, default=Origin.REQUESTED)
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=10)
    reason = models.CharField(max_length=200)
    requested_by = models.CharField(max_length=100)
    state = state_field(S.REQUESTED, S)
    waits_for = models.CharField(max_length=12, blank=True, choices=enum_choices(Waits), default=Waits.WORKER.value)
    waits_because = models.CharField(max_length=200, blank=True)
    waits_until = models.DateTimeField(null=True, blank=True, help_text="After this a case is opened.")
    next_check_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        constraints = (
            states_check("refund_state_is_known", S),
            models.CheckConstraint(condition=models.Q(amount_minor__gt=0), name="refund_amount_is_positive"),
        )
        indexes = (
            models.Index(fields=("next_check_at",), name="refund_due", condition=models.Q(next_check_at__isnull=False)),
        )

    def __str__(self) -> str:
        return self.public_id

    @property
    def money(self) -> Money:
        return Money(self.amount_minor, self.currency)

    @move(source=(S.REQUESTED,), target=S.APPROVED)
    def mark_approved(self) -> None:
        """Inside the limits, or a second person agreed."""

    @move(source=(S.APPROVED, S.SENT, S.UNKNOWN, S.WAITING), target=S.WAITING)
    def mark_waiting(self) -> None:
        """For the gateway's next batch."""

    @move(source=(S.APPROVED, S.WAITING), target=S.SENT)
    def mark_sent(self) -> None:
        """An operation is planned or on its way."""

    @move(source=(S.REQUESTED, S.APPROVED, S.WAITING, S.SENT, S.UNKNOWN, S.FAILED), target=S.SUCCEEDED)
    def mark_succeeded(self) -> None:
        """The money has gone back."""

    @move(source=(S.APPROVED, S.WAITING, S.SENT, S.UNKNOWN), target=S.FAILED)
    def mark_failed(self) -> None:
        """Refused for good; what was reserved is free again."""

    @move(source=(S.SENT,), target=S.UNKNOWN)
    def mark_unknown(self) -> None:
        """Its operation's outcome is unknown."""

    @move(source=(S.SUCCEEDED,), target=S.RETURNED)
    def mark_returned(self) -> None:
        """It had succeeded and came back: the payer is still owed."""
