"""What does an XML report of query.php say? It becomes plain `Transaction` values; what they mean is not decided here.

Source: docs.nmi.com/reference/query.md ("Transaction" and "Action" elements).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from payments.gateways.base import WireAnswer
from payments.gateways.errors import Unreadable
from payments.gateways.nmi.values import mask

_NO_BATCH = ("", "0")


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that was done, or refused, on a transaction."""

    action_type: str
    success: bool
    amount: str
    date: str
    batch_id: str
    response_code: str
    response_text: str
    processor_code: str


@dataclass(frozen=True, slots=True)
class Transaction:
    """One transaction with everything that happened to it, in the order of the report."""

    transaction_id: str
    order_id: str
    condition: str
    currency: str
    card: str
    authcode: str
    avs: str
    cvv: str
    actions: tuple[Action, ...]
    brand: str = ""
    expiry: str = ""
    card_hash: str = ""
    vault_id: str = ""

    def succeeded(self, *action_types: str) -> tuple[Action, ...]:
        return tuple(action for action in self.actions if action.success and action.action_type in action_types)

    def refused(self, *action_types: str) -> tuple[Action, ...]:
        return tuple(action for action in self.actions if not action.success and action.action_type in action_types)

    @property
    def batch_id(self) -> str:
        """The settlement batch: that of the settle action before any other."""
        ordered = [*self.succeeded("settle"), *reversed(self.actions)]
        return next((action.batch_id for action in ordered if action.batch_id), "")


def read(answer: WireAnswer) -> tuple[Transaction, ...]:
    """All transactions of a report; none is an answer too. Raises Unreadable for anything but a whole report."""
    if answer.status != 200:
        raise Unreadable(f"HTTP status {answer.status}")
    root = _root(answer.body)
    if root.tag != "nm_response":
        raise Unreadable(f"the answer is a {mask(root.tag)[:40]!r}, not an nm_response")
    error = root.find("error_response")
    if error is not None:
        raise Unreadable(f"NMI refused the query: {mask(error.text or '')}")
    if any(child.tag != "transaction" for child in root):
        raise Unreadable("the report holds something that is no transaction")
    return tuple(_transaction(child) for child in root)


def _root(body: bytes) -> Element:
    try:
        return fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as wrong:
        raise Unreadable(f"the answer is no whole XML document ({type(wrong).__name__})") from wrong


def _transaction(element: Element) -> Transaction:
    transaction_id = _text(element, "transaction_id")
    if not transaction_id:
        raise Unreadable("a transaction of the report has no transaction_id")
    return Transaction(
        transaction_id=transaction_id,
        order_id=_text(element, "order_id"),
        condition=_text(element, "condition").lower(),
        currency=_text(element, "currency"),
        card=_text(element, "cc_number"),
        authcode=_text(element, "authorization_code"),
        avs=_text(element, "avs_response"),
        cvv=_text(element, "csc_response"),
        actions=tuple(_actions(element, transaction_id)),
        brand=_text(element, "cc_type"),
        expiry=_text(element, "cc_exp"),
        card_hash=_text(element, "cc_hash"),
        vault_id=_text(element, "customer_vault_id"),
    )


def _actions(element: Element, transaction_id: str) -> Iterator[Action]:
    for action in element.iterfind("action"):
        success = _text(action, "success")
        if success not in ("0", "1"):
            raise Unreadable(f"transaction {mask(transaction_id)}: an action's success is neither 1 nor 0")
        batch_id = _text(action, "batch_id")
        yield Action(
            action_type=_text(action, "action_type").lower(),
            success=success == "1",
            amount=_text(action, "amount"),
            date=_text(action, "date"),
            batch_id="" if batch_id in _NO_BATCH else batch_id,
            response_code=_text(action, "response_code"),
            response_text=_text(action, "response_text"),
            processor_code=_text(action, "processor_response_code"),
        )


def _text(element: Element, name: str) -> str:
    return (element.findtext(name) or "").strip()
