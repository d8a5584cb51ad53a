"""A line and a movement are the same: what differs? Currency, amount, exchange; the most specific word is said. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from ledger.money import UnknownCurrency, minor_digits
from reconciliation.findings import FoundBreak
from reconciliation.rules.base import LineEntry, MovementEntry, Pairing, our_side, said, same_money, their_side
from reconciliation.states import BreakType, LineKind

ROUNDING: Final = 1
"""Minor units by which a converted amount may be off."""


def judge_pair(pairing: Pairing) -> tuple[FoundBreak, bool] | None:
    """None: they agree. Else what is different, and whether they are matched all the same."""
    line, movement = pairing.lines[0], pairing.movements[0]
    if pairing.one_to_one and not same_money(line, movement):
        return _other_money(line, movement), False
    if pairing.one_to_one:
        exchange = _exchange(line, movement)
        return None if exchange is None else (exchange, True)
    return None


def said_otherwise(line: LineEntry, movements: Sequence[MovementEntry]) -> tuple[FoundBreak, MovementEntry] | None:
    """The line says that nothing moved; do we believe that it did? A refund that failed is a case of its own."""
    for movement in movements:
        same = line.gateway_id and movement.gateway_id == line.gateway_id
        if not same and not (line.reference and movement.reference == line.reference and not line.gateway_id):
            continue
        if line.kind not in {LineKind.DECLINE, movement.kind}:
            continue
        refund = movement.kind == LineKind.REFUND
        ours = said(movement.minor, movement.currency)
        word = line.status or "declined"
        because = f"The gateway's line says {word}; we booked {ours} for it on {movement.day}."
        kind = BreakType.REFUND_FAILED if refund else BreakType.STATUS_MISMATCH
        return _both(kind, line, movement, because, f"{kind} of {line.day}"), movement
    return None


def _other_money(line: LineEntry, movement: MovementEntry) -> FoundBreak:
    minor, currency = line.presented
    theirs, ours = said(minor, currency), said(movement.minor, movement.currency)
    if currency != movement.currency:
        because = f"The gateway reports {theirs}, we booked {ours}: another currency."
        return _both(BreakType.CURRENCY_MISMATCH, line, movement, because, f"currency of {line.day}")
    off = said(minor - movement.minor, currency)
    because = f"The gateway reports {theirs}, we booked {ours}: {off} between them."
    return _both(BreakType.AMOUNT_MISMATCH, line, movement, because, f"amount of {line.kind} of {line.day}")


def _both(kind: BreakType, line: LineEntry, movement: MovementEntry, because: str, cause: str) -> FoundBreak:
    """A break with both sides. In two currencies ours is added to the proof of its own currency by the movement's id."""
    same = line.currency == movement.currency
    difference = line.worth_minor - (movement.minor if same else 0)
    return FoundBreak(
        kind=kind,
        key=f"line:{line.key}",
        currency=line.currency,
        difference_minor=difference,
        value_minor=_at_risk(kind, line, movement),
        day=min(line.day, movement.day),
        cause=cause,
        because=because,
        ours=our_side(movement),
        theirs=their_side(line),
        line_id=line.id,
        statement_id=line.statement_id,
        movement_id=movement.id,
        payment_id=movement.payment_id,
        payment_public_id=movement.payment_public_id,
    )


def _at_risk(kind: BreakType, line: LineEntry, movement: MovementEntry) -> int:
    """What of the line's gross is disputed: the part by which the payer's money differs, or all of it."""
    minor, currency = line.presented
    if kind != BreakType.AMOUNT_MISMATCH or minor == 0:
        return max(abs(line.gross_minor), abs(movement.minor) if movement.currency == line.currency else 0)
    off = abs(minor - movement.minor)
    return off if currency == line.currency else abs(line.gross_minor) * off // abs(minor)


def _exchange(line: LineEntry, movement: MovementEntry) -> FoundBreak | None:
    """Two currencies: is settlement money what the line's own rate makes of it, and what we were told when it was taken?"""
    minor, currency = line.presented
    if currency == line.currency:
        return None
    if line.rate is not None and not _converts(minor, currency, line):
        made = said(line.gross_minor, line.currency)
        because = f"{said(minor, currency)} at the report's own rate of {line.rate.normalize():f} is not {made}."
        return _exchanged(BreakType.FX_VARIANCE, line, movement, _at_rate(minor, currency, line), because)
    told = movement.settlement_minor
    if told is None or movement.settlement_currency != line.currency or told == line.gross_minor:
        return None
    because = (
        f"The gateway told us {said(told, line.currency)} for {said(minor, currency)} and reports"
        f" {said(line.gross_minor, line.currency)}."
    )
    return _exchanged(BreakType.FX_DIFFERENCE, line, movement, told, because)


def _exchanged(kind: BreakType, line: LineEntry, movement: MovementEntry, due: int, because: str) -> FoundBreak:
    """The pair is matched and booked as reported: nothing is left between the balances, the difference is money lost."""
    return FoundBreak(
        kind=kind,
        key=f"line:{line.key}",
        currency=line.currency,
        difference_minor=0,
        value_minor=abs(line.gross_minor - due),
        day=line.day,
        cause=f"exchange {line.presented[1]} to {line.currency} of {line.day}",
        because=because,
        ours=our_side(movement),
        theirs=their_side(line),
        line_id=line.id,
        statement_id=line.statement_id,
        movement_id=movement.id,
        payment_id=movement.payment_id,
        payment_public_id=movement.payment_public_id,
    )


def _converts(minor: int, currency: str, line: LineEntry) -> bool:
    """A rate is told in either direction, by the source's custom: one of the two has to fit."""
    if abs(_at_rate(minor, currency, line) - line.gross_minor) <= ROUNDING:
        return True
    assert line.rate is not None
    scale = Decimal(10) ** (_digits(currency) - _digits(line.currency))
    back = (Decimal(line.gross_minor) * line.rate * scale).quantize(Decimal(1), ROUND_HALF_UP)
    return abs(int(back) - minor) <= ROUNDING


def _at_rate(minor: int, currency: str, line: LineEntry) -> int:
    assert line.rate is not None
    scale = Decimal(10) ** (_digits(line.currency) - _digits(currency))
    return int((Decimal(minor) * line.rate * scale).quantize(Decimal(1), ROUND_HALF_UP))


def _digits(currency: str) -> int:
    try:
        return minor_digits(currency)
    except UnknownCurrency:
        return 2
