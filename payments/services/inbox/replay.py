"""How does a person have an event worked on again, and what would change? The drain's code, rolled back or not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction

from payments.decisions import Verdict
from payments.errors import NotFound
from payments.models import InboundEvent, Transition
from payments.services.actors import SYSTEM, Actor
from payments.services.inbox.apply import conclude, describe, lock_all, read, record_reading
from payments.services.inbox.drain import run_alone
from payments.services.recording import Recorded
from payments.states import EventState


@dataclass(frozen=True, slots=True)
class FactPreview:
    """What one fact of the event would do; `changes` are lines such as "payment: pending → captured"."""

    fact: str
    gateway_id: str
    verdict: Verdict
    because: str
    changes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReplayPreview:
    """What a replay now would do. `state` and `outcome`: what the event would become. `error`: how it would fail."""

    event_id: str
    event_type: str
    state: str
    outcome: str
    facts: tuple[FactPreview, ...] = ()
    error: str = ""

    @property
    def changes_anything(self) -> bool:
        return any(fact.changes for fact in self.facts)


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """What became of the event."""

    event_id: str
    state: str
    outcome: str
    error: str = ""


def preview_replay(event_public_id: str, *, now: datetime) -> ReplayPreview:
    """This function will run the event through the code of a replay, constraints included, and roll all of it back.

    Raises: NotFound. Writes: nothing that stays.
    """
    event = _get(event_public_id)
    try:
        with transaction.atomic():
            preview = _run_dry(event_public_id, now)
            transaction.set_rollback(True)
    except Exception as trouble:  # noqa: BLE001 - that it would fail, and how, is the answer
        return ReplayPreview(
            event.public_id, event.event_type, event.state, "It would fail again.", error=describe(trouble)
        )
    return preview


def replay_event(event_public_id: str, *, actor: Actor, now: datetime) -> ReplayResult:
    """This function will put the event back to the start and work it off at once, whatever state it is in.

    What it states and we know already is not done again: movements are unique by the gateway's own identity.
    Raises: Forbidden, NotFound. Idempotent on: the movements it names. Writes: the event, and what its facts change.
    """
    actor.require("payments.replay_event")
    with transaction.atomic():
        event = _get(event_public_id, lock=True)
        event.state, event.attempts, event.error, event.next_check_at = EventState.STORED, 0, "", now
        event.outcome = f"Replay asked for by {actor.label}." if actor.label else ""
        event.save(update_fields=["state", "attempts", "error", "next_check_at", "outcome"])
    run_alone(event.pk, lambda: now, by=actor)
    event.refresh_from_db()
    return ReplayResult(event.public_id, event.state, event.outcome, event.error)


def replay_events(
    *, states: Sequence[EventState], event_ids: Sequence[str], actor: Actor, clock: Callable[[], datetime]
) -> list[ReplayResult]:
    """Replay the named events, or all that are in one of `states`, oldest first. Raises: Forbidden, NotFound."""
    return [replay_event(public_id, actor=actor, now=clock()) for public_id in _chosen(states, event_ids)]


def preview_replays(
    *, states: Sequence[EventState], event_ids: Sequence[str], clock: Callable[[], datetime]
) -> list[ReplayPreview]:
    """The same as a dry run: each event by itself, as if the others were not replayed. Raises: NotFound."""
    return [preview_replay(public_id, now=clock()) for public_id in _chosen(states, event_ids)]


def _chosen(states: Sequence[EventState], event_ids: Sequence[str]) -> list[str]:
    if event_ids:
        return [_get(public_id).public_id for public_id in event_ids]
    rows = InboundEvent.objects.filter(state__in=[state.value for state in states]).order_by("id")
    return list(rows.values_list("public_id", flat=True))


def _get(public_id: str, *, lock: bool = False) -> InboundEvent:
    rows = InboundEvent.objects.select_related("gateway_account").filter(public_id=public_id)
    event = (rows.select_for_update(of=("self",)) if lock else rows).first()
    if event is None:
        raise NotFound(f"There is no event {public_id}.")
    return event


def _run_dry(public_id: str, now: datetime) -> ReplayPreview:
    reading = read(_get(public_id, lock=True))
    lock_all([reading])
    recorded = record_reading(reading, by=SYSTEM, now=now)
    conclude(reading, recorded, now=now)
    connection.check_constraints()  # what would only be refused at commit is refused here
    event = reading.event
    facts = reading.message.facts if reading.message else ()
    return ReplayPreview(
        event.public_id,
        event.event_type,
        event.state,
        event.outcome,
        tuple(
            FactPreview(str(fact.kind), fact.gateway_id, item.verdict, item.because, _changes(item))
            for fact, item in zip(facts, recorded, strict=True)
        ),
    )


def _changes(recorded: Recorded) -> tuple[str, ...]:
    """What the transition row of the fact says, in lines."""
    if not recorded.changed or recorded.transition_id is None:
        return ()
    row = Transition.objects.get(pk=recorded.transition_id)
    lines = [*_moves(row.before, row.after)]
    if row.entry_source_key:
        lines.append(f"journal entry: {row.entry_source_key}")
    return tuple(lines) or (recorded.because,)


def _moves(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    names = dict.fromkeys([*before, *after])
    return [f"{n}: {before.get(n, 'new')} → {after.get(n, 'gone')}" for n in names if before.get(n) != after.get(n)]
