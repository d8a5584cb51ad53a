"""By which terms is an account compared? Reports, hour, lag, tolerances, alarms, rates and column mappings: data people edit."""

from __future__ import annotations

from decimal import Decimal

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models


class StatementAccount(models.Model):
    """What statements speak of: a gateway account, or a bank account of ours. One row a comparison."""

    class Kind(models.TextChoices):
        GATEWAY = "gateway", "gateway account"
        BANK = "bank", "bank account"

    slug = models.SlugField(
        max_length=40, unique=True, help_text="A gateway account's slug, or the bank account's name."
    )
    name = models.CharField(max_length=80)
    kind = models.CharField(max_length=8, choices=Kind.choices)
    gateway_account = models.OneToOneField(
        "payments.GatewayAccount", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    source = models.CharField(max_length=30, help_text="Which format it reports in: a name of the registry of sources.")
    time_zone = models.CharField(max_length=50, default="UTC", help_text="In which its days begin and end.")
    currencies = models.JSONField(default=list, blank=True, help_text="ISO codes it settles in; empty: any.")
    books_start_on = models.DateField(null=True, blank=True, help_text="Nothing before this day is compared.")
    nightly_hour = models.PositiveSmallIntegerField(
        default=6,
        validators=[MaxValueValidator(23)],
        help_text="When its report of yesterday is expected, in its zone.",
    )
    nightly = models.BooleanField(default=True, help_text="Compared every night by itself.")
    fetched = models.BooleanField(
        default=False, help_text="Its report is asked for by API; otherwise a file is awaited."
    )
    lag_days = models.PositiveSmallIntegerField(
        default=2, help_text="Business days a movement may take to be reported."
    )
    lag_cap_days = models.PositiveSmallIntegerField(
        default=10,
        validators=[MaxValueValidator(60)],
        help_text="Calendar days after which it is missing whatever the lag.",
    )
    early_seconds = models.PositiveIntegerField(
        default=86400, help_text="A line younger than this may still be ahead of our own word for it."
    )
    bank_days = models.PositiveSmallIntegerField(default=2, help_text="Bank days a payout may take to be in the bank.")
    tolerance_minor = models.PositiveIntegerField(default=0, help_text="Rounding booked by itself, per line.")
    tolerance_day_minor = models.PositiveIntegerField(default=0, help_text="And in all per day and currency.")
    holidays = models.JSONField(default=list, blank=True, help_text="Days beside weekends on which it does not settle.")
    alert_count = models.PositiveIntegerField(default=10, help_text="Open breaks that ring the alarm. 0: never.")
    alert_value_minor = models.BigIntegerField(default=100_000, help_text="Value at risk in one currency. 0: never.")
    alert_age_days = models.PositiveSmallIntegerField(default=7, help_text="Age of the oldest break. 0: never.")
    alert_share = models.DecimalField(
        max_digits=5,
        decimal_places=2,
        default=Decimal("1"),
        help_text="Broken lines in percent of those read. 0: never.",
    )
    alert_to = models.JSONField(default=list, blank=True, help_text="Who is told by e-mail.")
    sample_percent = models.PositiveSmallIntegerField(
        default=5, validators=[MaxValueValidator(100)], help_text="Of what rules resolve, looked at a second time."
    )
    version = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ("kind", "slug")
        permissions = (
            ("run_reconciliation", "Can import statements and run reconciliations"),
            ("resolve_break", "Can resolve breaks"),
            ("edit_terms", "Can edit the terms by which accounts are compared"),
            ("post_journal", "Can ask for manual journals"),
            ("close_day", "Can close and reopen days"),
            ("export_reports", "Can make and download reports"),
        )

    def __str__(self) -> str:
        return self.name


class ColumnMapping(models.Model):
    """How a CSV file of an account is read. A change is a new version; statements keep the one they were read by."""

    account = models.ForeignKey(StatementAccount, on_delete=models.PROTECT, related_name="mappings")
    number = models.PositiveIntegerField(help_text="Version, from 1.")
    columns = models.JSONField(help_text="Our field to the file's heading.")
    kinds = models.JSONField(default=dict, help_text="The file's word for a kind to ours.")
    delimiter = models.CharField(max_length=3, default=",")
    encoding = models.CharField(max_length=20, default="utf-8-sig")
    decimal_mark = models.CharField(max_length=1, default=".", help_text="Of amounts; empty: amounts are minor units.")
    thousands_mark = models.CharField(max_length=1, blank=True)
    date_format = models.CharField(max_length=40, default="%Y-%m-%dT%H:%M:%S%z", help_text="As strptime reads it.")
    fees_negative = models.BooleanField(default=False, help_text="Fees that take away are written with a minus.")
    debits_positive = models.BooleanField(
        default=False, help_text="Refunds and chargebacks are written without a minus."
    )
    total_row = models.CharField(
        max_length=40, blank=True, help_text="First cell of the row of control totals, if any."
    )
    made_at = models.DateTimeField()
    made_by = models.CharField(max_length=100)
    current = models.BooleanField(default=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("account", "number"), name="one_mapping_per_account_and_version"),
            models.UniqueConstraint(
                fields=("account",), condition=models.Q(current=True), name="one_current_mapping_per_account"
            ),
        )

    def __str__(self) -> str:
        return f"{self.account} mapping {self.number}"


class ContractRate(models.Model):
    """What the contract says a gateway may charge: percent of gross and a fixed part. The first that fits is meant."""

    account = models.ForeignKey(StatementAccount, on_delete=models.PROTECT, related_name="rates")
    kind = models.CharField(max_length=20, help_text="Of the line: charge, refund, chargeback…")
    method = models.CharField(max_length=40, blank=True, help_text="Brand or method; empty: every one.")
    currency = models.CharField(max_length=10)
    percent = models.DecimalField(max_digits=7, decimal_places=4, default=Decimal(0), validators=[MinValueValidator(0)])
    fixed_minor = models.BigIntegerField(default=0)
    tax_percent = models.DecimalField(max_digits=7, decimal_places=4, default=Decimal(0))
    tolerance_minor = models.PositiveIntegerField(default=1, help_text="A difference up to this is rounding.")
    valid_from = models.DateField()
    valid_to = models.DateField(null=True, blank=True, help_text="Last day; empty: it goes on.")
    source = models.CharField(max_length=200, help_text="Contract, annex or letter it stands in.")

    class Meta:
        ordering = ("account", "kind", "-method", "currency", "-valid_from")

    def __str__(self) -> str:
        return f"{self.account} {self.kind} {self.percent} % + {self.fixed_minor} {self.currency}"
