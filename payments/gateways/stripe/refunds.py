"""What does one of Stripe's refunds state? Money that left, money that came back because it failed, or nothing at all."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from payments.facts import Fact, FactKind
from payments.gateways.errors import Unreadable
from payments.gateways.stripe import codes, evidence
from payments.gateways.stripe.charges import Telling, named_only, reference_of, settlement_of
from payments.gateways.stripe.values import Json, id_in, mask, moment_in, money_in, part, text_in
from payments.states import Certainty, OperationKind, Source

_FAILED = ("failed", "canceled")


def refund_facts(refund: Json, telling: Telling) -> list[Fact]:
    """A refund that succeeded; one that failed after its money had left, as money out and in again. Raises Unreadable.

    Stripe calls the end of a hold a refund too. It moves nothing: no balance transaction stands behind it, and it is none
    of ours.
    """
    status = text_in(refund, "status")
    if refund.get("object") != "refund" or not id_in(refund, "id"):
        raise Unreadable("this is no refund")
    left, ours = bool(refund.get("balance_transaction")), bool(reference_of(refund))
    if status == "succeeded":
        return (
            [_of_refund(refund, FactKind.REFUND, telling), *_refund_settlement(refund, telling)] if left or ours else []
        )
    if status not in _FAILED:
        return []
    if refund.get("failure_balance_transaction"):
        went = _of_refund(refund, FactKind.REFUND, telling)
        return [went, _of_refund(refund, FactKind.REFUND_RETURN, telling, _returned_at(refund, telling))]
    if left and telling.source != Source.LOOK_UP:
        failed = _of_refund(refund, FactKind.REFUND_FAILED, telling, telling.at)
        return [replace(failed, money=None, code=failure_code(refund))]
    return [refused_refund(refund, telling)] if ours else []


def _returned_at(refund: Json, telling: Telling) -> datetime:
    return moment_in(part(refund, "failure_balance_transaction"), "created", absent=telling.at)


def _refund_settlement(refund: Json, telling: Telling) -> list[Fact]:
    entry = part(refund, "balance_transaction")
    if not entry:
        return named_only(_of_refund(refund, FactKind.SETTLEMENT_TOLD, telling, telling.at), refund)
    told = replace(_of_refund(refund, FactKind.SETTLEMENT_TOLD, telling), money=None, occurrence=None)
    return [replace(told, settlement=settlement_of(entry, telling))]


def _of_refund(refund: Json, kind: FactKind, telling: Telling, happened: datetime | None = None) -> Fact:
    return Fact(
        kind=kind,
        source=telling.source,
        occurred_at=happened or moment_in(refund, "created", absent=telling.at),
        gateway_id=id_in(refund, "id"),
        handle=id_in(refund, "payment_intent"),
        reference=reference_of(refund),
        original_gateway_id=id_in(refund, "charge"),
        about=OperationKind.REFUND,
        money=money_in(refund, "amount"),
        certainty=Certainty.TAKEN,
        occurrence=0,
        evidence=evidence.of_refund(refund),
    )


def refused_refund(refund: Json, telling: Telling) -> Fact:
    """A refund of ours that ended without any money having left."""
    code = failure_code(refund)
    meaning = codes.SHEET.get(code, codes.UNKNOWN_REFUSAL)
    fact = _of_refund(refund, FactKind.DECLINED, telling, telling.at)
    return replace(
        fact,
        money=None,
        occurrence=None,
        gateway_id="",
        certainty=Certainty.REFUSED,
        failure_class=meaning.failure_class,
        code=code,
        message=meaning.text,
    )


def failure_code(refund: Json) -> str:
    reason = text_in(refund, "failure_reason")
    if not reason:
        reason = "merchant_request" if text_in(refund, "status") == "canceled" else "unknown"
    return f"re:{mask(reason)[:36]}"
