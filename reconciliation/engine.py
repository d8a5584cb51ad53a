"""How do lines and movements of one account meet? Ordered rules over sorted input: same input, same output. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from reconciliation.findings import FoundBreak
from reconciliation.rules.base import (
    About,
    Free,
    KnownCall,
    LineEntry,
    MovementEntry,
    Pairing,
    Terms,
    by_time,
)
from reconciliation.rules.lines_alone import judge_line
from reconciliation.rules.movements_alone import judge_movement
from reconciliation.rules.pairs import judge_pair, said_otherwise
from reconciliation.rules.registry import RULES, SUGGESTIONS
from reconciliation.states import BOOKED_KINDS, Bucket


@dataclass(frozen=True, slots=True)
class Broken:
    """A difference and whom it takes out of the comparison. Both empty: the pair is matched, and something about it is off."""

    found: FoundBreak
    line_ids: tuple[int, ...] = ()
    movement_ids: tuple[int, ...] = ()


@dataclass(slots=True)
class Comparison:
    """Where every line and every movement ended: each is in exactly one place (matched ones stand in `pairings`)."""

    pairings: list[Pairing] = field(default_factory=list)
    breaks: list[Broken] = field(default_factory=list)
    expected: list[int] = field(default_factory=list)
    """Movements that may still be reported."""
    early: list[int] = field(default_factory=list)
    """Lines that may be ahead of our own word for them."""
    foreign: list[int] = field(default_factory=list)
    booked: list[int] = field(default_factory=list)
    """Lines that are booked as they stand, or that moved no money and say what we know."""


def compare(
    lines: Iterable[LineEntry], movements: Iterable[MovementEntry], terms: Terms, *, calls: Iterable[KnownCall] = ()
) -> Comparison:
    """Pair by the rules in their order, judge each pair, then what is left on either side.

    Entries that are `matched` or `voided` and `calls` are only looked at: they tell a duplicate from money nobody knows.
    """
    theirs, ours = sorted(lines, key=by_time), sorted(movements, key=by_time)
    result = Comparison()
    open_lines = [line for line in theirs if not line.matched and _to_match(line, result)]
    open_movements = [movement for movement in ours if not movement.matched and not movement.voided]
    pairings, open_lines, open_movements = _paired(open_lines, open_movements)
    for pairing in pairings:
        _judge(pairing, result)
    unmoved = [line for line in theirs if not line.matched and line.kind not in BOOKED_KINDS and not line.moved]
    open_movements = _contradicted(unmoved, open_movements, result)
    about = About(ours, tuple(calls), pairings)
    _alone(open_lines, open_movements, about, terms, result)
    for line in theirs:
        if not line.matched and line.kind in BOOKED_KINDS:
            _place_line(line, about, terms, result)
    return result


def _to_match(line: LineEntry, result: Comparison) -> bool:
    return line.kind not in BOOKED_KINDS and line.moved


def _paired(
    lines: list[LineEntry], movements: list[MovementEntry]
) -> tuple[list[Pairing], list[LineEntry], list[MovementEntry]]:
    pairings: list[Pairing] = []
    for rule in RULES:
        found = list(rule.pair(Free(lines, movements)))
        met = {line.id for pairing in found for line in pairing.lines}
        taken = {movement.id for pairing in found for movement in pairing.movements}
        lines = [line for line in lines if line.id not in met]
        movements = [movement for movement in movements if movement.id not in taken]
        pairings += found
    return pairings, lines, movements


def _judge(pairing: Pairing, result: Comparison) -> None:
    verdict = judge_pair(pairing)
    if verdict is None:
        result.pairings.append(pairing)
        return
    found, matches = verdict
    if matches:
        result.pairings.append(pairing)
        result.breaks.append(Broken(found))
        return
    ids = tuple(line.id for line in pairing.lines), tuple(movement.id for movement in pairing.movements)
    result.breaks.append(Broken(found, *ids))


def _contradicted(unmoved: list[LineEntry], movements: list[MovementEntry], result: Comparison) -> list[MovementEntry]:
    """Lines that say that nothing moved, beside movements of ours that say it did. The others agree with us."""
    for line in unmoved:
        verdict = said_otherwise(line, movements)
        if verdict is None:
            result.booked.append(line.id)
            continue
        found, movement = verdict
        result.breaks.append(Broken(found, (line.id,), (movement.id,)))
        movements = [other for other in movements if other.id != movement.id]
    return movements


def _alone(
    lines: list[LineEntry], movements: list[MovementEntry], about: About, terms: Terms, result: Comparison
) -> None:
    alike: dict[int, list[MovementEntry]] = {}
    for pairing in SUGGESTIONS.pair(Free(lines, movements)):
        alike.setdefault(pairing.lines[0].id, []).extend(pairing.movements)
    for line in lines:
        _place_line(line, about, terms, result, alike.get(line.id, []))
    for movement in movements:
        found = judge_movement(movement, about, terms)
        if found is None:
            result.expected.append(movement.id)
        else:
            result.breaks.append(Broken(found, (), (movement.id,)))


def _place_line(
    line: LineEntry, about: About, terms: Terms, result: Comparison, alike: Iterable[MovementEntry] = ()
) -> None:
    where = judge_line(line, about, terms, tuple(alike))
    if isinstance(where, FoundBreak):
        result.breaks.append(Broken(where, (line.id,)))
    elif where == Bucket.EARLY:
        result.early.append(line.id)
    elif where == Bucket.FOREIGN:
        result.foreign.append(line.id)
    else:
        result.booked.append(line.id)
