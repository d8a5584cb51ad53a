"""How does a dispute go? Opened, answered, escalated, won or lost, and taken up again; the issuer's side and the API's."""

from __future__ import annotations

from typing import Any

from simulator.stripe import objects
from simulator.stripe.balance import book_reinstatement, book_withdrawal
from simulator.stripe.desk import Desk
from simulator.stripe.errors import refused
from simulator.stripe.forms import Params
from simulator.stripe.store import Json

ANSWER_WITHIN_SECONDS = 14 * 86_400
REASONS = (
    "bank_cannot_process", "check_returned", "credit_not_processed", "customer_initiated", "debit_not_authorized",
    "duplicate", "fraudulent", "general", "incorrect_account_details", "insufficient_funds", "noncompliant",
    "product_not_received", "product_unacceptable", "subscription_canceled", "unrecognized",
)  # fmt: skip
OPEN = ("needs_response", "under_review", "appeal_needs_response", "appeal_under_review")
OPEN_INQUIRY = ("warning_needs_response", "warning_under_review")
_SUBMITTED = {
    "needs_response": "under_review",
    "warning_needs_response": "warning_under_review",
    "appeal_needs_response": "appeal_under_review",
}


def open_dispute(
    desk: Desk, charge: Json, amount_minor: int = 0, *, inquiry: bool = False, reason: str = "fraudulent"
) -> Json:
    """The issuer asks (an inquiry moves no money), or takes the money back."""
    dispute = desk.put(
        objects.dispute(
            desk.store.next_id("du"),
            charge,
            amount_minor or charge["amount_captured"],
            reason=reason,
            status="warning_needs_response" if inquiry else "needs_response",
            created=desk.seconds,
            due=desk.seconds + ANSWER_WITHIN_SECONDS,
        )
    )
    desk.store.deadlines[dispute["id"]] = desk.seconds + ANSWER_WITHIN_SECONDS
    desk.look_again.append(ANSWER_WITHIN_SECONDS)
    if inquiry:
        desk.tell("charge.dispute.created", dispute)
        return dispute
    desk.change(charge["id"], disputed=True)
    dispute = _withdraw(desk, dispute, with_fee=True)
    desk.tell("charge.dispute.created", dispute)
    desk.tell("charge.dispute.funds_withdrawn", dispute)
    return dispute


def escalate(desk: Desk, dispute: Json) -> Json:
    """An inquiry becomes a chargeback."""
    return _take_again(desk, dispute, "needs_response", with_fee=True)


def appeal(desk: Desk, dispute: Json) -> Json:
    """The issuer does not accept that it lost: pre-arbitration takes the money once more."""
    return _take_again(desk, dispute, "appeal_needs_response", with_fee=False)


def win(desk: Desk, dispute: Json) -> Json:
    """The merchant keeps the money; of a closed inquiry none had moved."""
    if dispute["status"] in OPEN_INQUIRY:
        return _close(desk, dispute, "warning_closed")
    line = book_reinstatement(desk, dispute)
    lines = [*dispute["balance_transactions"], line]
    dispute = desk.change(dispute["id"], balance_transactions=lines)
    dispute = _close(desk, dispute, "won")
    desk.tell("charge.dispute.funds_reinstated", dispute)
    return dispute


def lose(desk: Desk, dispute: Json) -> Json:
    return _close(desk, dispute, "lost")


def overdue(desk: Desk, dispute: Json) -> Json:
    """Nobody answered in time: a chargeback is lost, an inquiry closed."""
    details = dispute["evidence_details"] | {"past_due": True}
    dispute = desk.change(dispute["id"], evidence_details=details)
    return _close(desk, dispute, "warning_closed" if dispute["status"] in OPEN_INQUIRY else "lost")


def update(desk: Desk, params: Params, dispute: Json) -> Json:
    """POST /v1/disputes/{id}: evidence is kept, and sent to the issuer unless `submit` is false."""
    params.allow("evidence", "metadata", "submit")
    evidence = params.inside("evidence").tree
    changes: dict[str, Any] = {"metadata": dispute["metadata"] | params.metadata()}
    if evidence:
        if dispute["status"] not in _SUBMITTED:
            raise refused(f"This dispute is {dispute['status']}: evidence can no longer be given.", "", "evidence")
        details = dict(dispute["evidence_details"])
        details["has_evidence"] = True
        if params.flag("submit", default=True):
            details["submission_count"] += 1
            changes["status"] = _SUBMITTED[dispute["status"]]
            desk.store.deadlines.pop(dispute["id"], None)
        changes |= {"evidence": dispute["evidence"] | evidence, "evidence_details": details}
    before = {name: dispute[name] for name in changes if dispute[name] != changes[name]}
    dispute = desk.change(dispute["id"], **changes)
    desk.tell("charge.dispute.updated", dispute, **before)
    return dispute


def close(desk: Desk, params: Params, dispute: Json) -> Json:
    """POST /v1/disputes/{id}/close: the merchant gives in, which can not be taken back."""
    params.allow()
    if dispute["status"] not in ("needs_response", "appeal_needs_response"):
        raise refused(f"This dispute is {dispute['status']} and can not be closed.", "status_transition_invalid")
    return lose(desk, dispute)


def _take_again(desk: Desk, dispute: Json, status: str, *, with_fee: bool) -> Json:
    desk.change(dispute["charge"], disputed=True)
    before = dispute["status"]
    due = desk.seconds + ANSWER_WITHIN_SECONDS
    desk.store.deadlines[dispute["id"]] = due
    desk.look_again.append(ANSWER_WITHIN_SECONDS)
    details = dispute["evidence_details"] | {"due_by": due}
    dispute = desk.change(dispute["id"], status=status, is_charge_refundable=False, evidence_details=details)
    dispute = _withdraw(desk, dispute, with_fee=with_fee)
    desk.tell("charge.dispute.updated", dispute, status=before)
    desk.tell("charge.dispute.funds_withdrawn", dispute)
    return dispute


def _withdraw(desk: Desk, dispute: Json, *, with_fee: bool) -> Json:
    line = book_withdrawal(desk, dispute, with_fee=with_fee)
    return desk.change(dispute["id"], balance_transactions=[*dispute["balance_transactions"], line])


def _close(desk: Desk, dispute: Json, status: str) -> Json:
    desk.store.deadlines.pop(dispute["id"], None)
    dispute = desk.change(dispute["id"], status=status)
    desk.tell("charge.dispute.closed", dispute)
    return dispute
