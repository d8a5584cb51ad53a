"""What do rules look at, and what do they answer? Frozen entries of both sides, pairings, and the shape of a rule. Pure.

Signs are ours: positive is money in our favour. An entry that is `matched` has met somebody in an earlier run: it is there
to be looked at, and is never paired again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final, Protocol

from ledger.money import Money, MoneyError
from reconciliation.rates import Rate, kinds_booked
from reconciliation.states import LineKind

NOT_MOVED: Final = frozenset({"failed", "voided", "void", "declined", "canceled", "cancelled", "returned", "expired"})
"""Statuses of a line that say: this moved no money, whatever amount stands beside it."""


@dataclass(frozen=True, slots=True)
class LineEntry:
    """One line of the gateway's. `gross_minor` is in `currency`, of settlement; what the payer saw stands beside it."""

    id: int
    key: str
    kind: LineKind
    currency: str
    gross_minor: int
    occurred_at: datetime
    day: date
    fee_minor: int | None = None
    tax_minor: int | None = None
    net_minor: int | None = None
    presentment_minor: int | None = None
    presentment_currency: str = ""
    rate: Decimal | None = None
    gateway_id: str = ""
    parent_id: str = ""
    reference: str = ""
    payout_id: str = ""
    status: str = ""
    method: str = ""
    text: str = ""
    statement_id: int | None = None
    matched: bool = False

    @property
    def moved(self) -> bool:
        """Did money move by it?"""
        return self.kind != LineKind.DECLINE and self.status.lower() not in NOT_MOVED

    @property
    def worth_minor(self) -> int:
        """What the gateway's balance is higher by because of it, in `currency`."""
        if not self.moved:
            return 0
        if self.net_minor is not None:
            return self.net_minor
        return self.gross_minor - (self.fee_minor or 0) - (self.tax_minor or 0)

    @property
    def presented(self) -> tuple[int, str]:
        """The money the payer saw, signed; where the source does not tell it, the money of the settlement."""
        if self.presentment_minor is None:
            return self.gross_minor, self.currency
        return self.presentment_minor, self.presentment_currency or self.currency


@dataclass(frozen=True, slots=True)
class MovementEntry:
    """One movement of ours. `minor` is signed, in the money the payer saw; settlement money where the gateway told it."""

    id: int
    kind: LineKind
    gateway_id: str
    minor: int
    currency: str
    occurred_at: datetime
    day: date
    occurrence: int = 0
    settlement_id: str = ""
    settlement_minor: int | None = None
    settlement_currency: str = ""
    rate: Decimal | None = None
    parent_id: str = ""
    reference: str = ""
    payout_id: str = ""
    payment_id: int | None = None
    payment_public_id: str = ""
    payment_minor: int | None = None
    """What was captured of the payment, in `currency`."""
    matched: bool = False
    voided: bool = False
    """Taken back before it was settled: no line is expected, and one that comes says otherwise."""


@dataclass(frozen=True, slots=True)
class KnownCall:
    """A call of ours that has no movement, found by its reference or transaction: what did we believe of it?"""

    reference: str
    gateway_id: str
    state: str
    payment_id: int
    payment_public_id: str


@dataclass(frozen=True, slots=True)
class Terms:
    """By what a day is compared. `day` is the last one looked at, in the account's zone; `now` is when."""

    day: date
    now: datetime
    lag_days: int = 2
    lag_cap_days: int = 10
    early_seconds: int = 86400
    holidays: frozenset[date] = frozenset()
    shared: bool = False
    """Other systems use the account too: a line that nobody here knows is foreign, not missing."""
    rates: tuple[Rate, ...] = ()
    """The contract: it says which reserves and adjustments are booked without a question."""

    def books(self, line: LineEntry) -> bool:
        """Is a line of this kind booked as it stands?"""
        return line.kind in kinds_booked(self.rates, line.day)


