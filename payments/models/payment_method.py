"""What does the payer pay with? Credentials issued by gateways, never a card number."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Lower

from payments.models.fsm import public_id_field
from payments.models.gateway_account import GatewayAccount


class Payer(models.Model):
    """Who pays. Personal data stands here alone, so that it can be erased; ledger and logs hold ids and digests."""

    external_id = models.CharField(max_length=100, blank=True, help_text="The merchant's own id of the payer.")
    email = models.CharField(max_length=254, blank=True)
    name = models.CharField(max_length=200, blank=True)
    fingerprint = models.CharField(
        max_length=64, db_index=True, help_text="Digest of id or e-mail; empty if neither is known."
    )

    class Meta:
        indexes = (  # what people search a payer by; the fingerprint covers only the one it was made of
            models.Index(Lower("email"), name="payer_email", condition=~models.Q(email="")),
            models.Index(fields=("external_id",), name="payer_external_id", condition=~models.Q(external_id="")),
        )

    def __str__(self) -> str:
        return self.name or self.email or self.external_id or "unnamed payer"


class PaymentMethod(models.Model):
    """One way to pay, with one credential per gateway account."""

    class Kind(models.TextChoices):
        CARD = "card"
        UPI = "upi"
        CRYPTO = "crypto"
        WALLET = "wallet"

    public_id = public_id_field("pm")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    payer = models.ForeignKey(Payer, null=True, on_delete=models.PROTECT, related_name="payment_methods")
    brand = models.CharField(max_length=20, blank=True)
    last_four = models.CharField(max_length=4, blank=True)
    expires_on = models.DateField(null=True, blank=True)
    fingerprint = models.CharField(max_length=64, blank=True)
    blocked_at = models.DateTimeField(
        null=True, blank=True, help_text="Set by a fraud decline; refused everywhere since."
    )
    blocked_because = models.CharField(max_length=200, blank=True)

    class Meta:
        indexes = (
            models.Index(fields=("fingerprint",), name="method_fingerprint", condition=~models.Q(fingerprint="")),
            models.Index(fields=("-id",), name="method_blocked", condition=models.Q(blocked_at__isnull=False)),
        )
        permissions = (("block_method", "Can block payment methods and ask for the block to be lifted"),)

    def __str__(self) -> str:
        return f"{self.brand or self.kind} {'•••• ' + self.last_four if self.last_four else ''}".strip()


class Credential(models.Model):
    """What one gateway account accepts for this method: a single-use token or a reusable vault id. Not shown to people."""

    method = models.ForeignKey(PaymentMethod, on_delete=models.CASCADE, related_name="credentials", db_index=False)
    gateway_account = models.ForeignKey(GatewayAccount, on_delete=models.PROTECT, related_name="+")
    token = models.CharField(max_length=255)
    reusable = models.BooleanField(default=False, help_text="A stored credential; else a token that works once.")
    used_at = models.DateTimeField(null=True, blank=True, help_text="First sent; a single-use token is spent by it.")
    customer = models.CharField(max_length=100, blank=True, help_text="The gateway's own customer, where it needs one.")
    network_transaction_id = models.CharField(
        max_length=64, blank=True, help_text="Of the first use; merchant-initiated charges refer to it."
    )
    exchanged_at = models.DateTimeField(null=True, blank=True, help_text="When the token became a stored credential.")

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("method", "gateway_account"), name="one_credential_per_method_and_gateway"),
        )

    def __str__(self) -> str:
        return f"credential of {self.method_id} at {self.gateway_account_id}"

    @property
    def usable(self) -> bool:
        """Can it be sent (again)? A single-use token that has been sent can not."""
        return self.reusable or self.used_at is None


class MethodBlock(models.Model):
    """One block of a payment method and how it ended. Appended when blocked, completed when lifted; never deleted."""

    method = models.ForeignKey(PaymentMethod, on_delete=models.PROTECT, related_name="blocks")
    blocked_at = models.DateTimeField()
    because = models.CharField(max_length=200)
    blocked_by = models.CharField(max_length=100, blank=True, help_text="Empty: by an answer of a gateway.")
    lifted_at = models.DateTimeField(null=True, blank=True)
    lifted_because = models.CharField(max_length=400, blank=True)
    asked_by = models.CharField(max_length=100, blank=True, help_text="Who asked for the lifting.")
    approved_by = models.CharField(max_length=100, blank=True)

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"block of {self.method_id}"
