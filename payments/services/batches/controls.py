"""How does a person hold an upload, let it go on, or end it? What is open at a gateway is followed to its end in every case."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from payments.errors import InvalidInput, NotAllowedNow
from payments.jobs import RUN_BATCH, enqueue
from payments.models import Batch
from payments.services.actors import Actor
from payments.services.batches.starting import START
from payments.services.batches.upload import locked
from payments.states import BatchState, RowState


def pause_batch(public_id: str, *, because: str, version: int, actor: Actor, now: datetime) -> Batch:
    """This function will begin no further row. Rows being made at this moment, a handful, are still made.

    Raises: NotFound, Forbidden, Conflict, InvalidInput (because), NotAllowedNow. Idempotent: paused stays paused.
    """
    actor.require(START)
    if not because.strip():
        raise InvalidInput("Say why it is paused: the next person reads it.", field="because")
    with transaction.atomic():
        batch = locked(public_id, version, unless=BatchState.PAUSED)
        if batch.state == BatchState.PAUSED:
            return batch
        if batch.state != BatchState.RUNNING:
            raise NotAllowedNow(f"The upload is {batch.state.replace('_', ' ')}: only a running one can be paused.")
        batch.mark_paused()
        batch.paused_because = f"{because.strip()[:150]} ({actor.label[:40]}, {now:%d %b %H:%M} UTC)"
        batch.version += 1
        batch.save()
    return batch


def resume_batch(public_id: str, *, version: int, actor: Actor, now: datetime) -> Batch:
    """This function will let a paused upload go on with its next row.

    Raises: NotFound, Forbidden, Conflict, NotAllowedNow. Idempotent: running stays running.
    """
    actor.require(START)
    with transaction.atomic():
        batch = locked(public_id, version, unless=BatchState.RUNNING)
        if batch.state == BatchState.RUNNING:
            return batch
        if batch.state != BatchState.PAUSED:
            raise NotAllowedNow(f"The upload is {batch.state.replace('_', ' ')}: only a paused one can go on.")
        batch.mark_running()
        batch.paused_because = ""
        _due(batch, now)
    return batch


def cancel_rest(public_id: str, *, version: int, actor: Actor, now: datetime) -> int:
    """This function will cancel every row that is not begun yet, and say how many. Payments already made go on.

    The cells of such a row are forgotten, with what would have been paid with; its reference and amount stay.
    Raises: NotFound, Forbidden, Conflict, NotAllowedNow. Idempotent: what is cancelled stays so.
    """
    actor.require(START)
    with transaction.atomic():
        batch = locked(public_id, version)
        if batch.state not in {BatchState.RUNNING, BatchState.PAUSED}:
            raise NotAllowedNow(f"The upload is {batch.state.replace('_', ' ')}: nothing of it waits to begin.")
        cancelled = batch.rows.filter(state=RowState.READY).update(state=RowState.CANCELLED, values={})
        if batch.state == BatchState.PAUSED:
            batch.mark_running()  # rows being made at this moment come to their end; then it is finished
            batch.paused_because = ""
        _due(batch, now)
    return cancelled


def _due(batch: Batch, now: datetime) -> None:
    batch.next_check_at = now
    batch.version += 1
    batch.save()
    enqueue(RUN_BATCH, batch.pk)
