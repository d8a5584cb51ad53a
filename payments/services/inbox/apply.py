"""What does one stored event mean, and what became of it? Translates by the adapter, records each fact, concludes.

Runs inside the caller's transaction; it saves nothing itself beyond what `record_fact` writes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection

from payments.decisions import Verdict
from payments.facts import MONEY_KINDS, Fact, FactKind, PayoutTold
from payments.gateways.base import WebhookMessage
from payments.gateways.errors import Unreadable
from payments.models import InboundEvent, Incident, Operation, Payment
from payments.services import incidents, payouts
from payments.services.accounts import adapter_of
from payments.services.actors import Actor
from payments.services.finding import find_payment_id
from payments.services.recording import Cause, Recorded, record_fact
from payments.states import EventState, OperationState

PARK_LADDER = (5, 30, 120, 600)  # seconds after receipt; then the account's orphan_seconds
_STILL_OPEN = timedelta(seconds=600)  # parked past that: an operation of ours is open, and its own clock ends it
# Parked, or the gateway is asked about it: a look-up may not show it yet, so the event is heard again until its time is up.
_NOT_YET = (Verdict.PARK, Verdict.ASK)
_IN_FLIGHT = (OperationState.SENT.value, OperationState.UNKNOWN.value)
_CARD_LIKE = re.compile(r"\d(?:[ -]?\d){11,18}")


@dataclass(frozen=True, slots=True)
class Reading:
    """An event with its translation; `message` None: unreadable, for the reason in `unreadable`.

    `payment_ids` are the payments its facts mean by what we knew when it was read, `nobodys` the facts that mean none.
    """

    event: InboundEvent
    message: WebhookMessage | None
    unreadable: str = ""
    payment_ids: frozenset[int] = frozenset()
    nobodys: tuple[Fact, ...] = ()


def read(event: InboundEvent) -> Reading:
    """Translate one event and find whom it means, without a lock."""
    adapter = adapter_of(event.gateway_account)
    try:
        message = adapter.translate_webhook(bytes(event.body), received_at=event.received_at)
    except Unreadable as trouble:
        return Reading(event, None, unreadable=str(trouble))
    meant = [(fact, find_payment_id(fact, event.gateway_account_id)) for fact in message.facts]
    return Reading(
        event,
        message,
        payment_ids=frozenset(payment_id for _, payment_id in meant if payment_id is not None),
        nobodys=tuple(fact for fact, payment_id in meant if payment_id is None),
    )


def needing_own_transaction(readings: Iterable[Reading]) -> frozenset[int]:
    """Payments of these events with a call in flight: what touches an outcome is mixed with nothing else."""
    meant = {payment_id for reading in readings for payment_id in reading.payment_ids}
    busy = Operation.objects.filter(payment_id__in=meant, state__in=_IN_FLIGHT) if meant else Operation.objects.none()
    return frozenset(busy.values_list("payment_id", flat=True))


def lock_all(readings: Sequence[Reading]) -> None:
    """Every payment in id order, then every payout and transaction of nobody's: no two drains wait in a circle."""
    meant = sorted({payment_id for reading in readings for payment_id in reading.payment_ids})
    if meant:
        list(Payment.objects.filter(pk__in=meant).order_by("pk").select_for_update().values_list("pk"))
    meant_by_none = {(r.event.gateway_account_id, fact.gateway_id) for r in readings for fact in r.nobodys}
    payouts_told = {(r.event.gateway_account_id, told.gateway_id) for r in readings for told in _payouts_of(r)}
    nobodys = sorted(meant_by_none | payouts_told)
    if len(nobodys) > 1:
        with connection.cursor() as cursor:  # the locks `lock_case` will ask for, taken in one order
            cursor.execute(
                "SELECT pg_advisory_xact_lock(account, key) FROM (SELECT DISTINCT account, hashtext(id) AS key"
                " FROM unnest(%s::int[], %s::text[]) AS wanted(account, id) ORDER BY 1, 2) AS in_order",
                [[account for account, _ in nobodys], [gateway_id for _, gateway_id in nobodys]],
            )