@dataclass(frozen=True, slots=True)
class Pairing:
    """These lines and these movements are the same money, by what they share. What differs is judged afterwards."""

    rule: str
    lines: tuple[LineEntry, ...]
    movements: tuple[MovementEntry, ...]

    @property
    def one_to_one(self) -> bool:
        return len(self.lines) == 1 and len(self.movements) == 1


@dataclass(frozen=True, slots=True)
class Free:
    """What no earlier rule has taken, sorted by time, then identity."""

    lines: Sequence[LineEntry]
    movements: Sequence[MovementEntry]


class Rule(Protocol):
    """One way in which a line and a movement are known to be the same. `confirms` is false for mere suggestions."""

    name: str
    version: int
    confirms: bool

    def pair(self, free: Free) -> Iterator[Pairing]:
        """Pairings that share nobody with each other."""
        ...


def said(minor: int, currency: str) -> str:
    """An amount as people read it; as it stands where the currency is none we know."""
    try:
        return str(Money(minor, currency))
    except MoneyError:
        return f"{minor} minor units of {currency}"


def same_money(line: LineEntry, movement: MovementEntry) -> bool:
    """Equal in the payer's money; or in settlement money, where the line tells no other and the gateway told us ours."""
    if line.presented == (movement.minor, movement.currency):
        return True
    told = (movement.settlement_minor, movement.settlement_currency)
    return line.presentment_minor is None and (line.gross_minor, line.currency) == told


def pair_off(rule: str, lines: Sequence[LineEntry], movements: Sequence[MovementEntry]) -> Iterator[Pairing]:
    """Lines and movements of one identity: equal amounts first, then those together whose sums agree, then in order."""
    left = list(movements)
    over: list[LineEntry] = []
    for line in lines:
        twin = next((movement for movement in left if same_money(line, movement)), None)
        if twin is None:
            over.append(line)
        else:
            left.remove(twin)
            yield Pairing(rule, (line,), (twin,))
    if not over or not left:
        return
    together = _together(over, left)
    if together is not None:
        yield Pairing(rule, *together)
        return
    for line, movement in zip(over, left, strict=False):
        yield Pairing(rule, (line,), (movement,))


def _together(
    lines: Sequence[LineEntry], movements: Sequence[MovementEntry]
) -> tuple[tuple[LineEntry, ...], tuple[MovementEntry, ...]] | None:
    """Which of them come to the same sum: all, else all of one side and one of the other, whose like is there twice."""
    whole = [(lines, movements)]
    whole += [(lines, (movement,)) for movement in movements] + [((line,), movements) for line in lines]
    for theirs, ours in whole:
        if len(theirs) + len(ours) > 2 and _sums_agree(theirs, ours):
            return tuple(theirs), tuple(ours)
    return None


def _sums_agree(lines: Sequence[LineEntry], movements: Sequence[MovementEntry]) -> bool:
    currencies = {line.presented[1] for line in lines} | {movement.currency for movement in movements}
    theirs = sum(line.presented[0] for line in lines)
    return len(currencies) == 1 and theirs == sum(movement.minor for movement in movements)


def contradicts(line: LineEntry, movement: MovementEntry) -> bool:
    """Do both name the transaction or our reference, and not the same? Then whatever else agrees is chance."""
    ids = line.gateway_id and movement.gateway_id and line.gateway_id != movement.gateway_id
    references = line.reference and movement.reference and line.reference != movement.reference
    return bool(ids or references)


def by_time(entry: LineEntry | MovementEntry) -> tuple[datetime, str, int]:
    """The order in which rules look: time, then the gateway's identity, then ours. Input order never matters."""
    return entry.occurred_at, entry.key if isinstance(entry, LineEntry) else entry.gateway_id, entry.id


