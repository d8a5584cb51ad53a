"""How is a resolution taken back? Entry, match, break and what followed from them together, in one command, once.

What the gateway itself said stays in the books: it is still true. The break opens with what is left of its difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import transaction

from ledger.money import Money
from ledger.queries import EntryView, entry_by_public_id
from ledger.services import reverse_entry
from payments.errors import Conflict, NotAllowedNow, NotFound
from payments.services.actors import Actor
from payments.services.approvable import Approvable, Approval, Line
from payments.services.approvals import ask_approval
from payments.services.calls import Clock
from payments.services.limits import needs_second_person, spend
from reconciliation.models import Booking, Break, Match, Resolution, ResolvedBreak
from reconciliation.models import Line as StatementLine
from reconciliation.services.comparison_lock import hold_still, wait_for_run
from reconciliation.services.resolutions.base import RESOLVE, balance_account, require_words
from reconciliation.services.resolutions.ending import payments_follow
from reconciliation.services.resolutions.meeting import has_met
from reconciliation.services.resolutions.rematching import matches_changed
from reconciliation.services.resolutions.showing import entries_shown
from reconciliation.states import OPEN_BREAK_STATES

LIMIT: Final = "resolve_break"


@dataclass(frozen=True, slots=True)
class Undone:
    """Either it is taken back, or a second person has been asked."""

    resolution: Resolution | None = None
    approval: Approval | None = None


def preview_undo(resolution_id: str, *, actor: Actor, now: datetime) -> tuple[tuple[Line, ...], str]:
    """What undoing would do, and why it takes a second person (empty: it does not). Writes nothing.

    Raises: NotFound, Forbidden, Conflict (undone already), NotAllowedNow.
    """
    actor.require(RESOLVE)
    resolution = _find(resolution_id)
    _require_undoable(resolution)
    return tuple(_lines(resolution)), _second_person(resolution, actor, now)


def undo(resolution_id: str, *, reason: str, actor: Actor, now: datetime) -> Undone:
    """This function will take a resolution back, or ask a second person where ending it had taken two, or would.

    Raises: NotFound, Forbidden, InvalidInput (reason), Conflict (undone by somebody else), NotAllowedNow.
    Idempotent on: the resolution and the person. Writes: reversals, matches, breaks, the resolution, in one transaction.
    Locks: the resolution, its breaks in id order.
    """
    actor.require(RESOLVE)
    require_words(reason, "reason", "Why is it taken back?")
    with transaction.atomic():
        resolution = _find(resolution_id, lock=True)
        if resolution.undone_at is not None and resolution.undone_by == actor.label[:100]:
            return Undone(resolution=resolution)
        _require_undoable(resolution)
        why = _second_person(resolution, actor, now)
        why = why or spend(LIMIT, _money(resolution), actor=actor, now=now)
        if not why:
            take_back(resolution, reason.strip(), actor, now)
            return Undone(resolution=resolution)
    approval = ask_approval(
        "undo_resolution", resolution_id, {"reason": reason.strip()}, reason=reason, actor=actor, now=now
    )
    return Undone(approval=approval)


def take_back(resolution: Resolution, reason: str, actor: Actor, now: datetime) -> None:
    """Everything at once, under the resolution's lock, while no run compares its accounts. Writes: see `undo`.

    Raises: Conflict (a run does not end).
    """
    hold_still(broken.account_id for broken in _breaks(resolution))
    entries = [entry for entry in _entries(resolution, "entries") if entry.reversed_by is None]
    for entry in entries:
        reverse_entry(
            entry.public_id,
            source_key=f"undo:{resolution.public_id}:{entry.public_id}",
            reason=reason[:200],
            actor=actor.label[:100],
            now=now,
            occurred_at=entry.occurred_at,
        )
    keys = [entry.source_key for entry in entries]
    Booking.objects.filter(entry_source_key__in=keys, undone_at=None).update(undone_at=now)
    _unmatch(resolution, actor, now)
    _count_again(resolution)
    _open_again(resolution)
    payments_follow(resolution, _breaks(resolution), resolution.effects.get("matches", []), now)
    resolution.undone_at, resolution.undone_by = now, actor.label[:100]
    resolution.undone_because = reason[:400]
    resolution.save(update_fields=["undone_at", "undone_by", "undone_because"])


def _unmatch(resolution: Resolution, actor: Actor, now: datetime) -> None:
    matches = list(Match.objects.filter(pk__in=resolution.effects.get("matches", []), undone_at=None).order_by("id"))
    Match.objects.filter(pk__in=[match.pk for match in matches]).update(undone_at=now, undone_by=actor.label[:100])
    matches_changed(matches, now)


def _count_again(resolution: Resolution) -> None:
    """Lines that were dismissed as duplicates. No report said so: it is no change of a line's own story."""
    StatementLine.objects.filter(pk__in=resolution.effects.get("removed_lines", [])).update(removed=False)


def _open_again(resolution: Resolution) -> None:
    """Each break with its difference. What the gateway's word booked for no line in particular is explained for good; where
    line and movement had met, both are open again and both sides count as before.

    One whose difference a run has opened anew meanwhile stays ended: two would say the same. So does one that was only
    late, and has come.
    """
    told = {} if resolution.effects.get("matches") else _told_by_currency(resolution)
    for broken in _breaks(resolution, lock=True):
        twin = Break.objects.filter(account_id=broken.account_id, kind=broken.kind, key=broken.key).exclude(
            pk=broken.pk
        )
        if broken.state in OPEN_BREAK_STATES or twin.filter(state__in=[s.value for s in OPEN_BREAK_STATES]).exists():
            continue
        if broken.expected_until is not None and has_met(broken):
            broken.expected_until = None
            broken.save(update_fields=["expected_until"])
            continue
        broken.mark_reopened()
        broken.difference_minor -= told.pop(broken.currency, 0)
        broken.ended_at, broken.ended_by, broken.expected_until = None, "", None
        broken.version += 1
        broken.save(update_fields=["state", "difference_minor", "ended_at", "ended_by", "expected_until", "version"])


