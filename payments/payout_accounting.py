"""Which accounts does a payout touch on its way from the gateway to our bank? Payout -> EntryDraft. Pure; debit positive.

A payout below zero is money that the gateway takes from our bank: every line changes its side.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ledger import chart
from ledger.chart import AccountRef
from ledger.drafts import EntryDraft, PostingDraft
from ledger.money import Money


@dataclass(frozen=True, slots=True)
class PayoutBooking:
    """What an entry of a payout needs beside its money. Open items are kept by `gateway_id`, the gateway's own name of it."""

    source_key: str
    subject: str
    gateway: str
    gateway_id: str
    occurred_at: datetime
    actor: str = ""


def left_gateway(money: Money, booking: PayoutBooking) -> EntryDraft:
    """It left the gateway's balance and is on its way."""
    lines = _transfer(_in_transit(money, booking), _receivable(money, booking), money, booking)
    return _draft(f"payout {booking.gateway_id} left {booking.gateway}", lines, booking)


def back_at_gateway(money: Money, booking: PayoutBooking) -> EntryDraft:
    """The bank refused it, or it was called off: the gateway's balance has it again."""
    lines = _transfer(_receivable(money, booking), _in_transit(money, booking), money, booking)
    return _draft(f"payout {booking.gateway_id} came back to {booking.gateway}", lines, booking)


def in_bank(money: Money, booking: PayoutBooking) -> EntryDraft:
    """The bank's statement shows it."""
    lines = _transfer(_bank(money), _in_transit(money, booking), money, booking)
    return _draft(f"payout {booking.gateway_id} is in the bank", lines, booking)


def left_bank(money: Money, booking: PayoutBooking) -> EntryDraft:
    """The bank's statement shows that it went back."""
    lines = _transfer(_in_transit(money, booking), _bank(money), money, booking)
    return _draft(f"payout {booking.gateway_id} left the bank again", lines, booking)


def _receivable(money: Money, booking: PayoutBooking) -> AccountRef:
    return AccountRef(chart.GATEWAY_RECEIVABLE.code, money.currency, gateway=booking.gateway)


def _in_transit(money: Money, booking: PayoutBooking) -> AccountRef:
    return AccountRef(chart.PAYOUTS_IN_TRANSIT.code, money.currency, gateway=booking.gateway)


def _bank(money: Money) -> AccountRef:
    return AccountRef(chart.BANK.code, money.currency)


def _transfer(to: AccountRef, of: AccountRef, money: Money, booking: PayoutBooking) -> tuple[PostingDraft, ...]:
    key = booking.gateway_id
    return (PostingDraft(to, money.amount_minor, key), PostingDraft(of, -money.amount_minor, key))


def _draft(description: str, lines: tuple[PostingDraft, ...], booking: PayoutBooking) -> EntryDraft:
    return EntryDraft(
        source_key=booking.source_key,
        subject=booking.subject,
        occurred_at=booking.occurred_at,
        description=description,
        postings=lines,
        actor=booking.actor,
    )
