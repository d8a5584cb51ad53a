"""Which money moved at the gateway? One row a movement, appended, unique by the gateway's own identity."""

from __future__ import annotations

from django.db import models

from ledger.money import Money
from payments.models.attempt import Attempt
from payments.models.fsm import enum_choices, public_id_field
from payments.models.gateway_account import GatewayAccount
from payments.models.operation import Operation
from payments.models.payment import Payment
from payments.models.refund import Refund
from payments.states import MovementKind


class Movement(models.Model):
    """Money the payer saw (presentment). A restated amount is a further revision holding the difference, so sums stay true."""

    public_id = public_id_field("mov")
    gateway_account = models.ForeignKey(GatewayAccount, on_delete=models.PROTECT, related_name="+", db_index=False)
    gateway_id = models.CharField(
        max_length=100, help_text="Canonical id: for NMI the transaction; the kind is the action."
    )
    kind = models.CharField(max_length=20, choices=enum_choices(MovementKind))
    occurrence = models.PositiveSmallIntegerField(
        default=0, help_text="Money that vanished and came back in one transaction counts again: 1 is the second time."
    )
    revision = models.PositiveSmallIntegerField(default=0)
    payment = models.ForeignKey(Payment, null=True, on_delete=models.PROTECT, related_name="movements")
    attempt = models.ForeignKey(Attempt, null=True, on_delete=models.PROTECT, related_name="movements")
    operation = models.ForeignKey(
        Operation, null=True, on_delete=models.PROTECT, related_name="movements", db_index=False
    )
    refund = models.ForeignKey(Refund, null=True, on_delete=models.PROTECT, related_name="movements", db_index=False)
    amount_minor = models.BigIntegerField(help_text="Positive for what the kind says; a revision may be negative.")
    currency = models.CharField(max_length=10)
    of_captured_money = models.BooleanField(
        default=False, help_text="For voids: it gave captured money back rather than releasing a hold."
    )
    counts = models.BooleanField(
        default=True, help_text="Part of the payment's amounts; false while a review holds the money."
    )
    occurred_at = models.DateTimeField(help_text="When it happened at the gateway.")
    posted_at = models.DateTimeField(help_text="When we knew.")
    entry_source_key = models.CharField(max_length=120, help_text="The journal entry it was booked by.")
    released_at = models.DateTimeField(null=True, blank=True, help_text="Authorisations: when the hold ended.")
    # Settlement money: what we got, where the gateway tells it. Presentment is amount_minor and currency above.
    settlement_id = models.CharField(max_length=64, blank=True, help_text="The gateway's balance transaction.")
    settlement_minor = models.BigIntegerField(null=True, help_text="Gross and signed, in the settlement currency.")
    settlement_fee_minor = models.BigIntegerField(
        null=True, help_text="Positive; part of gross that the gateway keeps."
    )
    settlement_currency = models.CharField(max_length=10, blank=True)
    exchange_rate = models.DecimalField(max_digits=20, decimal_places=10, null=True)
    available_at = models.DateTimeField(null=True, help_text="When the gateway pays it out at the earliest.")
    dispute = models.ForeignKey("Dispute", null=True, on_delete=models.PROTECT, related_name="movements")
    batch_id = models.CharField(max_length=64, blank=True)
    settled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("gateway_account", "gateway_id", "kind", "occurrence", "revision"),
                name="one_movement_per_gateway_identity",
            ),
            models.UniqueConstraint(fields=("entry_source_key",), name="one_entry_per_movement"),
        )
        indexes = (
            models.Index(fields=("gateway_account", "occurred_at", "id"), name="movements_by_time"),
            models.Index(fields=("batch_id",), name="movements_of_a_batch", condition=~models.Q(batch_id="")),
            models.Index(
                fields=("settlement_id",), name="movements_of_a_settlement", condition=~models.Q(settlement_id="")
            ),
            models.Index(
                fields=("gateway_account", "occurred_at"), name="captures_by_month", condition=models.Q(kind="capture")
            ),
        )

    def __str__(self) -> str:
        return self.public_id

    @property
    def money(self) -> Money:
        return Money(self.amount_minor, self.currency)
