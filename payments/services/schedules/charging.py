"""Which payment does one due date make? The same path as every payment, by the merchant, under schedule and date."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from payments.card_numbers import has_card_number
from payments.models import Payment, Schedule
from payments.services.actors import Actor
from payments.services.intake import MethodRequest, PayerRequest, PaymentRequest, create_payment

WINDOW = timedelta(days=15)
"""So long may a charge without its payer be tried again; the networks count about as far."""


def charge_date(schedule: Schedule, due_on: date, *, request_id: str, actor: Actor, now: datetime) -> Payment:
    """This function will make the payment of one date, under the schedule's lock.

    Raises: PaymentsError as `create_payment`. Idempotent on: request_id. Writes: the payment.
    """
    return create_payment(_request(schedule, due_on, request_id), actor=actor, now=now)


def reference_of(schedule: Schedule, due_on: date) -> str:
    """The payment's reference. Digits of the schedule's own and the date's may add up to what looks like a card number."""
    plain = f"{schedule.reference}-{due_on.isoformat()}"
    return f"{schedule.reference}-due-{due_on.isoformat()}" if has_card_number(plain) else plain


def _request(schedule: Schedule, due_on: date, request_id: str) -> PaymentRequest:
    payer = schedule.method.payer
    return PaymentRequest(
        amount_minor=schedule.amount_minor,
        currency=schedule.currency,
        reference=reference_of(schedule, due_on),
        method=MethodRequest(schedule.method.kind, payment_method=schedule.method.public_id),
        payer=PayerRequest(payer.external_id, payer.email, payer.name) if payer else None,
        expires_in_seconds=int(WINDOW.total_seconds()),
        initiated_by="merchant",
        schedule_id=schedule.pk,
        metadata={"schedule": schedule.public_id, "due_on": due_on.isoformat()},
        request_id=request_id,
    )
