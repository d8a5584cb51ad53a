"""How is one break ended? Look first, show what would be written, then do just that: alone, or by two people.

Break, journal, match and log are one transaction. Pressing twice resolves once; a break that changed is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import transaction

from ledger.chart import AccountRef
from ledger.money import Money
from ledger.queries import EntryView
from payments.errors import Conflict, Forbidden, InvalidInput, NotAllowedNow, NotFound
from payments.services.actors import Actor
from payments.services.approvable import Approval, Line
from payments.services.approvals import ask_approval
from payments.services.calls import Clock
from payments.services.limits import needs_second_person, spend
from reconciliation.fixes import fixes_for
from reconciliation.models import Break, Resolution
from reconciliation.services.comparison_lock import hold_still, wait_for_run
from reconciliation.services.resolutions.base import POST_JOURNAL, Answers, By, Command, require_words
from reconciliation.services.resolutions.ending import end_breaks
from reconciliation.services.resolutions.registry import command_of
from reconciliation.services.resolutions.rehearsal import Ran, rehearse, run
from reconciliation.services.resolutions.showing import lines_shown
from reconciliation.states import OPEN_BREAK_STATES, BreakState

REASONS: Final = (
    "missed_message", "made_at_gateway", "gateway_fee", "rounding", "exchange_rate", "late_report", "wrong_report",
    "our_mistake", "gateway_mistake", "not_recoverable", "other",
)  # fmt: skip
LIMIT: Final = "resolve_break"
TWO_PEOPLE: Final = "This always needs a second person."
NOTE_NEEDED: Final = "A note is needed: what did you see, why this?"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person wants done with one break. `version` is that of the break they looked at."""

    command: str
    answers: Answers
    reason: str
    note: str
    version: int
    request_id: str

    def as_arguments(self) -> dict[str, Any]:
        """As an approval keeps it."""
        return {
            "command": self.command,
            "answers": dict(self.answers),
            "reason": self.reason,
            "note": self.note,
            "version": self.version,
            "request_id": self.request_id,
        }


@dataclass(frozen=True, slots=True)
class Prepared:
    """What pressing the button would do. `second_person` says why it would ask for one; empty: it is done at once."""

    version: int
    lines: tuple[Line, ...]
    entries: tuple[EntryView, ...]
    effects: tuple[str, ...]
    residual: Mapping[str, int]
    second_person: str


@dataclass(frozen=True, slots=True)
class Done:
    """Either it is resolved, or a second person has been asked."""

    resolution: Resolution | None = None
    approval: Approval | None = None


@dataclass(frozen=True, slots=True)
class Option:
    """One way out of a break, as its page offers it. `refused` says why it does not fit; empty: it does."""

    name: str
    label: str
    explanation: str
    refused: str
    fields: tuple[str, ...]
    right: str
    evidence: bool


def options_of(broken: Break) -> tuple[Option, ...]:
    """The ways out of this very break, those that fit first."""
    commands = [command_of(fix) for fix in fixes_for(broken.kind)]
    options = [
        Option(c.fix, c.label, c.explanation, c.fits(broken), c.fields, c.right, evidence=c.evidence) for c in commands
    ]
    return tuple(sorted(options, key=lambda option: bool(option.refused)))


def preview(break_id: str, wish: Wish, *, actor: Actor, clock: Clock) -> Prepared:
    """This function will do everything and take it back, to say what would be written and what stays unexplained.

    Raises: NotFound, Forbidden, InvalidInput naming the field, NotAllowedNow, Conflict.
    Writes: what looking writes, such as the gateway's record as evidence.
    """
    command = command_of(wish.command)
    _check(command, wish, actor)
    _before(command, break_id, wish, actor, clock)
    now = clock()
    with transaction.atomic():
        broken = _lock(break_id, wish)
        ran = _rehearsed(command, broken, wish, actor, now)
        why = _second_person(command, broken, ran, actor, now)
        lines = lines_shown(broken, command, wish.answers, wish.reason, wish.note, ran)
    return Prepared(broken.version, tuple(lines), ran.entries, tuple(ran.carried.effects), ran.residual, why)


