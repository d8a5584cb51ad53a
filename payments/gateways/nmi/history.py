"""Which facts follow from one reported transaction? Its actions happened, its condition is where it stands; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from ledger.money import Money
from payments.facts import Fact, FactKind
from payments.gateways.errors import Unreadable
from payments.gateways.nmi import codes
from payments.gateways.nmi.report import Action, Transaction
from payments.gateways.nmi.values import HOLD_DAYS, OPERATIONS, evidence_of, mask, moment_of, money_of, network_code_of
from payments.states import Certainty, FailureClass, Source

TAKES = ("sale", "capture")
HOLDS = ("auth",)
RETURNS = ("refund", "credit")

_MOVES = {
    "auth": FactKind.AUTHORISATION,
    "sale": FactKind.CAPTURE,
    "capture": FactKind.CAPTURE,
    "void": FactKind.VOID,
    "refund": FactKind.REFUND,
    "credit": FactKind.REFUND,
}
_UNFINISHED = ("in_progress", "unknown")  # a payer's 3-D Secure step, or NMI itself does not know yet
_DEAD = ("abandoned", "failed")


def facts_of(transaction: Transaction, currency: str, at: datetime) -> list[Fact]:
    """All that moved, was released or settled, oldest first. Raises Unreadable where the report contradicts itself."""
    if transaction.condition in _DEAD and transaction.succeeded(*TAKES, *RETURNS):
        raise Unreadable(
            f"transaction {mask(transaction.transaction_id)} is {transaction.condition} but money moved in it"
        )
    return in_order([*_movements(transaction, currency, at), *_endings(transaction, currency, at)])


def refusals_of(
    transaction: Transaction, action_types: tuple[str, ...], since: datetime | None, at: datetime
) -> list[Fact]:
    """What was refused, where nothing of these kinds succeeded. `since` leaves out refusals of earlier operations."""
    if transaction.succeeded(*action_types):
        return []
    refused = [
        _declined(transaction, action, happened)
        for action in transaction.refused(*action_types)
        for happened in [moment_of(action.date, absent=at)]
        if since is None or happened >= since.replace(microsecond=0)
    ]
    if not refused and transaction.condition in _DEAD and since is None:
        refused = [_dead(transaction, at)]
    return in_order(refused)


def is_unfinished(transaction: Transaction) -> bool:
    """Has NMI itself not finished it?"""
    return transaction.condition in _UNFINISHED and not transaction.succeeded(*TAKES, *HOLDS, *RETURNS)


def in_order(facts: list[Fact]) -> list[Fact]:
    """Oldest first. NMI's dates have no fractions: within a second the order of the report stands."""
    return sorted(facts, key=lambda fact: fact.occurred_at)


def evidence_for(transaction: Transaction) -> dict[str, object]:
    """The transaction as a person may read it."""
    actions = [
        evidence_of(
            action=action.action_type,
            success=action.success,
            amount=action.amount,
            date=action.date,
            batch_id=action.batch_id,
            response_code=action.response_code,
            responsetext=action.response_text,
        )
        for action in transaction.actions
    ]
    return _standing(transaction) | {"actions": actions}


def _standing(transaction: Transaction) -> dict[str, object]:
    return evidence_of(
        transaction_id=transaction.transaction_id,
        order_id=transaction.order_id,
        condition=transaction.condition,
        card=transaction.card,
        authcode=transaction.authcode,
        avs=transaction.avs,
        cvv=transaction.cvv,
    )


def _movements(transaction: Transaction, currency: str, at: datetime) -> Iterator[Fact]:
    times: Counter[FactKind] = Counter()
    for action in transaction.actions:
        kind = _MOVES.get(action.action_type)
        if kind is None or not action.success:
            continue
        fact = _fact(transaction, kind, moment_of(action.date, absent=at), action)
        fact = replace(fact, occurrence=times[kind])
        times[kind] += 1
        if kind != FactKind.VOID:
            fact = replace(fact, undone=_is_undone(transaction, action))
        if kind == FactKind.VOID:
            yield replace(fact, money=_voided(transaction, currency, action))
        elif kind == FactKind.AUTHORISATION:
            hold_until = fact.occurred_at + timedelta(days=HOLD_DAYS)
            yield replace(fact, money=_moved(transaction, currency, action), hold_until=hold_until)
        else:
            yield replace(fact, money=_moved(transaction, currency, action))


