"""Which declined rows of an upload may be tried again, and how? Unknown outcomes never; each row says what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import transaction
from django.db.models import Count, Min, QuerySet

from payments.declines import NextStep
from payments.errors import NotAllowedNow, PaymentsError
from payments.jobs import RUN_BATCH, enqueue
from payments.models import Batch, BatchRow, Operation
from payments.services import retries
from payments.services.actors import Actor
from payments.services.batches.starting import START
from payments.services.batches.upload import locked
from payments.services.calls import Clock
from payments.services.declining import advice_for
from payments.states import COLLECTING, PaymentState

_BARRED: Final = frozenset({NextStep.NEVER_AGAIN, NextStep.LOOK_UP})
_AT_ONCE: Final = 25  # tries begun in one round
_SAME: Final = (
    "gateway_account__provider", "failure_class", "certainty", "code", "network_code", "network_advice", "gateway_advice",
    "payment__method__brand",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Group:
    """Declined rows with one and the same answer; `barred` says why none of them is tried again, empty: all are."""

    failure_class: str
    code: str
    message: str
    count: int
    barred: str


def declined_groups(batch: Batch) -> list[Group]:
    """The declined rows by answer, and whether that answer allows another try. Reads only."""
    return [group for group, _ in _groups(batch)]


def ask_retries(public_id: str, *, version: int, actor: Actor, now: datetime) -> int:
    """This function will have every declined row tried again whose answer allows it, and say how many these are.

    Raises: NotFound, Forbidden, Conflict, NotAllowedNow if no row may be. Idempotent: a row waits for one try at a time.
    Writes: the rows' wish; the rounds of the upload carry it out, and each try is checked again then.
    """
    actor.require(START)
    actor.require(retries.RIGHT)
    with transaction.atomic():
        batch = locked(public_id, version)
        wanted = [rows for group, rows in _groups(batch) if not group.barred]
        marked = sum(rows.update(retry_due=True, retry_said="") for rows in wanted)
        if not marked:
            raise NotAllowedNow("No declined row may be tried again.")
        batch.retry_by, batch.next_check_at = actor.label[:100], now
        batch.version += 1
        batch.save()
        enqueue(RUN_BATCH, batch.pk)
    return marked


def retry_due_rows(batch_id: int, clock: Clock) -> None:
    """This function will begin the next tries that were asked for; what refuses one is written beside its row."""
    batch = Batch.objects.get(pk=batch_id)
    actor = Actor(batch.retry_by, permissions=frozenset({retries.RIGHT}))
    due = BatchRow.objects.filter(batch=batch, retry_due=True).select_related("payment").order_by("number")
    for row in due[:_AT_ONCE]:
        assert row.payment is not None
        with transaction.atomic():
            try:
                retries.retry_now(row.payment.public_id, actor=actor, now=clock())
                said = "Tried again."
            except PaymentsError as refusal:
                said = f"Not tried again: {refusal.detail}"
            BatchRow.objects.filter(pk=row.pk).update(retry_due=False, retry_said=said[:300])


def _groups(batch: Batch) -> Iterator[tuple[Group, QuerySet[BatchRow]]]:
    failed = BatchRow.objects.filter(batch=batch, payment__state=PaymentState.FAILED, retry_due=False)
    asked = Operation.objects.filter(payment__batch_row__in=failed.order_by(), kind__in=COLLECTING)
    latest = asked.order_by("payment_id", "-id").distinct("payment_id").values("pk")
    found = Operation.objects.filter(pk__in=latest)
    for same in found.order_by(*_SAME).values(*_SAME).annotate(count=Count("pk"), sample=Min("pk")):
        count, sample = same.pop("count"), same.pop("sample")
        rows = failed.order_by().filter(payment__in=found.filter(**same).values("payment"))
        yield _group(Operation.objects.select_related("payment__method").get(pk=sample), count), rows
    never_asked = failed.order_by().filter(payment__operations=None)
    if count := never_asked.count():
        yield (
            Group("", "", "No gateway was asked.", count, ""),
            BatchRow.objects.filter(pk__in=never_asked.values("pk")),
        )


def _group(operation: Operation, count: int) -> Group:
    provider = operation.gateway_account.provider
    barred = advice_for(operation, provider).steps[0] in _BARRED
    return Group(
        operation.failure_class,
        operation.code,
        operation.message,
        count,
        "The gateway's or the network's answer forbids another try." if barred else "",
    )
