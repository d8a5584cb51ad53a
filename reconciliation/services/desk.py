"""Who looks into a break, what did they find, and by when? Taking, notes, evidence, snoozing; and what is overdue rises.

Nothing here ends a break or moves money. Notes and evidence are appended; a correction is another one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import PurePath
from typing import Final

from django.contrib.auth.models import User
from django.db import transaction

from payments.card_numbers import has_card_number
from payments.errors import CardNumberRefused, Conflict, InvalidInput, NotAllowedNow, NotFound
from payments.services.actors import Actor
from reconciliation.models import Break, BreakEvidence, BreakNote
from reconciliation.services.resolutions.meeting import has_met
from reconciliation.states import OPEN_BREAK_STATES, BreakState

RESOLVE: Final = "reconciliation.resolve_break"
MOST_BYTES: Final = 5 * 1024 * 1024
CONTENT_TYPES: Final = {
    ".pdf": "application/pdf", ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg",
    ".csv": "text/csv", ".txt": "text/plain", ".eml": "message/rfc822", ".json": "application/json",
    ".xml": "application/xml",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}  # fmt: skip
"""What may be laid beside a break. The name says the type: what a browser claims is not asked."""
_MAGIC: Final = {
    ".pdf": b"%PDF-", ".png": b"\x89PNG", ".jpg": b"\xff\xd8", ".jpeg": b"\xff\xd8", ".xlsx": b"PK\x03\x04"
}  # fmt: skip
_TEXT: Final = frozenset({".csv", ".txt", ".eml", ".json", ".xml"})
_LONGEST_SNOOZE: Final = timedelta(days=30)
_SHORTEST: Final = 5
_ESCALATED_AGAIN: Final = timedelta(days=1)
_MOST_AT_ONCE: Final = 500
_OPEN: Final = [state.value for state in OPEN_BREAK_STATES]


def take(break_id: str, *, version: int, actor: Actor, now: datetime) -> Break:
    """This function will make the actor the one who looks into it.

    Raises: NotFound, Forbidden, NotAllowedNow (ended), Conflict naming who has it. Idempotent on: the actor.
    Writes: the break, a note.
    """
    with transaction.atomic():
        broken = _open(break_id, actor)
        if broken.owner_id is not None and broken.owner_id == actor.user_id:
            return broken
        _require_version(broken, version)
        if broken.owner is not None:
            who = broken.owner.get_username()
            raise Conflict(f"{who} is looking into it: ask them to give it to you.", who=who)
        return _give(broken, actor.user_id, f"{actor.label} looks into it.", actor, now)


def release(break_id: str, *, version: int, actor: Actor, now: datetime) -> Break:
    """This function will give a break back to everybody.

    Raises: NotFound, Forbidden, NotAllowedNow, Conflict. Idempotent on: having no owner. Writes: the break, a note.
    """
    with transaction.atomic():
        broken = _open(break_id, actor)
        if broken.owner_id is None:
            return broken
        _require_version(broken, version)
        return _give(broken, None, f"{actor.label} gave it back to everybody.", actor, now)


def give(break_id: str, *, to: str, version: int, actor: Actor, now: datetime) -> Break:
    """This function will hand a break to another person who may resolve it.

    Raises: NotFound, Forbidden, NotAllowedNow, Conflict, InvalidInput (to). Writes: the break, a note.
    """
    with transaction.atomic():
        broken = _open(break_id, actor)
        _require_version(broken, version)
        user = User.objects.filter(username=to.strip(), is_active=True).first()
        if user is None or RESOLVE not in Actor.for_user(user).permissions:
            raise InvalidInput(f"{to} is nobody who may resolve breaks.", field="to")
        return _give(broken, user.pk, f"{actor.label} gave it to {user.get_username()}.", actor, now)


def snooze(break_id: str, *, until: datetime, because: str, version: int, actor: Actor, now: datetime) -> Break:
    """This function will keep a break out of the queue until a moment; its age and its due time go on.

    Raises: NotFound, Forbidden, NotAllowedNow, Conflict, InvalidInput (until, because). Writes: the break, a note.
    """
    if not now < until <= now + _LONGEST_SNOOZE:
        raise InvalidInput(f"Snooze until a moment within the next {_LONGEST_SNOOZE.days} days.", field="until")
    reason = _text(because, "because")
    with transaction.atomic():
        broken = _open(break_id, actor)
        _require_version(broken, version)
        broken.snoozed_until, broken.snoozed_because = until, reason[:200]
        broken.version += 1
        broken.save(update_fields=["snoozed_until", "snoozed_because", "version"])
        _append(broken, f"Snoozed until {until:%d %b %Y %H:%M} UTC: {reason}", actor, now)
        return broken


def add_note(break_id: str, text: str, *, actor: Actor, now: datetime) -> BreakNote:
    """This function will append what somebody found out, also to a break that has ended.

    Raises: NotFound, Forbidden, InvalidInput, CardNumberRefused. Writes: the note.
    """
    actor.require(RESOLVE)
    said = _text(text, "text")
    with transaction.atomic():
        return _append(_find(break_id), said, actor, now)


def lay_evidence(break_id: str, *, name: str, content: bytes, actor: Actor, now: datetime) -> BreakEvidence:
    """This function will keep a file beside a break, with its digest; its content never changes.

    Raises: NotFound, Forbidden, InvalidInput (size, type), CardNumberRefused. Idempotent on: the content.
    Writes: the evidence.
    """
    actor.require(RESOLVE)
    file_name = PurePath(name.replace("\\", "/")).name.strip()[:200]
    ending = PurePath(file_name).suffix.lower()
    _check_file(file_name, ending, content)
    digest = hashlib.sha256(content).hexdigest()
    with transaction.atomic():
        broken = _find(break_id, lock=True)
        known = broken.evidence.filter(sha256=digest).first()
        return known or BreakEvidence.objects.create(
            broken=broken,
            name=file_name,
            content_type=CONTENT_TYPES[ending],
            content=content,
            size=len(content),
            sha256=digest,
            by=actor.label[:100],
            at=now,
        )


def _check_file(name: str, ending: str, content: bytes) -> None:
    _refuse_card_number(name, field="file")
    if not content:
        raise InvalidInput("The file is empty.", field="file")
    if len(content) > MOST_BYTES:
        raise InvalidInput(f"The file is larger than {MOST_BYTES // 1024 // 1024} MB.", field="file")
    if ending not in CONTENT_TYPES:
        raise InvalidInput(f"Evidence is one of: {', '.join(sorted(CONTENT_TYPES))}.", field="file")
    if not content.startswith(_MAGIC.get(ending, b"")):
        raise InvalidInput(f"This is no {ending} file, whatever its name says.", field="file")
    if ending in _TEXT:
        _refuse_card_number(content.decode("utf-8", errors="replace"), field="file")


def watch(clock: Callable[[], datetime]) -> None:
    """This function will do what time alone asks for: see `escalate_due` and `return_due_timing`."""
    escalate_due(clock)
    return_due_timing(clock)


def escalate_due(clock: Callable[[], datetime]) -> int:
    """This function will lift what is past its time: it is marked, said in its notes, and taken from an owner who sleeps.

    It never resolves anything. Once a day while it stays so. Says how many. Writes: breaks, notes, row by row.
    """
    now = clock()
    due = Break.objects.filter(state__in=_OPEN, due_at__lte=now).exclude(escalated_at__gt=now - _ESCALATED_AGAIN)
    lifted = 0
    for pk in list(due.order_by("due_at", "id").values_list("pk", flat=True)[:_MOST_AT_ONCE]):
        with transaction.atomic():
            lifted += _escalate(pk, now)
    return lifted


def _escalate(pk: int, now: datetime) -> bool:
    broken = Break.objects.select_for_update(skip_locked=True, no_key=True).filter(pk=pk, state__in=_OPEN).first()
    if broken is None:
        return False
    again = broken.escalated_at is not None
    broken.escalated_at = now
    broken.snoozed_until, broken.snoozed_because = None, ""
    broken.save(update_fields=["escalated_at", "snoozed_until", "snoozed_because"])
    if not again:
        said = f"Past its time since {broken.due_at:%d %b %Y %H:%M} UTC: it stands first in the queue."
        BreakNote.objects.create(broken=broken, text=said, by="", at=now)
    return True


def return_due_timing(clock: Callable[[], datetime]) -> int:
    """This function will open again what was marked as timing and has not come by its day. Says how many.

    Writes: breaks, notes, row by row.
    """
    now = clock()
    past = Break.objects.filter(expected_until__lt=now.date(), state=BreakState.RESOLVED)
    opened = 0
    for pk in list(past.order_by("expected_until", "id").values_list("pk", flat=True)[:_MOST_AT_ONCE]):
        with transaction.atomic():
            opened += _open_again(pk, now)
    return opened


def _open_again(pk: int, now: datetime) -> bool:
    broken = Break.objects.select_for_update(skip_locked=True, no_key=True).filter(pk=pk).first()
    if broken is None or broken.expected_until is None or broken.state != BreakState.RESOLVED:
        return False
    until, broken.expected_until = broken.expected_until, None
    twin = Break.objects.filter(account_id=broken.account_id, kind=broken.kind, key=broken.key, state__in=_OPEN)
    if has_met(broken) or twin.exists():
        broken.save(update_fields=["expected_until"])
        return False
    broken.mark_reopened()
    broken.ended_at, broken.ended_by = None, ""
    broken.version += 1
    broken.save(update_fields=["state", "expected_until", "ended_at", "ended_by", "version"])
    said = f"It was expected until {until:%d %b %Y} and has not come."
    BreakNote.objects.create(broken=broken, text=said, by="", at=now)
    return True


# --- one break --------------------------------------------------------------------------------------------------------


def _find(break_id: str, *, lock: bool = False) -> Break:
    rows = Break.objects.select_for_update(no_key=True) if lock else Break.objects
    broken = rows.filter(public_id=break_id).first()
    if broken is None:
        raise NotFound(f"There is no break {break_id}.")
    return broken


def _open(break_id: str, actor: Actor) -> Break:
    actor.require(RESOLVE)
    broken = _find(break_id, lock=True)
    if BreakState(broken.state) not in OPEN_BREAK_STATES:
        raise NotAllowedNow(f"The break is {broken.state.replace('_', ' ')} already, by {broken.ended_by}.")
    return broken


def _require_version(broken: Break, version: int) -> None:
    if broken.version != version:
        who = broken.owner.get_username() if broken.owner else "A run"
        raise Conflict(f"The break changed since you looked at it. {who} was last at it.", who=who, what=broken.because)


def _give(broken: Break, user_id: int | None, said: str, actor: Actor, now: datetime) -> Break:
    broken.owner_id = user_id
    if user_id is not None and broken.state == BreakState.OPEN:
        broken.mark_investigating()
    elif user_id is None and broken.state == BreakState.INVESTIGATING:
        broken.mark_released()
    broken.version += 1
    broken.save(update_fields=["owner", "state", "version"])
    _append(broken, said, actor, now)
    return broken


def _append(broken: Break, text: str, actor: Actor, now: datetime) -> BreakNote:
    return BreakNote.objects.create(broken=broken, text=text, by=actor.label[:100], at=now)


def _text(text: str, field: str) -> str:
    said = text.strip()
    if len(said) < _SHORTEST:
        raise InvalidInput("Write what you saw, in a few words.", field=field)
    _refuse_card_number(said, field=field)
    return said


def _refuse_card_number(text: str, field: str) -> None:
    if has_card_number(text):
        raise CardNumberRefused("This looks like a card number: it is not kept. Leave it out.", field=field)
