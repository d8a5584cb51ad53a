"""Which rows does a resolution leave? The breaks it ends, what each was before, and when it ended."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from reconciliation.models import Break, Match, Resolution, ResolvedBreak
from reconciliation.services.resolutions.base import By, Carried
from reconciliation.services.settlement import settle_payments
from reconciliation.states import BreakState


def end_breaks(
    resolution: Resolution, breaks: Sequence[Break], carried: Carried, by: By, *, auto: bool = False
) -> None:
    """This function will end each break as the command says, under the caller's locks, and let payments follow.

    Writes: breaks, their log, the state of payments that are settled or reconciled by it. Locks: payments, in id order.
    """
    for broken in breaks:
        before = broken.state
        move(broken, carried.ends_as, auto=auto)
        broken.ended_at, broken.ended_by = by.now, by.actor.label[:100] or "a rule"
        broken.expected_until = carried.expected_until
        broken.snoozed_until, broken.snoozed_because = None, ""
        broken.review_public_id = carried.review_public_id or broken.review_public_id
        broken.version += 1
        broken.save(
            update_fields=[
                "state", "ended_at", "ended_by", "expected_until", "snoozed_until", "snoozed_because", "review_public_id", "version"
            ]
        )  # fmt: skip
        ResolvedBreak.objects.create(
            resolution=resolution, broken=broken, state_before=before, state_after=broken.state
        )
    payments_follow(resolution, breaks, carried.matches, by.now)


def payments_follow(resolution: Resolution, breaks: Sequence[Break], matches: Sequence[int], now: datetime) -> None:
    """Matches made or undone, and breaks ended or open again, move payments between captured, settled and reconciled."""
    met = Match.objects.filter(pk__in=list(matches)).values_list("movement_id", flat=True)
    movements = {*met, *(broken.movement_id for broken in breaks)} - {None}
    payments = {broken.payment_id for broken in breaks} - {None}
    settle_payments(
        movement_ids=[pk for pk in movements if pk is not None],
        payment_ids=[pk for pk in payments if pk is not None],
        cause=f"resolution {resolution.public_id}",
        now=now,
    )


def move(broken: Break, ends_as: BreakState, *, auto: bool) -> None:
    """One of the three ends. A rule ends what nobody has taken."""
    if auto:
        broken.mark_auto_resolved()
    elif ends_as == BreakState.WRITTEN_OFF:
        broken.mark_written_off()
    else:
        broken.mark_resolved()