def _told_by_currency(resolution: Resolution) -> dict[str, int]:
    first = resolution.breaks.select_related("broken__account").order_by("id").first()
    if first is None:
        return {}
    sums: dict[str, int] = {}
    for entry in _entries(resolution, "told"):
        for line in entry.lines:
            if line.ref == balance_account(first.broken.account, line.ref.currency):
                sums[line.ref.currency] = sums.get(line.ref.currency, 0) + line.amount_minor
    return sums


# --- what it would do -------------------------------------------------------------------------------------------------


def _find(resolution_id: str, *, lock: bool = False) -> Resolution:
    rows = Resolution.objects.select_for_update() if lock else Resolution.objects
    found = rows.filter(public_id=resolution_id).first()
    if found is None:
        raise NotFound(f"There is no resolution {resolution_id}.")
    return found


def why_not(resolution: Resolution) -> str:
    """Why it can not be undone, in a sentence; empty: it can."""
    if resolution.undone_at is not None:
        return f"{resolution.undone_by} has undone it on {resolution.undone_at:%d %b %Y %H:%M} UTC."
    barred = str(resolution.effects.get("barred_undo", "")) or _ended_again(resolution)
    if barred:
        return barred
    return "" if resolution.breaks.exists() else "It ended no break: undo the single ones of the group."


def _ended_again(resolution: Resolution) -> str:
    """Who has ended the same difference once more, later: that one is taken back first, or it would be booked twice."""
    for broken in _breaks(resolution):
        same = ResolvedBreak.objects.filter(
            broken__account_id=broken.account_id, broken__kind=broken.kind, broken__key=broken.key,
            resolution_id__gt=resolution.pk, resolution__undone_at=None,
        )  # fmt: skip
        later = same.select_related("resolution").order_by("-resolution_id").first()
        if later is not None:
            return f"{broken.public_id} was ended again later, by {later.resolution.public_id}: take that back first."
    return ""


def _require_undoable(resolution: Resolution) -> None:
    if resolution.undone_at is not None:
        raise Conflict(why_not(resolution), who=resolution.undone_by, what=resolution.undone_because)
    refused = why_not(resolution)
    if refused:
        raise NotAllowedNow(refused)


def _lines(resolution: Resolution) -> list[Line]:
    lines: list[Line] = [("Resolution", f"{resolution.public_id}: {resolution.command.replace('_', ' ')}")]
    entries = [entry for entry in _entries(resolution, "entries") if entry.reversed_by is None]
    lines += [(f"Reversed: {label.lower()}", text) for label, text in entries_shown(entries)]
    count = Match.objects.filter(pk__in=resolution.effects.get("matches", []), undone_at=None).count()
    if count:
        lines.append(("Matches undone", str(count)))
    if resolution.effects.get("removed_lines"):
        lines.append(("Lines that count again", str(len(resolution.effects["removed_lines"]))))
    if resolution.effects.get("told"):
        lines.append(("Stays in the books", "what the gateway's own record said: it is true whoever ends the break"))
    lines += [("Opens again", _words(broken)) for broken in _breaks(resolution)]
    return lines


def _words(broken: Break) -> str:
    money = f", {Money(broken.value_minor, broken.currency)}" if broken.currency else ""
    return f"{broken.public_id}: {broken.kind.replace('_', ' ')}{money}"


def _entries(resolution: Resolution, which: str) -> list[EntryView]:
    found = (entry_by_public_id(public_id) for public_id in resolution.effects.get(which, []))
    return [entry for entry in found if entry is not None]


def _breaks(resolution: Resolution, *, lock: bool = False) -> Sequence[Break]:
    rows = Break.objects.select_for_update(of=("self",), no_key=True) if lock else Break.objects
    ids = list(resolution.breaks.values_list("broken_id", flat=True))
    return list(rows.select_related("account").filter(pk__in=ids).order_by("id"))


def _money(resolution: Resolution) -> dict[str, int]:
    sums: dict[str, int] = {}
    for broken in _breaks(resolution):
        if broken.currency:
            size = max(broken.value_minor, abs(broken.difference_minor))
            sums[broken.currency] = sums.get(broken.currency, 0) + size
    return {currency: minor for currency, minor in sums.items() if minor}


def _second_person(resolution: Resolution, actor: Actor, now: datetime) -> str:
    if resolution.approved_by:
        return "Two people resolved it: two take it back."
    return needs_second_person(LIMIT, _money(resolution), actor=actor, now=now)


# --- by two people ----------------------------------------------------------------------------------------------------


def _show(subject: str, arguments: Mapping[str, Any], now: datetime) -> list[Line]:
    resolution = _find(subject)
    _require_undoable(resolution)
    return [*_lines(resolution), ("Reason", str(arguments["reason"]))]


def _execute(
    subject: str, arguments: Mapping[str, Any], *, maker: Actor, checker: Actor, approval: Approval, now: datetime
) -> str:
    resolution = _find(subject, lock=True)
    _require_undoable(resolution)
    take_back(resolution, str(arguments["reason"]), maker, now)
    return f"{resolution.public_id} is taken back."


def _before(subject: str, arguments: Mapping[str, Any], clock: Clock) -> None:
    for account_id in {broken.account_id for broken in _breaks(_find(subject))}:
        wait_for_run(account_id)


UNDO_RESOLUTION: Final = Approvable(
    title="Undo a resolution", right=RESOLVE, show=_show, execute=_execute, before=_before
)
