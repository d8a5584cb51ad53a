"""What is a command that ends a break made of? The values that every command takes and answers, and what all of them post."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.conf import settings

from ledger import chart
from ledger.chart import AccountRef
from ledger.drafts import EntryDraft, PostingDraft
from ledger.money import Money
from ledger.services import post_entry
from payments.card_numbers import has_card_number
from payments.errors import CardNumberRefused, InvalidInput, NotAllowedNow
from payments.services.actors import Actor
from payments.services.calls import Clock
from reconciliation.fixes import Fix
from reconciliation.models import Booking, Break, Line, StatementAccount
from reconciliation.states import BreakState

RESOLVE: Final = "reconciliation.resolve_break"
POST_JOURNAL: Final = "reconciliation.post_journal"
_SHORTEST: Final = 5
Answers = Mapping[str, Any]
"""What the person chose beside reason and note: text and whole numbers, as an approval keeps them."""


@dataclass(frozen=True, slots=True)
class By:
    """Who does it, once, when. `request_id` is part of every key that is written."""

    actor: Actor
    request_id: str
    now: datetime


@dataclass
class Carried:
    """What a command did besides posting. `effects` are sentences for people.

    `timing_minor` is what now stands among timing items, `gateway_minor` by how much the gateway's balance is read
    otherwise; both in the break's currency, signed as the difference.
    """

    effects: list[str] = field(default_factory=list)
    ends_as: BreakState = BreakState.RESOLVED
    timing_minor: int = 0
    gateway_minor: int = 0
    expected_until: date | None = None
    matches: list[int] = field(default_factory=list)
    removed_lines: list[int] = field(default_factory=list)
    also_ends: list[Break] = field(default_factory=list)
    barred_undo: str = ""
    review_public_id: str = ""


@dataclass(frozen=True, slots=True)
class Command:
    """One way out, as the frame sees it.

    `carry_out` runs inside the transaction, under the break's lock; a preview is the same run, taken back. `before` runs
    outside of one, e.g. to ask the gateway. `fits` says why this break is none for it, in a sentence; empty: it is.
    `fields` are the names of the answers it reads; `words` say what a chosen answer means, where the answer is a code.
    """

    fix: Fix
    label: str
    explanation: str
    carry_out: Callable[[Break, Answers, By], Carried]
    before: Callable[[Break, Answers, Actor, Clock], None] | None = None
    fits: Callable[[Break], str] = lambda broken: ""
    fields: tuple[str, ...] = ()
    words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    two_people: bool = False
    evidence: bool = False
    right: str = RESOLVE


def require_words(text: str, field: str, advice: str) -> str:
    """What a person wrote, stripped. Raises: InvalidInput where it says nothing; CardNumberRefused."""
    said = text.strip()
    if len(said) < _SHORTEST:
        raise InvalidInput(advice, field=field)
    if has_card_number(said):
        raise CardNumberRefused("This looks like a card number: it is not kept. Leave it out.", field=field)
    return said


def balance_account(account: StatementAccount, currency: str) -> AccountRef:
    """The account whose balance a statement states: the gateway's receivable, or the bank."""
    if account.kind == StatementAccount.Kind.BANK:
        return AccountRef(chart.BANK.code, currency)
    return AccountRef(chart.GATEWAY_RECEIVABLE.code, currency, gateway=account.slug)


def account_of(code: str, broken: Break) -> AccountRef:
    """An account of the chart in the break's currency, of its gateway where it is kept by gateway.

    Raises: NotAllowedNow for an account by gateway on a bank's break.
    """
    spec = chart.account_spec(code)
    if "gateway" in spec.dimensions:
        if broken.account.kind == StatementAccount.Kind.BANK:
            raise NotAllowedNow(f"{code} {spec.name} is kept by gateway, and this break is the bank's.")
        return AccountRef(code, broken.currency, gateway=broken.account.slug)
    return AccountRef(code, broken.currency)


def open_item(broken: Break) -> str:
    """The open item that lines of this break's entries belong to: its payment, else the gateway's own name of it."""
    line = broken.line
    return broken.payment_public_id or (line.gateway_id or line.line_key if line else "") or broken.public_id


def moment_of(day: date, now: datetime) -> datetime:
    """Noon of the break's day, so that its proof closes again; never later than now."""
    noon = datetime.combine(day, time(12), tzinfo=ZoneInfo(settings.BUSINESS_TIME_ZONE))
    return min(noon, now)


def post_difference(
    broken: Break,
    by: By,
    counter: str,
    *,
    amount_minor: int | None = None,
    step: str = "",
    text: str,
    line: Line | None = None,
) -> None:
    """Book the break's difference (or `amount_minor` of it) on the balance account, against one other account.

    `line` is the one it is about, where that is not the break's.
    Positive: the gateway has more than our books, the balance is debited. Writes: an entry and its booking.
    """
    amount = broken.difference_minor if amount_minor is None else amount_minor
    if amount == 0:
        raise NotAllowedNow("This break has no difference in the balance: there is nothing to book.")
    other = account_of(counter, broken)
    item = open_item(broken)
    lines = (
        PostingDraft(balance_account(broken.account, broken.currency), amount, item),
        PostingDraft(other, -amount, item if other.spec.open_item else ""),
    )
    post_for(broken, by, lines, step=step, text=text, line=line)


def post_for(
    broken: Break, by: By, lines: tuple[PostingDraft, ...], *, step: str, text: str, line: Line | None = None
) -> None:
    """Book lines that a command made for a break. Writes: an entry and its booking. Idempotent on: request, break, step."""
    key = f"resolution:{by.request_id}:{broken.public_id}{f':{step}' if step else ''}"
    entry = EntryDraft(
        source_key=key,
        subject=broken.payment_public_id or broken.public_id,
        occurred_at=moment_of(broken.day, by.now),
        description=f"{text} ({broken.public_id})"[:400],
        postings=lines,
        actor=by.actor.label[:100],
    )
    post_entry(entry, now=by.now)
    ref = balance_account(broken.account, broken.currency)
    Booking.objects.create(
        account=broken.account,
        run=broken.last_run,
        line=line or broken.line,
        kind="resolution",
        currency=broken.currency,
        amount_minor=sum(line.amount_minor for line in lines if line.account == ref),
        entry_source_key=key,
        booked_at=by.now,
    )


def money_of(broken: Break, minor: int) -> Money:
    """Minor units in the break's currency."""
    return Money(minor, broken.currency)
