"""What does a refund do, and when does it fail after all? Creation, cancellation, success and the money coming back."""

from __future__ import annotations

from simulator.stripe import objects
from simulator.stripe.balance import book_refund, book_refund_return, move
from simulator.stripe.desk import Desk
from simulator.stripe.disputes import OPEN
from simulator.stripe.errors import invalid, missing_parameter, no_such, refused
from simulator.stripe.forms import Params
from simulator.stripe.store import Json

CONCLUDED_AFTER_SECONDS = 1.0
REASONS = ("duplicate", "fraudulent", "requested_by_customer")
FAILURES = (
    "charge_for_pending_refund_disputed", "declined", "expired_or_canceled_card", "insufficient_funds",
    "lost_or_stolen_card", "merchant_request", "unknown",
)  # fmt: skip


def create(desk: Desk, params: Params) -> Json:
    """POST /v1/refunds. Raises: ApiError."""
    params.allow("amount", "charge", "currency", "instructions_email", "metadata", "payment_intent", "reason")
    reason = params.choice("reason", REASONS) or None
    metadata, asked_minor = params.metadata(), params.whole("amount")
    charge = _charge_of(desk, params)
    amount_minor = _amount(desk, charge, asked_minor)
    if desk.twist.refusal is not None:
        raise refused("This charge cannot be refunded.", "charge_not_refundable")
    amount_minor = min(max(amount_minor + desk.twist.amount_off_minor, 1), _left(charge))
    card = desk.store.cards[charge["payment_method"]]
    waits = card.after == "refund_waits"
    made = objects.refund(desk.store.next_id("re"), charge, amount_minor, reason, desk.seconds)
    made |= {"metadata": metadata, "status": "pending" if waits else "succeeded"}
    made |= {"pending_reason": "processing"} if waits else {}
    made = desk.put(made | {"balance_transaction": book_refund(desk, made)})
    move(desk, "refund", "refund", charge, amount_minor, about=made, sent_reference=objects.reference_of(made))
    before_minor = charge["amount_refunded"]
    charge = _with_refunded(desk, charge, before_minor + amount_minor)
    desk.tell("refund.created", made)
    desk.tell("charge.refunded", charge, amount_refunded=before_minor)
    if waits:
        desk.after(CONCLUDED_AFTER_SECONDS, lambda later: succeed(later, later.store.known(made["id"])))
    if card.after == "refund_fails":
        desk.after(CONCLUDED_AFTER_SECONDS, lambda later: fail(later, later.store.known(made["id"]), "declined"))
    return made


def cancel(desk: Desk, params: Params, refund: Json) -> Json:
    """POST /v1/refunds/{id}/cancel: only while it is pending."""
    params.allow()
    if refund["status"] != "pending":
        raise refused(
            f"Only pending refunds can be canceled; this one is {refund['status']}.", "status_transition_invalid"
        )
    return _return(desk, refund, status="canceled", failure_reason="merchant_request")


def update(desk: Desk, params: Params, refund: Json) -> Json:
    """POST /v1/refunds/{id}: its metadata."""
    params.allow("metadata")
    changed = desk.change(refund["id"], metadata=refund["metadata"] | params.metadata())
    desk.tell("refund.updated", changed, metadata=refund["metadata"])
    return changed


def succeed(desk: Desk, refund: Json) -> Json:
    """A pending refund arrived; one that was cancelled or failed stays so."""
    if refund["status"] != "pending":
        return refund
    done = desk.change(refund["id"], pending_reason=None, status="succeeded")
    desk.tell("refund.updated", done, status="pending")
    desk.tell("charge.refund.updated", done, status="pending")
    return done


def fail(desk: Desk, refund: Json, reason: str) -> Json:
    """The bank sends the money back, also after the refund was said to have succeeded."""
    if refund["status"] not in ("pending", "succeeded"):
        return refund
    failed = _return(desk, refund, status="failed", failure_reason=reason)
    desk.tell("refund.failed", failed, status=refund["status"])
    return failed


def _return(desk: Desk, refund: Json, *, status: str, failure_reason: str) -> Json:
    back = book_refund_return(desk, refund)
    returned = desk.change(
        refund["id"],
        failure_balance_transaction=back,
        failure_reason=failure_reason,
        pending_reason=None,
        status=status,
    )
    charge = desk.store.known(refund["charge"])
    move(desk, "refund_return", "refund", charge, refund["amount"], about=returned)
    _with_refunded(desk, charge, charge["amount_refunded"] - refund["amount"])
    desk.tell("refund.updated", returned, status=refund["status"])
    desk.tell("charge.refund.updated", returned, status=refund["status"])
    return returned


def _charge_of(desk: Desk, params: Params) -> Json:
    """The charge meant. Raises: ApiError when there is none with money on it."""
    if "charge" in params and "payment_intent" in params:
        raise invalid(
            "You may only specify one of these parameters: charge, payment_intent.", "", "parameters_exclusive"
        )
    if "payment_intent" in params:
        named = params.text("payment_intent")
        intent = desk.store.get(named)
        if intent is None or intent["object"] != "payment_intent":
            raise no_such("payment_intent", named, "payment_intent")
        if not intent["latest_charge"] or desk.store.known(intent["latest_charge"])["status"] != "succeeded":
            text = f"This PaymentIntent ({named}) does not have a successful charge to refund."
            raise refused(text, "payment_intent_unexpected_state", payment_intent=intent)
        return desk.store.known(intent["latest_charge"])
    if "charge" not in params:
        raise missing_parameter("charge")
    charge = desk.store.get(params.text("charge"))
    if charge is None or charge["object"] != "charge":
        raise no_such("charge", params.text("charge"), "charge")
    return charge


def _amount(desk: Desk, charge: Json, asked_minor: int | None) -> int:
    """What is to go back. Raises: ApiError when the charge does not have it."""
    if charge["status"] != "succeeded" or not charge["captured"]:
        raise refused(f"Charge {charge['id']} has not been captured.", "charge_not_refundable")
    disputes = desk.store.belonging("dispute", charge["id"])
    if any(dispute["status"] in (*OPEN, "lost") for dispute in disputes):
        raise refused(f"Charge {charge['id']} has been charged back; cannot issue a refund.", "charge_disputed")
    left_minor = _left(charge)
    if left_minor < 1:
        raise refused(f"Charge {charge['id']} has already been refunded.", "charge_already_refunded")
    amount_minor = left_minor if asked_minor is None else asked_minor
    if amount_minor < 1:
        raise invalid("Invalid positive integer", "amount", "parameter_invalid_integer")
    if amount_minor > left_minor:
        text = f"Refund amount ({amount_minor}) is greater than unrefunded amount on charge ({left_minor})"
        raise refused(text, "amount_too_large", "amount")
    return amount_minor


def _left(charge: Json) -> int:
    left_minor: int = charge["amount_captured"] - charge["amount_refunded"]
    return left_minor


def _with_refunded(desk: Desk, charge: Json, refunded_minor: int) -> Json:
    whole = refunded_minor >= charge["amount_captured"]
    return desk.change(charge["id"], amount_refunded=refunded_minor, refunded=whole)
