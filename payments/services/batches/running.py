"""How do the rows of a started upload become payments? Claimed in small chunks, each made once, never far ahead of the gateways.

A round claims rows while fewer than `settings.UPLOAD_WINDOW` of the upload's payments wait for a worker, and no more than
that many; the next one is nudged a second later, or found by the sweep. Whatever dies is found again: a claim older than
a minute is claimed anew, and a row's own request id makes its payment one.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.models import Q

from payments.errors import PaymentsError
from payments.jobs import RUN_BATCH, enqueue
from payments.models import Batch, BatchRow, Payment
from payments.services.actors import SYSTEM
from payments.services.batches.checking import decode_metadata
from payments.services.batches.columns import is_credential, without_secrets
from payments.services.batches.retrying import retry_due_rows
from payments.services.calls import Clock
from payments.services.intake import MethodRequest, PayerRequest, PaymentRequest, create_payment
from payments.states import BatchState, PaymentState, RowState, Waits

log = logging.getLogger(__name__)
CHUNK = 10  # rows claimed at a time: what a pause still lets through
ROUND_SECONDS = 1
LEASE = timedelta(seconds=15)  # a round that takes longer may run twice, harmlessly
STALE = timedelta(minutes=1)  # a claim whose worker has died
_AHEAD = (PaymentState.INITIATED.value, PaymentState.VALIDATED.value, PaymentState.PENDING.value)
_OURS = (Waits.WORKER.value, Waits.GATEWAY.value, Waits.SWITCH.value)


def run_batch(batch_id: int, clock: Clock) -> None:
    """This function will work one round of an upload: tries that were asked for again, then new rows.

    Idempotent: a second round at once finds the lease and ends; rows are claimed by one worker each.
    Writes: rows, payments, the upload's state at its end.
    """
    if not _take_lease(batch_id, clock()):
        return
    retry_due_rows(batch_id, clock)
    made = 0
    while made < settings.UPLOAD_WINDOW and (rows := _claim(batch_id, clock())):
        for row in rows:
            _make_safely(row, clock())
        made += len(rows)
    _conclude(batch_id, clock(), at_once=made >= settings.UPLOAD_WINDOW)


def _take_lease(batch_id: int, now: datetime) -> bool:
    due = Batch.objects.filter(pk=batch_id, next_check_at__lte=now)
    return due.update(next_check_at=now + LEASE) == 1


def _claim(batch_id: int, now: datetime) -> list[BatchRow]:
    """The next rows, claimed and committed. Under the upload's lock, so that a pause is obeyed from its commit on."""
    with transaction.atomic():
        batch = Batch.objects.select_for_update().get(pk=batch_id)
        room = min(CHUNK, settings.UPLOAD_WINDOW - _waiting(batch))
        if batch.state != BatchState.RUNNING or room <= 0:
            return []
        ready = batch.rows.select_for_update(skip_locked=True).order_by("number")
        rows = list(ready.filter(state=RowState.READY)[:room])
        if not rows:
            rows = list(ready.filter(state=RowState.CLAIMED, claimed_at__lt=now - STALE)[:room])
        BatchRow.objects.filter(pk__in=[row.pk for row in rows]).update(state=RowState.CLAIMED, claimed_at=now)
    for row in rows:
        row.claimed_at = now
    return rows


def _waiting(batch: Batch) -> int:
    """Payments of this upload that wait for one of our workers, or for a gateway that is asked right now."""
    ours = Payment.objects.filter(batch_row__batch=batch, state__in=_AHEAD, waits_for__in=_OURS)
    return len(ours.order_by().values_list("pk", flat=True)[: settings.UPLOAD_WINDOW])


def _make_safely(row: BatchRow, now: datetime) -> None:
    """One row's error must not stop the others: it is logged, and the row is claimed anew in a minute."""
    try:
        _make(row, now)
    except DatabaseError:
        raise
    except Exception:
        log.exception("Row %s of upload %s could not be made.", row.number, row.batch_id)


def _make(claimed: BatchRow, now: datetime) -> None:
    """Payment and row in one transaction: a row is made exactly if its payment exists."""
    with transaction.atomic():
        row = BatchRow.objects.select_for_update(of=("self",)).select_related("batch").get(pk=claimed.pk)
        if row.state != RowState.CLAIMED or row.claimed_at != claimed.claimed_at:
            return  # claimed anew by somebody else meanwhile
        try:
            row.payment = create_payment(_request(row), actor=SYSTEM, now=now)
        except PaymentsError as refusal:
            row.state = RowState.FAILED
            row.problems = [*row.problems, (refusal.field, refusal.detail)]
        else:
            row.state = RowState.MADE
        row.values = without_secrets(row.values)  # from here on the payment method keeps them
        row.save()


def _request(row: BatchRow) -> PaymentRequest:
    values: dict[str, str] = row.values
    assert row.amount_minor is not None
    held = {name: text for name, text in values.items() if is_credential(name)}
    return PaymentRequest(
        amount_minor=row.amount_minor,
        currency=row.currency,
        reference=row.reference,
        method=MethodRequest(
            "card", token=values.get("token", ""), credentials=held, payment_method=values.get("payment_method", "")
        ),
        payer=PayerRequest(values.get("payer_id", ""), values.get("payer_email", ""), values.get("payer_name", "")),
        capture=values.get("capture", "") or "automatic",
        gateway=values.get("gateway", ""),
        goods_class=values.get("goods_class", "") or "physical",
        metadata=decode_metadata(values) | {"upload": row.batch.public_id, "upload_line": row.number},
        request_id=f"{row.batch.public_id}:{row.number}",
    )


def _conclude(batch_id: int, now: datetime, *, at_once: bool) -> None:
    """Finished once no row is left to begin; else the next round is due: at once if the gateways kept up with this one."""
    with transaction.atomic():
        batch = Batch.objects.select_for_update().get(pk=batch_id)
        left = batch.rows.filter(Q(state__in=(RowState.READY, RowState.CLAIMED)))
        if batch.state == BatchState.RUNNING and not left.exists():
            batch.mark_finished()
            batch.finished_at = now
            batch.version += 1
        busy = batch.state == BatchState.RUNNING or batch.rows.filter(retry_due=True).exists()
        batch.next_check_at = now + timedelta(seconds=0 if at_once else ROUND_SECONDS) if busy else None
        batch.save()
        if busy:
            enqueue(RUN_BATCH, batch.pk, at=batch.next_check_at)