def resolve(break_id: str, wish: Wish, *, actor: Actor, clock: Clock) -> Done:
    """This function will end a break by one of its ways out, or ask a second person to agree where that takes two.

    Raises: NotFound, Forbidden, InvalidInput, NotAllowedNow (it does not fit, or would leave a rest), Conflict.
    Idempotent on: request_id. Writes: entries, match, break, resolution in one transaction; or the request alone.
    Locks: the break, then what the command locks.
    """
    command = command_of(wish.command)
    _check(command, wish, actor)
    earlier = Resolution.objects.filter(request_id=wish.request_id).first()
    if earlier is not None:
        if not earlier.breaks.filter(broken__public_id=break_id).exists():
            raise Conflict("This request has ended another break. Open this one again.", what=earlier.public_id)
        return Done(resolution=earlier)
    _before(command, break_id, wish, actor, clock)
    now = clock()
    with transaction.atomic():
        broken = _lock(break_id, wish)
        ran = _rehearsed(command, broken, wish, actor, now)
        why = _second_person(command, broken, ran, actor, now)
        why = why or spend(LIMIT, money_moved(broken, ran), actor=actor, now=now)
        if not why:
            by = By(actor, wish.request_id, now)
            return Done(resolution=carry_out(command, broken, wish, by, checker=None, approval=None))
    asks = "post_break_journal" if command.right == POST_JOURNAL else "resolve_break"
    approval = ask_approval(asks, break_id, wish.as_arguments(), reason=wish.note, actor=actor, now=now)
    return Done(approval=approval)


def carry_out(
    command: Command, broken: Break, wish: Wish, by: By, *, checker: Actor | None, approval: Approval | None
) -> Resolution:
    """The command for real, under the lock, with its log. Raises: NotAllowedNow where a rest would stay."""
    refused = command.fits(broken)
    if refused:
        raise NotAllowedNow(refused)
    before = broken.difference_minor
    ran = run(broken, by, lambda: command.carry_out(broken, wish.answers, by))
    refuse_rest(ran)
    resolution = Resolution.objects.create(
        command=command.fix.value,
        reason=wish.reason,
        note=wish.note.strip(),
        by=by.actor.label[:100],
        approved_by=checker.label[:100] if checker else "",
        approval_public_id=approval.public_id if approval else "",
        request_id=wish.request_id,
        inputs={"answers": dict(wish.answers), "difference_minor": before, "version": wish.version},
        effects=effects_of(ran),
        at=by.now,
    )
    end_breaks(resolution, [broken, *ran.carried.also_ends], ran.carried, by)
    return resolution


def effects_of(ran: Ran) -> dict[str, Any]:
    """What undoing has to take back, and what it can not."""
    carried = ran.carried
    ours = [entry.public_id for entry in ran.entries if entry.source_key.startswith("resolution:")]
    told = [entry.public_id for entry in ran.entries if not entry.source_key.startswith(("resolution:", "lines:"))]
    return {
        "entries": ours,
        "told": told,
        "matches": carried.matches,
        "removed_lines": carried.removed_lines,
        "residual": ran.open_residual,
        "expected_until": carried.expected_until.isoformat() if carried.expected_until else "",
        "sentences": carried.effects,
        "barred_undo": carried.barred_undo,
    }


def refuse_rest(ran: Ran) -> None:
    """A fix explains all of it. Raises: NotAllowedNow saying what it would leave."""
    if ran.open_residual:
        shown = ", ".join(str(Money(minor, currency)) for currency, minor in ran.open_residual.items())
        raise NotAllowedNow(f"It would leave {shown} of the balance without explanation: this is not the whole of it.")


def money_moved(broken: Break, ran: Ran) -> dict[str, int]:
    """What a limit is asked for: the break's value, or what is posted for it where that is more. Empty: no money."""
    sums = {broken.currency: max(broken.value_minor, abs(broken.difference_minor))} if broken.currency else {}
    for entry in ran.entries:
        by_currency: dict[str, int] = {}
        for line in entry.lines:
            ref: AccountRef = line.ref
            by_currency[ref.currency] = by_currency.get(ref.currency, 0) + line.debit_minor
        for currency, minor in by_currency.items():
            sums[currency] = max(sums.get(currency, 0), minor)
    return {currency: minor for currency, minor in sums.items() if minor}


def _second_person(command: Command, broken: Break, ran: Ran, actor: Actor, now: datetime) -> str:
    if command.two_people:
        return TWO_PEOPLE
    return needs_second_person(LIMIT, money_moved(broken, ran), actor=actor, now=now)


