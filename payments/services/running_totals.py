"""What moved, where a gateway says only how much has moved so far? The difference to what is booked; writes nothing."""

from __future__ import annotations

from dataclasses import replace

from ledger.money import Money
from payments.facts import Fact, SettlementTold
from payments.services.case import Case, known_money, next_occurrence, total
from payments.states import MovementKind


def as_one_movement(case: Case, fact: Fact) -> Fact:
    """The fact as one movement of its transaction; any but a running total is returned as it is.

    Only one call of an attempt is open at a time, so what is new belongs to that call, or to somebody at the gateway's
    own dashboard. Read under the payment's lock: two facts of one total find the same difference only once.
    """
    if not fact.running_total or fact.money is None:
        return fact
    kind = MovementKind(fact.kind.value)
    # A decision may have given a part of it to another payment: that is booked all the same.
    booked = Case(account=case.account, movements=[*case.movements, *case.elsewhere])
    rows = booked.of_transaction(fact.gateway_id, kind)
    fact = replace(fact, running_total=False, evidence={**fact.evidence, "so_far_minor": fact.money.amount_minor})
    assert fact.money is not None
    if not rows or rows[-1].currency != fact.money.currency:
        return replace(fact, settlement=_worth_of(fact, fact.money, first=not rows))
    new = fact.money - total(rows, fact.money.currency)
    if new.amount_minor > 0:
        worth = _worth_of(fact, new, first=False)
        return replace(fact, money=new, settlement=worth, occurrence=next_occurrence(booked, fact))
    if new.amount_minor < 0 and fact.money.amount_minor > 0 and len({row.occurrence for row in rows}) == 1:
        # No total came before the first one: who says less of it contradicts what we were told, and it is corrected.
        return replace(fact, occurrence=rows[-1].occurrence)
    # Known, or an older word: such totals never fall, and even a look-up may be overtaken on its way to us.
    last = rows[-1].occurrence
    return replace(fact, money=known_money(booked, fact.gateway_id, kind, occurrence=last), occurrence=last)


def _worth_of(fact: Fact, money: Money, *, first: bool) -> SettlementTold | None:
    """The settlement money that came along, if it is this movement's: in one currency the sums are equal, in another it
    can only be told of the first."""
    told = fact.settlement
    if told is None or told.money == money:
        return told
    return told if first and told.money.currency != money.currency else None
