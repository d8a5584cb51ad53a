"""Has a second person agreed? Requests are bound by digest to exactly what was shown, expire, and are checked again under lock.

Locks are taken in this order: the approval, then what its command locks. Maker is never checker.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import User
from django.db import connection, transaction

from payments.errors import Conflict, Forbidden, InvalidInput, NotAllowedNow, NotFound, PaymentsError
from payments.models import Approval
from payments.services.actors import SYSTEM, Actor
from payments.services.approvable import COMMANDS, Approvable, Arguments, Line, approvable
from payments.services.calls import Clock
from payments.states import ApprovalState

APPROVE = "payments.approve"
_SHORTEST_REASON = 5
_MOST_EXPIRED = 200


def ask_approval(
    command: str, subject: str, arguments: Arguments, *, reason: str, actor: Actor, now: datetime
) -> Approval:
    """This function will ask a second person to agree to a command on one subject.

    Raises: Forbidden, InvalidInput (command, reason, what the command's `show` refuses); Conflict naming who has asked
    already. Idempotent on: command, subject, what is shown and who asks, while the request is pending.
    Writes: the approval; an older one that has run out or no longer holds is ended.
    """
    offered = approvable(command)
    actor.require(offered.right)
    if len(reason.strip()) < _SHORTEST_REASON:
        raise InvalidInput("A second person needs a reason: why is this wanted?", field="reason")
    arguments = json.loads(json.dumps(dict(arguments)))  # as they will be read back
    with transaction.atomic():
        _lock_asking(command, subject)
        shown = _lines(offered, subject, arguments, now)
        digest = digest_of(command, subject, arguments, shown)
        pending = _pending(command, subject, now)
        if pending is not None:
            return _same(pending, digest, actor)
        return Approval.objects.create(
            command=command,
            subject=subject,
            arguments=arguments,
            shown=[list(line) for line in shown],
            digest=digest,
            reason=reason.strip()[:400],
            asked_by=actor.label[:100],
            asked_by_user_id=actor.user_id,
            asked_at=now,
            expires_at=now + offered.lives,
            due_at=now + min(offered.due_in, offered.lives),
        )


def digest_of(command: str, subject: str, arguments: Arguments, shown: Sequence[Line]) -> str:
    """SHA-256 over canonical JSON of all that was shown and of what would be executed."""
    bound = [command, subject, dict(arguments), [list(line) for line in shown]]
    text = json.dumps(bound, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()


def refusal_of(approval: Approval, actor: Actor, now: datetime) -> str:
    """Why this person can not decide the request; empty: they can. Pages say it before a button is pressed."""
    if approval.state != ApprovalState.PENDING:
        return f"The request is {approval.state} already{_by(approval)}."
    if now >= approval.expires_at:
        return "The request has expired: it has to be asked for anew."
    if actor.user_id is None:
        return "A request is decided by a person, signed in."
    if _same_person(approval, actor):
        return "You asked for this yourself: another person has to agree."
    needed = rights_to_decide(approval)
    if not needed:
        return "This is no longer offered: it runs out by itself."
    missing = [right for right in needed if right not in actor.permissions]
    return f"This needs the right {missing[0].partition('.')[2].replace('_', ' ')}." if missing else ""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What agreeing would rest on, read just now. `changed` says what is no longer as it was shown; empty: all is."""

    digest: str
    lines: tuple[Line, ...]
    changed: str


def prepare(public_id: str, *, actor: Actor, clock: Clock) -> Prepared:
    """This function will read anew what a request is about, for the person who is to decide it. Decides nothing.

    Raises: NotFound, Forbidden, Conflict (decided or expired already), and what the command's `before` raises.
    Writes: what the command's `before` writes, e.g. what a gateway told when asked.
    """
    approval = _find(public_id)
    offered = approvable(approval.command)
    _require_pending(approval)
    _require_checker(approval, offered, actor)
    if clock() >= approval.expires_at:
        raise Conflict("The request has expired: it has to be asked for anew.")
    if offered.before is not None:
        offered.before(approval.subject, approval.arguments, clock)
    try:
        shown = _lines(offered, approval.subject, approval.arguments, clock())
    except PaymentsError as refusal:
        return Prepared(approval.digest, tuple(map(_line, approval.shown)), refusal.detail)
    same = digest_of(approval.command, approval.subject, approval.arguments, shown) == approval.digest
    return Prepared(approval.digest, tuple(shown), "" if same else _differences(approval.shown, shown))


def _line(stored: Sequence[str]) -> Line:
    return stored[0], stored[1]


def rights_to_decide(approval: Approval) -> tuple[str, ...]:
    """What deciding takes; nothing for a command that is no longer offered, which nobody can decide."""
    return (APPROVE, approvable(approval.command).right) if approval.command in COMMANDS else ()


def approve(public_id: str, *, digest: str, note: str, actor: Actor, clock: Clock) -> Approval:
    """This function will carry the command out as the second person, if everything is still as both of them saw it.

    Answers with the request: executed, or outdated or expired with what is no longer so in `outcome`.
    Raises: NotFound; Forbidden (rights, the maker); Conflict (decided by somebody else, other digest).
    Idempotent on: the request and the person; pressing twice carries out once.
    Writes: the approval, and whatever the command writes, in one transaction.
    """
    found = _find(public_id)
    offered = approvable(found.command)
    if found.state == ApprovalState.PENDING:
        _require_checker(found, offered, actor)
        if offered.before is not None and clock() < found.expires_at:
            offered.before(found.subject, found.arguments, clock)
    now = clock()
    with transaction.atomic():
        approval = Approval.objects.select_for_update().get(pk=found.pk)
        if approval.state == ApprovalState.EXECUTED and approval.decided_by_user_id == actor.user_id:
            return approval
        _require_pending(approval)
        _require_checker(approval, offered, actor)
        _require_digest(approval, digest)
        if now >= approval.expires_at:
            return _expire(approval, now)
        approval.note = note.strip()[:400]
        return _carry_out(approval, offered, actor, now)


def _carry_out(approval: Approval, offered: Approvable, checker: Actor, now: datetime) -> Approval:
    """The command inside a savepoint: a refusal takes back all it wrote, and ends the request."""
    try:
        with transaction.atomic():
            maker = _maker(approval, offered)
            if offered.lock is not None:
                offered.lock(approval.subject, approval.arguments)
            shown = _lines(offered, approval.subject, approval.arguments, now)
            if digest_of(approval.command, approval.subject, approval.arguments, shown) != approval.digest:
                raise NotAllowedNow(_differences(approval.shown, shown))
            outcome = offered.execute(
                approval.subject, approval.arguments, maker=maker, checker=checker, approval=approval, now=now
            )
    except PaymentsError as refusal:
        approval.mark_outdated()
        return _close(approval, checker, now, f"Not carried out: {refusal.detail}", offered)
    approval.mark_executed()
    return _close(approval, checker, now, outcome)


def reject(public_id: str, *, note: str, actor: Actor, now: datetime) -> Approval:
    """This function will say no to a request, with the reason.

    Raises: NotFound, Forbidden (rights, the maker: who withdraws), InvalidInput (note), Conflict (decided already).
    Idempotent on: the request and the person. Writes: the approval; the command hears that it ended.
    """
    if len(note.strip()) < _SHORTEST_REASON:
        raise InvalidInput("Saying no needs a note: the person who asked reads it.", field="note")
    offered = approvable(_find(public_id).command)
    with transaction.atomic():
        approval = Approval.objects.select_for_update().get(public_id=public_id)
        if approval.state == ApprovalState.REJECTED and approval.decided_by_user_id == actor.user_id is not None:
            return approval
        _require_pending(approval)
        _require_checker(approval, offered, actor)
        if now >= approval.expires_at:
            return _expire(approval, now)
        approval.note = note.strip()[:400]
        approval.mark_rejected()
        return _close(approval, actor, now, "Rejected.", offered)


def withdraw(public_id: str, *, actor: Actor, now: datetime) -> Approval:
    """This function will take a request back; only who made it can.

    Raises: NotFound, Forbidden (not the maker), Conflict (decided already). Idempotent on: the request.
    Writes: the approval; the command hears that it ended.
    """
    offered = approvable(_find(public_id).command)
    with transaction.atomic():
        approval = Approval.objects.select_for_update().get(public_id=public_id)
        if not _same_person(approval, actor):
            raise Forbidden(f"Only {approval.asked_by or 'the system'} can withdraw this; you can reject it.")
        if approval.state == ApprovalState.REJECTED and _decided_by_maker(approval):
            return approval
        _require_pending(approval)
        approval.mark_rejected()
        return _close(approval, actor, now, "Withdrawn by the person who asked.", offered)


def expire_due(now: datetime) -> int:
    """This function will end requests nobody decided in time, and say how many. Writes: approvals, row by row."""
    due = Approval.objects.filter(state=ApprovalState.PENDING, expires_at__lte=now).order_by("expires_at")
    ended = 0
    for pk in list(due.values_list("pk", flat=True)[:_MOST_EXPIRED]):
        with transaction.atomic():
            approval = Approval.objects.select_for_update(skip_locked=True).filter(pk=pk).first()
            if approval is not None and approval.state == ApprovalState.PENDING:
                _expire(approval, now)
                ended += 1
    return ended


# --- one request ------------------------------------------------------------------------------------------------------


def _find(public_id: str) -> Approval:
    approval = Approval.objects.filter(public_id=public_id).first()
    if approval is None:
        raise NotFound(f"There is no approval {public_id}.")
    return approval


def _lines(offered: Approvable, subject: str, arguments: Arguments, now: datetime) -> list[Line]:
    return [(str(label), str(value)) for label, value in offered.show(subject, arguments, now)]


def _lock_asking(command: str, subject: str) -> None:
    """Two people asking at once: the second waits, then hears who was first."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 18))", [f"{command} {subject}"])


def _pending(command: str, subject: str, now: datetime) -> Approval | None:
    """The request that still stands. One that has run out, or would be void if agreed to, makes room."""
    asked = Approval.objects.filter(command=command, subject=subject, state=ApprovalState.PENDING)
    approval = asked.select_for_update(skip_locked=True).first()
    if approval is None:
        if asked.exists():  # waiting for it could lock each other out: whoever decides locks the subject next
            raise Conflict("Somebody is deciding an earlier request of this at this moment. Look again.")
        return None
    if now >= approval.expires_at:
        _expire(approval, now)
        return None
    offered = approvable(command)
    try:
        shown = _lines(offered, subject, approval.arguments, now)
        void = digest_of(command, subject, approval.arguments, shown) != approval.digest
    except PaymentsError as refusal:
        void, shown = True, [("It can no longer be done", refusal.detail)]
    if not void:
        return approval
    approval.mark_outdated()
    _close(approval, SYSTEM, now, f"Asked for anew. {_differences(approval.shown, shown)}", offered)
    return None


def _same(pending: Approval, digest: str, actor: Actor) -> Approval:
    if pending.digest == digest and _same_person(pending, actor):
        return pending
    who = pending.asked_by or "the system"
    what = "this" if pending.digest == digest else "something else here"
    raise Conflict(
        f"{who} has asked for {what} already ({pending.public_id}): it has to be decided or withdrawn first.",
        who=who,
        approval=pending.public_id,
    )


def _same_person(approval: Approval, actor: Actor) -> bool:
    """By user, and by name: a person who also holds an API token of their name is still one person."""
    if approval.asked_by_user_id is not None and approval.asked_by_user_id == actor.user_id:
        return True
    return _name(approval.asked_by) == _name(actor.label)


def _name(label: str) -> str:
    return label.removeprefix("API ").strip().casefold()[:100]


def _decided_by_maker(approval: Approval) -> bool:
    return _name(approval.decided_by) == _name(approval.asked_by)


def _require_pending(approval: Approval) -> None:
    if approval.state != ApprovalState.PENDING:
        raise Conflict(
            f"The request is {approval.state} already{_by(approval)}. {approval.outcome}".strip(),
            who=approval.decided_by,
            what=approval.outcome,
            at=approval.decided_at.isoformat() if approval.decided_at else "",
        )


def _by(approval: Approval) -> str:
    return f", by {approval.decided_by}" if approval.decided_by else ""


def _require_checker(approval: Approval, offered: Approvable, actor: Actor) -> None:
    """A person, not a program; with both rights; and not who asked."""
    if actor.user_id is None:
        raise Forbidden("A request is decided by a person, signed in.")
    if _same_person(approval, actor):
        raise Forbidden("You asked for this yourself: another person has to agree.")
    actor.require(APPROVE)
    actor.require(offered.right)


def _require_digest(approval: Approval, digest: str) -> None:
    if digest != approval.digest:
        raise Conflict("What you were shown is not what is asked for. Open the request again.")


def _maker(approval: Approval, offered: Approvable) -> Actor:
    """Who asked, with the rights they have now. Raises: Forbidden if they could no longer ask."""
    if approval.asked_by_user_id is None:
        return Actor(approval.asked_by, permissions=frozenset({offered.right}), is_system=not approval.asked_by)
    user = User.objects.get(pk=approval.asked_by_user_id)
    if not user.is_active:
        raise Forbidden(f"{approval.asked_by}, who asked for this, no longer works here.")
    maker = Actor.for_user(user)
    maker.require(offered.right)
    return maker


def _expire(approval: Approval, now: datetime) -> Approval:
    approval.mark_expired()
    offered = approvable(approval.command) if approval.command in COMMANDS else None
    return _close(approval, SYSTEM, now, "Nobody decided in time.", offered)


def _close(
    approval: Approval, actor: Actor, now: datetime, outcome: str, offered: Approvable | None = None
) -> Approval:
    """Keep how it ended; with `offered`, its command hears that nothing was carried out."""
    approval.decided_by, approval.decided_by_user_id = actor.label[:100], actor.user_id
    approval.decided_at, approval.outcome = now, outcome[:400]
    approval.save()
    if offered is not None and offered.ended is not None:
        offered.ended(approval.subject, approval, now)
    return approval


def _differences(before: Sequence[Sequence[str]], after: Sequence[Line]) -> str:
    """What is no longer as it was shown, in words."""
    old, new = {line[0]: line[1] for line in before}, dict(after)
    changed = [
        f"{label} was {old[label]}, is {new[label]}" for label in old if label in new and old[label] != new[label]
    ]
    gone = [f"{label} ({old[label]}) is gone" for label in old if label not in new]
    come = [f"{label} ({new[label]}) is new" for label in new if label not in old]
    return "; ".join([*changed, *gone, *come]) + "." if changed or gone or come else "What was shown has changed."
