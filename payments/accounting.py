"""Which accounts does a fact or a command touch? Decision -> EntryDraft. Pure; debit positive, credit negative (ADR 1).

Every movement at the gateway becomes exactly one entry. Holds are memo lines; a capture releases the hold in its own entry.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from ledger import chart
from ledger.chart import AccountRef
from ledger.drafts import EntryDraft, PostingDraft, credit, debit
from ledger.money import Money
from payments.decisions import Posting

SUSPENSE, OVERPAYMENTS, DISPUTED_FUNDS = chart.SUSPENSE.code, chart.OVERPAYMENTS.code, chart.DISPUTED_FUNDS.code
PARTIAL_PAYMENTS = chart.PARTIAL_PAYMENTS.code
HELD_ON = {Posting.SUSPENSE: SUSPENSE, Posting.OVERPAYMENT: OVERPAYMENTS, Posting.SUSPENSE_OUT: SUSPENSE}


@dataclass(frozen=True, slots=True)
class Booking:
    """What `entry_for` needs beside the money. `hold` is what is still held of the transaction; `asked` what a refund
    reserved; `held_on` the account of the review whose money goes back; `disputed` the gateway's id of the dispute, by which
    its claim is kept as an open item. `partly`: the payment is partially paid, so that what is its own is held for it and no
    sale yet; `earlier` is what came in before this movement."""

    source_key: str
    subject: str
    description: str
    occurred_at: datetime
    gateway: str
    match_key: str
    actor: str = ""
    hold: Money | None = None
    asked: Money | None = None
    held_on: str = SUSPENSE
    disputed: str = ""
    partly: bool = False
    earlier: Money | None = None


def receivable(gateway: str, currency: str) -> AccountRef:
    return AccountRef(chart.GATEWAY_RECEIVABLE.code, currency, gateway=gateway)


def held(code: str, gateway: str, currency: str) -> AccountRef:
    """Suspense is kept per gateway, overpayments per currency."""
    return AccountRef(code, currency, gateway=gateway if code == SUSPENSE else "")


def sales(currency: str) -> AccountRef:
    return AccountRef(chart.SALES_CLEARING.code, currency)


def part_held(currency: str) -> AccountRef:
    """What has come in of a sum whose rest is missing."""
    return AccountRef(chart.PARTIAL_PAYMENTS.code, currency)


def _own(b: Booking, currency: str) -> AccountRef:
    """Where the payment's own money stands: with the sales, or held until the rest is here."""
    return part_held(currency) if b.partly else sales(currency)


def refunds_payable(gateway: str, currency: str) -> AccountRef:
    return AccountRef(chart.REFUNDS_PAYABLE.code, currency, gateway=gateway)


def entry_for(posting: Posting, money: Money, booking: Booking) -> EntryDraft | None:
    """The entry that books a decision's money. Returns None only for `Posting.NONE`."""
    if posting == Posting.NONE:
        return None
    lines = _MONEY_LINES[posting](money, booking)
    return _draft(booking, lines)


def _draft(booking: Booking, lines: list[PostingDraft]) -> EntryDraft:
    return EntryDraft(
        source_key=booking.source_key,
        subject=booking.subject,
        occurred_at=booking.occurred_at,
        description=booking.description,
        postings=tuple(lines),
        actor=booking.actor,
    )


def _transfer(to: AccountRef, of: AccountRef, money: Money, booking: Booking) -> list[PostingDraft]:
    """Debit one account, credit the other; a negative amount (a restated movement) swaps them."""
    if money.amount_minor < 0:
        to, of, money = of, to, -money
    return [debit(to, money, match_key=booking.match_key), credit(of, money, match_key=booking.match_key)]


def _memo(money: Money, booking: Booking) -> list[PostingDraft]:
    holds = AccountRef(chart.HOLDS.code, money.currency, gateway=booking.gateway)
    contra = AccountRef(chart.HOLDS_CONTRA.code, money.currency, gateway=booking.gateway)
    return _transfer(holds, contra, money, booking)


