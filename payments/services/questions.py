"""How is a person asked about something that is no money? One open question of a kind a payment or operation."""

from __future__ import annotations

from datetime import datetime

from payments.models import Operation, Review
from payments.services.case import Case
from payments.services.clocks import review_due
from payments.states import ReviewKind


def open_question(
    case: Case, kind: ReviewKind, because: str, now: datetime, *, operation: Operation | None = None
) -> Review:
    """Open a review without money, under the payment's lock. Idempotent on: (payment, kind) while open."""
    for review in case.reviews:
        if review.kind == kind:
            return review
    review = Review(
        kind=kind,
        gateway_account=case.account,
        payment=case.payment,
        attempt=case.attempt,
        operation=operation,
        gateway_id=case.attempt.gateway_id if case.attempt else "",
        because=because[:400],
        opened_at=now,
        due_at=review_due(kind, now),
        next_check_at=review_due(kind, now),
    )
    review.save()
    case.reviews.append(review)
    return review
