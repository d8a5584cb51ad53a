"""Through which day are the books closed? One row a close; a reopening is noted on it, and the row stays."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from ledger.chart import KEY_MAX_LENGTH


class ClosedDay(models.Model):
    """A business day that takes no entry any more, and with it every day before. Triggers hold everybody to it."""

    day = models.DateField(help_text="The last day that is closed.")
    first_day = models.DateField(null=True, help_text="The first day this close covers; empty: from the beginning.")
    closed_at = models.DateTimeField()
    closed_by = models.CharField(max_length=KEY_MAX_LENGTH)
    entries_count = models.BigIntegerField(help_text="Entries booked on the days it covers.")
    entries_digest = models.CharField(
        max_length=64, help_text="SHA-256 over them, as `ledger.queries.day_digest` does."
    )
    reopened_at = models.DateTimeField(null=True, blank=True)
    reopened_by = models.CharField(max_length=KEY_MAX_LENGTH, blank=True)

    class Meta:
        ordering = ["-day", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["day"], condition=Q(reopened_at__isnull=True), name="a_day_of_the_books_is_closed_once"
            ),
            models.CheckConstraint(
                condition=Q(first_day__isnull=True) | Q(first_day__lte=F("day")), name="a_close_covers_days_in_order"
            ),
        ]

    def __str__(self) -> str:
        return f"closed through {self.day}"
