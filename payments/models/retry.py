"""When is a declined payment tried again? One row a planned retry: due, visible, cancellable."""

from __future__ import annotations

from django.db import models

from payments.models.attempt import Attempt
from payments.models.fsm import enum_choices, public_id_field
from payments.models.payment import Payment
from payments.states import RetryState


class Retry(models.Model):
    """One planned retry of a payment after one of its attempts. One waits at a time; swept by query on the payment."""

    public_id = public_id_field("rty")
    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="retries")
    after = models.OneToOneField(Attempt, on_delete=models.PROTECT, related_name="retry", help_text="What it follows.")
    number = models.PositiveSmallIntegerField(help_text="1 is the first retry of the payment.")
    state = models.CharField(max_length=10, choices=enum_choices(RetryState), default=RetryState.WAITING.value)
    due_at = models.DateTimeField()
    because = models.CharField(max_length=300, help_text="Why again, and why then.")
    planned_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    ended_by = models.CharField(max_length=100, blank=True, help_text="Who cancelled it; empty: the worker.")
    ended_because = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ("id",)
        constraints = (
            models.UniqueConstraint(
                fields=("payment",), condition=models.Q(state="waiting"), name="one_waiting_retry_per_payment"
            ),
        )

    def __str__(self) -> str:
        return self.public_id
