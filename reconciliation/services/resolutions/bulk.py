"""How do breaks of one cause end together? One request over exactly these breaks and sums; each in a savepoint of its own.

What refuses is left open with the refusal in its notes; the others are ended. The header keeps every outcome.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import transaction

from ledger.money import Money
from payments.errors import Conflict, InvalidInput, NotAllowedNow, PaymentsError
from payments.services.actors import Actor
from payments.services.approvable import Approvable, Approval, Line
from payments.services.approvals import ask_approval
from payments.services.calls import Clock
from payments.services.limits import needs_second_person, spend
from reconciliation.fixes import BULK_FIXES, Fix, fixes_for
from reconciliation.models import Break, BreakNote, Resolution
from reconciliation.queries.break_words import kind_words
from reconciliation.services.comparison_lock import hold_still, wait_for_run
from reconciliation.services.resolutions.base import RESOLVE, By, Command, require_words
from reconciliation.services.resolutions.commanding import (
    LIMIT,
    NOTE_NEEDED,
    REASONS,
    TWO_PEOPLE,
    Wish,
    carry_out,
    lock_break,
)
from reconciliation.services.resolutions.registry import command_of
from reconciliation.services.resolutions.showing import answers_shown
from reconciliation.states import OPEN_BREAK_STATES, BreakState

MOST: Final = 500
"""Breaks of one bulk fix; a cause of more is ended in several."""
_OPEN: Final = [state.value for state in OPEN_BREAK_STATES]


@dataclass(frozen=True, slots=True)
class BulkWish:
    """One fix over named breaks. `versions` are those of the breaks as they were listed."""

    command: str
    answers: Mapping[str, Any]
    reason: str
    note: str
    versions: Mapping[str, int]
    request_id: str

    def as_arguments(self) -> dict[str, Any]:
        """As an approval keeps it."""
        return {
            "command": self.command,
            "answers": dict(self.answers),
            "reason": self.reason,
            "note": self.note,
            "versions": dict(sorted(self.versions.items())),
            "request_id": self.request_id,
        }


@dataclass(frozen=True, slots=True)
class BulkDone:
    """Either the header with every outcome, or the request to a second person."""

    header: Resolution | None = None
    approval: Approval | None = None


def breaks_of_cause(break_id: str) -> list[Break]:
    """Open breaks that share account, kind, currency and cause with this one, oldest first; at most `MOST`."""
    first = Break.objects.filter(public_id=break_id).first()
    if first is None:
        return []
    rows = Break.objects.filter(
        account_id=first.account_id, kind=first.kind, currency=first.currency, cause=first.cause, state__in=_OPEN
    )
    return list(rows.select_related("account", "line__statement").order_by("day", "id")[:MOST])


def preview_bulk(break_id: str, wish: BulkWish, *, actor: Actor, now: datetime) -> tuple[tuple[Line, ...], str]:
    """What it is about: count, sums and every break; and why it takes a second person (empty: it does not).

    Raises: Forbidden, InvalidInput, NotAllowedNow. Writes nothing.
    """
    command = _check(wish, actor)
    rows = _rows(wish)
    return tuple(_lines(wish, rows)), _second_person(command, rows, actor, now)


def resolve_bulk(break_id: str, wish: BulkWish, *, actor: Actor, clock: Clock) -> BulkDone:
    """This function will end breaks of one cause by one fix, or ask a second person to agree to exactly these.

    Raises: Forbidden, InvalidInput, NotAllowedNow, Conflict. Idempotent on: request_id.
    Writes: for each break what its fix writes, or a note with the refusal; the header.
    """
    command = _check(wish, actor)
    earlier = Resolution.objects.filter(request_id=wish.request_id).first()
    if earlier is not None:
        if earlier.inputs.get("versions") != dict(wish.versions):
            raise Conflict("This request was for other breaks. Open the list again.", what=earlier.public_id)
        return BulkDone(header=earlier)
    _ask_gateway(command, wish, actor, clock)
    now = clock()
    with transaction.atomic():
        rows = _rows(wish)
        why = _second_person(command, rows, actor, now) or spend(LIMIT, _sums(rows), actor=actor, now=now)
        if not why:
            return BulkDone(header=_end_all(command, wish, By(actor, wish.request_id, now), None, None))
    approval = ask_approval("resolve_breaks", break_id, wish.as_arguments(), reason=wish.note, actor=actor, now=now)
    return BulkDone(approval=approval)


def _check(wish: BulkWish, actor: Actor) -> Command:
    actor.require(RESOLVE)
    command = command_of(wish.command)
    if command.fix not in BULK_FIXES:
        raise InvalidInput(f"{command.label} needs a look at every single break.", field="command")
    if wish.reason not in REASONS:
        raise InvalidInput("Choose a reason from the list.", field="reason")
    require_words(wish.note, "note", NOTE_NEEDED)
    if not 0 < len(wish.versions) <= MOST:
        raise InvalidInput(f"One to {MOST} breaks at a time.", field="versions")
    return command


def _rows(wish: BulkWish) -> list[Break]:
    """The breaks as they are now. Raises: NotAllowedNow where they share no cause, or the fix is none of theirs."""
    rows = list(
        Break.objects.filter(public_id__in=list(wish.versions))
        .select_related("account", "line__statement")
        .order_by("id")
    )
    shared = {(row.account_id, row.kind, row.currency, row.cause) for row in rows}
    if len(rows) != len(wish.versions) or len(shared) != 1:
        raise NotAllowedNow("These breaks do not share one cause.")
    if Fix(wish.command) not in fixes_for(rows[0].kind):
        raise NotAllowedNow(f"A {rows[0].kind.replace('_', ' ')} is not ended that way.")
    return rows


def _ask_gateway(command: Command, wish: BulkWish, actor: Actor, clock: Clock) -> None:
    """One question a break. One that is not answered is refused in its own row, not here."""
    if command.before is None:
        return
    for broken in _rows(wish):
        try:
            command.before(broken, wish.answers, actor, clock)
        except PaymentsError:
            continue


def _end_all(command: Command, wish: BulkWish, by: By, checker: Actor | None, approval: Approval | None) -> Resolution:
    hold_still(Break.objects.filter(public_id__in=list(wish.versions)).values_list("account_id", flat=True))
    header = Resolution.objects.create(
        command=f"bulk {command.fix.value}"[:30],
        reason=wish.reason,
        note=wish.note.strip(),
        by=by.actor.label[:100],
        approved_by=checker.label[:100] if checker else "",
        approval_public_id=approval.public_id if approval else "",
        request_id=wish.request_id,
        inputs={"answers": dict(wish.answers), "versions": dict(wish.versions)},
        at=by.now,
    )
    outcomes = [
        (public_id, *_end_one(command, public_id, wish, by, checker, approval)) for public_id in sorted(wish.versions)
    ]
    header.effects = {"outcomes": [[public_id, ended, said] for public_id, ended, said in outcomes]}
    header.save(update_fields=["effects"])
    return header


def _end_one(
    command: Command, public_id: str, wish: BulkWish, by: By, checker: Actor | None, approval: Approval | None
) -> tuple[bool, str]:
    """Ended, or refused with the refusal in its notes: nothing of a refused one stays."""
    own = Wish(
        wish.command, wish.answers, wish.reason, wish.note, wish.versions[public_id],
        f"{wish.request_id[:32]}:{public_id[-20:]}",
    )  # fmt: skip
    try:
        with transaction.atomic():
            broken = lock_break(public_id)
            if BreakState(broken.state) not in OPEN_BREAK_STATES:
                raise NotAllowedNow(f"It is {broken.state.replace('_', ' ')} already, by {broken.ended_by}.")
            if broken.version != own.version:
                raise NotAllowedNow("It has changed since the list was drawn.")
            if command.evidence and not broken.evidence.exists():
                raise NotAllowedNow("This needs evidence: add a file to the break first.")
            done = carry_out(
                command, broken, own, By(by.actor, own.request_id, by.now), checker=checker, approval=approval
            )
    except PaymentsError as refusal:
        broken = lock_break(public_id)
        said = f"A fix of several was refused here: {refusal.detail}"
        BreakNote.objects.create(broken=broken, text=said, by=by.actor.label[:100], at=by.now)
        return False, refusal.detail
    return True, done.public_id


def _sums(rows: Sequence[Break]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for row in rows:
        if row.currency:
            size = max(row.value_minor, abs(row.difference_minor))
            sums[row.currency] = sums.get(row.currency, 0) + size
    return {currency: minor for currency, minor in sums.items() if minor}


def _second_person(command: Command, rows: Sequence[Break], actor: Actor, now: datetime) -> str:
    return TWO_PEOPLE if command.two_people else needs_second_person(LIMIT, _sums(rows), actor=actor, now=now)


def _lines(wish: BulkWish, rows: Sequence[Break]) -> list[Line]:
    """Every break with its sums: what is agreed to are these and no others."""
    first = rows[0]
    net = sum(row.difference_minor for row in rows)
    lines: list[Line] = [
        ("Cause", f"{kind_words(first.kind)}, {first.account.name}: {first.cause.replace('_', ' ')}"),
        ("Breaks", str(len(rows))),
    ]
    if first.currency:
        lines.append(("Difference in all", str(Money(net, first.currency))))
        lines.append(("Value at risk in all", str(Money(sum(row.value_minor for row in rows), first.currency))))
    command = command_of(wish.command)
    lines.append(("Fix", command.label))
    lines += answers_shown(command, wish.answers, first.currency)
    lines += [(row.public_id, _words(row)) for row in rows]
    return [*lines, ("Reason", wish.reason.replace("_", " ")), ("Note", wish.note.strip())]


def _words(row: Break) -> str:
    money = str(Money(row.difference_minor, row.currency)) if row.currency else "no money"
    return f"{money}, {row.day}"


# --- by two people ----------------------------------------------------------------------------------------------------


def _wish(arguments: Mapping[str, Any]) -> BulkWish:
    return BulkWish(
        arguments["command"], arguments["answers"], arguments["reason"], arguments["note"], arguments["versions"],
        arguments["request_id"],
    )  # fmt: skip


def _show(subject: str, arguments: Mapping[str, Any], now: datetime) -> list[Line]:
    wish = _wish(arguments)
    rows = _rows(wish)
    if any(row.state not in _OPEN for row in rows):
        raise NotAllowedNow("Some of them have ended meanwhile.")
    return _lines(wish, rows)


def _execute(
    subject: str, arguments: Mapping[str, Any], *, maker: Actor, checker: Actor, approval: Approval, now: datetime
) -> str:
    wish = _wish(arguments)
    command = _check(wish, maker)
    header = _end_all(command, wish, By(maker, wish.request_id, now), checker, approval)
    outcomes = header.effects["outcomes"]
    ended = sum(1 for _, done, _ in outcomes if done)
    refused = len(outcomes) - ended
    rest = f", {refused} refused: see the notes of each" if refused else ""
    return f"{ended} breaks are ended by “{command.label}”{rest} ({header.public_id})."


def _before(subject: str, arguments: Mapping[str, Any], clock: Clock) -> None:
    wish = _wish(arguments)
    wait_for_run(_rows(wish)[0].account_id)
    _ask_gateway(command_of(wish.command), wish, Actor(label="", is_system=True), clock)


RESOLVE_BREAKS: Final = Approvable(
    title="Resolve breaks of one cause", right=RESOLVE, show=_show, execute=_execute, before=_before
)