def _release(booking: Booking) -> list[PostingDraft]:
    if booking.hold is None or booking.hold.is_zero:
        return []
    return _memo(-booking.hold, booking)


def _capture(money: Money, b: Booking) -> list[PostingDraft]:
    """The part that was held for it becomes a sale with the rest."""
    moves = b.earlier if b.partly else None
    earlier = _transfer(part_held(money.currency), sales(money.currency), moves, b) if moves is not None else []
    return _taken(money, b) + earlier + _release(b)


def _part(money: Money, b: Booking) -> list[PostingDraft]:
    """Held with what came before it: a captured part of a hold stood with the sales while more could follow."""
    held_for_it = part_held(money.currency)
    moves = b.earlier if not b.partly and b.earlier is not None and not b.earlier.is_zero else None
    earlier = _transfer(sales(money.currency), held_for_it, moves, b) if moves is not None else []
    return _transfer(receivable(b.gateway, money.currency), held_for_it, money, b) + earlier + _release(b)


def _taken(money: Money, b: Booking) -> list[PostingDraft]:
    return _transfer(receivable(b.gateway, money.currency), sales(money.currency), money, b)


def _into_held(code: str, money: Money, b: Booking) -> list[PostingDraft]:
    to = held(code, b.gateway, money.currency)
    return _transfer(receivable(b.gateway, money.currency), to, money, b) + _release(b)


def _refund(money: Money, b: Booking) -> list[PostingDraft]:
    """The reserved sum leaves 2030; what the gateway sent beyond or short of it, or in another currency, waits in suspense."""
    if b.asked is not None and b.asked.currency != money.currency:
        freed = _transfer(
            refunds_payable(b.gateway, b.asked.currency), held(SUSPENSE, b.gateway, b.asked.currency), b.asked, b
        )
        return freed + _out_of(SUSPENSE, money, b)
    asked = b.asked if b.asked is not None else money
    lines = _transfer(refunds_payable(b.gateway, money.currency), receivable(b.gateway, money.currency), asked, b)
    if money == asked:
        return lines
    difference = money - asked
    return lines + _transfer(
        held(SUSPENSE, b.gateway, money.currency), receivable(b.gateway, money.currency), difference, b
    )


def _out_of(code: str, money: Money, b: Booking) -> list[PostingDraft]:
    return _transfer(held(code, b.gateway, money.currency), receivable(b.gateway, money.currency), money, b)


def _refund_external(money: Money, b: Booking) -> list[PostingDraft]:
    return _transfer(_own(b, money.currency), receivable(b.gateway, money.currency), money, b)


def _refund_freed(money: Money, b: Booking) -> list[PostingDraft]:
    back_to = held(b.held_on, b.gateway, money.currency) if b.held_on else sales(money.currency)
    return _transfer(refunds_payable(b.gateway, money.currency), back_to, money, b)


def _claim(b: Booking, money: Money) -> AccountRef:
    return AccountRef(chart.DISPUTED_FUNDS.code, money.currency, gateway=b.gateway)


def _loss(b: Booking, money: Money) -> AccountRef:
    """What was never a sale is no loss: it is held no more."""
    if b.partly:
        return part_held(money.currency)
    return AccountRef(chart.CHARGEBACK_LOSSES.code, money.currency, gateway=b.gateway)


def _dispute(to: AccountRef, of: AccountRef, money: Money, b: Booking) -> list[PostingDraft]:
    """As any transfer, with the claim's line matched by the dispute and the rest by the payment."""
    lines = _transfer(to, of, money, b)
    return [replace(line, match_key=b.disputed) if line.account.code == DISPUTED_FUNDS else line for line in lines]


def _dispute_fee(money: Money, b: Booking) -> list[PostingDraft]:
    fees = AccountRef(chart.DISPUTE_FEES.code, money.currency, gateway=b.gateway)
    return _transfer(fees, receivable(b.gateway, money.currency), money, b)


