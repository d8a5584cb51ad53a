"""Which disputes need somebody now because the gateway has said nothing? One step of the sweep; rows by `next_check_at`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from django.db import transaction

from payments.models import Dispute, Review
from payments.queries.disputes import standing_of
from payments.services.case import lock_payment
from payments.services.disputes import case_due, next_look
from payments.services.finding import lock_transaction
from payments.states import DisputeState, ReviewKind, ReviewState


def watch_disputes(clock: Callable[[], datetime], *, limit: int = 500) -> int:
    """This function will ask a person about every dispute that is due and has no open case. Returns how many were due.

    Idempotent on: the dispute, while its case is open. Writes: review, the dispute's clock.
    """
    due = Dispute.objects.filter(next_check_at__lte=clock()).order_by("next_check_at").values_list("pk", flat=True)
    found = list(due[:limit])
    for pk in found:
        _watch(pk, clock())
    return len(found)


@transaction.atomic
def _watch(dispute_pk: int, now: datetime) -> None:
    dispute = Dispute.objects.get(pk=dispute_pk)
    if dispute.payment_id is not None:
        lock_payment(dispute.payment_id)
    else:
        lock_transaction(dispute.gateway_account_id, dispute.gateway_id)
    dispute = Dispute.objects.get(pk=dispute_pk)
    if dispute.next_check_at is None or dispute.next_check_at > now:
        return  # the gateway spoke meanwhile
    because = _because(dispute, now)
    if because:
        _ask(dispute, because, now)
    dispute.next_check_at = next_look(dispute, now) if because else None
    dispute.save(update_fields=["next_check_at"])


def _because(dispute: Dispute, now: datetime) -> str:
    """Why a person has to look; empty if all is done."""
    state = DisputeState(dispute.state)
    if state in {DisputeState.WON, DisputeState.CLOSED}:
        standing = standing_of(dispute)
        if standing is None or not standing.is_positive:
            return ""
        return f"The dispute was {state} and {standing} has not come back yet."
    if state == DisputeState.UNDER_REVIEW:
        return f"The evidence about {dispute.money} is with the issuer for long, and nothing was said since."
    if now < dispute.act_by:
        left = max((dispute.act_by - now).days, 0)
        return f"The evidence about {dispute.money} is due in {left} days, and the gateway has none yet."
    return f"The evidence about {dispute.money} was due on {dispute.act_by:%d %b %Y}; the gateway has not said what follows."


def _ask(dispute: Dispute, because: str, now: datetime) -> None:
    if dispute.reviews.filter(state=ReviewState.OPEN, kind=ReviewKind.DISPUTE).exists():
        return
    due = case_due(dispute, now) if now < dispute.act_by else now
    Review.objects.create(
        kind=ReviewKind.DISPUTE,
        gateway_account_id=dispute.gateway_account_id,
        payment_id=dispute.payment_id,
        attempt_id=dispute.attempt_id,
        dispute=dispute,
        gateway_id=dispute.gateway_id,
        because=because,
        opened_at=now,
        due_at=due,
        next_check_at=due,
    )
