"""Which charges recur? A schedule and the dates it was due on; each date makes one payment at most."""

from __future__ import annotations

from django.db import models
from django_fsm import FSMModelMixin

from ledger.money import Money
from payments.models.fsm import move, public_id_field, state_field, states_check
from payments.models.payment import Payment
from payments.models.payment_method import PaymentMethod
from payments.states import ScheduleState

S = ScheduleState
GOES_ON = (S.ACTIVE.value, S.PAUSED.value)
"""The states in which it may charge again."""


class Schedule(FSMModelMixin, models.Model):
    """A recurring charge by the payer's mandate. Dates are business days in BUSINESS_TIME_ZONE."""

    class Interval(models.TextChoices):
        DAY = "day"
        WEEK = "week"
        MONTH = "month"
        YEAR = "year"

    public_id = public_id_field("sch")
    name = models.CharField(max_length=100)
    reference = models.CharField(max_length=80, help_text="Its payments bear this and their due date.")
    method = models.ForeignKey(PaymentMethod, on_delete=models.PROTECT, related_name="schedules")
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=10)
    interval = models.CharField(max_length=5, choices=Interval.choices)
    every = models.PositiveSmallIntegerField(default=1, help_text="Every so many intervals.")
    anchor = models.DateField(help_text="The first due date; later ones keep its day, or the month's last.")
    ends_on = models.DateField(null=True, blank=True, help_text="No charge is due after this day.")
    mandate = models.CharField(max_length=200, help_text="How and when the payer agreed.")
    state = state_field(S.ACTIVE, S)
    because = models.CharField(max_length=300, blank=True, help_text="Why it is paused or stopped.")
    halted_at = models.DateTimeField(null=True, help_text="Since when it is paused or stopped.")
    halted_by = models.CharField(
        max_length=100, blank=True, help_text="Who paused or stopped it; empty: it did itself."
    )
    next_due_on = models.DateField(null=True)
    next_check_at = models.DateTimeField(null=True)
    version = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=100)

    class Meta:
        constraints = (
            states_check("schedule_state_is_known", S),
            models.CheckConstraint(condition=models.Q(amount_minor__gt=0, every__gt=0), name="schedule_is_positive"),
            models.UniqueConstraint(
                fields=("reference",), name="one_schedule_per_reference", condition=models.Q(state__in=GOES_ON)
            ),
        )
        indexes = (
            models.Index(
                fields=("next_check_at",), name="schedule_due", condition=models.Q(next_check_at__isnull=False)
            ),
        )
        permissions = (("edit_schedule", "Can make and change recurring charges"),)

    def __str__(self) -> str:
        return self.name

    @property
    def money(self) -> Money:
        """What each date charges."""
        return Money(self.amount_minor, self.currency)

    @move(source=(S.ACTIVE,), target=S.PAUSED)
    def mark_paused(self) -> None:
        """No date is charged until it is resumed."""

    @move(source=(S.PAUSED,), target=S.ACTIVE)
    def mark_active(self) -> None:
        """Dates are charged again."""

    @move(source=(S.ACTIVE, S.PAUSED), target=S.STOPPED)
    def mark_stopped(self) -> None:
        """Revoked, or stopped by a person, for good."""

    @move(source=(S.ACTIVE, S.PAUSED), target=S.ENDED)
    def mark_ended(self) -> None:
        """Its last date has passed."""


class DueDate(models.Model):
    """One date on which a schedule was due. Charged once, or skipped with the reason; never both, never twice."""

    schedule = models.ForeignKey(Schedule, on_delete=models.PROTECT, related_name="due_dates", db_index=False)
    due_on = models.DateField()
    payment = models.OneToOneField(Payment, null=True, on_delete=models.PROTECT, related_name="due_date")
    skipped_because = models.CharField(max_length=300, blank=True)
    decided_at = models.DateTimeField()
    heard = models.BooleanField(
        default=False, help_text="Its payment has ended, and the schedule has followed from it."
    )

    class Meta:
        ordering = ("-due_on",)
        constraints = (models.UniqueConstraint(fields=("schedule", "due_on"), name="one_charge_per_due_date"),)

    def __str__(self) -> str:
        return f"{self.schedule_id} due on {self.due_on}"


class ScheduleChange(models.Model):
    """One change of a schedule: what, who and when. Append-only."""

    schedule = models.ForeignKey(Schedule, on_delete=models.PROTECT, related_name="changes")
    at = models.DateTimeField()
    by = models.CharField(max_length=200, blank=True, help_text="Empty: it did itself.")
    what = models.CharField(max_length=500)

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.schedule_id} {self.at}"
