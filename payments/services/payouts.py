"""How does a payout leave the gateway, reach the bank or come back? Told by webhooks, reports and statements, in any order.

The states say what is known; the books follow what happened. Each of the four postings is made once, whoever tells first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction

from ledger.drafts import EntryDraft
from ledger.money import Money
from ledger.queries import missing_source_keys
from ledger.services import post_entries
from payments.errors import InvalidInput, NotFound
from payments.facts import PayoutTold
from payments.models import GatewayAccount, Payout, PayoutWord
from payments.payout_accounting import PayoutBooking, back_at_gateway, in_bank, left_bank, left_gateway
from payments.states import PayoutState

S = PayoutState
GATEWAY, STATEMENT, BANK = "gateway", "statement", "bank"
_TELLABLE: Final = (S.EXPECTED, S.IN_TRANSIT, S.PAID, S.FAILED)
_RANK: Final = {S.EXPECTED: 0, S.IN_TRANSIT: 1, S.PAID: 2, S.IN_BANK: 3}
_MOVES: Final[dict[PayoutState, Callable[[Payout], None]]] = {
    S.IN_TRANSIT: Payout.mark_in_transit,
    S.PAID: Payout.mark_paid,
    S.IN_BANK: Payout.mark_in_bank,
    S.FAILED: Payout.mark_failed,
    S.RETURNED: Payout.mark_returned,
}
_GONE: Final = frozenset({S.FAILED, S.RETURNED})


@dataclass(slots=True)
class _Case:
    """A locked payout while one word about it is worked in."""

    payout: Payout
    said_by: str
    at: datetime
    now: datetime
    slug: str
    actor: str = ""
    entry: str = ""
    changed: bool = False
    said: str = ""

    def key(self, leg: str) -> str:
        return entry_key(self.slug, self.payout.gateway_id, leg)


def entry_key(slug: str, gateway_id: str, leg: str) -> str:
    """By which entry a payout made one of its ways: left, back, bank, bank_return."""
    return f"payout:{slug}:{gateway_id}:{leg}"


def restated_key(payout: Payout) -> str:
    """By which entry its last change of amount was booked, as `tell_payout` has just returned it."""
    return entry_key(payout.gateway_account.slug, payout.gateway_id, f"restated:{payout.version}")


@transaction.atomic
def tell_payout(slug: str, told: PayoutTold, *, now: datetime, said_by: str = GATEWAY) -> Payout:
    """This function will take in one word of a gateway about a payout, in whatever order the words come.

    A state only moves forward; `failed` counts from everywhere, since banks return what was said to be paid. What left
    the gateway's balance is booked when the first word says so: Dr 1020 / Cr 1110; what failed goes back by its mirror.
    Raises: NotFound without such an account, InvalidInput for a state that no gateway can know or another currency.
    Idempotent on: (account, gateway's id, state); the later word decides on dates, references and the amount.
    Writes: payout, its words, entries. Locks: the payout.
    """
    if told.state not in _TELLABLE:
        raise InvalidInput(f"No gateway can say that a payout is {told.state}.", field="state")
    case = _open(slug, told, now, said_by)
    _learn(case, told)
    _advance(case, told.state)
    if told.state in {S.IN_TRANSIT, S.PAID}:
        _leave(case)
    elif told.state == S.FAILED:
        case.payout.failure = (told.failure or case.payout.failure)[:200]
        _come_back(case)
    return _close(case)


@transaction.atomic
def tell_return(slug: str, told: PayoutTold, *, now: datetime) -> Payout:
    """This function will take in a statement's line that a payout is back in the gateway's balance.

    `told.money` is what had been paid out. A payout never heard of left before our books began: only its return is booked.
    Raises: NotFound without such an account. Idempotent on: the payout. Writes: payout, its words, entries.
    """
    heard_of = Payout.objects.filter(gateway_account__slug=slug, gateway_id=told.gateway_id).exists()
    case = _open(slug, told, now, STATEMENT)
    if heard_of:
        _leave(case)
    _advance(case, S.FAILED)
    _advance(case, S.RETURNED)
    _post(case, "back", back_at_gateway)
    return _close(case)


@transaction.atomic
def confirm_in_bank(payout_pk: int, *, on: date, bank_line_key: str, now: datetime, actor: str = "") -> Payout:
    """This function will book a payout as arrived: Dr 1010 / Cr 1020, on the day the bank names.

    A payout that failed and still stands at the bank keeps its state: the bank's return is a line of its own.
    Raises: NotFound. Idempotent on: the payout. Writes: payout, its words, entries. Locks: the payout.
    """
    case = _bank_case(payout_pk, on, now, actor)
    _leave(case)
    _advance(case, S.IN_BANK)
    if case.payout.in_bank_on is None:
        case.payout.in_bank_on, case.changed = on, True
    _post(case, "bank", in_bank)
    return _close(case, f"bank line {bank_line_key}")


@transaction.atomic
def return_from_bank(payout_pk: int, *, on: date, bank_line_key: str, now: datetime, actor: str = "") -> Payout:
    """This function will book that the bank sent a payout back: Dr 1020 / Cr 1010, and it has failed.

    Raises: NotFound. Idempotent on: the payout. Writes: payout, its words, entries. Locks: the payout.
    """
    case = _bank_case(payout_pk, on, now, actor)
    _leave(case)
    _post(case, "bank", in_bank)
    _post(case, "bank_return", left_bank)
    _advance(case, S.FAILED)
    _come_back(case)
    return _close(case, f"bank line {bank_line_key}")


# --- one word ---------------------------------------------------------------------------------------------------------


def _open(slug: str, told: PayoutTold, now: datetime, said_by: str) -> _Case:
    account = GatewayAccount.objects.filter(slug=slug).first()
    if account is None:
        raise NotFound(f"There is no gateway account {slug!r}.")
    fresh = Payout(
        gateway_account=account,
        gateway_id=told.gateway_id,
        amount_minor=told.money.amount_minor,
        currency=told.money.currency,
        made_at=told.made_at,
        told_at=told.occurred_at,
    )
    known = Payout.objects.filter(gateway_account=account, gateway_id=told.gateway_id)
    new = not known.exists()
    if new:
        Payout.objects.bulk_create([fresh], ignore_conflicts=True)
    payout = known.select_for_update(of=("self",)).get()
    case = _Case(payout, said_by, told.occurred_at, now, slug)
    if not payout.words.exists():
        _note(case, "", f"Told of {told.money}, made {told.made_at:%d %b %Y}.")
    return case


def _bank_case(payout_pk: int, on: date, now: datetime, actor: str) -> _Case:
    payout = (
        Payout.objects.select_for_update(of=("self",)).select_related("gateway_account").filter(pk=payout_pk).first()
    )
    if payout is None:
        raise NotFound("There is no such payout.")
    noon = datetime.combine(on, time(12), ZoneInfo(settings.BUSINESS_TIME_ZONE))
    return _Case(payout, BANK, noon, now, payout.gateway_account.slug, actor)


def _learn(case: _Case, told: PayoutTold) -> None:
    """The later word decides, over the amount the statement; an earlier one fills in what nobody has said. What is gone or
    in the bank keeps its amount."""
    payout = case.payout
    if told.money.currency != payout.currency:
        raise InvalidInput(f"Payout {payout.gateway_id} is in {payout.currency}, not {told.money}.", field="money")
    later = told.occurred_at >= payout.told_at
    before = (payout.arrives_on, payout.bank_ref, payout.itemised, payout.told_at)
    if told.arrives_on and (later or payout.arrives_on is None):
        payout.arrives_on = told.arrives_on
    if told.bank_ref and (later or not payout.bank_ref):
        payout.bank_ref = told.bank_ref[:140]
    payout.itemised = payout.itemised or told.itemised
    decides = later or case.said_by == STATEMENT
    if told.money != payout.money and decides and payout.state not in _GONE and payout.in_bank_on is None:
        _restate(case, told.money)
    payout.told_at = max(payout.told_at, told.occurred_at)
    case.changed = case.changed or before != (payout.arrives_on, payout.bank_ref, payout.itemised, payout.told_at)


def _restate(case: _Case, money: Money) -> None:
    """The gateway names another amount: the difference is booked, if the first was."""
    payout, difference = case.payout, money - case.payout.money
    because = f"Its amount is {money}, not {payout.money}."
    if payout.entry_source_key:
        key = case.key(f"restated:{payout.version + 1}")
        post_entries([left_gateway(difference, _booking(case, key))], now=case.now)
        case.entry = key
    payout.amount_minor, case.changed = money.amount_minor, True
    _note(case, payout.state, because)


def _advance(case: _Case, to: PayoutState) -> None:
    """Move if that is forward, or to where it failed; say so in its words."""
    payout = case.payout
    before = S(payout.state)
    if to in _RANK and (before in _GONE or _RANK[to] <= _RANK[before]):
        return
    if to == before or (to == S.FAILED and before == S.RETURNED):
        return
    _MOVES[to](payout)
    case.changed = True
    case.said = before.value


def _leave(case: _Case) -> None:
    payout = case.payout
    if payout.entry_source_key or payout.money.is_zero:
        return
    key = case.key("left")
    case.at, at = payout.made_at, case.at
    post_entries([left_gateway(payout.money, _booking(case, key))], now=case.now)
    case.at, case.entry, case.changed = at, key, True
    payout.entry_source_key = key
    if payout.state in _GONE:  # its end was heard of before its beginning
        _come_back(case)


def _come_back(case: _Case) -> None:
    if case.payout.state in _GONE and case.payout.entry_source_key:
        _post(case, "back", back_at_gateway)


def _post(case: _Case, leg: str, draft: Callable[[Money, PayoutBooking], EntryDraft]) -> None:
    key = case.key(leg)
    if case.payout.money.is_zero or not missing_source_keys([key]):
        return
    post_entries([draft(case.payout.money, _booking(case, key))], now=case.now)
    case.entry, case.changed = key, True


def _booking(case: _Case, source_key: str) -> PayoutBooking:
    payout = case.payout
    return PayoutBooking(source_key, payout.public_id, case.slug, payout.gateway_id, case.at, case.actor)


def _note(case: _Case, before: str, because: str) -> None:
    PayoutWord.objects.create(
        payout=case.payout,
        said_by=case.said_by,
        because=because[:300],
        before=before,
        after=case.payout.state,
        occurred_at=case.at,
        at=case.now,
        entry_source_key=case.entry,
    )


def _close(case: _Case, told_by: str = "") -> Payout:
    """Save once; a word that changed nothing leaves no trace."""
    payout = case.payout
    if not case.changed:
        return payout
    if case.said or case.entry:
        state = S(payout.state)
        because = _WORDS[state] + (
            f" ({told_by})" if told_by else f" ({payout.failure})" if state in _GONE and payout.failure else ""
        )
        _note(case, case.said or payout.state, f"{because}.")
    payout.version += 1
    payout.save()
    return payout


_WORDS: Final = {
    S.EXPECTED: "It is to be paid out",
    S.IN_TRANSIT: "It has left the gateway",
    S.PAID: "The gateway says the bank has it",
    S.IN_BANK: "The bank's statement shows it",
    S.FAILED: "It failed",
    S.RETURNED: "The gateway's balance has it again",
}
