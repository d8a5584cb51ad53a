"""Which questions wait for a person? A review never withholds money from the books: it says what booked money is for."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django_fsm import FSMModelMixin

from ledger.money import Money
from payments.models.attempt import Attempt
from payments.models.fsm import enum_choices, move, public_id_field, state_field, states_check
from payments.models.gateway_account import GatewayAccount
from payments.models.operation import Operation
from payments.models.payment import Payment
from payments.states import ReviewKind, ReviewState

S = ReviewState


class Review(FSMModelMixin, models.Model):
    """One case. `held_minor` (signed, money in is positive) stands on account `held_on` until it is decided."""

    public_id = public_id_field("rev")
    kind = models.CharField(max_length=32, choices=enum_choices(ReviewKind))
    state = state_field(S.OPEN, S)
    gateway_account = models.ForeignKey(GatewayAccount, on_delete=models.PROTECT, related_name="+", db_index=False)
    payment = models.ForeignKey(Payment, null=True, on_delete=models.PROTECT, related_name="reviews")
    attempt = models.ForeignKey(Attempt, null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    dispute = models.ForeignKey("Dispute", null=True, on_delete=models.PROTECT, related_name="reviews")
    operation = models.ForeignKey(Operation, null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    gateway_id = models.CharField(max_length=100, blank=True, help_text="The transaction the money belongs to.")
    held_on = models.CharField(max_length=4, blank=True, help_text="2050 suspense, 2040 overpayments; empty: no money.")
    held_minor = models.BigIntegerField(default=0)
    currency = models.CharField(max_length=10, blank=True)
    because = models.CharField(max_length=400)
    opened_at = models.DateTimeField()
    due_at = models.DateTimeField(help_text="The time by which somebody should have decided; past it the case is red.")
    next_check_at = models.DateTimeField(null=True)
    asked_at = models.DateTimeField(null=True, blank=True, help_text="When the gateway was last asked for this case.")
    decision = models.CharField(max_length=20, blank=True)
    reason = models.CharField(max_length=40, blank=True)
    note = models.TextField(blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    entry_source_key = models.CharField(max_length=120, blank=True)
    version = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = (
            states_check("review_state_is_known", S),
            models.CheckConstraint(
                condition=models.Q(held_on="", held_minor=0) | ~models.Q(held_on=""),
                name="held_money_names_its_account",
            ),
            models.UniqueConstraint(
                fields=("operation", "kind"),
                condition=models.Q(state=S.OPEN.value, operation__isnull=False, held_on=""),
                name="one_open_question_per_operation_and_kind",
            ),
        )
        indexes = (
            models.Index(fields=("due_at", "id"), name="review_queue", condition=models.Q(state="open")),
            models.Index(fields=("gateway_account", "gateway_id"), name="review_gateway_id"),
        )
        permissions = (("decide_review", "Can decide reviews"),)

    def __str__(self) -> str:
        return self.public_id

    @property
    def held(self) -> Money | None:
        """The money the review decides about; None if it is a question without money."""
        return Money(self.held_minor, self.currency) if self.held_on else None

    @move(source=(S.OPEN,), target=S.DECIDED)
    def mark_decided(self) -> None:
        """A person chose, with reason and note."""

    @move(source=(S.OPEN,), target=S.SETTLED)
    def mark_settled(self) -> None:
        """A later fact of the gateway answered it."""
