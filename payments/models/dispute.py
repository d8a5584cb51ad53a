"""What does a payer contest with their bank? The case; the money it takes and gives back are movements."""

from __future__ import annotations

from django.db import models
from django_fsm import FSMModelMixin

from ledger.money import Money
from payments.models.attempt import Attempt
from payments.models.fsm import move, public_id_field, state_field, states_check
from payments.models.gateway_account import GatewayAccount
from payments.models.payment import Payment
from payments.states import OPEN_DISPUTE_STATES, DisputeState

S = DisputeState


class Dispute(FSMModelMixin, models.Model):
    """One dispute at one gateway; `gateway_id` is its own there. The amount may be a part of the charge."""

    public_id = public_id_field("dsp")
    gateway_account = models.ForeignKey(GatewayAccount, on_delete=models.PROTECT, related_name="+", db_index=False)
    gateway_id = models.CharField(max_length=100)
    charge_id = models.CharField(max_length=100, help_text="The gateway's transaction that is disputed.")
    payment = models.ForeignKey(Payment, null=True, on_delete=models.PROTECT, related_name="disputes")
    attempt = models.ForeignKey(Attempt, null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    state = state_field(S.INQUIRY, S)
    amount_minor = models.BigIntegerField(help_text="What is disputed, in presentment money.")
    currency = models.CharField(max_length=10)
    reason = models.CharField(max_length=60, blank=True, help_text="The gateway's word.")
    evidence_due_at = models.DateTimeField(null=True, blank=True)
    accepted_at = models.DateTimeField(null=True, blank=True)
    act_by = models.DateTimeField(help_text="When the evidence is due, or a day after it was opened.")
    told_at = models.DateTimeField(null=True, help_text="The gateway's time of the word that its state rests on.")
    next_check_at = models.DateTimeField(null=True)
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True, help_text="When it was last won or lost.")

    class Meta:
        constraints = (
            states_check("dispute_state_is_known", S),
            models.UniqueConstraint(fields=("gateway_account", "gateway_id"), name="one_dispute_per_gateway_id"),
        )
        indexes = (
            models.Index(
                fields=("next_check_at",), name="dispute_due", condition=models.Q(next_check_at__isnull=False)
            ),
            models.Index(fields=("gateway_account", "-opened_at"), name="dispute_opened"),
            models.Index(
                fields=("act_by", "id"),
                name="dispute_queue",
                condition=models.Q(state__in=[state.value for state in sorted(OPEN_DISPUTE_STATES)]),
            ),
        )

    def __str__(self) -> str:
        return self.public_id

    @property
    def money(self) -> Money:
        """What is disputed."""
        return Money(self.amount_minor, self.currency)

    # The gateway's latest word wins, by its own time (`decisions.disputes`); so much may follow on so much. What has been
    # decided is open again only as pre-arbitration, and what took money is no inquiry any more.

    @move(source=(S.INQUIRY, S.UNDER_REVIEW, S.PRE_ARBITRATION, S.CLOSED), target=S.CHARGEBACK)
    def mark_chargeback(self) -> None:
        """The money is taken; evidence is asked for."""

    @move(source=(S.INQUIRY, S.CHARGEBACK, S.PRE_ARBITRATION, S.CLOSED), target=S.UNDER_REVIEW)
    def mark_under_review(self) -> None:
        """The evidence is with the issuer."""

    @move(source=(S.INQUIRY, S.CHARGEBACK, S.UNDER_REVIEW, S.LOST, S.WON, S.CLOSED), target=S.PRE_ARBITRATION)
    def mark_pre_arbitration(self) -> None:
        """It is argued about again."""

    @move(source=(S.INQUIRY, S.CHARGEBACK, S.UNDER_REVIEW, S.PRE_ARBITRATION, S.LOST, S.CLOSED), target=S.WON)
    def mark_won(self) -> None:
        """The money comes back."""

    @move(source=(S.INQUIRY, S.CHARGEBACK, S.UNDER_REVIEW, S.PRE_ARBITRATION, S.WON, S.CLOSED), target=S.LOST)
    def mark_lost(self) -> None:
        """The money is gone."""

    @move(source=(S.INQUIRY, S.CHARGEBACK, S.UNDER_REVIEW, S.PRE_ARBITRATION, S.WON, S.LOST), target=S.CLOSED)
    def mark_closed(self) -> None:
        """It came to nothing."""
