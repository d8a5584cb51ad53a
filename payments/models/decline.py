"""What do people say of a gateway's codes, beyond its sheet? Overrides with history, unmapped codes, and the networks' ceilings."""

from __future__ import annotations

from django.db import models

from payments.models.fsm import enum_choices
from payments.models.operation import Operation
from payments.states import FailureClass


class DeclineRule(models.Model):
    """Our own word on one code of one provider; codes without a row mean what the adapter's sheet says.

    Only class, next step and wording can be changed: whether money may have moved is the wire's to say.
    """

    provider = models.CharField(max_length=40)
    code = models.CharField(max_length=60)
    failure_class = models.CharField(max_length=24, choices=enum_choices(FailureClass))
    next_step = models.CharField(max_length=20, blank=True, help_text="Empty: as the class says.")
    payer_wording = models.CharField(max_length=300, blank=True, help_text="Empty: as the class says.")
    retry_after_seconds = models.PositiveIntegerField(null=True, blank=True)
    version = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("provider", "code"), name="one_rule_per_code"),)
        permissions = (("edit_decline_rule", "Can ask for changes of decline codes and network ceilings"),)

    def __str__(self) -> str:
        return f"{self.provider} {self.code}"


class DeclineRuleChange(models.Model):
    """One edit of a rule: before, after, who and why. Append-only."""

    provider = models.CharField(max_length=40)
    code = models.CharField(max_length=60)
    at = models.DateTimeField()
    actor = models.CharField(max_length=100)
    approved_by = models.CharField(max_length=100, blank=True)
    reason = models.CharField(max_length=300)
    before = models.JSONField()
    after = models.JSONField()

    class Meta:
        ordering = ("-id",)
        indexes = (models.Index(fields=("provider", "code"), name="decline_rule_history"),)

    def __str__(self) -> str:
        return f"{self.provider} {self.code} {self.at}"


class UnmappedCode(models.Model):
    """A code that neither the sheet nor a rule knows: how often, over how much money, and the last sample."""

    provider = models.CharField(max_length=40)
    code = models.CharField(max_length=60)
    seen = models.PositiveIntegerField(default=0)
    money = models.JSONField(default=dict, help_text="Currency to minor units.")
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    message = models.CharField(max_length=300, blank=True)
    sample = models.ForeignKey(Operation, null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    classified_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-seen", "code")
        constraints = (models.UniqueConstraint(fields=("provider", "code"), name="one_unmapped_row_per_code"),)
        permissions = (("classify_code", "Can classify decline codes that nobody knows"),)

    def __str__(self) -> str:
        return f"{self.provider} {self.code}"


class NetworkCeiling(models.Model):
    """How often may one card be declined here before it must be left alone? Counted per fingerprint over our declines."""

    network = models.CharField(max_length=20, help_text="visa, mastercard; empty: every other.")
    declines = models.PositiveSmallIntegerField(help_text="This many within the window, and it is not asked again.")
    window_hours = models.PositiveIntegerField()
    same_amount = models.BooleanField(default=False, help_text="Only declines over the same amount and currency count.")
    calendar_day = models.BooleanField(default=False, help_text="The window is the business day, not a rolling one.")
    enabled = models.BooleanField(default=True)
    version = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ("network", "window_hours")

    def __str__(self) -> str:
        return f"{self.network or 'other cards'}: {self.declines} in {self.window_hours} h"
