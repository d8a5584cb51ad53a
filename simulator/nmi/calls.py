"""What is one call of transact.php, and what may come of it? Values and their makers; pure, the rules are next door."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from simulator.books import Movement
from simulator.nmi import codes
from simulator.nmi.amounts import parse_amount, write_amount
from simulator.nmi.cards import OWN_PREFIX, Card
from simulator.nmi.model import Action, Transaction
from simulator.nmi.store import Store

NEW = ("sale", "auth", "validate")


@dataclass(frozen=True, slots=True)
class Twist:
    """What faults change about an outcome. `taken_code`: the answer's code although the money was taken."""

    refusal: int | None = None
    duplicate_of: str | None = None
    amount_off_minor: int = 0
    silent: bool = False
    currency: str = ""
    taken_code: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer's fields and what is to be carried out: a version to keep, a movement to book, events to send."""

    fields: Mapping[str, str]
    transaction: Transaction | None = None
    movement: Movement | None = None
    events: tuple[str, ...] = ()
    used_token: str = ""
    vault: Mapping[str, Card | None] = field(default_factory=dict)


class Refusal(Exception):
    """Refused by the gateway itself: nothing happened."""

    def __init__(self, text: str, code: int = codes.REJECTED, transaction_id: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.code = code
        self.transaction_id = transaction_id


@dataclass(frozen=True, slots=True)
class Call:
    """One request with all it may ask: the store, the moment, the faults, where it came from (api, virtual_terminal).

    `force` lets the dashboard contradict the rules (capture a voided hold, refund before settlement).
    """

    form: Mapping[str, str]
    store: Store
    now: datetime
    twist: Twist = Twist()
    source: str = "api"
    origin: str = "api"
    force: bool = False

    @property
    def operation(self) -> str:
        return self.form.get("type", "").lower()

    @property
    def order_id(self) -> str:
        return self.form.get("orderid", "")


def read_amount(call: Call) -> int:
    text = call.form.get("amount", "")
    if not text:
        raise Refusal("Required Field amount is Missing or Empty")
    amount_minor = parse_amount(text)
    if amount_minor is None:
        raise Refusal("Invalid amount")
    return amount_minor


def make_action(call: Call, amount_minor: int, code: int, text: str = "") -> Action:
    return Action(
        action_type=call.operation,
        amount_minor=amount_minor,
        occurred_at=call.now,
        code=code,
        text=text or ("SUCCESS" if code == codes.APPROVED else codes.TEXTS[code]),
        source=call.source,
        reference=call.order_id,
    )


def make_movement(call: Call, transaction: Transaction, kind: str) -> Movement:
    return Movement(
        kind=kind,
        operation=call.operation,
        gateway_id=transaction.transaction_id,
        reference=transaction.order_id,
        operation_reference=call.order_id,
        amount_minor=transaction.actions[-1].amount_minor,
        currency=transaction.currency,
        occurred_at=call.now,
        card=transaction.card.masked,
        token=transaction.card.token.removeprefix(OWN_PREFIX),
        payer_email=transaction.payer.email,
        origin="foreign" if transaction.foreign else call.origin,
    )


def conclude(call: Call, transaction: Transaction, movement: Movement | None) -> Outcome:
    """The outcome of a request that made or changed a transaction."""
    action = transaction.actions[-1]
    lost = call.twist.taken_code if action.success else None
    told = lost or action.code
    fields = answer_fields(
        call,
        told,
        codes.TEXTS[told] if lost else action.text,
        transaction_id=transaction.transaction_id,
        authcode="" if lost else transaction.authcode,
        vault_id=transaction.vault_id,
    )
    if action.success and not lost and call.twist.amount_off_minor and not call.twist.silent:
        fields["amount_authorized"] = write_amount(action.amount_minor)
    ending = "success" if action.success else "unknown" if action.code in (420, 421) else "failure"
    events: tuple[str, ...] = (f"transaction.{call.operation}.{ending}",)
    if lost:
        events = (f"transaction.{call.operation}.unknown", *events)
    return Outcome(fields, transaction, movement, events)


def answer_fields(
    call: Call, code: int, text: str, *, transaction_id: str = "", authcode: str = "", vault_id: str = ""
) -> dict[str, str]:
    """The answer's pairs in NMI's order."""
    checked = call.operation in NEW and code == codes.APPROVED
    fields = {
        "response": str(codes.response_of(code)),
        "responsetext": text,
        "authcode": authcode,
        "transactionid": transaction_id,
        "avsresponse": "Y" if checked else "",
        "cvvresponse": "M" if checked else "",
        "orderid": call.order_id,
        "type": call.operation,
        "response_code": str(code),
    }
    if vault_id:
        fields["customer_vault_id"] = vault_id
    return fields
