"""Do payouts' webhooks reach the payout, in any order and once, and is what Stripe says of them shown in the inbox?"""

from __future__ import annotations

import hashlib
import hmac
import json
from itertools import permutations

import pytest

from ledger.models import JournalEntry, Posting
from payments.models import GatewayAccount, InboundEvent, Payout
from payments.services.inbox import drain_inbox
from payments.states import EventState
from tests.payments.gateways.payloads import FOLDER
from tests.payments.inbox.conftest import SetClock, store
from tests.payments.inbox.deliveries import Delivery

KEY = "whsec_of_the_tests"
EVENTS = {
    row["name"]: row["body"]
    for row in json.loads((FOLDER / "stripe" / "webhooks.json").read_text())
    if row["name"].startswith("payout.")
}
STORY = ("payout.created", "payout.paid", "payout.reconciliation_completed", "payout.failed")


@pytest.fixture(autouse=True)
def stripe(db: None, monkeypatch: pytest.MonkeyPatch) -> GatewayAccount:
    monkeypatch.setenv("GATEWAY_STRIPE_WEBHOOK_SECRET", KEY)
    return GatewayAccount.objects.create(slug="stripe", provider="stripe", name="Stripe")


def deliver(name: str, clock: SetClock, payout_id: str = "po_1") -> InboundEvent:
    text = json.dumps(EVENTS[name] | {"id": f"evt_{payout_id}_{name}"}).replace("po_1", payout_id)
    body, stamp = text.encode(), str(int(clock().timestamp()))
    signed = hmac.new(KEY.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    headers = {"content-type": "application/json", "stripe-signature": f"t={stamp},v1={signed}"}
    return store(Delivery(body, headers), now=clock(), slug="stripe")


def test_a_word_is_applied_and_says_where_the_payout_stands(clock: SetClock) -> None:
    event = deliver("payout.paid", clock)

    drain_inbox(clock)

    event.refresh_from_db()
    assert (event.state, event.outcome, event.next_check_at) == (EventState.APPLIED, "the payout is paid", None)
    payout = Payout.objects.get()
    assert (payout.gateway_id, payout.state, payout.amount_minor, payout.bank_ref) == (
        "po_1",
        "paid",
        4624,
        "TRACE0001",
    )


def test_whatever_the_order_the_end_is_the_same_and_booked_once(clock: SetClock) -> None:
    """Every order: one in one drain, the next word by word."""
    orders = list(permutations(STORY))
    for number, order in enumerate(orders):
        account = GatewayAccount.objects.get()
        for name in order:
            deliver(name, clock, f"po_of_{number}")
            if number % 2:
                drain_inbox(clock)
        drain_inbox(clock)

        payout = Payout.objects.get(gateway_account=account, gateway_id=f"po_of_{number}")
        assert (payout.state, payout.failure, payout.itemised) == ("failed", "account_closed", True)
    assert JournalEntry.objects.count() == 2 * len(orders)  # out and back
    assert sum(Posting.objects.values_list("amount_minor", flat=True)) == 0
