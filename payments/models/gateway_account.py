"""Which account at which gateway, and by which clocks? Credentials are not here: they come from the environment only."""

from __future__ import annotations

from decimal import Decimal

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models


class GatewayAccount(models.Model):
    """One merchant account at one gateway. Its slug is its webhook address and the prefix of its environment names."""

    slug = models.SlugField(max_length=40, unique=True, help_text="Address of its webhooks and GATEWAY_<SLUG>_… names.")
    name = models.CharField(max_length=80)
    provider = models.CharField(max_length=40, help_text="Adapter that speaks to it, e.g. nmi.")
    enabled = models.BooleanField(
        default=True, help_text="Off: no new attempts. Open ones are still followed to their end."
    )
    live = models.BooleanField(
        default=False, help_text="Real money. Demo features refuse to run beside a live account."
    )
    shared = models.BooleanField(
        default=False,
        help_text="Other systems use this account too: movements that are not ours are foreign, not orphans.",
    )
    priority = models.PositiveSmallIntegerField(
        default=100, help_text="Its place in lists. Which account is asked first stands in the routes."
    )
    currencies = models.JSONField(
        default=list, blank=True, help_text="ISO codes it may be asked; empty means all it can."
    )
    # The clocks of the design's section 13: seconds unless named otherwise.
    planned_seconds = models.PositiveIntegerField(
        default=60, help_text="A planned operation or unchecked payment older than this is run again."
    )
    send_window_seconds = models.PositiveIntegerField(
        default=10,
        validators=[MinValueValidator(1)],
        help_text="First byte must leave within this, or nothing is sent.",
    )
    call_seconds = models.PositiveIntegerField(
        default=30,
        validators=[MinValueValidator(1), MaxValueValidator(300)],
        help_text="A whole call ends within this.",
    )
    look_up_first_seconds = models.PositiveIntegerField(default=30, help_text="First look-up after an unknown outcome.")
    absence_look_ups = models.PositiveSmallIntegerField(
        default=5, help_text="Answered look-ups without a trace that prove absence; never below the adapter's own rule."
    )
    absence_seconds = models.PositiveIntegerField(
        default=900, help_text="And not before this long after the call's end."
    )
    look_up_limit = models.PositiveSmallIntegerField(
        default=20, help_text="Answered look-ups without a conclusion before a person is asked."
    )
    expiry_seconds = models.PositiveIntegerField(
        default=3600, help_text="A payment without its own expiry lapses after this."
    )
    grace_seconds = models.PositiveIntegerField(
        default=86400, help_text="Money that comes this long after expiry still pays the payment."
    )
    hold_warning_seconds = models.PositiveIntegerField(default=86400, help_text="A hold that ends sooner opens a case.")
    orphan_seconds = models.PositiveIntegerField(
        default=3600, help_text="Money that finds no payment for this long is an orphan."
    )
    settlement_wait_seconds = models.PositiveIntegerField(
        default=172800, help_text="A refund that waits longer for its batch opens a case."
    )
    # Health: only calls that were not sent or whose outcome is unknown count against a gateway.
    breaker_failures = models.PositiveSmallIntegerField(
        default=3,
        validators=[MinValueValidator(1)],
        help_text="This many calls in a row without an answer open the breaker.",
    )
    breaker_seconds = models.PositiveIntegerField(
        default=60, validators=[MinValueValidator(1)], help_text="An open breaker asks the gateway again after this."
    )
    max_in_flight = models.PositiveSmallIntegerField(
        default=0, help_text="Calls under way at once; more wait their turn. 0: no cap."
    )
    max_per_second = models.PositiveSmallIntegerField(
        default=0, help_text="Calls begun within a second; more wait their turn. 0: no cap."
    )
    decline_alarm_percent = models.DecimalField(
        max_digits=5, decimal_places=2, default=Decimal("50"), help_text="Declines of a month above this are red."
    )
    dispute_alarm_percent = models.DecimalField(
        max_digits=5, decimal_places=2, default=Decimal("0.75"), help_text="Disputes of a month above this are red."
    )
    # Where a payment takes parts: what is asked for after a refusal for want of funds or a limit.
    reduced_percent = models.PositiveSmallIntegerField(
        default=50,
        validators=[MinValueValidator(1), MaxValueValidator(99)],
        help_text="Of what was refused, so much is asked for next.",
    )
    reduced_floor_percent = models.PositiveSmallIntegerField(
        default=10,
        validators=[MinValueValidator(1), MaxValueValidator(99)],
        help_text="Never less than this of what is due.",
    )
    most_reductions = models.PositiveSmallIntegerField(
        default=2, help_text="Reduced tries for the same rest. 0: the amount is never reduced."
    )
    paused_at = models.DateTimeField(
        null=True, blank=True, help_text="Set by an operator: no new attempts until resumed."
    )
    paused_because = models.CharField(max_length=200, blank=True)
    paused_by = models.CharField(max_length=100, blank=True)
    refused_signatures = models.PositiveIntegerField(default=0, help_text="Webhooks refused since the last good one.")
    refused_signatures_total = models.PositiveBigIntegerField(default=0)
    last_event_at = models.DateTimeField(null=True, blank=True, help_text="When a verified webhook last came.")
    version = models.PositiveIntegerField(
        default=0, help_text="Counts edits; a form made from an older one is refused."
    )

    class Meta:
        ordering = ("priority", "slug")
        permissions = (("edit_gateway_account", "Can edit gateway accounts"),)

    def __str__(self) -> str:
        return self.name


class Incident(models.Model):
    """Something is wrong with a whole gateway, so that no single payment is to blame. One open row per kind."""

    class Kind(models.TextChoices):
        LOOK_UPS_UNANSWERED = "look_ups_unanswered", "look-ups get no answer"
        BAD_SIGNATURES = "bad_signatures", "a run of refused webhook signatures"
        BATCH_FAILED = "batch_failed", "the gateway says a settlement batch failed"
        BREAKER_OPEN = "breaker_open", "calls get no answer, new payments go elsewhere"
        DECLINE_RATIO = "decline_ratio", "more declines than the alarm line allows"
        DISPUTE_RATIO = "dispute_ratio", "more disputes than the alarm line allows"

    gateway_account = models.ForeignKey(GatewayAccount, on_delete=models.PROTECT, related_name="incidents")
    kind = models.CharField(max_length=24, choices=Kind.choices)
    opened_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    count = models.PositiveIntegerField(default=1)
    detail = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("gateway_account", "kind"),
                condition=models.Q(closed_at__isnull=True),
                name="one_open_incident_per_gateway_and_kind",
            ),
        )

    def __str__(self) -> str:
        return f"{self.get_kind_display()} at {self.gateway_account}"
