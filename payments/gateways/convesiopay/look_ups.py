"""How is ConvesioPay asked what happened, and what does it answer? Its word proves presence; absence is proven by nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from urllib.parse import quote

from payments.facts import Fact
from payments.gateways.base import Issued, LookUpAnswer, LookUpQuestion, WireAnswer, WireRequest
from payments.gateways.convesiopay import contract, history, orders
from payments.gateways.convesiopay.values import Json, evidence_of, is_id, read_json, rows, text_in
from payments.gateways.errors import Unreadable
from payments.states import OperationKind

_SHOWN = 20  # payments kept as evidence of one answer


def request(question: LookUpQuestion) -> WireRequest:
    """By the payment's id where it is known, else by the order number. Raises ValueError if the question names neither."""
    payment_id = _payment_id(question)
    if payment_id:
        return WireRequest("GET", contract.GET_PATH.format(id=payment_id))
    # An empty number might list the whole account, and every stranger in it would look like an answer.
    if not is_id(question.reference):
        raise ValueError(f"a look-up of a {question.kind} needs a payment's id or a reference")
    return WireRequest("GET", contract.LIST_PATH.format(reference=quote(_order_number(question), safe="")))


def _payment_id(question: LookUpQuestion) -> str:
    # A refund's own id is none of a payment; the attempt's handle names the payment it gives back.
    known = question.handle or (question.gateway_id if question.kind != OperationKind.REFUND else "")
    return known if is_id(known) else ""


def _order_number(question: LookUpQuestion) -> str:
    # Whatever is captured or voided without a known id was a hold: of a sale the id is known before.
    held = question.kind in (OperationKind.CAPTURE, OperationKind.VOID)
    return orders.order_number(OperationKind.AUTHORISE if held else question.kind, question.reference)


def answer(question: LookUpQuestion, wire: WireAnswer, *, at: datetime) -> LookUpAnswer:
    """All that ConvesioPay knows of the payment the question names."""
    by = "id" if _payment_id(question) else contract.REFERENCE
    try:
        payments = _payments(question, wire)
        told = [history.told(payment, question, at) for payment in payments]
    except Unreadable as doubt:
        return LookUpAnswer(answered=False, evidence={"doubt": str(doubt), "status": wire.status})
    evidence: dict[str, object] = {"by": by, "count": len(payments)}
    evidence["shown"] = [_evidence(payment) for payment in payments[:_SHOWN]]
    return LookUpAnswer(
        answered=True,
        found=bool(payments),
        in_progress=any(one.in_progress for one in told),
        facts=tuple(_all_facts(told)),
        evidence=evidence,
        issued=next(filter(None, map(_kept, payments)), None),
    )


def _kept(payment: Json) -> Issued | None:
    taken = text_in(payment, "status") in (contract.SUCCEEDED, contract.AUTHORISED)
    return orders.kept_of(payment) if taken else None


def _all_facts(told: list[history.Told]) -> Iterator[Fact]:
    """A refusal ends the operation, so it is told only if no sibling under the same number succeeded or may yet."""
    alive = any(one.moved or one.in_progress for one in told)
    for one in told:
        yield from one.moved
        if not alive:
            yield from one.ended
        yield from one.open


def _payments(question: LookUpQuestion, wire: WireAnswer) -> tuple[Json, ...]:
    """Those that were asked for. Raises Unreadable for anything but a whole answer about just them."""
    payment_id = _payment_id(question)
    if payment_id and wire.status == contract.NO_SUCH_PAYMENT and read_json(wire.body).get("error") is True:
        return ()
    if wire.status != 200:
        raise Unreadable(f"HTTP status {wire.status}")
    said = read_json(wire.body)
    if payment_id:
        if text_in(said, "id") != payment_id:
            raise Unreadable("it shows another payment than the one asked for")
        return (said,)
    if contract.LIST_FIELD not in said:
        raise Unreadable("it holds no list of payments")
    found = rows(said, contract.LIST_FIELD)
    if any(text_in(payment, contract.REFERENCE) != _order_number(question) for payment in found):
        raise Unreadable("it lists other payments than the order number asked for")
    return found


def _evidence(payment: Json) -> dict[str, object]:
    said = {name: text_in(payment, name) for name in ("id", contract.REFERENCE, "status", "currency", contract.ERROR)}
    amount = payment.get("amount")
    return evidence_of(**said, amount=amount if isinstance(amount, int) else "") | {
        name: len(rows(payment, name)) for name in (contract.CAPTURES, contract.REFUNDS, contract.CANCELS)
    }


def probe_request() -> WireRequest:
    """The smallest question there is: an order number that cannot exist."""
    return WireRequest("GET", contract.LIST_PATH.format(reference="probe"))


def probe_answer(wire: WireAnswer) -> bool:
    """A readable list, empty or not."""
    try:
        said = read_json(wire.body)
    except Unreadable:
        return False
    return wire.status == 200 and isinstance(said.get(contract.LIST_FIELD), list)
