"""Which timers and queue messages exist? Each makes one service call; all are safe to run twice."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from payments.services import execution, idempotency, refunds
from payments.services import inbox as inbox_service
from payments.services import sweep as sweep_service
from payments.services.batches import running as batches


@shared_task(name="payments.advance_payment")
def advance_payment(payment_id: int) -> None:
    """A payment's next step is due."""
    execution.advance_payment(payment_id, timezone.now)


@shared_task(name="payments.advance_refund")
def advance_refund(refund_id: int) -> None:
    """A refund's next step is due."""
    refunds.advance_refund(refund_id, timezone.now)


@shared_task(name="payments.run_batch")
def run_batch(batch_id: int) -> None:
    """The next rows of a started upload."""
    batches.run_batch(batch_id, timezone.now)


@shared_task(name="payments.drain_inbox")
def drain_inbox() -> None:
    """Stored events wait to be worked on."""
    inbox_service.drain_inbox(timezone.now)


@shared_task(name="payments.sweep")
def sweep() -> None:
    """Beat: everything that is due."""
    sweep_service.sweep(timezone.now)


@shared_task(name="payments.forget_old_answers")
def forget_old_answers() -> None:
    """Beat: stored answers of the API are kept for 90 days."""
    idempotency.forget_old_answers(timezone.now())
