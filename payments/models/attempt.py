"""Through which gateway was collecting tried, and how did it end?"""

from __future__ import annotations

from django.db import models
from django_fsm import FSMModelMixin

from payments.models.fsm import enum_choices, move, public_id_field, state_field, states_check
from payments.models.gateway_account import GatewayAccount
from payments.models.payment import Payment
from payments.states import OPEN_ATTEMPT_STATES, AttemptState, FailureClass

S = AttemptState


class Attempt(FSMModelMixin, models.Model):
    """One try to collect. Open while it may have taken or can still take money."""

    public_id = public_id_field("att")
    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="attempts", db_index=False)
    number = models.PositiveSmallIntegerField()
    gateway_account = models.ForeignKey(GatewayAccount, on_delete=models.PROTECT, related_name="+")
    reference = models.CharField(max_length=64, help_text="What the gateway echoes (NMI: orderid); unique, random.")
    gateway_id = models.CharField(max_length=100, blank=True, help_text="The gateway's transaction, once known.")
    handle = models.CharField(
        max_length=100, blank=True, help_text="What the gateway calls the attempt, where that is not its transaction."
    )
    state = state_field(S.OPEN, S)
    route = models.JSONField(default=dict, blank=True, help_text="Why this gateway: what the routing saw.")
    amount_minor = models.BigIntegerField(null=True, help_text="What it tries to collect; null: all that is due.")
    awaits_payer = models.BooleanField(
        default=False,
        help_text="The payer can still finish it at the gateway: it takes no other step before it is closed.",
    )
    action_url = models.CharField(max_length=2000, blank=True, help_text="Where the payer confirms; theirs alone.")
    failure_class = models.CharField(max_length=24, blank=True, choices=enum_choices(FailureClass))
    code = models.CharField(max_length=60, blank=True, help_text="The refusal it ended with, or will once closed.")
    created_at = models.DateTimeField()

    class Meta:
        constraints = (
            states_check("attempt_state_is_known", S),
            models.UniqueConstraint(fields=("payment", "number"), name="attempts_are_numbered"),
            models.UniqueConstraint(fields=("gateway_account", "reference"), name="attempt_reference_is_unique"),
            models.UniqueConstraint(
                fields=("payment",),
                condition=models.Q(state__in=sorted(OPEN_ATTEMPT_STATES)),
                name="one_open_attempt_per_payment",
            ),
        )
        indexes = (
            models.Index(fields=("gateway_account", "gateway_id"), name="attempt_gateway_id"),
            models.Index(fields=("gateway_account", "handle"), condition=~models.Q(handle=""), name="attempt_handle"),
        )

    def __str__(self) -> str:
        return self.public_id

    @move(source=(S.OPEN, S.FAILED, S.DECLINED), target=S.AUTHORISED)
    def mark_authorised(self) -> None:
        """A hold lives at the gateway."""

    @move(source=(S.OPEN, S.AUTHORISED, S.FAILED, S.DECLINED, S.VOIDED, S.LAPSED), target=S.CAPTURED)
    def mark_captured(self) -> None:
        """It has taken money, also when the gateway had said otherwise before."""

    @move(source=(S.OPEN, S.AUTHORISED), target=S.DECLINED)
    def mark_declined(self) -> None:
        """The gateway or the issuer said no, or took the hold back."""

    @move(source=(S.OPEN,), target=S.FAILED)
    def mark_failed(self) -> None:
        """It provably never happened at the gateway."""

    @move(source=(S.OPEN, S.AUTHORISED, S.CAPTURED), target=S.VOIDED)
    def mark_voided(self) -> None:
        """Closed at the gateway, confirmed."""

    @move(source=(S.AUTHORISED,), target=S.LAPSED)
    def mark_lapsed(self) -> None:
        """The hold ended by itself."""
