"""How do ConvesioPay's books look to the control interface, and its 3-D Secure page to a payer? Pure."""

from __future__ import annotations

import html
from dataclasses import asdict
from typing import Any

from simulator.books import Movement
from simulator.convesiopay.model import Payment
from simulator.messages import Answer

_PAGE = """<!doctype html><html lang="en"><head><title>{title}</title></head><body><main>
<h1>{title}</h1><p>{text}</p>{form}</main></body></html>
"""
_FORM = """<form method="post"><button name="outcome" value="approve">Approve</button>
<button name="outcome" value="fail">Fail</button> <button name="outcome" value="abandon">Leave without confirming</button></form>"""


def movement_view(movement: Movement, payment: Payment) -> dict[str, Any]:
    """A movement with the present standing of its payment; this gateway reports no settlement."""
    present = {"condition": payment.status, "batch_id": "", "settled": False}
    return asdict(movement) | present | {"occurred_at": movement.occurred_at.isoformat()}


def transaction_view(payment: Payment) -> dict[str, Any]:
    """A payment with its amounts in minor units."""
    return {
        "transaction_id": payment.payment_id,
        "reference": payment.order_number,
        "type": payment.opened_as,
        "condition": payment.status,
        "currency": payment.currency,
        "requested_minor": payment.requested_minor,
        "captured_minor": payment.captured_minor,
        "refunded_minor": payment.sum_of("refund"),
        "refunds": "",
        "settled": False,
        "batch_id": "",
        "card": payment.card.masked,
        "payer_email": payment.payer_email,
        "customer_vault_id": payment.stored_id,
        "foreign": payment.foreign,
        "lapsed": payment.lapsed_at is not None,
        "refusal": payment.refusal,
        "actions": [asdict(change) | {"occurred_at": change.occurred_at.isoformat()} for change in payment.changes],
    }


def challenge_page(payment: Payment) -> Answer:
    """What the payer's bank shows."""
    text = f"Your bank asks you to confirm {payment.amount_minor} minor units of {payment.currency}."
    return _page("Confirm the payment", text, _FORM)


def closed_page() -> Answer:
    return _page("Nothing to confirm", "This payment is no longer open.", "", 410)


def back_to(payment: Payment) -> Answer:
    """To where the merchant wanted the payer back, or a page that says it is done."""
    if not payment.return_url:
        return _page("Done", "You may close this window.", "")
    return Answer(b"", 303, headers={"Location": payment.return_url})


def _page(title: str, text: str, form: str, status: int = 200) -> Answer:
    return Answer(_PAGE.format(title=html.escape(title), text=html.escape(text), form=form).encode(), status)
