"""Was this request answered before, and who may ask? API tokens and the stored first answers."""

from __future__ import annotations

from django.db import models

from payments.models.payment import Payment


class ApiToken(models.Model):
    """A bearer token of a merchant system. Only its SHA-256 is stored; the first characters help people tell them apart."""

    name = models.CharField(max_length=80, unique=True)
    prefix = models.CharField(max_length=12)
    digest = models.CharField(max_length=64, unique=True)
    scopes = models.JSONField(default=list, help_text="Of payments:read, payments:write, refunds:write.")
    per_minute = models.PositiveIntegerField(default=6000, help_text="Requests a minute before 429.")
    created_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name


class IdempotencyRecord(models.Model):
    """The first answer to a keyed POST, byte for byte. Kept 90 days, never re-executed."""

    token = models.ForeignKey(ApiToken, on_delete=models.PROTECT, related_name="+", db_index=False)
    method = models.CharField(max_length=8)
    path = models.CharField(max_length=200)
    key = models.CharField(max_length=255)
    request_digest = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True)
    content_type = models.CharField(max_length=60, blank=True)
    answer = models.BinaryField(null=True)
    payment = models.ForeignKey(Payment, null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("token", "method", "path", "key"), name="one_answer_per_idempotency_key"),
        )

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.key}"