def _is_undone(transaction: Transaction, action: Action) -> bool:
    """Does a void stand after it in the report?"""
    after = next(place for place, one in enumerate(transaction.actions) if one is action) + 1
    return any(later.success and later.action_type == "void" for later in transaction.actions[after:])


def _endings(transaction: Transaction, currency: str, at: datetime) -> Iterator[Fact]:
    """Settled by its batch; or cancelled without an action that says by whom."""
    settled = transaction.succeeded("settle")
    if settled or transaction.condition == "complete":
        happened = moment_of(settled[0].date, absent=at) if settled else at
        yield replace(_fact(transaction, FactKind.SETTLED, happened), batch_id=transaction.batch_id)
    if transaction.condition != "canceled" or transaction.succeeded("void"):
        return
    if transaction.succeeded(*TAKES):
        yield replace(_fact(transaction, FactKind.VOID, at), money=_voided(transaction, currency, None))
    elif transaction.succeeded(*HOLDS):
        yield _fact(transaction, FactKind.HOLD_LAPSED, at)


def _moved(transaction: Transaction, currency: str, action: Action) -> Money:
    # Exports show money going back with or without a minus sign; the kind of the action says the direction.
    amount = action.amount.removeprefix("-") if action.action_type in RETURNS else action.amount
    return money_of(amount, transaction.currency or currency, what=_where(transaction, action))


def _voided(transaction: Transaction, currency: str, void: Action | None) -> Money:
    """What a void gave back: the money captured before it, or else the hold. Its own amount is often empty or zero."""
    if void is not None:  # money may have been taken again after it
        before = next(place for place, action in enumerate(transaction.actions) if action is void)
        transaction = replace(transaction, actions=transaction.actions[:before])
    released = transaction.succeeded(*TAKES) or transaction.succeeded(*RETURNS) or transaction.succeeded(*HOLDS)
    source = released[-1] if released else void
    if source is None:
        raise Unreadable(
            f"transaction {mask(transaction.transaction_id)} is cancelled, but nothing was ever taken in it"
        )
    return _moved(transaction, currency, source)


def _where(transaction: Transaction, action: Action) -> str:
    return f"transaction {mask(transaction.transaction_id)}, {mask(action.action_type)}"


def _declined(transaction: Transaction, action: Action, happened: datetime) -> Fact:
    fact = replace(_fact(transaction, FactKind.DECLINED, happened, action), about=OPERATIONS[action.action_type])
    fact = replace(fact, network_code=network_code_of(action.processor_code))
    if action.response_code in ("", codes.APPROVED):
        return replace(fact, failure_class=FailureClass.UNKNOWN)
    meaning = codes.meaning_of(action.response_code, action.response_text)
    return replace(fact, failure_class=meaning.failure_class, code=meaning.code)


def _dead(transaction: Transaction, at: datetime) -> Fact:
    fact = _fact(transaction, FactKind.DECLINED, at)
    return replace(fact, failure_class=FailureClass.UNKNOWN, code=f"condition:{transaction.condition}")


def _fact(transaction: Transaction, kind: FactKind, happened: datetime, action: Action | None = None) -> Fact:
    said = evidence_of(action=action.action_type, response_code=action.response_code) if action else {}
    return Fact(
        kind=kind,
        source=Source.LOOK_UP,
        occurred_at=happened,
        gateway_id=transaction.transaction_id,
        reference=transaction.order_id,
        # The gateway's own record of a finished transaction is the strongest word there is here.
        certainty=Certainty.REFUSED if kind == FactKind.DECLINED else Certainty.TAKEN,
        code=action.response_code if action else "",
        message=mask(action.response_text) if action else "",
        evidence=_standing(transaction) | said,
    )