_MONEY_LINES = {
    Posting.HOLD: _memo,
    Posting.HOLD_AND_RELEASE: lambda money, b: _memo(money, b) + _memo(-money, b),
    Posting.HOLD_RELEASE: lambda money, b: _memo(-(b.hold or money), b),
    Posting.CAPTURE: _capture,
    Posting.PART: _part,
    Posting.CAPTURE_AND_BACK: lambda money, b: _taken(money, b) + _taken(-money, b),
    Posting.SUSPENSE: lambda money, b: _into_held(SUSPENSE, money, b),
    Posting.OVERPAYMENT: lambda money, b: _into_held(OVERPAYMENTS, money, b),
    Posting.REFUND: _refund,
    Posting.REFUND_EXTERNAL: _refund_external,
    Posting.HELD_OUT: lambda money, b: _out_of(b.held_on, money, b),
    Posting.SUSPENSE_OUT: lambda money, b: _out_of(SUSPENSE, money, b),
    Posting.REFUND_FREED: _refund_freed,
    Posting.CHARGEBACK: lambda money, b: _dispute(_claim(b, money), receivable(b.gateway, money.currency), money, b),
    Posting.CHARGEBACK_LOST: lambda money, b: _transfer(
        _loss(b, money), receivable(b.gateway, money.currency), money, b
    ),
    Posting.CHARGEBACK_RETURN: lambda money, b: _dispute(
        receivable(b.gateway, money.currency), _claim(b, money), money, b
    ),
    Posting.CHARGEBACK_RETURN_LOST: lambda money, b: _transfer(
        receivable(b.gateway, money.currency), _loss(b, money), money, b
    ),
    Posting.DISPUTE_LOST: lambda money, b: _dispute(_loss(b, money), _claim(b, money), money, b),
    Posting.DISPUTE_REOPENED: lambda money, b: _dispute(_claim(b, money), _loss(b, money), money, b),
    Posting.DISPUTE_FEE: _dispute_fee,
}


def refund_reserved(money: Money, booking: Booking, *, from_held: str = "") -> EntryDraft:
    """A refund was approved: what was sales (or money under review) is owed back."""
    source = held(from_held, booking.gateway, money.currency) if from_held else sales(money.currency)
    return _draft(booking, _transfer(source, refunds_payable(booking.gateway, money.currency), money, booking))


def held_applied(money: Money, booking: Booking, *, as_part: bool = False) -> EntryDraft:
    """Money under review pays a payment after all; `as_part`: the rest of it is still missing."""
    source = held(booking.held_on, booking.gateway, money.currency)
    lines = _transfer(source, part_held(money.currency) if as_part else sales(money.currency), money, booking)
    if booking.partly and not as_part and booking.earlier:
        lines += _transfer(part_held(money.currency), sales(money.currency), booking.earlier, booking)
    return _draft(booking, lines)


def held_adopted(money: Money, booking: Booking) -> EntryDraft:
    """Money that left us beyond what our books explain is taken out of sales; suspense returns to zero."""
    to = held(booking.held_on, booking.gateway, money.currency)
    return _draft(booking, _transfer(_own(booking, money.currency), to, money, booking))


def part_owed(money: Money, booking: Booking) -> EntryDraft:
    """No rest will come: what was held for it is owed back."""
    to = refunds_payable(booking.gateway, money.currency)
    return _draft(booking, _transfer(part_held(money.currency), to, money, booking))


def short_accepted(held_money: Money, missing: Money, booking: Booking) -> EntryDraft:
    """What came in counts as all of it: the sale is whole, and what is missing is our tolerance."""
    rounding = AccountRef(chart.ROUNDING.code, missing.currency)
    lines = _transfer(part_held(held_money.currency), sales(held_money.currency), held_money, booking)
    return _draft(booking, lines + _transfer(rounding, sales(missing.currency), missing, booking))


def held_to_wallet(money: Money, booking: Booking, *, customer: str) -> EntryDraft:
    """Money under review becomes the customer's balance."""
    wallet = AccountRef(chart.WALLET.code, money.currency, customer=customer)
    return _draft(booking, _transfer(held(booking.held_on, booking.gateway, money.currency), wallet, money, booking))
