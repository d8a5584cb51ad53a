"""What waits for a person? The heaps of the home page and the sentence above every page. Reads capped rows, never counts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse

from console.links import link_to
from console.values import Amount, Banner, Chip, Link, QueueRow, Tone, WorkQueue
from payments.models import InboundEvent, Incident, Payment, Review, UnmappedCode
from payments.queries.decline_page import provider_name
from payments.queries.review_page import held_amount, kind_words
from payments.states import EventState, PaymentState, ReviewState, Waits

MOST_SHOWN = 6
MOST_COUNTED = 50
UNUSUAL = timedelta(minutes=30)
"""A payment that still moves by itself after this long is shown: most are done within seconds."""
_MOVING = (PaymentState.INITIATED, PaymentState.VALIDATED, PaymentState.PENDING)
_BY_ITSELF = (Waits.WORKER, Waits.GATEWAY, Waits.LOOK_UP)
_WAITS_FOR = {
    Waits.WORKER: "Its next step is ours and has not been taken.",
    Waits.GATEWAY: "A call to the gateway has not ended.",
    Waits.LOOK_UP: "The gateway has not said yet what became of it.",
}
_HELD_UP = {
    Waits.PAYER: (
        "at the payer's bank",
        "Each is asked about until its window closes, and then closed at the gateway.",
    ),
    Waits.RETRY: ("refused, with a retry planned", "Each is tried again by itself when its time has come."),
    Waits.SWITCH: ("held back", "Sending is stopped, or every gateway that could take them is paused, down or busy."),
}
_OF_RATIOS = (Incident.Kind.DECLINE_RATIO, Incident.Kind.DISPUTE_RATIO)
_Row = TypeVar("_Row", Review, InboundEvent, Payment, Incident, UnmappedCode)


def reviews_due(request: HttpRequest, now: datetime) -> WorkQueue | None:
    """Open cases, the most urgent first."""
    if not _may_view(request, "review"):
        return None
    found = Review.objects.filter(state=ReviewState.OPEN.value).select_related("payment").order_by("due_at", "id")
    cases, count = _capped(found)
    return WorkQueue(
        title="Reviews to decide",
        url=reverse("admin:payments_review_changelist"),
        rows=[_case(review, now) for review in cases[:MOST_SHOWN]],
        more=len(cases) > MOST_SHOWN,
        count=count,
        empty="No case is open.",
    )


def incidents_open(request: HttpRequest, now: datetime) -> WorkQueue | None:
    """Gateways in trouble; no heap at all while there is none."""
    if not _may_view(request, "incident"):
        return None
    incidents, count = _capped(_open_incidents())
    if not incidents:
        return None
    return WorkQueue(
        title="Gateways in trouble",
        url=reverse("admin:payments_gatewayaccount_changelist"),
        rows=[_incident(incident) for incident in incidents[:MOST_SHOWN]],
        more=len(incidents) > MOST_SHOWN,
        count=count,
    )


def events_stuck(request: HttpRequest, now: datetime) -> WorkQueue | None:
    """Events that failed for good, and parked ones that nothing but a person will move."""
    if not _may_view(request, "inboundevent"):
        return None
    poisoned = InboundEvent.objects.filter(state=EventState.POISONED.value)
    parked = InboundEvent.objects.filter(state=EventState.PARKED.value, next_check_at=None)
    heap = [
        *_light(poisoned).order_by("-id")[: MOST_COUNTED + 1],
        *_light(parked).order_by("-id")[: MOST_COUNTED + 1],
    ]
    state = EventState.POISONED if heap and heap[0].state == EventState.POISONED else EventState.PARKED
    return WorkQueue(
        title="Events nobody could apply",
        url=f"{reverse('admin:payments_inboundevent_changelist')}?state__exact={state.value}",
        rows=[_event(event) for event in heap[:MOST_SHOWN]],
        more=len(heap) > MOST_SHOWN,
        count=capped(len(heap)),
        empty="Every event the gateways sent has been worked off or waits by itself.",
    )


def payments_waiting(request: HttpRequest, now: datetime) -> WorkQueue | None:
    """Payments that should have come to an end by themselves by now."""
    if not _may_view(request, "payment"):
        return None
    slow = Payment.objects.filter(
        state__in=[state.value for state in _MOVING],
        waits_for__in=[waits.value for waits in _BY_ITSELF],
        created_at__lt=now - UNUSUAL,
    )
    payments, count = _capped(slow.order_by("id"))
    return WorkQueue(
        title="Payments that take unusually long",
        url=reverse("admin:payments_payment_changelist") + (f"?state__exact={payments[0].state}" if payments else ""),
        rows=[_payment(payment) for payment in payments[:MOST_SHOWN]],
        more=len(payments) > MOST_SHOWN,
        count=count,
        empty="Every payment moves on within half an hour.",
    )


def payments_held_up(request: HttpRequest, now: datetime) -> WorkQueue | None:
    """Payments that go on by themselves once their payer, their time or a switch lets them: how many, since when."""
    if not _may_view(request, "payment"):
        return None
    found = [(waits, *_capped(_held_up(waits))) for waits in _HELD_UP]
    rows = [_heap_of(waits, payments, count) for waits, payments, count in found if payments]
    if not rows:
        return None
    url = reverse("admin:payments_payment_changelist")
    return WorkQueue(title="Payments held up", url=f"{url}?state__exact={PaymentState.PENDING.value}", rows=rows)


def _held_up(waits: Waits) -> QuerySet[Payment]:
    """The oldest first, out of the index of exactly these."""
    held = [waits_for.value for waits_for in _HELD_UP]
    rows = Payment.objects.filter(waits_for__in=held, waits_for=waits.value)
    return rows.only("created_at", "next_check_at", "amount_minor", "currency").order_by("id")


def _heap_of(waits: Waits, payments: Sequence[Payment], count: str) -> QueueRow:
    what, why = _HELD_UP[waits]
    due = [payment.next_check_at for payment in payments if payment.next_check_at is not None]
    return QueueRow(
        title=Link(f"{count} {what}", f"{reverse('admin:payments_payment_changelist')}?waits={waits.value}"),
        why=why,
        since=payments[0].created_at,
        due=min(due, default=None) if waits == Waits.RETRY else None,
    )


def codes_unmapped(request: HttpRequest, now: datetime) -> WorkQueue | None:
    """Refusals nobody understands, the most frequent first; no heap at all while every code is known."""
    if not _may_view(request, "unmappedcode"):
        return None
    codes, count = _capped(UnmappedCode.objects.filter(classified_at=None).order_by("-seen", "id"))
    if not codes:
        return None
    return WorkQueue(
        title="Decline codes nobody knows",
        url=reverse("admin:payments_unmappedcode_changelist"),
        rows=[_unmapped(code) for code in codes[:MOST_SHOWN]],
        more=len(codes) > MOST_SHOWN,
        count=count,
    )


def incident_banner(request: HttpRequest) -> Banner | None:
    """The oldest open incident, and how many more there are, above every page."""
    if not _may_view(request, "incident"):
        return None
    incidents, _ = _capped(_open_incidents())
    if not incidents:
        return None
    first, others = incidents[0], len(incidents) - 1
    text = f"{first.gateway_account.name}: {first.get_kind_display()} since {first.opened_at:%d %b %H:%M} UTC."
    more = f" And {others} more, see Gateway accounts." if others else ""
    rest = "" if first.kind in _OF_RATIOS else " No payment is lost: what is unknown is asked again by itself."
    return Banner(f"{text}{rest}{more}", Tone.WARN, "cloud_off")


def capped(found: int) -> str:
    """Write a number that was read only so far: "50+"."""
    return str(found) if found <= MOST_COUNTED else f"{MOST_COUNTED}+"


def _may_view(request: HttpRequest, model: str) -> bool:
    person: User | AnonymousUser = request.user
    return person.has_perm(f"payments.view_{model}")


def _capped(rows: QuerySet[_Row]) -> tuple[Sequence[_Row], str]:
    found = list(rows[: MOST_COUNTED + 1])
    return found, capped(len(found))


def _open_incidents() -> QuerySet[Incident]:
    return Incident.objects.filter(closed_at=None).select_related("gateway_account").order_by("opened_at", "id")


def _light(events: QuerySet[InboundEvent]) -> QuerySet[InboundEvent]:
    """Without the raw bytes: up to a megabyte each."""
    return events.defer("body", "headers").select_related("gateway_account")


def _case(review: Review, now: datetime) -> QueueRow:
    overdue = review.due_at < now
    return QueueRow(
        title=Link(kind_words(review.kind), reverse("admin:payments_review_change", args=(review.public_id,))),
        why=review.because,
        since=review.opened_at,
        due=review.due_at,
        amount=held_amount(review),
        chip=Chip("overdue", Tone.BAD, "alarm", "The time by which somebody should have decided is past.")
        if overdue
        else None,
        suggestion=f"Payment {review.payment.reference}" if review.payment else "",
    )


def _incident(incident: Incident) -> QueueRow:
    account = incident.gateway_account
    times = f"{incident.count} times" if incident.count > 1 else "once"
    return QueueRow(
        title=Link(account.name, reverse("admin:payments_gatewayaccount_change", args=(account.slug,))),
        why=f"{str(incident.get_kind_display()).capitalize()}. {incident.detail} Seen {times}.".replace("  ", " "),
        since=incident.opened_at,
        chip=Chip("open", Tone.WARN, "cloud_off"),
    )


def _event(event: InboundEvent) -> QueueRow:
    poisoned = event.state == EventState.POISONED
    return QueueRow(
        title=link_to(event.public_id),
        why=event.error or event.outcome,
        since=event.received_at,
        chip=Chip("poisoned", Tone.BAD, "error") if poisoned else Chip("parked", Tone.WARN, "pause_circle"),
        suggestion=f"{event.gateway_account.name} {event.event_type}".strip(),
    )


def _unmapped(code: UnmappedCode) -> QueueRow:
    amounts = [Amount(minor, currency) for currency, minor in sorted(code.money.items())]
    return QueueRow(
        title=Link(f"{provider_name(code.provider)} {code.code}", reverse("admin:payments_unmappedcode_changelist")),
        why=code.message or "The gateway gave no words.",
        since=code.first_seen_at,
        amount=amounts[0] if len(amounts) == 1 else None,
        suggestion="Seen once" if code.seen == 1 else f"Seen {code.seen:,} times",
    )


def _payment(payment: Payment) -> QueueRow:
    return QueueRow(
        title=Link(payment.reference, reverse("admin:payments_payment_change", args=(payment.public_id,))),
        why=_WAITS_FOR[Waits(payment.waits_for)],
        since=payment.created_at,
        due=payment.next_check_at,
        amount=Amount(payment.amount_minor, payment.currency),
    )
