"""Is a whole gateway in trouble? One open incident per gateway and kind; no single payment is blamed for it."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import F

from payments.models import Incident


def open_incident(account_id: int, kind: Incident.Kind, now: datetime, *, detail: str = "") -> None:
    """Open it, or count once more on the open one. Idempotent on: (account, kind) while open."""
    rows = Incident.objects.filter(gateway_account_id=account_id, kind=kind, closed_at=None)
    if rows.update(count=F("count") + 1, last_seen_at=now):
        return
    Incident.objects.bulk_create(
        [Incident(gateway_account_id=account_id, kind=kind, opened_at=now, last_seen_at=now, detail=detail[:300])],
        ignore_conflicts=True,
    )


def close_incident(account_id: int, kind: Incident.Kind, now: datetime) -> None:
    """The trouble is over; nothing happens if there was none."""
    Incident.objects.filter(gateway_account_id=account_id, kind=kind, closed_at=None).update(closed_at=now)


def look_ups_unanswered(account_id: int, now: datetime) -> None:
    with transaction.atomic():
        open_incident(account_id, Incident.Kind.LOOK_UPS_UNANSWERED, now, detail="A look-up got no usable answer.")


def look_ups_answered(account_id: int, now: datetime) -> None:
    close_incident(account_id, Incident.Kind.LOOK_UPS_UNANSWERED, now)
