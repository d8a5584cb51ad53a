"""Is nobody charged twice, refunded twice, or asked again who has said no? The half of the rules that is about calls. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from config.drill.evidence import Evidence, Row

# What was looked at, and what is wrong with it; an empty text: nothing.
Judged = Iterator[tuple[str, str]]
PAID = {"captured", "settled", "reconciled"}
_NEVER = {"hard_decline", "fraud"}
_OTHER_REFUSALS = {
    "decline",
    "duplicate",
    "communication_error",
    "test_mode",
}  # troubles that put another class in its place
_NOT_THE_NETWORKS = {
    "gateway_unavailable", "gateway_error", "configuration_error", "invalid_request", "duplicate",
}  # fmt: skip
_MONTH = timedelta(days=30)


# --- never twice ------------------------------------------------------------------------------------------------------


def charged_once_per_reference(e: Evidence) -> Judged:
    """All gateways together captured at most once by our calls for each order, or a case holds what came beside."""
    charged = Counter(_order_of(e))
    for payment in e.payments:
        times, held = charged[payment["reference"]], _held_beside(e, payment)
        yield payment["reference"], f"charged {times} times, {held} of them held by cases" if times > 1 + held else ""


def charged_once_per_payer(e: Evidence) -> Judged:
    """The same by each payer's address (every payer of a drill buys once)."""
    payments = {payment["reference"]: payment for payment in e.payments}
    bought = {plan.payer: payments[plan.reference] for plan in e.plans if plan.reference in payments}
    for payer, times in sorted(Counter(m["payer_email"] for m in _charges(e) if m["payer_email"]).items()):
        held = _held_beside(e, bought[payer]) if payer in bought else 0
        yield payer, f"charged {times} times, {held} of them held by cases" if times > 1 + held else ""


def _order_of(e: Evidence) -> Iterator[str]:
    """The merchant's order of each charge: as the gateway was told it, else by its payer."""
    orders = {t["transaction_id"]: t.get("description", "") for t in e.their_transactions}
    bought = {plan.payer: plan.reference for plan in e.plans}
    for m in _charges(e):
        yield str(orders.get(m["gateway_id"]) or bought.get(m["payer_email"], m["reference"]))


def _held_beside(e: Evidence, payment: Row) -> int:
    """Charges of the payment that stand on 2040 until somebody has decided what they are for."""
    return sum(
        r["payment_id"] == payment["id"]
        and r["kind"] == "second_capture"
        and r["held_on"] == "2040"
        and r["held_minor"] > 0
        for r in e.reviews
    )


def _charges(e: Evidence) -> Iterator[Row]:
    return (m for m in e.their_movements if m["kind"] == "capture" and m["origin"] == "api")


def one_answer_per_key(e: Evidence) -> Judged:
    """A request repeated under its key got the first answer byte for byte, and made one payment."""
    made = Counter(payment["reference"] for payment in e.payments)
    for key, answers in sorted(e.answers.items()):
        if len(answers) > 1:
            yield key, f"{len(set(answers))} different answers" if len(set(answers)) > 1 else ""
    for payment_id, view in sorted(e.api.items()):
        times = made[view["reference"]]
        yield payment_id, f"{times} payments of {view['reference']}" if times != 1 else ""


def refunded_once(e: Evidence) -> Judged:
    """Each refund of ours moved money back at the gateway once at most, and as much as it says."""
    tried = defaultdict(list)
    for operation in e.operations:
        if operation["refund_id"] is not None:
            tried[operation["refund_id"]].append(operation["reference"])
    returned = {m["gateway_id"] for m in e.their_movements if m["kind"] == "refund_return"}
    back = [m for m in e.their_movements if m["kind"] in ("refund", "void")]
    for refund in e.refunds:
        if refund["origin"] == "external":
            continue
        moved = [m for m in back if m["operation_reference"] and m["operation_reference"] in tried[refund["id"]]]
        stayed = [m for m in moved if m["gateway_id"] not in returned]
        trouble = f"went back {len(stayed)} times" if len(stayed) > 1 else ""
        if not moved and refund["state"] == "succeeded" and not _voided(e, refund):
            trouble = "succeeded, and nothing went back"
        yield refund["public_id"], trouble


def _voided(e: Evidence, refund: Row) -> bool:
    """A void is known by its transaction: the gateway keeps the transaction's own reference."""
    ours = {a["gateway_id"] for a in e.attempts if a["payment_id"] == refund["payment_id"]}
    return any(m["gateway_id"] in ours or m["original_gateway_id"] in ours for m in _went_back(e))


def _went_back(e: Evidence) -> Iterator[Row]:
    return (m for m in e.their_movements if m["kind"] == "refund" or m["releases"] in ("capture", "refund"))


def refunds_within_captures(e: Evidence) -> Judged:
    """No more went back of a transaction than was captured of it."""
    for transaction, net in sorted(net_captured(e).items()):
        for currency, minor in net.items():
            yield transaction, f"{-minor} minor units of {currency} beyond what was captured" if minor < 0 else ""


