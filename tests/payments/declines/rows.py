"""Refused calls for tests: rows as the services leave them, at any time and with any word of the network."""

from __future__ import annotations

from datetime import datetime
from itertools import count
from typing import Any

from payments.models import Attempt, Operation, Payment, PaymentMethod
from tests.payments.factories import Clock, new_payment, nmi_account

_numbers = count(1)


def card(brand: str = "visa", fingerprint: str = "fp_1") -> Payment:
    """A stored payment whose card a gateway has told."""
    nmi_account()
    payment = new_payment(Clock())
    PaymentMethod.objects.filter(pk=payment.method_id).update(brand=brand, fingerprint=fingerprint)
    payment.method.refresh_from_db()
    return payment


def refused(payment: Payment, at: datetime, **told: Any) -> Operation:
    """One refused sale of the payment's card, by NMI."""
    number = next(_numbers)
    account = nmi_account()
    attempt = Attempt.objects.create(
        payment=payment, number=number, gateway_account=account, reference=f"cf-{number}", state="declined",
        created_at=at,
    )  # fmt: skip
    fields = {
        "kind": "sale", "state": "declined", "certainty": "refused", "failure_class": "soft_decline", "code": "201",
        "amount_minor": payment.amount_minor, "currency": payment.currency,
        "fingerprint": payment.method.fingerprint or f"pm:{payment.method.public_id}",
    }  # fmt: skip
    return Operation.objects.create(
        payment=payment, attempt=attempt, gateway_account=account, reference=f"cf-{number}", request={},
        planned_at=at, sent_at=at, ended_at=at, **{**fields, **told},
    )  # fmt: skip
