"""A line has met no movement: what is it? Duplicate, beyond what was taken, ours unrecorded, early, foreign or missing. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from reconciliation.findings import FoundBreak
from reconciliation.rules.base import About, KnownCall, LineEntry, MovementEntry, Terms, said, their_side
from reconciliation.states import BreakType, Bucket, LineKind

K, B = LineKind, BreakType
_REFUSED: Final = frozenset({"declined", "failed"})
_DISPUTES: Final = frozenset({K.CHARGEBACK, K.CHARGEBACK_RETURN, K.DISPUTE_FEE})
_ITS_OWN: Final = {
    K.ADJUSTMENT: (
        B.GATEWAY_ADJUSTMENT,
        "The gateway adjusts the balance by {money}, and nothing of ours explains it.",
    ),
    K.RESERVE_HOLD: (B.RESERVE_HOLD, "The gateway withholds {money} as a reserve that no contract knows."),
    K.RESERVE_RELEASE: (B.RESERVE_RELEASE, "The gateway releases {money} of a reserve that no contract knows."),
}


@dataclass(frozen=True, slots=True)
class _Word:
    kind: BreakType
    because: str
    cause: str
    payment_id: int | None = None
    payment_public_id: str = ""
    movement_id: int | None = None


def judge_line(
    line: LineEntry, about: About, terms: Terms, alike: tuple[MovementEntry, ...] = ()
) -> FoundBreak | Bucket:
    """Which break it is, the most specific first, or the bucket it waits in."""
    if terms.books(line):
        return Bucket.BOOKED
    word = _its_own(line) if line.kind in _ITS_OWN else _of_a_payment(line, about)
    if word is not None:
        return _found(line, word, alike)
    call = _call_of(line, about)
    charge = about.charge_of(line)
    if call is None and charge is None and terms.shared and not line.reference:
        return Bucket.FOREIGN
    if (terms.now - line.occurred_at).total_seconds() < terms.early_seconds:
        return Bucket.EARLY
    return _found(line, _unknown(line, call, charge), alike)


def _its_own(line: LineEntry) -> _Word:
    kind, because = _ITS_OWN[line.kind]
    return _Word(kind, because.format(money=said(line.worth_minor, line.currency)), f"{kind} in {line.currency}")


def _of_a_payment(line: LineEntry, about: About) -> _Word | None:
    """What can be told at once because a payment of ours, or another line, is known to be meant."""
    twin = about.met_by_another(line)
    if twin is not None:
        word = "voided" if twin.voided else "matched"
        money = said(*line.presented)
        if twin.voided:
            because = f"The gateway settles {money} that we know as {word}."
            return _named(B.STATUS_MISMATCH, because, f"settled though voided, {line.day}", twin)
        because = f"The gateway reports {money} once more; the first time it {word} what we booked on {twin.day}."
        return _named(B.DUPLICATE_AT_GATEWAY, because, f"duplicates of {line.day}", twin)
    charge = about.charge_of(line)
    if charge is None or line.kind not in {K.REFUND, K.CHARGEBACK}:
        return None
    return _goes_back(line, charge, about)


def _goes_back(line: LineEntry, charge: MovementEntry, about: About) -> _Word | None:
    """Money that goes back out of a charge we know: twice by two ways, or more than came in."""
    minor, currency = line.presented
    if currency != charge.currency:
        return None
    by_other_way = K.CHARGEBACK if line.kind == K.REFUND else K.REFUND
    other = about.gone(charge, by_other_way)
    taken = about.taken(charge)
    gone = other + about.gone(charge, line.kind) - minor
    if gone <= taken:
        return None
    sums = f"{said(gone, currency)} went back of {said(taken, currency)}"
    if other:
        because = f"Refunded and charged back: with this {line.kind} {sums}."
        return _named(B.DUAL_REFUND, because, "refunded and charged back", charge)
    if line.kind == K.REFUND:
        because = f"More was refunded than was taken: with this one {sums}."
        return _named(B.REFUND_EXCEEDS, because, f"refunds beyond the charge, {line.day}", charge)
    return None


def _unknown(line: LineEntry, call: KnownCall | None, charge: MovementEntry | None) -> _Word:
    money = said(*line.presented)
    payment: tuple[int | None, str] = (call.payment_id, call.payment_public_id) if call else (None, "")
    if charge is not None:
        payment = charge.payment_id, charge.payment_public_id
    named = " It is about a payment of ours." if payment[1] else ""
    if line.kind in {K.REFUND, K.REFUND_RETURN}:
        kind = B.REFUND_FAILED if line.kind == K.REFUND_RETURN else B.REFUND_UNMATCHED
        said_so = "took back a refund of" if line.kind == K.REFUND_RETURN else "refunded"
        because = f"The gateway {said_so} {said(abs(line.presented[0]), line.presented[1])}, and no refund of ours says so.{named}"
        return _Word(kind, because, f"{kind} of {line.day}", *payment)
    if line.kind in _DISPUTES:
        because = f"A dispute moved {money} at the gateway, and no case of ours knows it.{named}"
        return _Word(B.CHARGEBACK_UNRECORDED, because, f"disputes unrecorded, {line.day}", *payment)
    if call is not None and call.state in _REFUSED:
        because = f"The gateway settled {money}; we believe that the call {call.state}.{named}"
        return _Word(B.STATUS_MISMATCH, because, f"settled though {call.state}, {line.day}", *payment)
    because = f"The gateway reports {money}, and no movement of ours explains it.{named}"
    known = "of payments we know" if payment[1] else "nobody knows"
    return _Word(B.MISSING_IN_PAYMENTS, because, f"charges {known}, {line.day}", *payment)


def _named(kind: BreakType, because: str, cause: str, by: MovementEntry) -> _Word:
    return _Word(kind, because, cause, by.payment_id, by.payment_public_id)


def _call_of(line: LineEntry, about: About) -> KnownCall | None:
    for call in about.calls:
        if (line.reference and call.reference == line.reference) or (
            line.gateway_id and call.gateway_id == line.gateway_id
        ):
            return call
    return None


def _found(line: LineEntry, word: _Word, alike: tuple[MovementEntry, ...]) -> FoundBreak:
    ours: dict[str, str] = {}
    if alike:
        ours["candidates"] = "; ".join(
            f"{other.payment_public_id or other.gateway_id} {said(other.minor, other.currency)} of {other.day}"
            for other in alike
        )
        ours["candidate_ids"] = " ".join(str(other.id) for other in alike)
    return FoundBreak(
        kind=word.kind,
        key=f"line:{line.key}",
        currency=line.currency,
        difference_minor=line.worth_minor,
        value_minor=abs(line.gross_minor),
        day=line.day,
        cause=word.cause,
        because=word.because,
        ours=ours,
        theirs=their_side(line),
        line_id=line.id,
        statement_id=line.statement_id,
        movement_id=word.movement_id,
        payment_id=word.payment_id,
        payment_public_id=word.payment_public_id,
    )
