"""What did gateways tell us? The inbox: raw bytes as received, each event once. Rows are the queue of record."""

from __future__ import annotations

from django.db import models

from payments.models.fsm import enum_choices, public_id_field
from payments.models.gateway_account import GatewayAccount
from payments.states import EventState


class InboundEvent(models.Model):
    """One verified delivery. Unique on (gateway account, event key); the body is kept byte for byte."""

    public_id = public_id_field("evt")
    gateway_account = models.ForeignKey(GatewayAccount, on_delete=models.PROTECT, related_name="events", db_index=False)
    event_key = models.CharField(max_length=100)
    event_type = models.CharField(max_length=80, blank=True)
    body = models.BinaryField()
    headers = models.JSONField(default=dict)
    received_at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=enum_choices(EventState), default=EventState.STORED.value)
    attempts = models.PositiveSmallIntegerField(default=0)
    error = models.CharField(max_length=500, blank=True)
    outcome = models.CharField(max_length=400, blank=True, help_text="What became of it, in a sentence.")
    handled_at = models.DateTimeField(null=True, blank=True)
    next_check_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("gateway_account", "event_key"), name="each_event_once"),)
        indexes = (
            models.Index(fields=("next_check_at",), name="event_due", condition=models.Q(next_check_at__isnull=False)),
            models.Index(fields=("state", "-id"), name="event_state_newest"),
        )
        permissions = (("replay_event", "Can replay inbound events"),)

    def __str__(self) -> str:
        return self.public_id
