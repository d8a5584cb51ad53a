"""What does a person need to see of a payout: where it stands, what it is made of, what it booked and who said so?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from django.db.models import Count, QuerySet, Sum
from django.urls import reverse

from console.links import link_to
from console.values import Amount, Chip, KeyValue, Link, Shown, TimelineItem, Tone
from ledger.queries import EntryView, entries_for_subject
from payments.models import Movement, Payout, PayoutWord
from payments.queries.dispute_page import settlement_text
from payments.states import MovementKind, PayoutState

S = PayoutState
MOST_ITEMS: Final = 50
ON_THE_WAY: Final = frozenset({S.EXPECTED, S.IN_TRANSIT, S.PAID})
_CHIPS: Final[dict[PayoutState, Chip]] = {
    S.EXPECTED: Chip("expected", Tone.INFO, "schedule", "The gateway will pay it out; it still holds the money"),
    S.IN_TRANSIT: Chip("in transit", Tone.INFO, "local_shipping", "It has left the gateway"),
    S.PAID: Chip(
        "paid", Tone.INFO, "send_money", "The gateway says the bank has it; no statement of the bank shows it"
    ),
    S.IN_BANK: Chip("in the bank", Tone.GOOD, "account_balance", "The bank's statement shows it"),
    S.FAILED: Chip("failed", Tone.BAD, "error", "The bank sent it back, or the gateway called it off"),
    S.RETURNED: Chip("returned", Tone.WARN, "undo", "It failed, and the gateway's balance has it again"),
}
LATE: Final = Chip("past its day", Tone.WARN, "alarm", "It should have been in the bank by now")
_SAID_BY: Final = {"gateway": "the gateway", "statement": "a statement of the gateway", "bank": "the bank's statement"}
_INTO: Final = frozenset({MovementKind.CAPTURE, MovementKind.REFUND_RETURN, MovementKind.CHARGEBACK_RETURN})
SUM_COLUMNS: Final = ("Movements", "Count", "Payers' money")
ITEM_COLUMNS: Final = ("Movement", "Payment", "Payer's money", "At the gateway", "Settlement money")
ENTRY_COLUMNS: Final = ("Journal entry", "What", "Booked on", "Amount")


@dataclass(frozen=True, slots=True)
class PayoutPage:
    """The page of one payout. `more` movements are not listed."""

    chip: Chip
    summary: str
    facts: tuple[KeyValue, ...]
    sums: tuple[tuple[Shown, ...], ...]
    items: tuple[tuple[Shown, ...], ...]
    more: int
    entries: tuple[tuple[Shown, ...], ...]
    story: tuple[TimelineItem, ...]


def payout_chip(payout: Payout) -> Chip:
    """Where it stands, in a word."""
    return _CHIPS[S(payout.state)]


def late_chip(payout: Payout, today: date) -> Chip | None:
    """Loud while it is on its way past the day the gateway named."""
    due = payout.arrives_on is not None and payout.arrives_on < today
    return LATE if due and payout.state in ON_THE_WAY else None


def payout_page(payout: Payout, now: datetime) -> PayoutPage:
    """Build the page; a constant number of queries."""
    items = _items(payout)
    listed = items.select_related("payment").order_by("occurred_at", "id")[: MOST_ITEMS + 1]
    movements = list(listed)
    count = len(movements) if len(movements) <= MOST_ITEMS else items.count()
    entries = entries_for_subject(payout.public_id)
    return PayoutPage(
        chip=late_chip(payout, now.date()) or payout_chip(payout),
        summary=_summary(payout, count),
        facts=_facts(payout),
        sums=_sums(payout),
        items=tuple(_item(movement) for movement in movements[:MOST_ITEMS]),
        more=max(count - MOST_ITEMS, 0),
        entries=tuple(_entry(entry) for entry in entries),
        story=tuple(_word(word) for word in payout.words.all()),
    )


def _items(payout: Payout) -> QuerySet[Movement]:
    return Movement.objects.filter(batch_id=payout.gateway_id, gateway_account_id=payout.gateway_account_id)


def _summary(payout: Payout, count: int) -> str:
    made_of = f"{count} movements of ours are known to be in it." if count else "No movement of ours names it yet."
    where = f"The gateway takes {-payout.money} from our bank." if payout.amount_minor < 0 else ""
    return " ".join(part for part in (f"{payout_chip(payout).hint}.", where, made_of) if part)


def _facts(payout: Payout) -> tuple[KeyValue, ...]:
    account = payout.gateway_account
    lines = [
        KeyValue("Amount", Amount(payout.amount_minor, payout.currency)),
        KeyValue("Made", payout.made_at),
        KeyValue(
            "Expected in the bank", _day(payout.arrives_on), "" if payout.arrives_on else "The gateway named no day."
        ),
        KeyValue(
            "In the bank", _day(payout.in_bank_on), "" if payout.in_bank_on else "No statement of the bank shows it."
        ),
        KeyValue("What the bank will show", payout.bank_ref or None),
        KeyValue("Last word", payout.told_at),
        KeyValue("Made up of", "told by the gateway" if payout.itemised else "not told by the gateway so far"),
        KeyValue("At", Link(account.name, reverse("admin:payments_gatewayaccount_change", args=(account.slug,)))),
        KeyValue("Gateway's payout", Link(payout.gateway_id, "", code=True)),
    ]
    if payout.failure:
        lines.insert(1, KeyValue("Failed because", payout.failure))
    return tuple(lines)


def _day(day: date | None) -> str | None:
    return f"{day:%d %b %Y}" if day else None


def _sums(payout: Payout) -> tuple[tuple[Shown, ...], ...]:
    rows = _items(payout).values("kind", "currency").annotate(count=Count("id"), minor=Sum("amount_minor"))
    return tuple(
        (
            row["kind"].replace("_", " ").capitalize(),
            row["count"],
            Amount(_signed(row["kind"], row["minor"]), row["currency"]),
        )
        for row in rows.order_by("kind", "currency")
    )


def _signed(kind: str, minor: int) -> int:
    """What goes back or is kept takes away from the payout."""
    return minor if kind in _INTO else -minor


def _item(movement: Movement) -> tuple[Shown, ...]:
    payment = movement.payment
    return (
        movement.kind.replace("_", " ").capitalize(),
        link_to(payment.public_id) if payment else "of no payment",
        Amount(_signed(movement.kind, movement.amount_minor), movement.currency),
        movement.occurred_at,
        settlement_text(movement) or None,
    )


def _entry(entry: EntryView) -> tuple[Shown, ...]:
    moved = sum(line.debit_minor for line in entry.lines)
    return (
        link_to(entry.public_id),
        entry.description[:1].upper() + entry.description[1:],
        _day(entry.booked_on),
        Amount(moved, entry.lines[0].ref.currency),
    )


def _word(word: PayoutWord) -> TimelineItem:
    moved = f"{word.before.replace('_', ' ')} to {word.after.replace('_', ' ')}"
    changes = word.before and word.before != word.after
    return TimelineItem(
        at=word.at,
        title=word.after.replace("_", " ").capitalize() if word.before else "First heard of",
        cause=f"By {_SAID_BY.get(word.said_by, word.said_by)}; so since {word.occurred_at:%d %b %Y %H:%M} UTC.",
        detail=f"{word.because} From {moved}." if changes else word.because,
        tone=_CHIPS[S(word.after)].tone,
        icon=_CHIPS[S(word.after)].icon,
    )
