"""What does the payer see and do at their bank? The page of the 3-D Secure question, and what an answer brings about."""

from __future__ import annotations

import html
from urllib.parse import urlencode

from simulator.messages import Answer
from simulator.stripe.charging import attempt, fail_authentication
from simulator.stripe.codes import Refusal
from simulator.stripe.desk import Desk
from simulator.stripe.errors import ApiError
from simulator.stripe.store import Json

_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>Confirm your payment</title></head>
<body style="font-family: sans-serif; max-width: 30rem; margin: 3rem auto; padding: 0 1rem">
<h1>Simulated bank</h1>
<p>Confirm a payment of <strong>{amount}</strong> (minor units) <strong>{currency}</strong>?</p>
<form method="post"><button name="outcome" value="approve">Approve</button>
<button name="outcome" value="fail">Fail</button> <button name="outcome" value="abandon">Leave without confirming</button></form>
</body></html>
"""
_OVER = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>Nothing to confirm</title></head>
<body style="font-family: sans-serif; max-width: 30rem; margin: 3rem auto; padding: 0 1rem">
<h1>Simulated bank</h1><p>There is nothing to confirm: the payment is {status}.</p></body></html>
"""
_REDIRECT_STATUS = {"succeeded": "succeeded", "requires_capture": "succeeded", "requires_action": "pending"}
OUTCOMES = ("approve", "fail", "abandon")


def approve(desk: Desk, intent: Json) -> Json:
    """The payer proved who they are: the card is asked now, and may still decline."""
    try:
        return attempt(desk, intent, desk.twist.refusal or _refusal(desk, intent), authenticated=True)
    except ApiError:
        return desk.store.known(intent["id"])


def fail(desk: Desk, intent: Json) -> Json:
    return fail_authentication(desk, intent)


def page(intent: Json) -> Answer:
    """The question, or that there is none any more."""
    if intent["status"] != "requires_action":
        return Answer(_OVER.format(status=html.escape(intent["status"])).encode(), 409)
    text = _PAGE.format(amount=intent["amount"], currency=html.escape(intent["currency"].upper()))
    return Answer(text.encode())


def way_back(asked: Json, intent: Json) -> Answer:
    """To the merchant's return_url as it stood when the payer was asked; without one, a page that says so."""
    redirect = (asked["next_action"] or {}).get("redirect_to_url")
    if redirect is None:
        return Answer(_OVER.format(status=html.escape(intent["status"])).encode())
    fields = {
        "payment_intent": intent["id"],
        "payment_intent_client_secret": intent["client_secret"],
        "redirect_status": _REDIRECT_STATUS.get(intent["status"], "failed"),
    }
    url = redirect["return_url"]
    joint = "&" if "?" in url else "?"
    return Answer(status=303, headers={"Location": f"{url}{joint}{urlencode(fields)}"})


def _refusal(desk: Desk, intent: Json) -> Refusal | None:
    return desk.store.cards[intent["payment_method"]].refusal