def net_captured(e: Evidence) -> dict[str, Counter[str]]:
    """Captured less given back, by the transaction that took the money, by the gateway's books."""
    net: dict[str, Counter[str]] = defaultdict(Counter)
    for m in e.their_movements:
        if m["kind"] == "capture":
            net[m["gateway_id"]][m["currency"]] += m["amount_minor"]
        elif m["kind"] in ("refund", "refund_return"):
            sign = 1 if m["kind"] == "refund_return" else -1
            net[m["original_gateway_id"] or m["gateway_id"]][m["currency"]] += sign * m["amount_minor"]
        elif m["releases"] == "capture":
            net[m["gateway_id"]][m["currency"]] -= m["amount_minor"]
    return net


# --- declines and the next gateway ------------------------------------------------------------------------------------


def declines_end_in_their_class(e: Evidence) -> Judged:
    """A card that declines everywhere is declined in its own class wherever it was asked, and pays nothing."""
    payments = {payment["reference"]: payment for payment in e.payments}
    for plan in e.plans:
        payment = payments.get(plan.reference)
        if not plan.declined_as or payment is None or (plan.trouble and plan.trouble.name in _OTHER_REFUSALS):
            continue
        told = {a["failure_class"] for a in attempts_of(e, payment) if a["state"] == "declined"}
        wrong = sorted(told - {plan.declined_as})
        paid = payment["state"] in PAID or payment["state"] == "authorised"
        trouble = f"{plan.declined_as} came as {', '.join(wrong)}" if wrong else ""
        yield payment["public_id"], f"{plan.declined_as}, and {payment['state']}" if paid else trouble


def no_call_after_never(e: Evidence) -> Judged:
    """Once a card was refused for good, no call of ours asked it for that payment again."""
    over = {row["operation_id"]: row["at"] for row in e.ruled_out}
    refused: dict[int, Any] = {}
    for o in _collecting(e):
        if o["failure_class"] in _NEVER and o["certainty"] == "refused" and o["id"] in over:
            refused[o["payment_id"]] = min(refused.get(o["payment_id"], over[o["id"]]), over[o["id"]])
    names = {payment["id"]: payment["public_id"] for payment in e.payments}
    for payment_id, at in sorted(refused.items()):
        late = [o["public_id"] for o in _collecting(e) if o["payment_id"] == payment_id and (o["sent_at"] or at) > at]
        yield names[payment_id], f"asked again by {late[0]}" if late else ""


def ceilings_are_kept(e: Evidence) -> Judged:
    """No card that we knew was asked again once it had been declined as often as its network allows.

    A token shows its card with the first answer that names it: what was planned before can not be held to it.
    """
    declined = defaultdict(list)
    for o in _collecting(e):
        if (
            o["state"] == "declined"
            and o["fingerprint"]
            and o["ended_at"]
            and o["failure_class"] not in _NOT_THE_NETWORKS
        ):
            declined[o["fingerprint"]].append(o["ended_at"])
    for o in _collecting(e):
        if not o["fingerprint"] or o["sent_at"] is None or not _known_before(e, o):
            continue
        known = [at for at in declined[o["fingerprint"]] if o["planned_at"] - _MONTH < at < o["planned_at"]]
        if o["brand"] in ("mastercard", "mc"):
            known, most = [at for at in known if at.date() == o["planned_at"].date()], 10
        else:
            most = 15
        yield o["public_id"], f"sent after {len(known)} declines of its card" if len(known) >= most else ""


def _known_before(e: Evidence, call: Row) -> bool:
    """Had the gateway that names the card (it stands before the fingerprint) told it when this call was planned?"""
    teller = call["fingerprint"].partition(":")[0]
    at = {attempt["id"]: attempt["gateway"] for attempt in e.attempts}
    return any(
        o["payment_id"] == call["payment_id"]
        and at.get(o["attempt_id"]) == teller
        and o["ended_at"] is not None
        and o["ended_at"] < call["planned_at"]
        for o in _collecting(e)
    )


def the_next_try_waits_for_certainty(e: Evidence) -> Judged:
    """Another attempt began only once the one before it was known to have taken nothing."""
    over = {row["operation_id"]: row["at"] for row in e.ruled_out}
    calls = {o["attempt_id"]: o for o in _collecting(e)}
    by_number = {(a["payment_id"], a["number"]): a for a in e.attempts}
    names = {payment["id"]: payment["public_id"] for payment in e.payments}
    for (payment_id, number), attempt in sorted(by_number.items()):
        before = by_number.get((payment_id, number - 1))
        if before is None:
            continue
        call = calls.get(before["id"])
        at = over.get(call["id"]) if call else None
        if call is None or (at is None and call["certainty"] in ("not_sent", "refused")):
            yield names[payment_id], ""
        else:
            late = at is None or at > attempt["created_at"]
            yield names[payment_id], f"attempt {number} began while {call['public_id']} was open" if late else ""


def _collecting(e: Evidence) -> Iterator[Row]:
    return (o for o in e.operations if o["kind"] in ("sale", "authorise"))


def attempts_of(e: Evidence, payment: Row) -> list[Row]:
    """The attempts of one payment, by our books."""
    return [attempt for attempt in e.attempts if attempt["payment_id"] == payment["id"]]
