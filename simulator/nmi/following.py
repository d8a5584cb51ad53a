"""What do capture, void and refund bring about? Pure rules over a call and the transaction it names.

Known from captured answers in public SDKs: "A capture requires that the existing transaction be an AUTH" echoes the
transaction id; "Only transactions pending settlement can be voided". Assumed, for want of a source: a capture's own
order id is echoed but does not rename the transaction, and the wording when a refund comes before settlement.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from simulator.nmi import codes
from simulator.nmi.amounts import write_amount
from simulator.nmi.calls import Call, Outcome, Refusal, conclude, make_action, make_movement, read_amount
from simulator.nmi.model import CANCELED, FAILED, PENDING, PENDING_SETTLEMENT, Transaction
from simulator.nmi.store import Store


def target_of(form: Mapping[str, str], store: Store) -> Transaction | None:
    """The transaction a capture, void or refund names."""
    return store.get(form.get("transactionid", ""))


def _target(call: Call) -> Transaction:
    transaction = target_of(call.form, call.store)
    if transaction is None:
        missing = not call.form.get("transactionid")
        text = "Required Field transactionid is Missing or Empty" if missing else "Invalid Transaction ID specified"
        raise Refusal(text)
    return transaction


def capture(call: Call) -> Outcome:
    """Once only; what is left of the hold is released."""
    held = _target(call)
    amount_minor = read_amount(call)
    if not call.force and (held.opened_as != "auth" or held.condition != PENDING):
        text = "A capture requires that the existing transaction be an AUTH"
        raise Refusal(text, transaction_id=held.transaction_id)
    limit_minor = held.actions[0].amount_minor
    if not 0 < amount_minor <= limit_minor and not call.force:
        text = f"The specified amount of {write_amount(amount_minor)} exceeds the authorization amount of"
        raise Refusal(f"{text} {write_amount(limit_minor)}", transaction_id=held.transaction_id)
    if (refused := _refused_follow_up(call, held, amount_minor)) is not None:
        return refused
    action = make_action(call, max(amount_minor + call.twist.amount_off_minor, 1), codes.APPROVED)
    captured = replace(held, currency=call.twist.currency or held.currency).after(action, PENDING_SETTLEMENT)
    return conclude(call, captured, make_movement(call, captured, "capture"))


def void(call: Call) -> Outcome:
    """Before settlement only: of a hold, a sale, a capture or a refund."""
    standing = _target(call)
    if standing.condition not in (PENDING, PENDING_SETTLEMENT) and not call.force:
        text = "Only transactions pending settlement can be voided"
        raise Refusal(text, transaction_id=standing.transaction_id)
    amount_minor = standing.money_action.amount_minor
    if (refused := _refused_follow_up(call, standing, amount_minor)) is not None:
        return refused
    releases = {"auth": "authorisation", "refund": "refund"}.get(standing.money_action.action_type, "capture")
    action = make_action(call, amount_minor, codes.APPROVED, "Transaction Void Successful")
    voided = standing.after(action, CANCELED)
    return conclude(call, voided, replace(make_movement(call, voided, "void"), releases=releases))


def refund(call: Call) -> Outcome:
    """After settlement only, never more in all than was captured; a transaction of its own."""
    original = _target(call)
    if not original.settled and not call.force:
        raise Refusal("Only settled transactions can be refunded", transaction_id=original.transaction_id)
    if original.refunds:
        raise Refusal("Refund transactions cannot be refunded", transaction_id=original.transaction_id)
    left_minor = original.money_action.amount_minor - call.store.refunded_minor(original.transaction_id)
    amount_minor = (read_amount(call) if call.form.get("amount") else 0) or left_minor
    if not 0 < amount_minor <= left_minor and not call.force:
        raise Refusal("Refund amount may not exceed the transaction balance", transaction_id=original.transaction_id)
    code = call.twist.refusal or codes.APPROVED
    if code in codes.WITHOUT_TRANSACTION:
        raise Refusal(codes.TEXTS[code], code)
    approved = code == codes.APPROVED
    refund = Transaction(
        transaction_id=call.store.next_id(),
        order_id=call.order_id,
        condition=PENDING_SETTLEMENT if approved else FAILED,
        currency=call.twist.currency or original.currency,
        requested_minor=amount_minor,
        card=original.card,
        payer=original.payer,
        actions=(make_action(call, max(amount_minor + call.twist.amount_off_minor, 1), code),),
        refunds=original.transaction_id,
        foreign=original.foreign,
    )
    movement = replace(
        make_movement(call, refund, "refund"),
        original_gateway_id=original.transaction_id,
        original_reference=original.order_id,
    )
    return conclude(call, refund, movement if approved else None)


def _refused_follow_up(call: Call, transaction: Transaction, amount_minor: int) -> Outcome | None:
    """A capture or void that a fault refuses: the failed action is recorded, the condition stays."""
    code = call.twist.refusal
    if code is None:
        return None
    if code in codes.WITHOUT_TRANSACTION:
        raise Refusal(codes.TEXTS[code], code, transaction.transaction_id)
    return conclude(call, transaction.after(make_action(call, amount_minor, code), transaction.condition), None)
