"""Which accounts are in use? A row per code, dimensions and currency, made by the first posting. Holds no balance."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from ledger.chart import KEY_MAX_LENGTH, AccountRef, Side, account_spec
from ledger.fields import CurrencyField

SIDES = [side.value for side in Side]


class Account(models.Model):
    """One account of one currency. Its identity and nature never change (a trigger refuses it); it is never deleted."""

    code = models.CharField(max_length=8, help_text="Code in the chart of accounts.")
    currency = CurrencyField()
    gateway = models.CharField(
        max_length=KEY_MAX_LENGTH, blank=True, help_text="Gateway account; empty if not kept so."
    )
    customer = models.CharField(max_length=KEY_MAX_LENGTH, blank=True, help_text="Customer id; empty if not kept so.")
    normal_side = models.CharField(max_length=6, choices=[(side, side) for side in SIDES])
    memo = models.BooleanField(help_text="Outside the trial balance.")
    open_item = models.BooleanField(help_text="Every posting carries a match key.")
    min_balance = models.BigIntegerField(
        null=True, help_text="Floor in minor units, from the normal side; empty: no floor."
    )
    created_at = models.DateTimeField(help_text="Of the row only; nothing is decided by it.")

    class Meta:
        ordering = ["code", "currency", "gateway", "customer"]
        constraints = [
            models.UniqueConstraint(
                fields=["code", "currency", "gateway", "customer"],
                name="an_account_exists_once_per_code_currency_and_dimensions",
            ),
            # What the postings' composite key points at.
            models.UniqueConstraint(fields=["id", "currency"], name="an_account_has_one_currency"),
            models.CheckConstraint(
                condition=Q(currency__regex="^[A-Z0-9]{3,8}$"), name="a_currency_is_an_upper_case_code"
            ),
            models.CheckConstraint(condition=Q(normal_side__in=SIDES), name="an_account_grows_by_debit_or_credit"),
        ]

    def __str__(self) -> str:
        return f"{self.ref} {self.name}"

    @property
    def name(self) -> str:
        """The chart's name of the account."""
        return account_spec(self.code).name

    @property
    def ref(self) -> AccountRef:
        return AccountRef(self.code, self.currency, self.gateway, self.customer)
