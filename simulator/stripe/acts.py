"""What can be done from Stripe's own side? Dashboard, payer, issuer, bank: reads the wish and does it at a desk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from simulator.messages import ControlError
from simulator.stripe import disputes, intents, payer, payouts, refunds
from simulator.stripe.cards import OWN_PREFIX
from simulator.stripe.desk import Desk
from simulator.stripe.errors import ApiError
from simulator.stripe.forms import Params
from simulator.stripe.routes import labels_of_object
from simulator.stripe.store import Json, Store
from simulator.stripe.views import intent_view

Wish = Mapping[str, Any]
OPERATION_OF = {
    "sale": "sale", "foreign_sale": "sale", "auth": "auth", "capture": "capture", "void": "void", "refund": "refund",
    "refund_from_dashboard": "refund", "refund_fail": "refund", "refund_succeed": "refund", "approve": "sale",
    "fail": "sale", "abandon": "sale", "expire_hold": "void", "settle": "settlement", "payout_fail": "settlement",
}  # fmt: skip


def do(action: str, wish: Wish, desk: Desk) -> dict[str, Any]:
    """Raises: ControlError naming the field, or saying why Stripe would refuse."""
    try:
        return ACTS[action](wish, desk)
    except ApiError as error:
        raise ControlError("action", f"{action} refused: {error.error['message']}") from error


def find_intent(wish: Wish, store: Store) -> Json:
    """By transaction_id (of an intent, charge, refund or dispute), or the newest that `reference` names. Raises: ControlError."""
    object_id, reference = _text(wish, "transaction_id"), _text(wish, "reference")
    if object_id:
        found = store.get(object_id)
        intent = found and (store.get(str(found.get("payment_intent"))) or found)
        if not intent or intent["object"] != "payment_intent":
            raise ControlError("transaction_id", f"no transaction {object_id}")
        return intent
    if not reference:
        raise ControlError("transaction_id", "transaction_id or reference is required")
    named = [found for found in store.ids("payment_intent") if reference in labels_of_object(found, store)]
    named += [str(r["payment_intent"]) for r in store.all("refund") if reference in r["metadata"].values()]
    if not named:
        raise ControlError("reference", f"no payment intent with {reference} in its metadata")
    return store.known(named[-1])


def expire_hold(desk: Desk, intent: Json) -> Json:
    """The hold lapses: the intent is cancelled by itself. Nobody gave money back, and no refund says so."""
    charge = desk.store.known(intent["latest_charge"])
    desk.store.holds.pop(intent["id"], None)
    intent = desk.change(
        intent["id"],
        amount_capturable=0,
        canceled_at=desk.seconds,
        cancellation_reason="expired",
        status="canceled",
    )
    desk.tell("charge.expired", charge)
    desk.tell("payment_intent.canceled", intent)
    return intent


def _sale(wish: Wish, desk: Desk, *, manual: bool = False, foreign: bool = False) -> dict[str, Any]:
    reference = _text(wish, "reference") or (desk.store.next_id("other") if foreign else "")
    if not reference:
        raise ControlError("reference", "reference is required: it goes into the metadata as our_ref")
    amount_minor = _amount(wish) or (4242 if foreign else None)
    if amount_minor is None:
        raise ControlError("amount_minor", "amount_minor is required: a whole number above 0")
    token = _text(wish, "token") or "tok_ok"
    tree = {
        "amount": str(amount_minor),
        "currency": (_text(wish, "currency") or "USD").lower(),
        "capture_method": "manual" if manual else "automatic",
        "confirm": "true",
        "payment_method": token if token.startswith((OWN_PREFIX, "pm_")) else OWN_PREFIX + token,
        "allowed_payment_method_types": {"0": "card"},
        "metadata": {"order": reference} if foreign else {"our_ref": reference},
    }
    if _text(wish, "email"):
        tree["receipt_email"] = _text(wish, "email")
    desk.origin = "foreign" if foreign else "dashboard"
    return {"transaction": intent_view(intents.create(desk, Params(tree)))}


def _capture(wish: Wish, desk: Desk) -> dict[str, Any]:
    amount_minor = _amount(wish)
    tree = {} if amount_minor is None else {"amount_to_capture": str(amount_minor)}
    return {"transaction": intent_view(intents.capture(desk, Params(tree), find_intent(wish, desk.store)))}


def _void(wish: Wish, desk: Desk) -> dict[str, Any]:
    tree = {"cancellation_reason": "requested_by_customer"}
    return {"transaction": intent_view(intents.cancel(desk, Params(tree), find_intent(wish, desk.store)))}


def _refund(wish: Wish, desk: Desk) -> dict[str, Any]:
    amount_minor, named = _amount(wish), _text(wish, "operation_reference")
    tree: dict[str, Any] = {"payment_intent": find_intent(wish, desk.store)["id"]}
    tree |= {"amount": str(amount_minor)} if amount_minor is not None else {}
    tree |= {"metadata": {"our_ref": named}} if named else {}
    return {"refund": refunds.create(desk, Params(tree))}


def _refund_fail(wish: Wish, desk: Desk) -> dict[str, Any]:
    reason = _text(wish, "reason") or "declined"
    if reason not in refunds.FAILURES:
        raise ControlError("reason", f"reason must be one of {', '.join(refunds.FAILURES)}")
    refund = _find_refund(wish, desk.store)
    if refund["status"] not in ("pending", "succeeded"):
        raise ControlError("transaction_id", f"the refund is {refund['status']}")
    return {"refund": refunds.fail(desk, refund, reason)}


def _refund_succeed(wish: Wish, desk: Desk) -> dict[str, Any]:
    return {"refund": refunds.succeed(desk, _find_refund(wish, desk.store))}


def _find_refund(wish: Wish, store: Store) -> Json:
    """By its own id or reference, or the newest of the payment."""
    named = store.get(_text(wish, "transaction_id"))
    if named is not None and named["object"] == "refund":
        return named
    reference = _text(wish, "reference")
    own = [r for r in store.all("refund") if reference and reference in r["metadata"].values()]
    found = own or store.belonging("refund", find_intent(wish, store)["id"])
    if not found:
        raise ControlError("transaction_id", "the payment has no refund")
    return found[-1]


def _answer(wish: Wish, desk: Desk, *, approved: bool) -> dict[str, Any]:
    """The payer answers the 3-D Secure question."""
    intent = _asked(wish, desk.store)
    desk.origin = "api"  # what the payer does belongs to the call that asked them
    done = payer.approve(desk, intent) if approved else payer.fail(desk, intent)
    return {"transaction": intent_view(done)}


def _abandon(wish: Wish, desk: Desk) -> dict[str, Any]:
    """The payer closes the page: nothing happens, and the question stands until the intent is cancelled."""
    return {"transaction": intent_view(_asked(wish, desk.store))}


def _asked(wish: Wish, store: Store) -> Json:
    intent = find_intent(wish, store)
    if intent["status"] != "requires_action":
        raise ControlError("transaction_id", f"nobody is asked: the payment intent is {intent['status']}")
    return intent


def _dispute(wish: Wish, desk: Desk) -> dict[str, Any]:
    """`kind`: chargeback (default) or inquiry; `reason`; `amount_minor` for a part."""
    kind, reason = _text(wish, "kind") or "chargeback", _text(wish, "reason") or "fraudulent"
    if kind not in ("chargeback", "inquiry"):
        raise ControlError("kind", "kind must be chargeback or inquiry")
    if reason not in disputes.REASONS:
        raise ControlError("reason", f"reason must be one of {', '.join(disputes.REASONS)}")
    intent = find_intent(wish, desk.store)
    charge = desk.store.get(intent["latest_charge"] or "")
    if charge is None or not charge["amount_captured"]:
        raise ControlError("transaction_id", "no money was captured: there is nothing to dispute")
    amount_minor = _amount(wish) or charge["amount_captured"]
    if amount_minor > charge["amount_captured"]:
        raise ControlError("amount_minor", f"amount_minor must be {charge['amount_captured']} at most")
    made = disputes.open_dispute(desk, charge, amount_minor, inquiry=kind == "inquiry", reason=reason)
    return {"dispute": made}


def _dispute_step(
    step: Callable[[Desk, Json], Json], allowed: tuple[str, ...]
) -> Callable[[Wish, Desk], dict[str, Any]]:
    def act(wish: Wish, desk: Desk) -> dict[str, Any]:
        dispute = _find_dispute(wish, desk.store)
        if dispute["status"] not in allowed:
            raise ControlError("transaction_id", f"the dispute is {dispute['status']}; allowed is {', '.join(allowed)}")
        return {"dispute": step(desk, dispute)}

    return act


def _find_dispute(wish: Wish, store: Store) -> Json:
    named = store.get(_text(wish, "transaction_id"))
    if named is not None and named["object"] == "dispute":
        return named
    found = store.belonging("dispute", find_intent(wish, store)["id"])
    if not found:
        raise ControlError("transaction_id", "the payment has no dispute")
    return found[-1]


def _settle(_: Wish, desk: Desk) -> dict[str, Any]:
    return {"payout": payouts.pay_out(desk)}


def _payout_fail(wish: Wish, desk: Desk) -> dict[str, Any]:
    named = _text(wish, "payout_id")
    payout = desk.store.get(named) if named else next(reversed(list(desk.store.all("payout"))), None)
    if payout is None or payout["object"] != "payout":
        raise ControlError("payout_id", f"no payout {named}".rstrip())
    if payout["status"] == "failed":
        raise ControlError("payout_id", "the payout has failed already")
    return {"payout": payouts.fail(desk, payout)}


def _expire(wish: Wish, desk: Desk) -> dict[str, Any]:
    intent = find_intent(wish, desk.store)
    if intent["status"] != "requires_capture":
        raise ControlError("transaction_id", f"no open hold: the payment intent is {intent['status']}")
    return {"transaction": intent_view(expire_hold(desk, intent))}


def _capture_after_all(wish: Wish, desk: Desk) -> dict[str, Any]:
    """A cancelled hold is captured all the same, as processors sometimes do."""
    intent = find_intent(wish, desk.store)
    charge = desk.store.get(intent["latest_charge"] or "")
    if intent["status"] != "canceled" or charge is None or charge["captured"]:
        raise ControlError("transaction_id", f"no hold that was let go: the payment intent is {intent['status']}")
    desk.change(intent["id"], status="requires_capture", amount_capturable=charge["amount"], canceled_at=None)
    return _capture(wish, desk)


def _text(wish: Wish, name: str) -> str:
    value = wish.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ControlError(name, f"{name} must be a text")
    return value


def _amount(wish: Wish) -> int | None:
    value = wish.get("amount_minor")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 10**13:
        raise ControlError("amount_minor", "amount_minor must be a whole number above 0, in minor units")
    return value


ACTS: Mapping[str, Callable[[Wish, Desk], dict[str, Any]]] = {
    "sale": _sale,
    "foreign_sale": lambda wish, desk: _sale(wish, desk, foreign=True),
    "auth": lambda wish, desk: _sale(wish, desk, manual=True),
    "capture": _capture,
    "capture_after_all": _capture_after_all,
    "void": _void,
    "refund": _refund,
    "refund_from_dashboard": _refund,
    "refund_fail": _refund_fail,
    "refund_succeed": _refund_succeed,
    "approve": lambda wish, desk: _answer(wish, desk, approved=True),
    "fail": lambda wish, desk: _answer(wish, desk, approved=False),
    "abandon": _abandon,
    "dispute": _dispute,
    "dispute_win": _dispute_step(disputes.win, (*disputes.OPEN, *disputes.OPEN_INQUIRY)),
    "dispute_lose": _dispute_step(disputes.lose, disputes.OPEN),
    "dispute_escalate": _dispute_step(disputes.escalate, (*disputes.OPEN_INQUIRY, "warning_closed")),
    "pre_arbitration": _dispute_step(disputes.appeal, ("won",)),
    "settle": _settle,
    "payout_fail": _payout_fail,
    "expire_hold": _expire,
}