def record_reading(reading: Reading, *, by: Actor, now: datetime) -> tuple[Recorded, ...]:
    """Record every fact of the event, in the order the gateway states them, and its words about payouts.

    Writes: what `record_fact` and `tell_payout` write, with this event as the cause; an incident for a batch that failed to
    settle, which the next batch that settles closes.
    """
    event = reading.event
    _note_batches(reading, now)
    for told in _payouts_of(reading):
        payouts.tell_payout(event.gateway_account.slug, told, now=now)
    cause = Cause(actor=by.label, user_id=by.user_id, event_id=event.pk)
    due = now >= orphan_time(event)
    facts = reading.message.facts if reading.message else ()
    return tuple(
        record_fact(fact, account_id=event.gateway_account_id, cause=cause, now=now, orphan_due=due) for fact in facts
    )


def _payouts_of(reading: Reading) -> tuple[PayoutTold, ...]:
    return reading.message.payouts if reading.message else ()


def _note_batches(reading: Reading, now: datetime) -> None:
    message, account_id = reading.message, reading.event.gateway_account_id
    if message is not None and message.batch_failed:
        incidents.open_incident(account_id, Incident.Kind.BATCH_FAILED, now, detail=message.reason)
    elif message is not None and any(fact.kind == FactKind.SETTLED for fact in message.facts):
        incidents.close_incident(account_id, Incident.Kind.BATCH_FAILED, now)


def conclude(reading: Reading, recorded: Sequence[Recorded], *, now: datetime) -> None:
    """Set what became of the event, in memory: state, outcome in a sentence, and when it is looked at again."""
    event = reading.event
    event.error = ""
    event.next_check_at = None
    event.handled_at = now
    event.event_type = reading.message.event_type[:80] if reading.message else ""
    if reading.message is None:
        event.state, event.outcome = EventState.PARKED, _sentence(f"Unreadable: {reading.unreadable}")
    elif not reading.message.understood:
        event.state, event.outcome = EventState.PARKED, _sentence(f"Not understood: {reading.message.reason}")
    elif not recorded:
        heard = reading.message.batch_failed or reading.message.payouts
        event.state = EventState.APPLIED if heard else EventState.IGNORED
        event.outcome = _sentence(reading.message.reason or "It states nothing about money or an operation.")
    else:
        event.state, event.outcome = _state_of(reading, recorded, now), _because(recorded)
    if any(item.verdict in _NOT_YET for item in recorded):
        event.next_check_at, event.handled_at = _next_check(event, now), None


def orphan_time(event: InboundEvent) -> datetime:
    """From here on money that finds no payment is nobody's."""
    return event.received_at + timedelta(seconds=event.gateway_account.orphan_seconds)


def describe(trouble: Exception) -> str:
    """Type and first line of an error, no payload: databases quote rows in later lines, and long digits are masked."""
    first_line = next(iter(str(trouble).splitlines()), "")
    return f"{type(trouble).__name__}: {_CARD_LIKE.sub('[digits]', first_line)}"[:300]


def _state_of(reading: Reading, recorded: Sequence[Recorded], now: datetime) -> EventState:
    if any(item.verdict in _NOT_YET for item in recorded):
        return EventState.PARKED
    if any(item.changed for item in recorded):
        return EventState.APPLIED
    event = reading.event
    if event.gateway_account.shared and now >= orphan_time(event) and _moves_money_of_nobody(reading, recorded):
        return EventState.FOREIGN
    return EventState.IGNORED


def _moves_money_of_nobody(reading: Reading, recorded: Sequence[Recorded]) -> bool:
    facts = reading.message.facts if reading.message else ()
    return any(f.kind in MONEY_KINDS and r.payment_id is None for f, r in zip(facts, recorded, strict=True))


def _because(recorded: Sequence[Recorded]) -> str:
    """What was decided of each fact; equal sentences once, with their number."""
    said = Counter(item.because for item in recorded)
    return _sentence(" ".join(f"{text} ({times} times)" if times > 1 else text for text, times in said.items()))


def _sentence(text: str) -> str:
    return text if len(text) <= 400 else text[:399] + "…"


def _next_check(event: InboundEvent, now: datetime) -> datetime:
    """The next rung after receipt that is still ahead; the last one is the orphan time."""
    limit = event.gateway_account.orphan_seconds
    rungs = [seconds for seconds in PARK_LADDER if seconds < limit] + [limit]
    times = (event.received_at + timedelta(seconds=seconds) for seconds in rungs)
    return next((time for time in times if time > now), now + _STILL_OPEN)
