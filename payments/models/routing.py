"""Where may a payment go, and is it healthy there? Routes are data; health comes from real outcomes; switches stop sending."""

from __future__ import annotations

from django.db import models

from payments.models.fsm import enum_choices
from payments.models.gateway_account import GatewayAccount
from payments.models.payment import Payment
from payments.states import BreakerState


class Route(models.Model):
    """One way a payment may go. Asked by priority; what is empty matches everything."""

    name = models.CharField(max_length=80)
    gateway_account = models.ForeignKey(GatewayAccount, on_delete=models.PROTECT, related_name="routes")
    enabled = models.BooleanField(default=True)
    priority = models.PositiveSmallIntegerField(default=100, help_text="Lower is asked first.")
    currency = models.CharField(max_length=10, blank=True, help_text="ISO code; empty: every currency.")
    method_kind = models.CharField(max_length=10, blank=True, help_text="card, upi, crypto; empty: every kind.")
    min_minor = models.BigIntegerField(
        null=True, blank=True, help_text="From this amount on, in minor units; needs a currency."
    )
    max_minor = models.BigIntegerField(null=True, blank=True, help_text="Up to and with this amount; needs a currency.")
    version = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ("priority", "id")
        constraints = (
            models.CheckConstraint(
                condition=~models.Q(currency="") | models.Q(min_minor__isnull=True, max_minor__isnull=True),
                name="an_amount_band_names_its_currency",
            ),
        )
        permissions = (("edit_route", "Can ask for changes of routes"),)

    def __str__(self) -> str:
        return self.name


class GatewayHealth(models.Model):
    """The breaker of one account. `failures` counts calls in a row that were not sent or whose outcome is unknown."""

    gateway_account = models.OneToOneField(GatewayAccount, on_delete=models.PROTECT, related_name="health")
    state = models.CharField(max_length=10, choices=enum_choices(BreakerState), default=BreakerState.CLOSED.value)
    failures = models.PositiveSmallIntegerField(default=0)
    last_failure = models.CharField(max_length=200, blank=True)
    opened_at = models.DateTimeField(null=True)
    next_check_at = models.DateTimeField(null=True, help_text="When the gateway is probed.")
    probe = models.ForeignKey(
        Payment, null=True, on_delete=models.PROTECT, related_name="+", db_index=False,
        help_text="The one payment let through while half open.",
    )  # fmt: skip

    class Meta:
        indexes = (
            models.Index(fields=("next_check_at",), name="health_due", condition=models.Q(next_check_at__isnull=False)),
        )

    def __str__(self) -> str:
        return f"health of {self.gateway_account}"


class HealthEvent(models.Model):
    """Each time a breaker moved, an account was paused or resumed, or a switch was thrown. Append-only."""

    gateway_account = models.ForeignKey(
        GatewayAccount, null=True, on_delete=models.PROTECT, related_name="health_events"
    )
    at = models.DateTimeField()
    what = models.CharField(max_length=40)
    because = models.CharField(max_length=300)
    actor = models.CharField(max_length=100, blank=True)

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return self.what


class GatewayMonth(models.Model):
    """How issuers and payers answered at one account in one month, counted by the sweep; a monitor's figures, never money."""

    gateway_account = models.ForeignKey(GatewayAccount, on_delete=models.PROTECT, related_name="months", db_index=False)
    month = models.DateField(help_text="Its first day, in the business's time zone.")
    answered = models.PositiveIntegerField(default=0, help_text="Collecting calls that an issuer answered.")
    declined = models.PositiveIntegerField(default=0, help_text="Of these, refused.")
    captured = models.PositiveIntegerField(default=0, help_text="Captures of the month.")
    disputed = models.PositiveIntegerField(default=0, help_text="Disputes opened in the month, inquiries left out.")
    counted_at = models.DateTimeField()

    class Meta:
        ordering = ("-month",)
        constraints = (models.UniqueConstraint(fields=("gateway_account", "month"), name="one_row_per_gateway_month"),)

    def __str__(self) -> str:
        return f"{self.gateway_account} in {self.month:%B %Y}"


class Switch(models.Model):
    """Sending is stopped while an open row exists. `charges`: no new charge begins; `everything`: no call is sent at all."""

    class Kind(models.TextChoices):
        CHARGES = "charges", "new charges"
        EVERYTHING = "everything", "everything"

    kind = models.CharField(max_length=12, choices=Kind.choices)
    because = models.CharField(max_length=300)
    thrown_by = models.CharField(max_length=100)
    thrown_at = models.DateTimeField()
    lifted_by = models.CharField(max_length=100, blank=True)
    lifted_at = models.DateTimeField(null=True)
    lifted_because = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(
                fields=("kind",), condition=models.Q(lifted_at__isnull=True), name="one_open_switch_of_a_kind"
            ),
        )
        permissions = (("throw_switch", "Can stop and resume sending, and pause gateways"),)

    def __str__(self) -> str:
        return f"stop of {self.get_kind_display()}"
