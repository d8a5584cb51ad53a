"""Calls in every phase, and many workers at once on connections of their own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier
from typing import TypeVar

from django.db import connection

from payments.models import Attempt, GatewayAccount, Operation, Payment
from payments.services.operations import new_reference
from payments.states import AttemptState, OperationKind, OperationState

Answer = TypeVar("Answer")


def at_once(workers: int, work: Callable[[int], Answer]) -> list[Answer]:
    """Everybody starts together; the answers in order. A worker's error is raised."""
    start = Barrier(workers)

    def one(number: int) -> Answer:
        try:
            start.wait(60)
            return work(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(one, range(workers)))


def call_of(
    payment: Payment,
    account: GatewayAccount,
    at: datetime,
    *,
    state: OperationState = OperationState.PLANNED,
    kind: OperationKind = OperationKind.SALE,
    seconds: int = 30,
    **fields: object,
) -> Operation:
    """One call of the payment at the account, planned or further; a sent one may last `seconds`."""
    attempt, _ = Attempt.objects.get_or_create(
        payment=payment,
        gateway_account=account,
        defaults={
            "number": 1 + payment.attempts.count(), "reference": new_reference("cf"), "created_at": at,
            "state": AttemptState.OPEN,
        },
    )  # fmt: skip
    sent = {"sent_at": at, "done_before": at + timedelta(seconds=seconds)} if state != OperationState.PLANNED else {}
    return Operation.objects.create(
        payment=payment, attempt=attempt, gateway_account=account, kind=kind, reference=new_reference("cf"),
        amount_minor=payment.amount_minor, currency=payment.currency, request={}, state=state, planned_at=at,
        **{**sent, **fields},
    )  # fmt: skip
