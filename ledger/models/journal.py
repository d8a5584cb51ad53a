"""What was booked, when and why? Entries and their postings: appended, never changed, never removed.

The rules stand in the database (`migrations/sql`): triggers refuse UPDATE, DELETE and TRUNCATE, unbalanced entries and
late postings, whoever asks. Nothing here writes.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from ledger.chart import KEY_MAX_LENGTH
from ledger.fields import CurrencyField, MinorUnitsField, PgCurrentXactId, Xid8Field
from ledger.models.account import Account


class JournalEntry(models.Model):
    """Two or more postings that balance in every currency, and what they record."""

    public_id = models.CharField(max_length=40, help_text="je_…, random, shown to people.")
    source_key = models.CharField(
        max_length=KEY_MAX_LENGTH, help_text="The movement or command recorded; never reused."
    )
    content_hash = models.CharField(max_length=64, help_text="SHA-256 of the content, as `ledger.drafts` defines it.")
    subject = models.CharField(max_length=KEY_MAX_LENGTH, help_text="Public id of what the entry is about.")
    description = models.TextField(blank=True)
    actor = models.CharField(max_length=KEY_MAX_LENGTH, blank=True, help_text="Person who decided it; empty: by rule.")
    occurred_at = models.DateTimeField(help_text="When it happened in the world.")
    posted_at = models.DateTimeField(help_text="When we knew and booked it.")
    booked_on = models.DateField(help_text="Accounting date: drives every report.")
    reverses = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="reversed_by", db_index=False
    )
    xact_id = Xid8Field(
        db_default=PgCurrentXactId(), editable=False, help_text="Transaction that made it; postings must come in it."
    )

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "journal entries"
        constraints = [
            models.UniqueConstraint(fields=["public_id"], name="an_entry_has_its_own_public_id"),
            models.UniqueConstraint(fields=["source_key"], name="a_source_key_is_booked_once"),
            models.UniqueConstraint(
                fields=["reverses"],
                condition=Q(reverses__isnull=False),
                name="an_entry_is_reversed_once_so_post_a_new_entry_instead",
            ),
            models.CheckConstraint(condition=~Q(source_key="") & ~Q(subject=""), name="an_entry_says_what_it_records"),
        ]
        indexes = [models.Index(fields=["subject", "id"], name="entries_of_a_subject")]

    def __str__(self) -> str:
        return f"{self.public_id} {self.description}"


class Posting(models.Model):
    """One line of an entry: an account and a signed amount, debit positive."""

    entry = models.ForeignKey(JournalEntry, on_delete=models.PROTECT, related_name="postings")
    # The database's own key is composite, with the currency (see migrations/sql); its index leads with the account.
    account = models.ForeignKey(
        Account, on_delete=models.PROTECT, related_name="postings", db_constraint=False, db_index=False
    )
    currency = CurrencyField()
    amount_minor = MinorUnitsField(help_text="Minor units; debit positive, credit negative.")
    match_key = models.CharField(max_length=KEY_MAX_LENGTH, blank=True, help_text="Open item the line belongs to.")
    # Copies of the entry's (a trigger compares), so that balances as of a day are read from one index alone.
    booked_on = models.DateField(help_text="The entry's accounting date.")
    posted_at = models.DateTimeField(help_text="When the entry was booked.")

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(condition=~Q(amount_minor=0), name="a_posting_of_zero_says_nothing_so_leave_it_out"),
        ]
        indexes = [
            models.Index(
                fields=["account", "booked_on", "id"],
                include=["amount_minor", "posted_at"],
                name="postings_of_an_account_by_day",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount_minor} {self.currency} on account {self.account_id}"
