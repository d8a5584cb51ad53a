"""Which uploads wait for a person? Those read and not started, and those paused; what runs needs nobody."""

from __future__ import annotations

from datetime import datetime

from django.http import HttpRequest
from django.urls import reverse

from console.values import Amount, Chip, Link, QueueRow, Tone, WorkQueue
from payments.models import Batch
from payments.queries.queues import MOST_COUNTED, MOST_SHOWN, capped
from payments.states import BatchState

_WAIT = (BatchState.CHECKED.value, BatchState.PAUSED.value)


def uploads_waiting(request: HttpRequest, now: datetime) -> WorkQueue | None:
    """Uploads somebody has to start, resume or discard, the oldest first; no heap at all while there is none."""
    if not request.user.has_perm("payments.view_batch"):
        return None
    found = list(Batch.objects.filter(state__in=_WAIT).order_by("id")[: MOST_COUNTED + 1])
    if not found:
        return None
    return WorkQueue(
        title="Uploads that wait",
        url=reverse("admin:payments_batch_changelist"),
        rows=[_row(batch) for batch in found[:MOST_SHOWN]],
        more=len(found) > MOST_SHOWN,
        count=capped(len(found)),
    )


def _row(batch: Batch) -> QueueRow:
    paused = batch.state == BatchState.PAUSED
    money = sorted(batch.totals.items())
    return QueueRow(
        title=Link(batch.name, reverse("admin:payments_batch_change", args=(batch.public_id,))),
        why=batch.paused_because if paused else _read(batch),
        since=batch.started_at if paused and batch.started_at else batch.uploaded_at,
        amount=Amount(money[0][1][1], money[0][0]) if len(money) == 1 else None,
        chip=Chip("paused", Tone.WARN, "pause_circle") if paused else Chip("not started", Tone.INFO, "fact_check"),
        suggestion=f"Uploaded by {batch.uploaded_by}",
    )


def _read(batch: Batch) -> str:
    good = batch.rows_total - batch.rows_bad
    words = f"{good:,} good row{'' if good == 1 else 's'}"
    return (
        f"{words}, {batch.rows_bad:,} with problems. Nothing is charged yet."
        if batch.rows_bad
        else (f"{words}. Nothing is charged yet.")
    )
