"""What does not line up? Breaks with their age, owner and value; notes, evidence and resolutions, appended."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django_fsm import FSMModelMixin

from console.machines import enum_choices, move, public_id_field, state_field, states_check
from reconciliation.models.run import Run
from reconciliation.models.statement import Line, Statement
from reconciliation.models.terms import StatementAccount
from reconciliation.states import OPEN_BREAK_STATES, BreakState, BreakType

S = BreakState


class Break(FSMModelMixin, models.Model):
    """One unexplained difference. While it is open a run refreshes it and never makes a second one of the same key.

    `difference_minor` is what the gateway's balance is above ours because of it, signed: the proof of the difference is
    the sum of these. `value_minor` is the money at risk, never negative; both in `currency`.
    """

    public_id = public_id_field("brk")
    account = models.ForeignKey(StatementAccount, on_delete=models.PROTECT, related_name="breaks")
    kind = models.CharField(max_length=24, choices=enum_choices(BreakType))
    key = models.CharField(max_length=160, help_text="Stable identity: line key, movement id, payout or day.")
    state = state_field(S.OPEN, S)
    currency = models.CharField(max_length=10, blank=True)
    difference_minor = models.BigIntegerField(default=0)
    value_minor = models.BigIntegerField(default=0)
    day = models.DateField(help_text="Business day it is of: its age counts from here.")
    cause = models.CharField(
        max_length=120, help_text="What breaks of one cause share; a bulk fix takes them together."
    )
    because = models.CharField(max_length=400)
    ours = models.JSONField(default=dict, help_text="Our side as last seen: field to text.")
    theirs = models.JSONField(default=dict, help_text="Their side as last seen.")
    line = models.ForeignKey(Line, null=True, on_delete=models.PROTECT, related_name="breaks")
    statement = models.ForeignKey(Statement, null=True, on_delete=models.PROTECT, related_name="breaks")
    movement_id = models.BigIntegerField(null=True, db_index=True)
    payout_id = models.BigIntegerField(null=True)
    payment_id = models.BigIntegerField(null=True, db_index=True)
    payment_public_id = models.CharField(max_length=32, blank=True)
    review_public_id = models.CharField(max_length=32, blank=True)
    first_run = models.ForeignKey(
        Run, null=True, on_delete=models.PROTECT, related_name="breaks_opened", db_index=False
    )
    last_run = models.ForeignKey(Run, null=True, on_delete=models.PROTECT, related_name="breaks_seen")
    opened_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    due_at = models.DateTimeField(help_text="By when somebody should have resolved it, by value and age.")
    escalated_at = models.DateTimeField(null=True)
    snoozed_until = models.DateTimeField(null=True)
    snoozed_because = models.CharField(max_length=200, blank=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    ended_at = models.DateTimeField(null=True)
    ended_by = models.CharField(max_length=100, blank=True)
    expected_until = models.DateField(
        null=True, help_text="Marked as timing: its line or movement is expected, and no break, up to this day."
    )
    version = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = (
            states_check("break_state_is_known", S),
            models.UniqueConstraint(
                fields=("account", "kind", "key"),
                condition=models.Q(state__in=sorted(state.value for state in OPEN_BREAK_STATES)),
                name="one_open_break_per_difference",
            ),
        )
        indexes = (
            models.Index(
                fields=("due_at", "id"),
                name="break_queue",
                condition=models.Q(state__in=sorted(state.value for state in OPEN_BREAK_STATES)),
            ),
            models.Index(fields=("account", "cause"), name="breaks_of_a_cause"),
            models.Index(
                fields=("payment_public_id",),
                name="breaks_of_a_payment",
                condition=~models.Q(payment_public_id=""),
            ),
            models.Index(
                fields=("expected_until",),
                name="breaks_expected",
                condition=models.Q(expected_until__isnull=False),
            ),
        )

    def __str__(self) -> str:
        return self.public_id

    @move(source=(S.OPEN,), target=S.INVESTIGATING)
    def mark_investigating(self) -> None:
        """Somebody has taken it."""

    @move(source=(S.INVESTIGATING,), target=S.OPEN)
    def mark_released(self) -> None:
        """Given back to everybody."""

    @move(source=(S.OPEN, S.INVESTIGATING), target=S.RESOLVED)
    def mark_resolved(self) -> None:
        """Put right, or explained by a later report."""

    @move(source=(S.OPEN, S.INVESTIGATING), target=S.WRITTEN_OFF)
    def mark_written_off(self) -> None:
        """Given up, by two people."""

    @move(source=(S.OPEN,), target=S.AUTO_RESOLVED)
    def mark_auto_resolved(self) -> None:
        """A rule put it right, with its version and inputs kept."""

    @move(source=(S.RESOLVED, S.WRITTEN_OFF, S.AUTO_RESOLVED), target=S.OPEN)
    def mark_reopened(self) -> None:
        """Its resolution was undone."""


class BreakNote(models.Model):
    """What somebody said about a break. Appended; a correction is another note."""

    broken = models.ForeignKey(Break, on_delete=models.PROTECT, related_name="notes")
    text = models.TextField()
    by = models.CharField(max_length=100)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.by}: {self.text[:60]}"


class BreakEvidence(models.Model):
    """A file somebody laid beside a break. Its content never changes: the digest says so."""

    broken = models.ForeignKey(Break, on_delete=models.PROTECT, related_name="evidence")
    name = models.CharField(max_length=200)
    content_type = models.CharField(max_length=100)
    content = models.BinaryField()
    size = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64)
    by = models.CharField(max_length=100)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class Resolution(models.Model):
    """One command that ended breaks, or a rule that did. Undone at most once, by one command that undoes all of it."""

    public_id = public_id_field("res")
    command = models.CharField(max_length=30)
    reason = models.CharField(max_length=40, help_text="Reason code.")
    note = models.TextField(blank=True)
    by = models.CharField(max_length=100, blank=True, help_text="Empty: a rule.")
    approved_by = models.CharField(max_length=100, blank=True)
    approval_public_id = models.CharField(max_length=32, blank=True)
    request_id = models.CharField(max_length=64, unique=True, help_text="Pressing twice resolves once.")
    rule = models.CharField(max_length=40, blank=True)
    rule_version = models.PositiveSmallIntegerField(default=0)
    inputs = models.JSONField(default=dict, help_text="Everything it was decided on.")
    effects = models.JSONField(default=dict, help_text="Entries, matches, states: what undoing has to take back.")
    at = models.DateTimeField()
    undone_at = models.DateTimeField(null=True)
    undone_by = models.CharField(max_length=100, blank=True)
    undone_because = models.CharField(max_length=400, blank=True)
    sampled = models.BooleanField(default=False, help_text="Chosen for a second look.")
    looked_at = models.DateTimeField(null=True)
    looked_by = models.CharField(max_length=100, blank=True)
    look_verdict = models.CharField(max_length=200, blank=True)

    def __str__(self) -> str:
        return self.public_id


class ResolvedBreak(models.Model):
    """Which breaks a resolution ended, and the state each was left in."""

    resolution = models.ForeignKey(Resolution, on_delete=models.PROTECT, related_name="breaks")
    broken = models.ForeignKey(Break, on_delete=models.PROTECT, related_name="resolutions")
    state_before = models.CharField(max_length=20)
    state_after = models.CharField(max_length=20)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("resolution", "broken"), name="a_resolution_ends_a_break_once"),)

    def __str__(self) -> str:
        return f"{self.resolution} {self.broken}"
