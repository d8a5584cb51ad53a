"""What did a gateway send to our bank, and has it arrived? One row a payout, by the gateway's own id."""

from __future__ import annotations

from django.db import models
from django_fsm import FSMModelMixin

from ledger.money import Money
from payments.models.fsm import move, public_id_field, state_field, states_check
from payments.models.gateway_account import GatewayAccount
from payments.states import PayoutState

S = PayoutState


class Payout(FSMModelMixin, models.Model):
    """Money on its way from a gateway to the bank. Where a gateway has no payouts, a settlement batch of the statement."""

    public_id = public_id_field("po")
    gateway_account = models.ForeignKey(GatewayAccount, on_delete=models.PROTECT, related_name="payouts")
    gateway_id = models.CharField(max_length=100)
    state = state_field(S.EXPECTED, S)
    amount_minor = models.BigIntegerField(help_text="Negative: the gateway takes it from the bank.")
    currency = models.CharField(max_length=10)
    made_at = models.DateTimeField(help_text="When the gateway made it.")
    arrives_on = models.DateField(null=True, help_text="When the gateway says it will be in the bank.")
    bank_ref = models.CharField(max_length=140, blank=True, help_text="What the bank's statement will show.")
    failure = models.CharField(max_length=200, blank=True)
    itemised = models.BooleanField(default=False, help_text="The gateway tells what it is made of.")
    in_bank_on = models.DateField(null=True)
    entry_source_key = models.CharField(max_length=160, blank=True, help_text="By which it left the receivable.")
    told_at = models.DateTimeField(help_text="Of the last word that counted.")
    version = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = (
            states_check("payout_state_is_known", S),
            models.UniqueConstraint(fields=("gateway_account", "gateway_id"), name="one_payout_per_gateway_id"),
        )
        indexes = (
            models.Index(
                fields=("arrives_on",),
                name="payouts_on_their_way",
                condition=models.Q(state__in=[S.EXPECTED.value, S.IN_TRANSIT.value, S.PAID.value]),
            ),
        )

    def __str__(self) -> str:
        return self.gateway_id

    @property
    def money(self) -> Money:
        return Money(self.amount_minor, self.currency)

    @move(source=(S.EXPECTED,), target=S.IN_TRANSIT)
    def mark_in_transit(self) -> None:
        """The gateway has sent it."""

    @move(source=(S.EXPECTED, S.IN_TRANSIT), target=S.PAID)
    def mark_paid(self) -> None:
        """The gateway says the bank has it."""

    @move(source=(S.EXPECTED, S.IN_TRANSIT, S.PAID), target=S.IN_BANK)
    def mark_in_bank(self) -> None:
        """The bank's statement shows it."""

    @move(source=(S.EXPECTED, S.IN_TRANSIT, S.PAID, S.IN_BANK), target=S.FAILED)
    def mark_failed(self) -> None:
        """The bank sent it back, or the gateway called it off, even after it was said to be paid."""

    @move(source=(S.FAILED,), target=S.RETURNED)
    def mark_returned(self) -> None:
        """The gateway's balance has it again."""


class PayoutWord(models.Model):
    """One word about a payout that counted: who said it, when it was so, and the entry that it made. Appended."""

    payout = models.ForeignKey(Payout, on_delete=models.PROTECT, related_name="words")
    said_by = models.CharField(max_length=40, help_text="gateway, statement or bank.")
    because = models.CharField(max_length=300)
    before = models.CharField(max_length=20, blank=True, help_text="Empty: the first word.")
    after = models.CharField(max_length=20)
    occurred_at = models.DateTimeField()
    at = models.DateTimeField(help_text="When we knew.")
    entry_source_key = models.CharField(max_length=160, blank=True)

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return self.because
