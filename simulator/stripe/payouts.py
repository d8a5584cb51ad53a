"""When does the merchant get the money? Payouts of the balance: on their way, paid, or failed after all."""

from __future__ import annotations

from simulator.stripe import objects
from simulator.stripe.balance import book_payout
from simulator.stripe.desk import Desk
from simulator.stripe.store import Json

PAID_AFTER_SECONDS = 0.5
FAILURE = "account_closed"


def pay_out(desk: Desk) -> Json | None:
    """Everything on the balance, due or not, in one payout. None when there is nothing to pay: the balance waits."""
    lines = [desk.store.known(found) for found in desk.store.unpaid]
    amount_minor = sum(line["net"] for line in lines)
    if amount_minor <= 0:
        return None
    made = objects.payout(desk.store.next_id("po"), amount_minor, desk.seconds, desk.seconds)
    own_line = book_payout(desk, made, "payout", -amount_minor)
    for line in lines:
        if line["status"] == "pending":
            desk.change(line["id"], status="available", available_on=min(line["available_on"], desk.seconds))
        desk.store.pay_out(line["id"], made["id"])
    desk.store.pay_out(own_line, made["id"])
    made = desk.put(made | {"balance_transaction": own_line})
    desk.tell("payout.created", made)
    desk.after(PAID_AFTER_SECONDS, lambda later: _arrive(later, made["id"]))
    return made


def fail(desk: Desk, payout: Json) -> Json:
    """The bank sends it back, even if it was said to be paid; the balance has it again."""
    back = book_payout(desk, payout, "payout_failure", payout["amount"])
    failed = desk.change(
        payout["id"],
        failure_balance_transaction=back,
        failure_code=FAILURE,
        failure_message="The bank account has been closed.",
        status="failed",
    )
    desk.tell("payout.failed", failed, status=payout["status"])
    return failed


def balance(desk: Desk) -> Json:
    """GET /v1/balance: what is in no payout yet."""
    sums = {"available": 0, "pending": 0}
    for found in desk.store.unpaid:
        line = present(desk.store.known(found), desk.seconds)
        sums[line["status"]] += line["net"]
    shown = {
        name: [{"amount": amount_minor, "currency": "usd", "source_types": {"card": amount_minor}}]
        for name, amount_minor in sums.items()
    }
    return {"object": "balance", "livemode": False, **shown}


def present(value: Json, seconds: int) -> Json:
    """A balance transaction becomes available by the passing of time alone."""
    if value["object"] == "balance_transaction" and value["status"] == "pending" and value["available_on"] <= seconds:
        return value | {"status": "available"}
    return value


def _arrive(desk: Desk, payout_id: str) -> None:
    payout = desk.store.known(payout_id)
    if payout["status"] != "in_transit":
        return
    paid = desk.change(payout_id, status="paid", trace_id={"status": "supported", "value": f"TRACE{payout_id[-8:]}"})
    desk.tell("payout.paid", paid, status="in_transit")
    complete = desk.change(payout_id, reconciliation_status="completed")
    desk.tell("payout.reconciliation_completed", complete, reconciliation_status="in_progress")
