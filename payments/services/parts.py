"""What becomes of a part that came in, when no rest will? It is owed back, or taken as all; under the payment's lock.

Called while a decision is carried out. It decides nothing and sends nothing.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from ledger.services import post_entries
from payments.accounting import SUSPENSE, Booking, part_owed, short_accepted
from payments.models import Movement, Refund
from payments.services.case import Case, part_money, part_of
from payments.states import MovementKind, PaymentState, RefundState, ReviewKind, Waits

_NO_SALE = frozenset({PaymentState.CANCELLED, PaymentState.EXPIRED})


def owe_part(case: Case, booking: Booking, now: datetime, *, requested_by: str) -> str:
    """Move what had come in to refunds payable and prepare a refund for each transaction that brought a part of it.

    Nothing is sent: a person lets the refunds go. Writes: refunds, entries; returns the first entry's source key.
    """
    payment = case.payment
    assert payment is not None
    keys = []
    for attempt in case.attempts:
        money = part_of(case, attempt)
        if not money.is_positive:
            continue
        refund = Refund(
            payment=payment,
            attempt=attempt,
            amount_minor=money.amount_minor,
            currency=money.currency,
            reason="the rest of the payment never came",
            requested_by=requested_by or "the system",
            waits_for=Waits.OPERATOR,
            waits_because="a person decides the case",
            created_at=now,
            updated_at=now,
        )
        refund.save()
        case.refunds.append(refund)
        key = f"refund:{refund.public_id}:reserved"
        described = f"refund {refund.public_id} prepared: {refund.reason}"
        gateway = attempt.gateway_account.slug
        post_entries(
            [part_owed(money, replace(booking, source_key=key, description=described, gateway=gateway))], now=now
        )
        keys.append(key)
    return keys[0] if keys else ""


def book_short(case: Case, booking: Booking, now: datetime) -> str:
    """The part counts as all of it. Writes: the entry; returns its source key, one for a payment."""
    payment = case.payment
    assert payment is not None
    part = part_money(case)
    draft = short_accepted(
        part,
        payment.money - part,
        replace(booking, source_key=f"short:{payment.public_id}", description="less than due accepted"),
    )
    post_entries([draft], now=now)
    return draft.source_key


def let_refunds_go(case: Case, now: datetime) -> list[Refund]:
    """Approve the prepared refunds: a person has decided. Writes: refunds."""
    prepared = [refund for refund in case.refunds if refund.state == RefundState.REQUESTED]
    for refund in prepared:
        refund.mark_approved()
        refund.waits_for, refund.waits_because, refund.next_check_at = Waits.WORKER, "", now
        refund.updated_at = now
        refund.save()
    return prepared


def freed_to(refund: Refund | None) -> str:
    """The account that reserved money falls back to when its refund is refused for good; empty: it is sales again.

    Money of a review goes back under it. A part of what was cancelled or expired is nobody's sale: it waits in suspense.
    """
    if refund is None:
        return ""
    if refund.review is not None:
        return refund.review.held_on
    return SUSPENSE if refund.payment.accept_partial and refund.payment.state in _NO_SALE else ""


def uncount(case: Case, refund: Refund) -> None:
    """What a review holds is no part of the payment's amounts. Writes: the movements of the refund's attempt."""
    for movement in case.movements:
        if movement.attempt_id == refund.attempt_id and movement.kind == MovementKind.CAPTURE and movement.counts:
            movement.counts = False
            Movement.objects.filter(pk=movement.pk).update(counts=False)


def answers_case(case: Case) -> bool:
    """Has every prepared refund found its end, so that nobody needs to be asked about them?"""
    asked = any(review.kind == ReviewKind.PART_TO_RETURN for review in case.reviews)
    return asked and not any(refund.state == RefundState.REQUESTED for refund in case.refunds)
