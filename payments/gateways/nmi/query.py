"""How is NMI asked what happened, and what does it answer? Absence is proven from here: a doubtful answer is no answer.

Source: docs.nmi.com/reference/query.md.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime

from payments.facts import Fact
from payments.gateways.base import CardShown, Issued, LookUpAnswer, LookUpQuestion, WireAnswer, WireRequest
from payments.gateways.errors import Unreadable
from payments.gateways.nmi import history, report
from payments.gateways.nmi.report import Transaction
from payments.gateways.nmi.transact import VAULT
from payments.gateways.nmi.values import mask, stamp_of
from payments.states import COLLECTING, OperationKind

PATH = "/api/query.php"
PAGE_SIZE = 100  # transactions; NMI sends whole documents, so pages stay small
_EXPIRY = re.compile(r"(0[1-9]|1[0-2])(\d\d)")  # MMYY
_SHOWN = 20  # transactions kept as evidence of one answer

_ACTIONS: dict[OperationKind, tuple[str, ...]] = {
    OperationKind.SALE: ("sale", "auth"),
    OperationKind.AUTHORISE: ("sale", "auth"),
    OperationKind.CAPTURE: ("capture",),
    OperationKind.VOID: ("void",),
    OperationKind.REFUND: history.RETURNS,
}
# A transaction of its own comes of these; a refused capture or void leaves only an action on somebody else's.
_OWN = ("sale", "auth", *history.RETURNS)


def request(question: LookUpQuestion) -> WireRequest:
    """By our own reference where the operation made a transaction of its own, by NMI's id where that is known."""
    name, value = _key(question)
    # An empty key would list the whole account, and every stranger in it would look like an answer.
    if not value:
        raise ValueError(f"a look-up of a {question.kind} needs a {name}")
    return WireRequest("POST", PATH, {name: value})


def _key(question: LookUpQuestion) -> tuple[str, str]:
    # A refund's gateway_id is the transaction it gives back; the refund itself answers to its own reference only.
    if question.gateway_id and question.kind != OperationKind.REFUND:
        return "transaction_id", question.gateway_id
    return "order_id", question.reference


def answer(question: LookUpQuestion, wire: WireAnswer, *, at: datetime) -> LookUpAnswer:
    """All that NMI knows of the transactions the question names; none of them, and nothing else, means not found."""
    name, value = _key(question)
    try:
        ours = _named(report.read(wire), name, value)
        facts, unfinished = _history(question, ours, at)
    except Unreadable as doubt:
        return LookUpAnswer(answered=False, evidence={"doubt": str(doubt), "status": wire.status})
    evidence: dict[str, object] = {"by": name, "count": len(ours)}
    evidence["transactions"] = [history.evidence_for(transaction) for transaction in ours[:_SHOWN]]
    return LookUpAnswer(
        answered=True,
        found=bool(ours),
        in_progress=unfinished,
        facts=tuple(facts),
        evidence=evidence,
        issued=next(filter(None, map(_issued, ours)), None),
    )


def _issued(transaction: Transaction) -> Issued | None:
    """What a transaction that collects shows of its card; the vault id only where it was approved."""
    if not (transaction.succeeded("sale", "auth") or transaction.refused("sale", "auth")):
        return None
    approved = transaction.succeeded("sale", "auth") and transaction.vault_id.isalnum()
    found = _EXPIRY.fullmatch(transaction.expiry)
    four = transaction.card[-4:]
    card = CardShown(
        brand=mask(transaction.brand)[:20],
        last_four=four if len(four) == 4 and four.isascii() and four.isdigit() else "",
        expires=(2000 + int(found[2]), int(found[1])) if found else None,
        fingerprint=mask(transaction.card_hash)[:64],
    )
    return Issued(
        credential=f"{VAULT}{transaction.vault_id}" if approved else "",
        network_transaction_id=transaction.transaction_id if approved else "",
        card=card,
    )


def _named(reported: tuple[Transaction, ...], name: str, value: str) -> list[Transaction]:
    """Those that were asked for. Raises Unreadable if there are only others: then the key was not understood."""
    ours = [transaction for transaction in reported if getattr(transaction, name) == value]
    if reported and not ours:
        raise Unreadable(f"the report names other transactions than the {name} asked for")
    return ours


def _history(question: LookUpQuestion, ours: list[Transaction], at: datetime) -> tuple[list[Fact], bool]:
    currency, kinds = question.money.currency, _ACTIONS[question.kind]
    facts = [fact for transaction in ours for fact in history.facts_of(transaction, currency, at)]
    unfinished = any(history.is_unfinished(transaction) for transaction in ours)
    # A refusal ends the operation, so it is told only if no sibling under the same reference succeeded or may yet.
    if not unfinished and not any(transaction.succeeded(*kinds) for transaction in ours):
        own = question.kind in COLLECTING or question.kind == OperationKind.REFUND
        since = None if own else question.sent_at
        facts += [fact for transaction in ours for fact in history.refusals_of(transaction, kinds, since, at)]
    facts = [_with_original(question, fact) for fact in facts]
    return history.in_order(facts), unfinished


def _with_original(question: LookUpQuestion, fact: Fact) -> Fact:
    """A report does not say which transaction a refund gives back; the question about that refund does."""
    if question.kind != OperationKind.REFUND or not question.gateway_id or fact.gateway_id == question.gateway_id:
        return fact
    return replace(fact, original_gateway_id=question.gateway_id)


def probe_request() -> WireRequest:
    """The smallest question there is: one transaction that cannot exist."""
    return WireRequest("POST", PATH, {"order_id": "probe"})


def probe_answer(wire: WireAnswer) -> bool:
    """A readable report, empty or not."""
    try:
        report.read(wire)
    except Unreadable:
        return False
    return True


def window_request(start: datetime, end: datetime, *, page: int) -> WireRequest:
    """Everything whose last change lies in the window, oldest first. Pages count from 0; an empty page is the last."""
    form = {"start_date": stamp_of(start), "end_date": stamp_of(end)}
    return WireRequest("POST", PATH, form | {"result_limit": str(PAGE_SIZE), "page_number": str(page)})


def window_answer(wire: WireAnswer, *, at: datetime) -> LookUpAnswer:
    """All facts of one page. A transaction that can not be read is named in the evidence and hides no other."""
    try:
        reported = report.read(wire)
    except Unreadable as doubt:
        return LookUpAnswer(answered=False, evidence={"doubt": str(doubt), "status": wire.status})
    facts: list[Fact] = []
    unreadable: list[str] = []
    for transaction in reported:
        try:
            facts += [*history.facts_of(transaction, "", at), *history.refusals_of(transaction, _OWN, None, at)]
        except Unreadable as doubt:
            unreadable.append(str(doubt))
    return LookUpAnswer(
        answered=True,
        found=bool(reported),
        in_progress=any(history.is_unfinished(transaction) for transaction in reported),
        facts=tuple(history.in_order(facts)),
        evidence={"count": len(reported), "unreadable": unreadable},
    )
