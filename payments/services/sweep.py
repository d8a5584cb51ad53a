"""What is due? One sweep serves every table by query on `next_check_at`; beat and `resolve_stuck` run it, doubled runs are safe."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction

from payments.models import Batch, Operation, Payment, Refund, Review
from payments.services.approvals import expire_due
from payments.services.batches.running import run_batch
from payments.services.calls import Clock
from payments.services.dispute_watch import watch_disputes
from payments.services.execution import advance_payment
from payments.services.health import probe_due
from payments.services.months import count_months
from payments.services.refunds import advance_refund
from payments.services.resolution import resolve_operation
from payments.services.schedules.running import run_due
from payments.services.sending import run_operation
from payments.states import OPEN_OPERATION_STATES, OperationState, ReviewState

log = logging.getLogger(__name__)
_AFTER_ERROR = timedelta(minutes=5)


@dataclass
class Swept:
    """How many rows of each table were due and worked on; `failed` names those that raised, by public id."""

    operations: int = 0
    payments: int = 0
    refunds: int = 0
    batches: int = 0
    reviews: int = 0
    disputes: int = 0
    approvals: int = 0
    probes: int = 0
    months: int = 0
    schedules: int = 0
    failed: dict[str, str] = field(default_factory=dict)


def sweep(clock: Clock, *, limit: int = 500) -> Swept:
    """This function will work on every due row once, up to `limit` a table.

    One row's error does not stop the others: it is logged, named in the result, and the row is due again in five minutes.
    """
    swept = Swept()
    now = clock()
    operations = Operation.objects.filter(next_check_at__lte=now).order_by("next_check_at")[:limit]
    for operation in operations:
        swept.operations += _one(swept, operation.public_id, lambda o=operation: _operation(o, clock), operation, clock)  # type: ignore[misc]
    payments = (
        Payment.objects.filter(next_check_at__lte=now)
        .exclude(operations__state__in=[state.value for state in OPEN_OPERATION_STATES])
        .order_by("next_check_at")[:limit]
    )
    for payment in payments:
        swept.payments += _one(swept, payment.public_id, lambda p=payment: advance_payment(p.pk, clock), payment, clock)  # type: ignore[misc]
    for refund in Refund.objects.filter(next_check_at__lte=now).order_by("next_check_at")[:limit]:
        swept.refunds += _one(swept, refund.public_id, lambda r=refund: advance_refund(r.pk, clock), refund, clock)  # type: ignore[misc]
    for batch in Batch.objects.filter(next_check_at__lte=now).order_by("next_check_at")[:limit]:
        swept.batches += _one(swept, batch.public_id, lambda b=batch: run_batch(b.pk, clock), batch, clock)  # type: ignore[misc]
    swept.schedules = run_due(clock)
    swept.disputes = watch_disputes(clock, limit=limit)
    swept.reviews = _escalate(now)
    swept.approvals = expire_due(now)
    swept.probes = probe_due(clock)
    swept.months = count_months(clock)
    return swept


def _operation(operation: Operation, clock: Clock) -> None:
    if operation.state == OperationState.PLANNED:
        run_operation(operation.pk, clock)
        advance_payment(operation.payment_id, clock)
    else:
        resolve_operation(operation.pk, clock)


def _one(
    swept: Swept, public_id: str, work: Callable[[], None], row: Operation | Payment | Refund | Batch, clock: Clock
) -> int:
    try:
        work()
    except Exception as error:  # one row must not stop the sweep; it is named, and seen again
        log.exception("The sweep could not work on %s.", public_id)
        swept.failed[public_id] = f"{type(error).__name__}: {error}"[:300]
        row.next_check_at = clock() + _AFTER_ERROR
        row.save(update_fields=["next_check_at"])
    return 1


def _escalate(now: datetime) -> int:
    """A review past its time turns red and is looked at daily; it never decides itself."""
    with transaction.atomic():
        due = Review.objects.filter(state=ReviewState.OPEN, next_check_at__lte=now)
        return due.update(next_check_at=now + timedelta(days=1))
