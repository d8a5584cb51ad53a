"""What was compared, by which rules, and what met what? Runs keyed by account and day; matches, each undone in the open."""

from __future__ import annotations

from django.db import models
from django_fsm import FSMModelMixin

from console.machines import move, public_id_field, state_field, states_check
from reconciliation.models.statement import Line
from reconciliation.models.terms import StatementAccount
from reconciliation.states import RunState

S = RunState


class Run(FSMModelMixin, models.Model):
    """The comparison of one account for one day; run again, it looks again at what is open and doubles nothing."""

    public_id = public_id_field("run")
    account = models.ForeignKey(StatementAccount, on_delete=models.PROTECT, related_name="runs")
    day = models.DateField(help_text="The last day it looks at, in the account's zone.")
    state = state_field(S.DUE, S)
    because = models.CharField(max_length=400, blank=True, help_text="Why it waits or failed.")
    times = models.PositiveIntegerField(default=0, help_text="How often it was run.")
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    next_check_at = models.DateTimeField(null=True)
    rules_version = models.CharField(max_length=20, blank=True)
    lines = models.JSONField(
        default=dict, help_text="Equation of lines: read, and each bucket; counts and money by currency."
    )
    movements = models.JSONField(
        default=dict, help_text="Equation of movements: open in scope, matched, broken, expected."
    )
    legs = models.JSONField(default=dict, help_text="The other comparisons: what was looked at and what was found.")
    balanced = models.BooleanField(default=False, help_text="Both equations hold.")

    class Meta:
        ordering = ("-day", "account")
        constraints = (
            states_check("run_state_is_known", S),
            models.UniqueConstraint(fields=("account", "day"), name="one_run_per_account_and_day"),
        )
        indexes = (
            models.Index(fields=("next_check_at",), name="run_due", condition=models.Q(next_check_at__isnull=False)),
        )

    def __str__(self) -> str:
        return f"{self.account} {self.day}"

    @move(source=(S.DUE, S.WAITING, S.RUNNING, S.DONE, S.FAILED), target=S.RUNNING)
    def mark_running(self) -> None:
        """The comparison has begun; one whose process died begins again."""

    @move(source=(S.DUE, S.WAITING, S.RUNNING, S.DONE, S.FAILED), target=S.WAITING)
    def mark_waiting(self) -> None:
        """Its report is late or incomplete."""

    @move(source=(S.RUNNING,), target=S.DONE)
    def mark_done(self) -> None:
        """Everything in scope is in one bucket."""

    @move(source=(S.RUNNING,), target=S.FAILED)
    def mark_failed(self) -> None:
        """It broke off; nothing of it was kept."""


