"""Which rows does a resolution leave? The breaks it ends, what each was before, and when it ended."""

from __future__ import annotations

from collections.abc import Sequence

from reconciliation.models import Break, Resolution, ResolvedBreak
from reconciliation.services.resolutions.base import By, Carried
from reconciliation.states import BreakState


def end_breaks(
    resolution: Resolution, breaks: Sequence[Break], carried: Carried, by: By, *, auto: bool = False
) -> None:
    """This function will end each break as the command says, under the caller's locks. Writes: breaks, their log."""
    for broken in breaks:
        before = broken.state
        move(broken, carried.ends_as, auto=auto)
        broken.ended_at, broken.ended_by = by.now, by.actor.label[:100] or "a rule"
        broken.expected_until = carried.expected_until
        broken.snoozed_until, broken.snoozed_because = None, ""
        broken.version += 1
        broken.save(
            update_fields=[
                "state", "ended_at", "ended_by", "expected_until", "snoozed_until", "snoozed_because", "version"
            ]
        )  # fmt: skip
        ResolvedBreak.objects.create(
            resolution=resolution, broken=broken, state_before=before, state_after=broken.state
        )


def move(broken: Break, ends_as: BreakState, *, auto: bool) -> None:
    """One of the three ends. A rule ends what nobody has taken."""
    if auto:
        broken.mark_auto_resolved()
    elif ends_as == BreakState.WRITTEN_OFF:
        broken.mark_written_off()
    else:
        broken.mark_resolved()
