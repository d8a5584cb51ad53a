"""What does a person need to see of one event? Raw message, what it was translated into, what became of it. Writes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from console.links import link_to
from console.values import Chip, KeyValue, Link, TimelineItem, Tone
from ledger.queries import entry_by_source_key
from payments.models import GatewayAccount, InboundEvent, Transition
from payments.states import EventState

_STATES = {
    EventState.STORED: Chip("stored", Tone.INFO, "hourglass_top", "Received and verified; a worker has it next."),
    EventState.APPLIED: Chip("applied", Tone.GOOD, "check_circle", "At least one of its facts changed something."),
    EventState.IGNORED: Chip("no effect", Tone.QUIET, "do_not_disturb_on", "Understood, and nothing was to do."),
    EventState.PARKED: Chip("parked", Tone.WARN, "pause_circle", "Kept until more is known."),
    EventState.FOREIGN: Chip("foreign", Tone.QUIET, "group", "On a shared account, and not ours."),
    EventState.POISONED: Chip("poisoned", Tone.BAD, "error", "It kept failing; a person replays it."),
}
_VERDICTS = {
    "apply": ("applied", Tone.GOOD, "check_circle"),
    "no_op": ("no effect", Tone.QUIET, "do_not_disturb_on"),
    "ask": ("asked the gateway", Tone.INFO, "contact_support"),
    "review": ("booked, and a case opened", Tone.WARN, "rule"),
    "park": ("parked", Tone.WARN, "pause_circle"),
}


@dataclass(frozen=True, slots=True)
class EventPage:
    """Everything the page of one event shows."""

    facts: tuple[KeyValue, ...]
    headers: dict[str, Any]
    body: bytes
    became: tuple[TimelineItem, ...]
    chip: Chip


def event_chip(state: str) -> Chip:
    """How far the event has come."""
    return _STATES[EventState(state)]


def verdict_chip(verdict: str) -> Chip:
    """What was decided of one fact."""
    text, tone, icon = _VERDICTS[verdict]
    return Chip(text, tone, icon)


def find_events(term: str, events: QuerySet[InboundEvent]) -> QuerySet[InboundEvent]:
    """Events of our id or of the gateway's key, both by their indexes: the key's begins with the account."""
    plain = events.order_by()
    accounts = list(GatewayAccount.objects.order_by().values_list("pk", flat=True))
    keyed = plain.filter(gateway_account_id__in=accounts, event_key=term).values_list("pk", flat=True)
    named = plain.filter(public_id=term).values_list("pk", flat=True)
    return events.filter(pk__in={*keyed, *named})


def event_page(event: InboundEvent) -> EventPage:
    """Build the page of one event."""
    rows = event.transitions.select_related("payment").order_by("id")
    return EventPage(
        facts=_facts(event),
        headers=event.headers,
        body=bytes(event.body),
        became=tuple(_became(row) for row in rows),
        chip=event_chip(event.state),
    )


def _facts(event: InboundEvent) -> tuple[KeyValue, ...]:
    return (
        KeyValue("Became", event.outcome or None),
        *([KeyValue("Error", event.error)] if event.error else []),
        KeyValue("Gateway", event.gateway_account.name),
        KeyValue("Type", event.event_type or None),
        KeyValue("Event key", Link(event.event_key, "", code=True), "The gateway's own id of it; each is taken once."),
        KeyValue("Received", event.received_at),
        KeyValue("Worked off", event.handled_at),
        KeyValue("Looked at again", event.next_check_at, _again(event)),
        KeyValue("Failed attempts", event.attempts),
        KeyValue("Size", f"{len(bytes(event.body)):,} bytes"),
    )


def _again(event: InboundEvent) -> str:
    if event.state in (EventState.PARKED, EventState.POISONED) and event.next_check_at is None:
        return "Not by itself: only a replay moves it."
    return ""


def _became(row: Transition) -> TimelineItem:
    text, tone, icon = _VERDICTS[row.verdict]
    payment = f"Payment {row.payment.public_id}, {row.payment.reference}." if row.payment else "No payment of ours."
    return TimelineItem(
        at=row.at,
        title=f"{row.fact.replace('_', ' ').capitalize()}: {text}",
        cause=payment + (f" By {row.actor}." if row.actor else ""),
        detail=row.because,
        tone=tone,
        icon=icon,
        ignored=row.verdict == "no_op",
        evidence={"fact": row.inputs.get("fact", {}), "before": row.before, "after": row.after},
    )


def links_of(event: InboundEvent) -> tuple[KeyValue, ...]:
    """Where to go on: the payments it touched and the entries that booked it."""
    rows = event.transitions.select_related("payment").order_by("id")
    payments = {row.payment.public_id for row in rows if row.payment}
    entries = [entry_by_source_key(row.entry_source_key) for row in rows if row.entry_source_key]
    return (
        *(KeyValue("Payment", link_to(public_id)) for public_id in sorted(payments)),
        *(KeyValue("Journal entry", link_to(e.public_id), e.description) for e in entries if e),
    )
