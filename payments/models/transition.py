"""Why is it so? One appended row a recorded fact: cause, inputs, decision, before and after, and the fact it followed from."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from payments.models.fsm import enum_choices
from payments.models.inbound_event import InboundEvent
from payments.models.operation import LookUp, Operation
from payments.models.payment import Payment
from payments.states import Source


class Transition(models.Model):
    """What one fact did, also when it did nothing. Append-only; the payment page reads its answers from here."""

    payment = models.ForeignKey(Payment, null=True, on_delete=models.PROTECT, related_name="transitions")
    parent = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    at = models.DateTimeField(help_text="When it was recorded.")
    occurred_at = models.DateTimeField(help_text="When it happened, by the source's word.")
    fact = models.CharField(max_length=20)
    source = models.CharField(max_length=10, choices=enum_choices(Source))
    verdict = models.CharField(max_length=8)
    because = models.CharField(max_length=400)
    inputs = models.JSONField(help_text="The fact and the snapshot it was judged against, redacted.")
    before = models.JSONField()
    after = models.JSONField()
    actor = models.CharField(max_length=100, blank=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    event = models.ForeignKey(InboundEvent, null=True, on_delete=models.PROTECT, related_name="transitions")
    look_up = models.ForeignKey(LookUp, null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    operation = models.ForeignKey(Operation, null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    entry_source_key = models.CharField(max_length=120, blank=True)

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return f"{self.fact} {self.verdict}"
