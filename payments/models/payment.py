"""What is owed, and how far has it come? The payment and its machine; amounts paid are sums of movements, never columns."""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django_fsm import FSMModelMixin

from ledger.money import Money
from payments.models.fsm import enum_choices, move, public_id_field, state_field, states_check
from payments.models.payment_method import Payer, PaymentMethod
from payments.states import PaymentState, Waits

S = PaymentState
_UNSTARTED = (S.INITIATED, S.VALIDATED)


class Payment(FSMModelMixin, models.Model):
    """One order's payment. Every non-final row has `waits_for` and `next_check_at`; one sweep finds it by them."""

    public_id = public_id_field("pay")
    reference = models.CharField(max_length=100, help_text="The merchant's order.")
    amount_minor = models.BigIntegerField(help_text="What is owed, in minor units of the currency.")
    currency = models.CharField(max_length=10)
    payer = models.ForeignKey(Payer, null=True, on_delete=models.PROTECT, related_name="payments")
    method = models.ForeignKey(PaymentMethod, on_delete=models.PROTECT, related_name="payments", db_index=False)
    capture_mode = models.CharField(max_length=10, choices=[("automatic", "automatic"), ("manual", "manual")])
    wanted_gateway = models.CharField(max_length=40, blank=True, help_text="Slug, when the merchant chose one.")
    accept_partial = models.BooleanField(
        default=False,
        help_text="A part may come in alone; the rest is collected, accepted short or the part goes back.",
    )
    goods_class = models.CharField(max_length=10, default="physical")
    return_url = models.CharField(max_length=500, blank=True)
    metadata = models.JSONField(default=dict, blank=True)

    state = state_field(S.INITIATED, S)
    waits_for = models.CharField(max_length=12, blank=True, choices=enum_choices(Waits), default=Waits.WORKER.value)
    next_check_at = models.DateTimeField(null=True, help_text="When the sweep looks again; null only in final states.")
    expires_at = models.DateTimeField()
    hold_until = models.DateTimeField(null=True, blank=True)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    money_in_doubt = models.BooleanField(default=False, help_text="A dispute is open over captured money.")
    token = models.CharField(
        max_length=32, unique=True, null=True, help_text="Names the payer's page; random, told to the payer alone."
    )
    schedule = models.ForeignKey(
        "Schedule", null=True, blank=True, on_delete=models.PROTECT, related_name="payments", db_index=False
    )
    initiated_by = models.CharField(
        max_length=10, default="customer", choices=[("customer", "customer"), ("merchant", "merchant")]
    )
    late_success = models.BooleanField(default=False, help_text="Paid after it had been given up.")
    possible_duplicate_of = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    version = models.PositiveIntegerField(default=0, help_text="Counts recorded facts; commands bind to it.")
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        constraints = (
            states_check("payment_state_is_known", S),
            models.CheckConstraint(condition=models.Q(amount_minor__gt=0), name="payment_amount_is_positive"),
        )
        indexes = (
            models.Index(fields=("reference",), name="payment_reference"),
            models.Index(fields=("state", "-id"), name="payment_state_newest"),
            models.Index(
                fields=("next_check_at",), name="payment_due", condition=models.Q(next_check_at__isnull=False)
            ),
            models.Index(fields=("payer", "amount_minor", "currency", "created_at"), name="payment_radar"),
            models.Index(fields=("-id",), name="payment_late_success", condition=models.Q(late_success=True)),
            models.Index(  # the few that wait for a payer, a retry or a switch, out of the millions that do not
                fields=("waits_for", "-id"),
                name="payment_held_up",
                condition=models.Q(waits_for__in=["payer", "retry", "switch"]),
            ),
        )
        permissions = (
            ("create_payment", "Can create payments"),
            ("capture_payment", "Can capture payments"),
            ("cancel_payment", "Can cancel payments"),
            ("refund_payment", "Can refund payments"),
            ("retry_payment", "Can try declined payments again and cancel planned retries"),
            ("accept_short", "Can accept less than is due as full payment"),
            ("ask_gateway", "Can ask the gateway about a payment"),
        )

    def __str__(self) -> str:
        return self.public_id

    @property
    def money(self) -> Money:
        """What is owed."""
        return Money(self.amount_minor, self.currency)

    @move(source=(S.INITIATED,), target=S.VALIDATED)
    def mark_validated(self) -> None:
        """Checks passed; no attempt is open."""

    @move(source=(S.VALIDATED, S.FAILED, S.PARTIALLY_PAID), target=S.PENDING)
    def mark_pending(self) -> None:
        """An attempt was opened; or the part that had come in has gone back."""

    @move(source=(S.PENDING, S.AUTHORISED, S.FAILED), target=S.PARTIALLY_PAID)
    def mark_partially_paid(self) -> None:
        """Less than is due came in, and the payment takes parts."""

    @move(source=(S.PENDING, S.VALIDATED, S.FAILED), target=S.AUTHORISED)
    def mark_authorised(self, hold_until: datetime | None) -> None:
        """The gateway holds the amount until `hold_until`."""
        self.hold_until = hold_until

    @move(
        source=(S.PENDING, S.VALIDATED, S.AUTHORISED, S.PARTIALLY_PAID, S.FAILED, S.EXPIRED, S.CANCELLED),
        target=S.CAPTURED,
    )
    def mark_captured(self) -> None:
        """Final at the gateway. From cancelled only by the disposition of a money review."""

    @move(source=(S.CAPTURED,), target=S.SETTLED)
    def mark_settled(self) -> None:
        """Every capture stands in a closed batch."""

    @move(source=(S.SETTLED,), target=S.RECONCILED)
    def mark_reconciled(self) -> None:
        """Every movement known today has met a line of a statement. By reconciliation only."""

    @move(source=(S.RECONCILED,), target=S.SETTLED)
    def mark_unreconciled(self) -> None:
        """A movement came, a match was undone or a report restated. By reconciliation only."""

    @move(source=(*_UNSTARTED, S.PENDING, S.AUTHORISED), target=S.FAILED)
    def mark_failed(self) -> None:
        """Every attempt finally failed, or there was no route."""

    @move(source=(*_UNSTARTED, S.PENDING, S.AUTHORISED, S.PARTIALLY_PAID), target=S.CANCELLED)
    def mark_cancelled(self) -> None:
        """Nothing taken, proven: nothing was ever sent, or the void is confirmed. A part that came in is owed back."""

    @move(source=(S.VALIDATED, S.PENDING, S.AUTHORISED, S.PARTIALLY_PAID), target=S.EXPIRED)
    def mark_expired(self) -> None:
        """The window closed with nothing open, or the hold lapsed by the gateway's word. A part that came in is owed back."""

    @move(source=(S.CAPTURED, S.SETTLED, S.RECONCILED), target=S.CHARGED_BACK)
    def mark_charged_back(self) -> None:
        """A dispute over all of its money was finally lost."""

    @move(source=(S.CHARGED_BACK,), target=S.CAPTURED)
    def mark_reopened(self) -> None:
        """The dispute that had been lost is argued about again, or was won after all."""

    @move(source=(S.CAPTURED, S.SETTLED, S.RECONCILED, S.PARTIALLY_PAID), target=S.REFUNDED)
    def mark_refunded(self) -> None:
        """All captured money has gone back."""
