"""What does NMI do with one transact request? Pure: reads the store, returns an outcome; the gateway carries it out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from simulator.nmi import codes
from simulator.nmi.calls import Call, Outcome, Refusal, answer_fields
from simulator.nmi.following import capture, refund, void
from simulator.nmi.opening import change_vault, open_transaction


def perform(call: Call) -> Outcome:
    """Everything one authenticated request brings about."""
    try:
        _refuse_by_fault(call)
        return _branch(call)(call)
    except Refusal as refusal:
        return Outcome(_refused_fields(call, refusal))


def _branch(call: Call) -> Callable[[Call], Outcome]:
    if not call.operation and call.form.get("customer_vault"):
        return change_vault
    branches: dict[str, Callable[[Call], Outcome]] = {
        "sale": open_transaction,
        "auth": open_transaction,
        "validate": open_transaction,
        "capture": capture,
        "void": void,
        "refund": refund,
    }
    if call.operation in branches:
        return branches[call.operation]
    if call.operation in ("credit", "offline", "update"):
        raise Refusal("Transaction type not supported by this processor", 460)
    raise Refusal("Invalid Transaction Type")


def _refuse_by_fault(call: Call) -> None:
    if call.twist.duplicate_of is not None:
        raise Refusal(f"Duplicate transaction REFID:{call.twist.duplicate_of}")


def _refused_fields(call: Call, refusal: Refusal) -> dict[str, str]:
    text = refusal.text if "REFID:" in refusal.text else f"{refusal.text} REFID:{call.store.next_id()}"
    return answer_fields(call, refusal.code, text, transaction_id=refusal.transaction_id)


def authentication_failed(form: Mapping[str, str]) -> dict[str, str]:
    """The answer to a wrong or missing security_key."""
    return {
        "response": "3",
        "responsetext": "Authentication Failed",
        "authcode": "",
        "transactionid": "",
        "avsresponse": "",
        "cvvresponse": "",
        "orderid": form.get("orderid", ""),
        "type": form.get("type", ""),
        "response_code": str(codes.REJECTED),
    }
