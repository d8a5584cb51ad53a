"""Which facts follow from one payment as ConvesioPay shows it? Its changes happened, its status is where it stands; pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ledger.money import Money
from payments.facts import Fact, FactKind
from payments.gateways.base import LookUpQuestion
from payments.gateways.convesiopay import codes, contract
from payments.gateways.convesiopay.values import (
    Json,
    evidence_of,
    id_in,
    is_hold,
    mask,
    money_of,
    own_reference,
    payer_page,
    rows,
    text_in,
)
from payments.gateways.errors import Unreadable
from payments.states import COLLECTING, Certainty, FailureClass, OperationKind, Source

_TOOK_PLACE = (contract.SUCCEEDED, contract.AUTHORISED, contract.CANCELLED)


@dataclass(frozen=True, slots=True)
class Told:
    """What one payment tells: money that moved, how it ended without any, and what is still open."""

    moved: tuple[Fact, ...] = ()
    ended: tuple[Fact, ...] = ()
    open: tuple[Fact, ...] = ()
    in_progress: bool = False


def told(payment: Json, question: LookUpQuestion, at: datetime) -> Told:
    """Raises Unreadable where it can not be read, or says a status that no line of the contract knows."""
    status = text_in(payment, "status")
    if not id_in(payment, "id") or not text_in(payment, contract.REFERENCE):
        raise Unreadable("a payment without id or order number")
    if status in contract.WAITING:
        return Told(open=tuple(_asked(payment, question, at)), in_progress=True)
    if status == contract.FAILED:
        return Told(ended=(_declined(payment, question, at),))
    if status == contract.ABANDONED:
        return Told(ended=(_closed(payment, question, at),))
    if status not in _TOOK_PLACE:
        raise Unreadable(f"no line of the contract knows the status {mask(status)!r}")
    held = _was_held(payment)
    # A sale that is authorised only is one whose capture is still to come.
    unfinished = status == contract.AUTHORISED and not is_hold(text_in(payment, contract.REFERENCE))
    if unfinished and question.kind == OperationKind.SALE:
        return Told(in_progress=True)
    moved = (*_holds(payment, at), *_captures(payment, at)) if held else (_sale(payment, at),)
    return Told(moved=(*moved, *_ending(payment, at, held=held), *_refunds(payment, at)))


def _was_held(payment: Json) -> bool:
    """Was it authorised before it was captured?"""
    marked = is_hold(text_in(payment, contract.REFERENCE))
    return marked or text_in(payment, "status") == contract.AUTHORISED or bool(_done(payment, contract.CAPTURES))


def _done(payment: Json, name: str) -> tuple[Json, ...]:
    return tuple(row for row in rows(payment, name) if text_in(row, "status") == contract.CHANGES_FINAL)


def _is_cancelled(payment: Json) -> bool:
    return text_in(payment, "status") == contract.CANCELLED


def _sale(payment: Json, at: datetime) -> Fact:
    money = _money(payment, payment)
    return replace(_fact(payment, FactKind.CAPTURE, at), money=money, occurrence=0, undone=_is_cancelled(payment))


def _holds(payment: Json, at: datetime) -> Iterator[Fact]:
    held = _fact(payment, FactKind.AUTHORISATION, at)
    until = at + timedelta(days=contract.HOLD_DAYS)
    money = _money(payment, payment)
    yield replace(held, money=money, hold_until=until, occurrence=0, undone=_is_cancelled(payment))


def _captures(payment: Json, at: datetime) -> Iterator[Fact]:
    for occurrence, row in enumerate(_done(payment, contract.CAPTURES)):
        yield replace(_fact(payment, FactKind.CAPTURE, at), money=_money(payment, row), occurrence=occurrence)


def _ending(payment: Json, at: datetime, *, held: bool) -> Iterator[Fact]:
    """Voided by a cancel; or a hold that is cancelled though nobody did it, which has lapsed."""
    if not _is_cancelled(payment):
        return
    if _done(payment, contract.CANCELS) or not held:
        yield replace(_fact(payment, FactKind.VOID, at), money=_money(payment, payment), occurrence=0)
    else:
        yield _fact(payment, FactKind.HOLD_LAPSED, at)


def _refunds(payment: Json, at: datetime) -> Iterator[Fact]:
    for row in rows(payment, contract.REFUNDS):
        status, refund_id = text_in(row, "status"), id_in(row, "id")
        if not refund_id:
            raise Unreadable("a refund without an id")
        own = replace(
            _fact(payment, FactKind.REFUND, at),
            gateway_id=refund_id,
            reference=text_in(row, contract.OWN_REFERENCE) or own_reference(text_in(payment, contract.REFERENCE)),
            original_gateway_id=id_in(payment, "id"),
        )
        if status == contract.CHANGES_FINAL:
            yield replace(own, money=_money(payment, row), occurrence=0)
        elif status == contract.FAILED:
            failed = replace(own, kind=FactKind.REFUND_FAILED, certainty=Certainty.REFUSED)
            yield replace(failed, failure_class=FailureClass.UNKNOWN, about=OperationKind.REFUND)


def _declined(payment: Json, question: LookUpQuestion, at: datetime) -> Fact:
    text = text_in(payment, contract.ERROR)
    refusal = codes.refusal_of(payment, text)
    return replace(
        _fact(payment, FactKind.DECLINED, at),
        about=_about(payment, question),
        certainty=Certainty.REFUSED,
        failure_class=refusal.failure_class,
        code=refusal.code,
        message=mask(text),
        network_code=refusal.network_code,
        network_advice=refusal.network_advice,
    )


def _closed(payment: Json, question: LookUpQuestion, at: datetime) -> Fact:
    closed = replace(_fact(payment, FactKind.CLOSED, at), certainty=Certainty.REFUSED)
    return replace(closed, about=_about(payment, question), failure_class=FailureClass.AUTHENTICATION_REQUIRED)


def _about(payment: Json, question: LookUpQuestion) -> OperationKind:
    """What ended is what opened it, whichever operation asks."""
    if question.kind in COLLECTING:
        return question.kind
    return OperationKind.AUTHORISE if is_hold(text_in(payment, contract.REFERENCE)) else OperationKind.SALE


def _asked(payment: Json, question: LookUpQuestion, at: datetime) -> Iterator[Fact]:
    page = payer_page(payment)
    if not page:
        return
    asked = replace(_fact(payment, FactKind.ACTION_REQUIRED, at), certainty=Certainty.UNKNOWN, alive=True)
    yield replace(
        asked,
        about=_about(payment, question),
        failure_class=FailureClass.AUTHENTICATION_REQUIRED,
        action_url=page,
    )


def _money(payment: Json, row: Json) -> Money:
    currency = row.get("currency") or payment.get("currency")
    return money_of(row.get("amount"), currency, what=f"payment {id_in(payment, 'id')}")


def _fact(payment: Json, kind: FactKind, at: datetime) -> Fact:
    """The contract knows no dates: what a look-up tells happened when it was told."""
    return Fact(
        kind=kind,
        source=Source.LOOK_UP,
        occurred_at=at,
        gateway_id=id_in(payment, "id"),
        handle=id_in(payment, "id"),
        reference=own_reference(text_in(payment, contract.REFERENCE)),
        certainty=Certainty.TAKEN,
        evidence=evidence_of(id=id_in(payment, "id"), status=text_in(payment, "status")),
    )
