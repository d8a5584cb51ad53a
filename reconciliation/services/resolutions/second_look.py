"""Was a rule right? A person looks at some of what rules have ended, agrees, or takes it back."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from payments.errors import Conflict, NotAllowedNow, NotFound
from payments.services.actors import Actor
from reconciliation.models import Resolution
from reconciliation.services.resolutions.base import RESOLVE, require_words
from reconciliation.services.resolutions.undoing import take_back, why_not


def look_again(resolution_id: str, *, agrees: bool, verdict: str, actor: Actor, now: datetime) -> Resolution:
    """This function will keep what a person thinks of one resolution of a rule; who disagrees takes it back at once.

    Raises: NotFound, Forbidden, InvalidInput (verdict), NotAllowedNow (no sample, or it can not be undone), Conflict
    naming who has looked. Idempotent on: the resolution and the person. Writes: the verdict; what undoing writes.
    """
    actor.require(RESOLVE)
    said = (
        ""
        if agrees and not verdict.strip()
        else require_words(verdict, "verdict", "Say it in a few words: what is right or wrong with it?")
    )
    with transaction.atomic():
        resolution = Resolution.objects.select_for_update().filter(public_id=resolution_id).first()
        if resolution is None:
            raise NotFound(f"There is no resolution {resolution_id}.")
        if resolution.looked_at is not None:
            if resolution.looked_by == actor.label[:100]:
                return resolution
            raise Conflict(f"{resolution.looked_by} has looked at it already.", who=resolution.looked_by)
        if not resolution.sampled:
            raise NotAllowedNow("It was not drawn for a second look.")
        if not agrees:
            _take_back(resolution, said, actor, now)
        resolution.looked_at, resolution.looked_by = now, actor.label[:100]
        resolution.look_verdict = f"{'agrees' if agrees else 'disagrees'}: {said}".removesuffix(": ")[:200]
        resolution.save(update_fields=["looked_at", "looked_by", "look_verdict"])
        return resolution


def _take_back(resolution: Resolution, because: str, actor: Actor, now: datetime) -> None:
    refused = why_not(resolution)
    if refused:
        raise NotAllowedNow(refused)
    take_back(resolution, because, actor, now)
