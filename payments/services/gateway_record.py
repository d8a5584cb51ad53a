"""What does the gateway's own record say of one transaction, whosever it is? Asked outside a transaction, recorded in one.

Between both the answer is plain JSON, so that a second person agrees to exactly what the gateway said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from ledger.money import Money
from payments.facts import DisputeTold, Fact, FactKind, SettlementTold
from payments.gateways.base import LookUpAnswer, LookUpQuestion
from payments.gateways.errors import GatewayError
from payments.models import GatewayAccount
from payments.services.actors import Actor
from payments.services.calls import Clock, adapter_for, ask
from payments.services.recording import Cause, Recorded, as_json, record_fact
from payments.states import Certainty, DisputeState, FailureClass, OperationKind, Source


@dataclass(frozen=True, slots=True)
class Asked:
    """One transaction as a report names it. `parent_id` is the charge of a refund or dispute."""

    gateway_id: str
    money: Money
    parent_id: str = ""
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """What came back: every fact as JSON, oldest first. `answered` False: no usable answer, which proves nothing."""

    answered: bool
    facts: tuple[dict[str, Any], ...] = ()
    trouble: str = ""


def ask_record(account_id: int, asked: Asked, clock: Clock) -> Said:
    """This function will ask the gateway for its record of one transaction, of its parent where it has none itself.

    Raises: RuntimeError inside a transaction. Writes nothing.
    """
    account = GatewayAccount.objects.get(pk=account_id)
    trouble = ""
    for question in _questions(asked):
        answer = _answer(account, question, clock)
        if not answer.answered:
            trouble = str(answer.evidence.get("doubt") or answer.evidence.get("error") or "no usable answer")
            continue
        about = [fact for fact in answer.facts if _is_about(fact, asked)]
        if about:
            return Said(answered=True, facts=tuple(as_json(fact) for fact in answer.facts))
    return Said(answered=not trouble, trouble=trouble)


def _questions(asked: Asked) -> Iterator[LookUpQuestion]:
    """By its own id, by its parent's, by our reference: gateways differ in which of them they file a refund under."""
    if asked.gateway_id:
        yield LookUpQuestion(OperationKind.SALE, "", asked.money, gateway_id=asked.gateway_id)
    if asked.parent_id and asked.parent_id != asked.gateway_id:
        yield LookUpQuestion(OperationKind.SALE, "", asked.money, gateway_id=asked.parent_id)
    if asked.reference:
        yield LookUpQuestion(OperationKind.SALE, asked.reference, asked.money)


def _answer(account: GatewayAccount, question: LookUpQuestion, clock: Clock) -> LookUpAnswer:
    adapter = adapter_for(account)
    try:
        wire = ask(account, adapter.look_up_request(question), clock)
    except (GatewayError, ValueError) as error:  # ValueError: an id that can be none of this gateway's
        return LookUpAnswer(answered=False, evidence={"error": str(error)[:200]})
    return adapter.look_up_answer(question, wire, at=clock())


def _is_about(fact: Fact, asked: Asked) -> bool:
    named = {fact.gateway_id, fact.dispute.dispute_id if fact.dispute else ""}
    return asked.gateway_id in named if asked.gateway_id else fact.reference == asked.reference


def record_said(
    account_id: int, facts: Sequence[Mapping[str, Any]], *, actor: Actor, now: datetime
) -> tuple[Recorded, ...]:
    """This function will record what the gateway's record said; money that nobody explains becomes an orphan's case.

    Idempotent on: the movements the facts name. Writes: whatever they lead to, in the caller's transaction.
    """
    cause = Cause(actor=actor.label, user_id=actor.user_id)
    return tuple(
        record_fact(fact_from(fact), account_id=account_id, cause=cause, now=now, orphan_due=True) for fact in facts
    )


def fact_from(told: Mapping[str, Any]) -> Fact:
    """The fact that `as_json` wrote down. Raises: KeyError, ValueError for what it did not write."""
    known = {item.name for item in fields(Fact)}
    return Fact(**{name: _part(name, value) for name, value in told.items() if name in known})


_READERS = {
    "kind": FactKind,
    "source": Source,
    "occurred_at": datetime.fromisoformat,
    "hold_until": datetime.fromisoformat,
    "about": OperationKind,
    "certainty": Certainty,
    "failure_class": FailureClass,
}


def _part(name: str, value: Any) -> Any:
    if name == "money":
        return _money(value)
    if name == "dispute":
        due = value.get("evidence_due_at")
        return DisputeTold(
            value["dispute_id"],
            DisputeState(value["state"]),
            _money(value["money"]),
            value.get("reason", ""),
            datetime.fromisoformat(due) if due else None,
        )
    if name == "settlement":
        available = value.get("available_at")
        return SettlementTold(
            value["settlement_id"],
            _money(value["money"]),
            _money(value["fee"]),
            value.get("exchange_rate", ""),
            datetime.fromisoformat(available) if available else None,
        )
    reader = _READERS.get(name)
    return value if reader is None else reader(value)


def _money(value: Mapping[str, Any]) -> Money:
    return Money(value["amount_minor"], value["currency"])
