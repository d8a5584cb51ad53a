"""Which events are due, and how is one bad event kept from holding up the good ones? Claims, batches, bisects.

Rows are the queue of record: any number of drains may run at once, each claims what no other holds.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet

from payments import jobs
from payments.models import InboundEvent
from payments.services.actors import SYSTEM, Actor
from payments.services.inbox.apply import conclude, describe, lock_all, needing_own_transaction, read, record_reading
from payments.services.inbox.store import forget_nudge
from payments.states import EventState

log = logging.getLogger(__name__)

BATCH = 50  # events in one transaction
TRIES = 5  # failures of one event before a person is asked
_BACK_OFF = (10, 60, 300, 1800)  # seconds after the first, second… failure
_WAITING = (EventState.STORED.value, EventState.PARKED.value)
_CONCLUDED = ("state", "outcome", "error", "event_type", "handled_at", "next_check_at")


@dataclass(frozen=True, slots=True)
class Drained:
    """How many events were taken in hand, and what became of them by state; `more`: the limit ended it."""

    taken: int
    states: dict[str, int]
    more: bool


def drain_inbox(clock: Callable[[], datetime], *, limit: int = 200) -> Drained:
    """Work off events that are due, oldest first, until none is left; at `limit` the next worker is nudged instead.

    Safe to run any number of times at once. Writes: what `record_fact` writes; each event's state, outcome and clock.
    Raises: OperationalError if the database goes away; nothing of the open batch stands then.
    """
    forget_nudge()
    states: Counter[str] = Counter()
    taken = 0
    while taken < limit:
        claimed = _drain_batch(clock, min(BATCH, limit - taken), states)
        if not claimed:
            return Drained(taken, dict(states), more=False)
        taken += claimed
    jobs.enqueue(jobs.DRAIN_INBOX)
    return Drained(taken, dict(states), more=True)


def run_alone(event_id: int, clock: Callable[[], datetime], *, by: Actor) -> None:
    """Work off one event that is due, in a transaction of its own; if it fails it keeps its error."""
    _run([event_id], clock, Counter(), by)


def _drain_batch(clock: Callable[[], datetime], size: int, states: Counter[str]) -> int:
    now = clock()
    claimed: list[int] = []
    try:
        with transaction.atomic():
            events = list(_due(now).order_by("next_check_at", "id")[:size])
            claimed = [event.pk for event in events]
            ended, alone = _work_off(events, now, SYSTEM)
    except Exception as trouble:  # whatever it was, the good events of the batch must not suffer
        if not claimed:
            raise
        _bisect(claimed, trouble, clock, states, SYSTEM)
        return len(claimed)
    states.update(ended)
    for event_id in alone:
        _run([event_id], clock, states, SYSTEM)
    return len(claimed)


def _run(ids: list[int], clock: Callable[[], datetime], states: Counter[str], by: Actor) -> None:
    """The same for events already named; one that another drain took meanwhile is left to it."""
    now = clock()
    try:
        with transaction.atomic():
            ended, alone = _work_off(list(_due(now).filter(pk__in=ids).order_by("id")), now, by)
    except Exception as trouble:  # noqa: BLE001 - the good events of the batch must not suffer
        _bisect(ids, trouble, clock, states, by)
        return
    states.update(ended)
    for event_id in alone:
        _run([event_id], clock, states, by)


def _bisect(ids: list[int], trouble: Exception, clock: Callable[[], datetime], states: Counter[str], by: Actor) -> None:
    """Halve until the poisonous event stands alone; everything of the failed transaction has been rolled back."""
    if len(ids) == 1:
        _keep_error(ids[0], trouble, clock(), states)
        return
    middle = len(ids) // 2
    for half in (ids[:middle], ids[middle:]):
        _run(half, clock, states, by)


def _due(now: datetime) -> QuerySet[InboundEvent]:
    waiting = InboundEvent.objects.filter(state__in=_WAITING, next_check_at__lte=now)
    return waiting.select_related("gateway_account").select_for_update(skip_locked=True, of=("self",))


def _work_off(events: Sequence[InboundEvent], now: datetime, by: Actor) -> tuple[Counter[str], list[int]]:
    """Translate, lock, record and conclude inside the open transaction.

    Returns what became of them by state, to be counted once the transaction stands, and those that need one of their own.
    """
    readings = [read(event) for event in events]
    busy = needing_own_transaction(readings) if len(readings) > 1 else frozenset()
    together = [reading for reading in readings if not reading.payment_ids & busy]
    lock_all(together)
    for reading in together:
        conclude(reading, record_reading(reading, by=by, now=now), now=now)
        # Row by row: most runs hold one event, and there bulk_update takes five times as long to write its CASE.
        reading.event.save(update_fields=_CONCLUDED)
    alone = [reading.event.pk for reading in readings if reading.payment_ids & busy]
    return Counter(str(reading.event.state) for reading in together), alone


@transaction.atomic
def _keep_error(event_id: int, trouble: Exception, now: datetime, states: Counter[str]) -> None:
    """The event keeps what went wrong, in its own transaction; after the last try it waits for a person."""
    event = _due(now).filter(pk=event_id).first()
    if event is None:
        return  # another drain has it, or has done it
    event.attempts += 1
    event.error = describe(trouble)
    if event.attempts >= TRIES:
        event.state, event.next_check_at = EventState.POISONED, None
        event.outcome = f"It failed {event.attempts} times and waits for a person to replay it."
    else:
        event.next_check_at = now + timedelta(seconds=_BACK_OFF[event.attempts - 1])
    event.save(update_fields=["attempts", "error", "state", "outcome", "next_check_at"])
    states["failed" if event.next_check_at else str(event.state)] += 1
    log.warning("Inbound event %s failed, try %s of %s: %s", event.public_id, event.attempts, TRIES, event.error)