def _check(command: Command, wish: Wish, actor: Actor) -> None:
    actor.require(command.right)
    if wish.reason not in REASONS:
        raise InvalidInput("Choose a reason from the list.", field="reason")
    require_words(wish.note, "note", NOTE_NEEDED)


def _before(command: Command, break_id: str, wish: Wish, actor: Actor, clock: Clock) -> None:
    """What has to happen outside the transaction, such as asking the gateway."""
    if command.before is None:
        return
    broken = _find(break_id)
    refused = command.fits(broken)
    if refused:
        raise NotAllowedNow(refused)
    command.before(broken, wish.answers, actor, clock)


def _rehearsed(command: Command, broken: Break, wish: Wish, actor: Actor, now: datetime) -> Ran:
    by = By(actor, wish.request_id, now)
    refused = command.fits(broken)
    if refused:
        raise NotAllowedNow(refused)
    if command.evidence and not broken.evidence.exists():
        raise NotAllowedNow("This needs evidence: add a file to the break first.")
    ran = rehearse(broken, by, lambda: command.carry_out(broken, wish.answers, by))
    refuse_rest(ran)
    return ran


def _find(break_id: str) -> Break:
    found = Break.objects.select_related("account", "line__statement", "statement", "last_run").filter(
        public_id=break_id
    )
    broken = found.first()
    if broken is None:
        raise NotFound(f"There is no break {break_id}.")
    return broken


def lock_break(break_id: str) -> Break:
    """The break under its lock, while no run compares its account. Raises: NotFound, Conflict (a run does not end)."""
    hold_still([_find(break_id).account_id])
    Break.objects.select_for_update(no_key=True).get(public_id=break_id)
    return _find(break_id)


def _lock(break_id: str, wish: Wish) -> Break:
    broken = lock_break(break_id)
    if BreakState(broken.state) not in OPEN_BREAK_STATES:
        raise Conflict(
            f"The break is {broken.state.replace('_', ' ')} already, by {broken.ended_by or 'somebody'}.",
            who=broken.ended_by, what=broken.state, at=broken.ended_at.isoformat() if broken.ended_at else "",
        )  # fmt: skip
    if broken.version != wish.version:
        who = broken.owner.get_username() if broken.owner else "A run"
        raise Conflict(f"The break changed since you looked at it. {who} was last at it.", who=who, what=broken.because)
    return broken


# --- by two people ----------------------------------------------------------------------------------------------------


def wish_from(arguments: Mapping[str, Any]) -> Wish:
    """As an approval kept it."""
    return Wish(
        arguments["command"], arguments["answers"], arguments["reason"], arguments["note"], arguments["version"],
        arguments["request_id"],
    )  # fmt: skip


def show_wish(subject: str, arguments: Mapping[str, Any], now: datetime) -> list[Line]:
    """What both people see: the break, the lines to the last unit, what stays unexplained."""
    wish = wish_from(arguments)
    command = command_of(wish.command)
    maker = Actor(label="rehearsal", is_system=True)
    with transaction.atomic():
        broken = _lock(subject, wish)
        ran = _rehearsed(command, broken, wish, maker, now)
        return lines_shown(broken, command, wish.answers, wish.reason, wish.note, ran)


def execute_wish(
    subject: str, arguments: Mapping[str, Any], *, maker: Actor, checker: Actor, approval: Approval, now: datetime
) -> str:
    """The command, as the second person agrees."""
    wish = wish_from(arguments)
    command = command_of(wish.command)
    if not maker.is_system and command.right not in maker.permissions:
        raise Forbidden(f"{maker.label} may no longer ask for this.")
    broken = _lock(subject, wish)
    by = By(maker, wish.request_id, now)
    resolution = carry_out(command, broken, wish, by, checker=checker, approval=approval)
    ended = "written off" if broken.state == BreakState.WRITTEN_OFF else "resolved"
    return f"{broken.public_id} is {ended}: {command.label} ({resolution.public_id})."


def ask_before(subject: str, arguments: Mapping[str, Any], clock: Clock) -> None:
    """The gateway is asked anew for whoever decides, and a run ends first: nothing is agreed to on old news."""
    wait_for_run(_find(subject).account_id)
    wish = wish_from(arguments)
    _before(command_of(wish.command), subject, wish, Actor(label="", is_system=True), clock)
