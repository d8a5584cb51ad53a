"""Which facts follow from one charge? The hold, what was captured so far, and what it is worth in settlement money.

A charge says how much was captured so far, not how often: its captures are a running total.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from payments.facts import Fact, FactKind, SettlementTold
from payments.gateways.errors import Unreadable
from payments.gateways.stripe import evidence
from payments.gateways.stripe.values import (
    HOLD_DAYS,
    Json,
    id_in,
    moment_in,
    money_in,
    number_in,
    part,
    signed_money_in,
    text_in,
)
from payments.states import Certainty, Source


@dataclass(frozen=True, slots=True)
class Telling:
    """Who says it, and when we heard it."""

    source: Source
    at: datetime


def reference_of(found: Json) -> str:
    """Our own reference, as we wrote it into the object's metadata."""
    return text_in(part(found, "metadata"), "our_ref")


def charge_facts(charge: Json, telling: Telling, *, held_first: bool = False) -> list[Fact]:
    """The hold, what was captured of it, and what that is worth in settlement money.

    `held_first`: it was authorised by a call of its own. Raises Unreadable.
    """
    if charge.get("object") != "charge" or not id_in(charge, "id"):
        raise Unreadable("this is no charge")
    if text_in(charge, "status") != "succeeded":
        return []
    held = held_first or charge.get("captured") is not True
    facts = [authorisation(charge, telling)] if held else []
    if charge.get("captured") is True or charge.get("amount_captured") not in (0, None):
        facts.append(capture(charge, telling, held=held))
        facts += _settlement(charge, telling)
    return facts


def authorisation(charge: Json, telling: Telling) -> Fact:
    happened = moment_in(charge, "created", absent=telling.at)
    ends = moment_in(
        part(charge, "payment_method_details", "card"), "capture_before", absent=happened + timedelta(days=HOLD_DAYS)
    )
    fact = _of_charge(charge, FactKind.AUTHORISATION, telling, happened)
    return replace(fact, money=money_in(charge, "amount"), hold_until=ends, occurrence=0)


def capture(charge: Json, telling: Telling, *, held: bool) -> Fact:
    """All captured so far. A charge dates no capture: one that was held first was captured when we heard of it."""
    happened = telling.at if held else moment_in(charge, "created", absent=telling.at)
    fact = _of_charge(charge, FactKind.CAPTURE, telling, happened)
    return replace(fact, money=money_in(charge, "amount_captured"), running_total=True)


def lapsed(charge: Json, telling: Telling, happened: datetime) -> Fact:
    return _of_charge(charge, FactKind.HOLD_LAPSED, telling, happened)


def _of_charge(charge: Json, kind: FactKind, telling: Telling, happened: datetime) -> Fact:
    return Fact(
        kind=kind,
        source=telling.source,
        occurred_at=happened,
        gateway_id=id_in(charge, "id"),
        handle=id_in(charge, "payment_intent"),
        reference=reference_of(charge),
        certainty=Certainty.TAKEN,
        test_mode=charge.get("livemode") is False,
        evidence=evidence.of_charge(charge),
    )


def _settlement(charge: Json, telling: Telling) -> list[Fact]:
    """What the charge is worth in settlement money, where its balance transaction is there to read and speaks of all of it.

    Where only its id is told, as webhooks do, the fact says no more than that there is one.
    """
    entry = part(charge, "balance_transaction")
    if not entry:
        fact = _of_charge(charge, FactKind.SETTLEMENT_TOLD, telling, telling.at)
        return named_only(fact, charge)
    told = settlement_of(entry, telling)
    total = number_in(charge, "amount_captured")
    # One currency, and less than was captured: it is the entry of one capture of several.
    if told.money.currency == text_in(charge, "currency").upper() and told.money.amount_minor != total:
        return []
    happened = moment_in(entry, "created", absent=telling.at)
    return [replace(_of_charge(charge, FactKind.SETTLEMENT_TOLD, telling, happened), settlement=told)]


def named_only(fact: Fact, found: Json) -> list[Fact]:
    """That there is settlement money, not how much: whoever hears it from a webhook asks."""
    named = id_in(found, "balance_transaction")
    if not named or fact.source != Source.WEBHOOK:
        return []
    return [replace(fact, money=None, occurrence=None, evidence={"balance_transaction": named})]


def worth_told(found: Json, telling: Telling) -> SettlementTold | None:
    """What the entry that an answer brings along is worth; None where it brings none. A worth that can not be read makes
    no answer unreadable: the money was moved all the same."""
    entry = part(found, "balance_transaction")
    try:
        return settlement_of(entry, telling) if entry else None
    except Unreadable:
        return None


def settlement_of(entry: Json, telling: Telling) -> SettlementTold:
    """A balance transaction. Raises Unreadable."""
    if not id_in(entry, "id"):
        raise Unreadable("a balance transaction has no id")
    rate = entry.get("exchange_rate")
    available = moment_in(entry, "available_on", absent=telling.at) if entry.get("available_on") else None
    return SettlementTold(
        settlement_id=id_in(entry, "id"),
        money=signed_money_in(entry, "amount"),
        fee=signed_money_in(entry, "fee"),
        exchange_rate=str(rate)[:40] if isinstance(rate, str | int) and not isinstance(rate, bool) else "",
        available_at=available,
    )
