"""What does the API do under an idempotency key? Each command hands its use-case to `answer_once` and decides nothing."""

from __future__ import annotations

from datetime import datetime

from payments.queries.api_views import payment_view, refund_view
from payments.services import commands, intake, refunds
from payments.services.idempotency import Answer, Executed, KeyedCall, answer_once
from payments.states import PaymentState


def create_payment(call: KeyedCall, request: intake.PaymentRequest, *, now: datetime) -> Answer:
    """This function will store a payment intent under the call's key.

    Raises: KeyReused, Forbidden; other refusals of `intake.create_payment` are the answer. Idempotent on: the key.
    """

    def execute() -> Executed:
        payment = intake.create_payment(request, actor=call.caller.actor, now=now)
        return Executed(202, payment_view(payment), payment.pk)

    return answer_once(call, execute, now=now)


def capture_payment(
    call: KeyedCall, payment_id: str, *, amount_minor: int | None, final: bool, now: datetime
) -> Answer:
    """This function will ask for a capture of `amount_minor` minor units (None: all that is held) under the call's key.

    Raises: KeyReused, Forbidden; other refusals of `commands.capture_payment` are the answer. Idempotent on: the key.
    """

    def execute() -> Executed:
        payment = commands.capture_payment(
            payment_id, amount_minor=amount_minor, final=final, actor=call.caller.actor, now=now
        )
        return Executed(202, payment_view(payment), payment.pk)

    return answer_once(call, execute, now=now)


def cancel_payment(call: KeyedCall, payment_id: str, *, now: datetime) -> Answer:
    """This function will cancel the payment, or note that it shall be cancelled (202) while something is open.

    Raises: KeyReused, Forbidden; other refusals of `commands.cancel_payment` are the answer. Idempotent on: the key.
    """

    def execute() -> Executed:
        payment = commands.cancel_payment(payment_id, actor=call.caller.actor, now=now)
        status = 200 if payment.state == PaymentState.CANCELLED else 202
        return Executed(status, payment_view(payment), payment.pk)

    return answer_once(call, execute, now=now)


def request_refund(call: KeyedCall, payment_id: str, *, amount_minor: int, reason: str, now: datetime) -> Answer:
    """This function will request a refund of `amount_minor` minor units under the call's key.

    Raises: KeyReused, Forbidden; other refusals of `refunds.request_refund` are the answer. Idempotent on: the key.
    """

    def execute() -> Executed:
        refund = refunds.request_refund(
            payment_id, amount_minor=amount_minor, reason=reason, actor=call.caller.actor, now=now
        )
        return Executed(202, refund_view(refund), refund.payment_id)

    return answer_once(call, execute, now=now)