def our_side(movement: MovementEntry) -> dict[str, str]:
    """What a break shows of ours."""
    shown = {
        "kind": movement.kind.value,
        "amount": said(movement.minor, movement.currency),
        "transaction": movement.gateway_id,
        "reference": movement.reference,
        "payment": movement.payment_public_id,
        "day": movement.day.isoformat(),
    }
    if movement.settlement_minor is not None:
        shown["settlement"] = said(movement.settlement_minor, movement.settlement_currency)
    return {name: text for name, text in shown.items() if text}


def their_side(line: LineEntry) -> dict[str, str]:
    """What a break shows of theirs."""
    minor, currency = line.presented
    shown = {
        "kind": line.kind.value,
        "amount": said(minor, currency),
        "net": said(line.worth_minor, line.currency),
        "transaction": line.gateway_id,
        "of": line.parent_id,
        "reference": line.reference,
        "payout": line.payout_id,
        "status": line.status,
        "line": line.key,
        "day": line.day.isoformat(),
        "text": line.text,
    }
    if currency != line.currency:
        shown["settlement"] = said(line.gross_minor, line.currency)
    return {name: text for name, text in shown.items() if text}


class About:
    """What is known around lines that stand alone: by transaction, reference and payment, matched ones included."""

    def __init__(
        self,
        movements: Sequence[MovementEntry],
        calls: Sequence[KnownCall],
        pairings: Sequence[Pairing],
    ) -> None:
        self.calls = calls
        self._met = {movement.id for pairing in pairings for movement in pairing.movements}
        self._met |= {movement.id for movement in movements if movement.matched}
        self._by_id: dict[str, list[MovementEntry]] = defaultdict(list)
        self._by_reference: dict[str, list[MovementEntry]] = defaultdict(list)
        self._of_payment: dict[int, list[MovementEntry]] = defaultdict(list)
        for movement in movements:
            self._by_id[movement.gateway_id].append(movement)
            if movement.reference:
                self._by_reference[movement.reference].append(movement)
            if movement.payment_id is not None:
                self._of_payment[movement.payment_id].append(movement)

    def met_by_another(self, line: LineEntry) -> MovementEntry | None:
        """A movement of the line's identity that another line has met already, or that was voided."""
        near = self._by_id[line.gateway_id] if line.gateway_id else []
        if line.reference:
            near = near + self._by_reference[line.reference]
        for movement in near:
            if movement.kind == line.kind and (movement.voided or movement.id in self._met):
                return movement
        return None

    def charge_of(self, line: LineEntry) -> MovementEntry | None:
        """The charge a line is about: the one it names, or the one of its own transaction or reference."""
        near = (
            [*self._by_id[line.parent_id], *self._by_id[line.gateway_id]] if line.parent_id or line.gateway_id else []
        )
        if line.reference:
            near += self._by_reference[line.reference]
        return next((movement for movement in near if movement.payment_id is not None), None)

    def taken(self, charge: MovementEntry) -> int:
        """What was captured of its payment, in minor units of the charge's currency."""
        return sum(m.minor for m in self._like(charge) if m.kind == LineKind.CHARGE and not m.voided)

    def gone(self, charge: MovementEntry, kind: LineKind) -> int:
        """What went back by refunds or by disputes and did not come again, as a positive number."""
        back = {LineKind.REFUND: LineKind.REFUND_RETURN, LineKind.CHARGEBACK: LineKind.CHARGEBACK_RETURN}[kind]
        return max(0, -sum(m.minor for m in self._like(charge) if m.kind in {kind, back} and not m.voided))

    def booked_twice(self, movement: MovementEntry) -> MovementEntry | None:
        """Another movement of the same money that a line has met."""
        for other in self._by_id[movement.gateway_id]:
            same = (other.kind, other.minor, other.currency) == (movement.kind, movement.minor, movement.currency)
            if same and other.id != movement.id and other.id in self._met:
                return other
        return None

    def _like(self, charge: MovementEntry) -> Iterator[MovementEntry]:
        assert charge.payment_id is not None
        yield from (m for m in self._of_payment[charge.payment_id] if m.currency == charge.currency)
