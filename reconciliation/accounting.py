"""Which accounts does a line of a statement touch beyond its movement? Sums of lines -> EntryDraft. Pure; debit positive.

The movement's own entry stands already: what the payer saw, on 1110 in the payer's currency. From the line come the fee,
the exchange into settlement money, reserves and adjustments. All of them change 1110 by exactly what the line's net says.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ledger import chart
from ledger.chart import AccountRef, AccountSpec
from ledger.drafts import EntryDraft, PostingDraft

FEES, DISPUTE_FEES, EXCHANGE, RESERVE, ADJUSTMENT, PAYOUT = (
    "fees",
    "dispute_fees",
    "exchange",
    "reserve",
    "adjustment",
    "payout",
)
"""Kinds of `Booking`."""
_EXPENSE: Final = {FEES: chart.GATEWAY_FEES, DISPUTE_FEES: chart.DISPUTE_FEES, ADJUSTMENT: chart.GATEWAY_FEES}


@dataclass(frozen=True, slots=True)
class LineBooking:
    """What an entry from lines needs beside its money. `match_key` is the open item on 1110."""

    source_key: str
    subject: str
    gateway: str
    match_key: str
    description: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Sums:
    """What lines come to, in minor units of `currency`.

    `amount_minor` is what 1110 changes by, debit positive. Of a fee, `expected_minor` is the contract's word and
    `tax_minor` the tax, both positive when they take away. Of an exchange, `against_minor` is what leaves 1110 in the
    payers' currency, positive for captures.
    """

    kind: str
    currency: str
    amount_minor: int = 0
    expected_minor: int = 0
    tax_minor: int = 0
    against_currency: str = ""
    against_minor: int = 0
    lines: int = 0

    @property
    def fee_minor(self) -> int:
        """The fee without its tax, positive when it takes away."""
        return -self.amount_minor - self.tax_minor

    @property
    def moves_nothing(self) -> bool:
        return not (self.amount_minor or self.expected_minor or self.tax_minor or self.against_minor)

    def less(self, before: Sums) -> Sums:
        """What is still to be booked when `before` has been."""
        return Sums(
            self.kind,
            self.currency,
            self.amount_minor - before.amount_minor,
            self.expected_minor - before.expected_minor,
            self.tax_minor - before.tax_minor,
            self.against_currency,
            self.against_minor - before.against_minor,
            self.lines - before.lines,
        )


def entry_for(sums: Sums, booking: LineBooking) -> EntryDraft:
    """The entry that books them. Raises: DraftRefused if there is nothing to book."""
    lines = _LINES[sums.kind](sums, booking)
    return EntryDraft(
        source_key=booking.source_key,
        subject=booking.subject,
        occurred_at=booking.occurred_at,
        description=booking.description,
        postings=tuple(lines),
    )


def _charged(sums: Sums, booking: LineBooking) -> list[PostingDraft]:
    """The expense as the contract has it, what it was beyond that, the tax; all of it off the receivable."""
    expense = _EXPENSE[sums.kind]
    expected = sums.expected_minor if sums.kind == FEES else sums.fee_minor
    return _lines(
        (_at(expense, sums.currency, booking), expected, ""),
        (_at(chart.FEE_VARIANCE, sums.currency, booking), sums.fee_minor - expected, ""),
        (AccountRef(chart.RECOVERABLE_TAX.code, sums.currency), sums.tax_minor, ""),
        (_at(chart.GATEWAY_RECEIVABLE, sums.currency, booking), sums.amount_minor, booking.match_key),
    )


def _exchanged(sums: Sums, booking: LineBooking) -> list[PostingDraft]:
    """Out of the payers' currency, into that of settlement; each balances in itself through 1190."""
    return _lines(
        (AccountRef(chart.FX_POSITION.code, sums.against_currency), sums.against_minor, ""),
        (_at(chart.GATEWAY_RECEIVABLE, sums.against_currency, booking), -sums.against_minor, booking.match_key),
        (_at(chart.GATEWAY_RECEIVABLE, sums.currency, booking), sums.amount_minor, booking.match_key),
        (AccountRef(chart.FX_POSITION.code, sums.currency), -sums.amount_minor, ""),
    )


def _reserved(sums: Sums, booking: LineBooking) -> list[PostingDraft]:
    """Kept back by the gateway, or let go."""
    return _lines(
        (_at(chart.GATEWAY_RESERVE, sums.currency, booking), -sums.amount_minor, ""),
        (_at(chart.GATEWAY_RECEIVABLE, sums.currency, booking), sums.amount_minor, booking.match_key),
    )


def _at(spec: AccountSpec, currency: str, booking: LineBooking) -> AccountRef:
    return AccountRef(spec.code, currency, gateway=booking.gateway)


def _lines(*legs: tuple[AccountRef, int, str]) -> list[PostingDraft]:
    wanted: Iterable[tuple[AccountRef, int, str]] = (leg for leg in legs if leg[1])
    return [PostingDraft(account, minor, key) for account, minor, key in wanted]


_LINES: Final = {
    FEES: _charged,
    DISPUTE_FEES: _charged,
    ADJUSTMENT: _charged,
    EXCHANGE: _exchanged,
    RESERVE: _reserved,
}
