"""By which move does each machine reach a state? Tables for carrying decisions out; whether it may is the machine's own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from payments.models import Attempt, Operation, Payment, Refund
from payments.states import AttemptState, OperationState, PaymentState, RefundState, RetryState

OPERATION_MOVES: dict[OperationState, Callable[[Operation], None]] = {
    OperationState.SUCCEEDED: Operation.mark_succeeded,
    OperationState.DECLINED: Operation.mark_declined,
    OperationState.FAILED: Operation.mark_failed,
    OperationState.UNKNOWN: Operation.mark_unknown,
}
ATTEMPT_MOVES: dict[AttemptState, Callable[[Attempt], None]] = {
    AttemptState.AUTHORISED: Attempt.mark_authorised,
    AttemptState.CAPTURED: Attempt.mark_captured,
    AttemptState.DECLINED: Attempt.mark_declined,
    AttemptState.FAILED: Attempt.mark_failed,
    AttemptState.VOIDED: Attempt.mark_voided,
    AttemptState.LAPSED: Attempt.mark_lapsed,
}
REFUND_MOVES: dict[RefundState, Callable[[Refund], None]] = {
    RefundState.SUCCEEDED: Refund.mark_succeeded,
    RefundState.FAILED: Refund.mark_failed,
    RefundState.WAITING: Refund.mark_waiting,
    RefundState.UNKNOWN: Refund.mark_unknown,
    RefundState.RETURNED: Refund.mark_returned,
}
PAYMENT_MOVES: dict[PaymentState, Callable[[Payment], None]] = {
    PaymentState.VALIDATED: Payment.mark_validated,
    PaymentState.PENDING: Payment.mark_pending,
    PaymentState.PARTIALLY_PAID: Payment.mark_partially_paid,
    PaymentState.CAPTURED: Payment.mark_captured,
    PaymentState.SETTLED: Payment.mark_settled,
    PaymentState.FAILED: Payment.mark_failed,
    PaymentState.CANCELLED: Payment.mark_cancelled,
    PaymentState.EXPIRED: Payment.mark_expired,
    PaymentState.REFUNDED: Payment.mark_refunded,
    PaymentState.CHARGED_BACK: Payment.mark_charged_back,
}


def drop_retries(payment: Payment, now: datetime) -> None:
    """Take planned retries back: the payment has reached a state in which nothing is tried again by itself."""
    waiting = payment.retries.filter(state=RetryState.WAITING)
    because = f"The payment is {payment.state.replace('_', ' ')}."
    waiting.update(state=RetryState.CANCELLED, ended_at=now, ended_because=because)