class Match(models.Model):
    """One line met one movement (or, at the bank, one payout). Several rows with one `group` met together.

    A line is in one live match unless it met several movements at once, a movement likewise: the database says so. No
    foreign keys in the database: none of them is ever deleted, and checking them cost more than the match itself.
    """

    run = models.ForeignKey(
        Run, null=True, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    account = models.ForeignKey(
        StatementAccount, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    line = models.ForeignKey(
        Line, on_delete=models.DO_NOTHING, related_name="matches", db_constraint=False, db_index=False
    )
    movement_id = models.BigIntegerField(null=True, help_text="Of payments; empty for a line of the bank.")
    payout_id = models.BigIntegerField(null=True, help_text="Of payments; for lines of the bank.")
    rule = models.CharField(max_length=30)
    group = models.CharField(max_length=40, blank=True, help_text="Empty: one to one.")
    many_lines = models.BooleanField(default=False, help_text="Several lines met this movement.")
    many_movements = models.BooleanField(default=False, help_text="This line met several movements.")
    matched_at = models.DateTimeField()
    matched_by = models.CharField(max_length=100, blank=True, help_text="A person, for links by hand; empty: a rule.")
    undone_at = models.DateTimeField(null=True)
    undone_by = models.CharField(max_length=100, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("line",),
                condition=models.Q(undone_at__isnull=True, many_movements=False),
                name="a_line_matches_once",
            ),
            models.UniqueConstraint(
                fields=("movement_id",),
                condition=models.Q(undone_at__isnull=True, many_lines=False, movement_id__isnull=False),
                name="a_movement_matches_once",
            ),
            models.UniqueConstraint(
                fields=("line", "movement_id"),
                condition=models.Q(undone_at__isnull=True)
                & (models.Q(many_lines=True) | models.Q(many_movements=True)),
                name="a_pair_matches_once",
            ),
            models.CheckConstraint(
                condition=models.Q(movement_id__isnull=False) ^ models.Q(payout_id__isnull=False),
                name="a_line_meets_a_movement_or_a_payout",
            ),
        )
        indexes = (
            models.Index(
                fields=("movement_id",),
                name="movements_met_by_many",
                condition=models.Q(undone_at__isnull=True, many_lines=True),
            ),
        )

    def __str__(self) -> str:
        return f"{self.line_id} {self.rule} {self.movement_id or self.payout_id}"


class Booking(models.Model):
    """An entry made from lines: fees, reserves, adjustments, exchange and rounding. `line` is empty where it sums up many.

    Those of one (account, kind, day, currencies) add up to what the day's lines say now: each holds the difference to the
    ones before it.
    """

    account = models.ForeignKey(StatementAccount, on_delete=models.PROTECT, related_name="+")
    run = models.ForeignKey(Run, null=True, on_delete=models.PROTECT, related_name="bookings")
    line = models.ForeignKey(Line, null=True, on_delete=models.PROTECT, related_name="bookings")
    kind = models.CharField(
        max_length=20, help_text="fees, exchange, reserve, adjustment, payout, rounding, resolution."
    )
    payout_id = models.CharField(max_length=100, blank=True)
    currency = models.CharField(max_length=10)
    amount_minor = models.BigIntegerField(help_text="What it changes the gateway's receivable by; debit positive.")
    expected_minor = models.BigIntegerField(default=0, help_text="Fees: what the contract says.")
    tax_minor = models.BigIntegerField(default=0, help_text="Fees: the tax within; positive takes away.")
    against_currency = models.CharField(max_length=10, blank=True, help_text="Exchange: what the payers paid in.")
    against_minor = models.BigIntegerField(default=0, help_text="Exchange: what left the receivable in that currency.")
    day = models.DateField(null=True, help_text="Of the lines, where it sums up many.")
    lines_count = models.IntegerField(default=1, help_text="Less than zero where a match was undone.")
    entry_source_key = models.CharField(max_length=200, unique=True)
    booked_at = models.DateTimeField()
    undone_at = models.DateTimeField(null=True)

    class Meta:
        indexes = (
            models.Index(
                fields=("account", "day", "kind"), name="bookings_of_a_day", condition=models.Q(day__isnull=False)
            ),
        )

    def __str__(self) -> str:
        return self.entry_source_key


class Alert(models.Model):
    """An alarm that rings: said once while it stays as it is, said again when it grows."""

    account = models.ForeignKey(StatementAccount, on_delete=models.PROTECT, related_name="alerts")
    kind = models.CharField(
        max_length=20, choices=[(k, k) for k in ("count", "value", "age", "share", "silence", "drift")]
    )
    currency = models.CharField(max_length=10, blank=True)
    level = models.BigIntegerField(help_text="The count, minor units, days or hundredths of a percent it was told at.")
    detail = models.CharField(max_length=300)
    raised_at = models.DateTimeField()
    told_at = models.DateTimeField(null=True)
    told_to = models.JSONField(default=list, help_text="Who was told when it was told last.")
    failed_because = models.CharField(max_length=200, blank=True, help_text="Why the last e-mail did not leave.")
    next_check_at = models.DateTimeField(null=True, help_text="When it is to be told, or tried again.")
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("account", "kind", "currency"),
                condition=models.Q(ended_at__isnull=True),
                name="one_open_alert_per_kind",
            ),
        )

    def __str__(self) -> str:
        return f"{self.account} {self.kind}"
