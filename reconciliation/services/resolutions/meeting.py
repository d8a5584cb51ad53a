"""Which movement does a line stand for, what is it worth on the gateway's balance, and do both meet now? Makes matches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from django.db.models import Q

from ledger.queries import entry_by_source_key
from payments.errors import NotAllowedNow
from payments.queries.gateway_money import MovementRow, movement_by_id, movements_of_transaction
from reconciliation.models import Break, Line, Match
from reconciliation.queries.scope import posted_for
from reconciliation.services.resolutions.base import By, Carried, balance_account, post_difference
from reconciliation.services.resolutions.rematching import matches_changed
from reconciliation.states import OPEN_BREAK_STATES, BreakType, LineKind

KINDS: Final[dict[str, tuple[str, ...]]] = {
    LineKind.CHARGE: ("capture",),
    LineKind.REFUND: ("refund", "void"),
    LineKind.REFUND_RETURN: ("refund_return",),
    LineKind.CHARGEBACK: ("chargeback",),
    LineKind.CHARGEBACK_RETURN: ("chargeback_return",),
    LineKind.DISPUTE_FEE: ("fee",),
}
"""Which kinds of movement a line of this kind may be."""


def free_movements(line: Line, account_id: int) -> list[MovementRow]:
    """Movements of the line's own transaction and kind that no line has met."""
    rows = movements_of_transaction(account_id, line.gateway_id, KINDS.get(line.kind, ()))
    met = set(
        Match.objects.filter(movement_id__in=[row.id for row in rows], undone_at=None).values_list(
            "movement_id", flat=True
        )
    )
    return [row for row in rows if row.id not in met]


def worth_of(movement: MovementRow, broken: Break) -> int:
    """By how much its entry changed the balance of the break's account, in minor units of the break's currency."""
    entry = entry_by_source_key(movement.entry_source_key)
    ref = balance_account(broken.account, broken.currency)
    return sum(line.amount_minor for line in entry.lines if line.ref == ref) if entry else 0


def meet(line: Line, movements: Sequence[MovementRow], broken: Break, by: By, *, rule: str) -> list[int]:
    """This function will match a line with one or several movements, by a person's word.

    Raises: NotAllowedNow where one of them has met another already, or was booked by a fix of its own. Locks: the line.
    Writes: matches, and what a run would book of the line: its fee, its exchange.
    """
    Line.objects.select_for_update(no_key=True).get(pk=line.pk)
    taken = Match.objects.filter(undone_at=None)
    if taken.filter(line=line).exists():
        raise NotAllowedNow(f"Line {line.line_key} has met a movement already.")
    if taken.filter(movement_id__in=[movement.id for movement in movements]).exists():
        raise NotAllowedNow("The movement has met another line already.")
    _require_not_booked(line, movements, broken)
    several = len(movements) > 1
    rows = [
        Match(
            run=broken.last_run,
            account=line.account,
            line=line,
            movement_id=movement.id,
            rule=rule,
            group=by.request_id[:40] if several else "",
            many_movements=several,
            matched_at=by.now,
            matched_by=by.actor.label[:100],
        )
        for movement in movements
    ]
    made = Match.objects.bulk_create(rows)
    matches_changed(made, by.now)
    return [row.pk for row in made]


def _require_not_booked(line: Line, movements: Sequence[MovementRow], broken: Break) -> None:
    """One side was given up or booked by hand, and the books no longer wait for the other. Raises: NotAllowedNow."""
    named = Q(broken__line=line) | Q(broken__movement_id__in=[movement.id for movement in movements])
    booked = (
        posted_for(broken.account_id)
        .filter(named)
        .exclude(broken=broken)
        .select_related("resolution", "broken")
        .first()
    )
    if booked is not None:
        what = booked.resolution.command.replace("_", " ")
        raise NotAllowedNow(
            f"{booked.broken.public_id} was ended by {booked.resolution.public_id} ({what}), with an entry of its own:"
            " take that back first, or the money would be in the books twice."
        )


def has_met(broken: Break) -> bool:
    """Does its line or movement stand in a match?"""
    live = Match.objects.filter(undone_at=None)
    by_line = broken.line_id is not None and live.filter(line_id=broken.line_id).exists()
    return by_line or (broken.movement_id is not None and live.filter(movement_id=broken.movement_id).exists())


def open_breaks_of(movement_ids: Sequence[int], broken: Break) -> list[Break]:
    """Other open breaks of the same account about these movements: they end with this one."""
    rows = Break.objects.select_for_update(of=("self",)).select_related("account", "line").filter(
        account=broken.account, movement_id__in=movement_ids, state__in=[state.value for state in OPEN_BREAK_STATES]
    )  # fmt: skip
    return list(rows.exclude(pk=broken.pk).order_by("id"))


def pair_of(broken: Break) -> tuple[Line, MovementRow] | None:
    """Line and movement of a break that is about both, and whose only difference is the sum."""
    if broken.kind != BreakType.AMOUNT_MISMATCH or broken.line is None or broken.movement_id is None:
        return None
    movement = movement_by_id(broken.movement_id)
    return None if movement is None else (broken.line, movement)


def off_of(broken: Break) -> int:
    """What has to be booked to end it: the whole difference, or for a pair the difference of the payer's money alone.

    A pair meets when it is ended, and the line's own fee is then booked as for every line.
    """
    pair = pair_of(broken)
    return broken.difference_minor if pair is None else pair[0].gross_minor - worth_of(pair[1], broken)


def book_off(broken: Break, by: By, counter: str, *, step: str = "", text: str, effect: str) -> Carried:
    """This function will book what differs against one account, and let a pair meet. Writes: entry, booking, match."""
    post_difference(broken, by, counter, amount_minor=off_of(broken), step=step, text=text)
    carried = Carried(effects=[effect])
    let_pair_meet(broken, by, carried)
    return carried


def let_pair_meet(broken: Break, by: By, carried: Carried) -> None:
    """A pair whose difference is booked has met. Nothing happens to a break that is about one side."""
    pair = pair_of(broken)
    if pair is not None:
        carried.matches += meet(pair[0], [pair[1]], broken, by, rule="resolution")
