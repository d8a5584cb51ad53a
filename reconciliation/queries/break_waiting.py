"""Which breaks wait for this person? The most urgent few, for the home page."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse

from console.values import Amount, Link, QueueRow, WorkQueue
from payments.queries.queues import MOST_COUNTED, MOST_SHOWN, capped
from reconciliation.models import Break
from reconciliation.queries.break_queue import open_breaks
from reconciliation.queries.break_words import kind_words, state_chip


def breaks_waiting(request: HttpRequest, now: datetime) -> WorkQueue | None:
    """Open breaks that nobody else has taken, by when they are due; no heap at all while there is none."""
    if not request.user.has_perm("reconciliation.view_break"):
        return None
    mine = Q(owner=None) | Q(owner=request.user.pk)
    awake = Q(snoozed_until=None) | Q(snoozed_until__lte=now)
    rows = open_breaks().filter(mine, awake).select_related("account").order_by("due_at", "id")
    found = list(rows[: MOST_COUNTED + 1])
    if not found:
        return None
    return WorkQueue(
        title="Breaks to resolve",
        url=reverse("admin:reconciliation_break_changelist"),
        rows=[_row(broken, now) for broken in found[:MOST_SHOWN]],
        more=len(found) > MOST_SHOWN,
        count=capped(len(found)),
    )


def _row(broken: Break, now: datetime) -> QueueRow:
    return QueueRow(
        title=Link(kind_words(broken.kind), reverse("admin:reconciliation_break_change", args=(broken.public_id,))),
        why=broken.because,
        since=broken.opened_at,
        due=broken.due_at,
        amount=Amount(broken.value_minor, broken.currency) if broken.currency else None,
        chip=state_chip(broken, now),
        suggestion=broken.account.name,
    )
