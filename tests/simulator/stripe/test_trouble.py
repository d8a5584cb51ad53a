"""Do the shared faults strike Stripe too, and are its webhooks signed, repeated, forged and lost as they should be?"""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import Any

import httpx
import pytest

from tests.simulator.conftest import Received
from tests.simulator.stripe.conftest import SECRET, Stripe
from tests.simulator_fixture import SimulatorError, wait_for


def signed_by_us(received: Received) -> bool:
    parts = dict(part.split("=", 1) for part in received.headers["Stripe-Signature"].split(","))
    signed = f"{parts['t']}.".encode() + received.body
    return hmac.compare_digest(hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest(), parts["v1"])


class TestOnTheWire:
    @pytest.mark.parametrize(
        ("fault", "moved"),
        [
            ("lost_response", True),
            ("dropped_request", False),
            ("empty_body", False),
            ("empty_body_after", True),
            ("html_body", False),
            ("server_error", False),
            ("server_error_after", True),
            ("rate_limited", False),
            ("outage", False),
        ],
    )
    def test_what_was_done_and_what_was_not(self, stripe: Stripe, fault: str, moved: bool) -> None:
        stripe.simulator.fault(fault, "sale", "stripe", reference="ref-1")
        try:
            status = stripe.post("payment_intents", **stripe.payment()).status_code
        except httpx.HTTPError:
            status = 0
        assert status == {"empty_body": 200, "empty_body_after": 200, "html_body": 200, "rate_limited": 429}.get(
            fault, 500 if "server" in fault else 0
        )
        assert stripe.kinds("ref-1") == ([("capture", 1234)] if moved else [])

    def test_operations_have_the_names_of_every_gateway(self, stripe: Stripe) -> None:
        held = stripe.auth()
        for operation, path, form in (
            ("auth", "payment_intents", stripe.payment("ref-2", capture_method="manual")),
            ("capture", f"payment_intents/{held['id']}/capture", {}),
            ("void", f"payment_intents/{held['id']}/cancel", {}),
            ("refund", "refunds", {"payment_intent": held["id"]}),
            ("vault", "customers", {}),
        ):
            stripe.simulator.fault("rate_limited", operation, "stripe")
            assert stripe.error(path, status=429, **form)["code"] == "rate_limit"

    def test_aims_at_a_reference(self, stripe: Stripe) -> None:
        stripe.simulator.fault("decline:stolen_card", "sale", "stripe", reference="ref-2")
        assert stripe.sale("ref-1")["status"] == "succeeded"
        assert stripe.error("payment_intents", status=402, **stripe.payment("ref-2"))["decline_code"] == "stolen_card"

    def test_slow_is_done_at_once_and_told_late(self, stripe: Stripe) -> None:
        stripe.simulator.fault("slow:0.3", "sale", "stripe")
        before = time.monotonic()
        assert stripe.sale()["status"] == "succeeded"
        assert time.monotonic() - before >= 0.3

    def test_a_late_authorisation(self, stripe: Stripe) -> None:
        stripe.simulator.fault("late_authorisation:300", "sale", "stripe")
        with pytest.raises(httpx.HTTPError):
            stripe.post("payment_intents", **stripe.payment())
        assert stripe.kinds("ref-1") == []
        stripe.simulator.act("advance_clock", "stripe", seconds=301)
        wait_for(lambda: stripe.kinds("ref-1") == [("capture", 1234)])

    @pytest.mark.parametrize(
        "name", ["duplicate", "communication_error", "test_mode", "decline:no_such_code", "currency_off:XTS"]
    )
    def test_faults_that_stripe_does_not_have_are_refused(self, stripe: Stripe, name: str) -> None:
        with pytest.raises(SimulatorError, match="gateway"):
            stripe.simulator.fault(name, gateway="stripe")


class TestOtherAmounts:
    def test_more_is_taken_and_said(self, stripe: Stripe) -> None:
        stripe.simulator.fault("amount_off:100", "sale", "stripe")
        sold = stripe.sale(**{"expand[]": "latest_charge"})
        assert (sold["amount"], sold["amount_received"], sold["latest_charge"]["amount"]) == (1234, 1334, 1334)
        assert stripe.kinds("ref-1") == [("capture", 1334)]

    def test_more_is_taken_and_not_said(self, stripe: Stripe) -> None:
        stripe.simulator.fault("amount_off:100:silent", "sale", "stripe")
        sold = stripe.sale(**{"expand[]": "latest_charge"})
        assert (sold["amount_received"], sold["latest_charge"]["amount_captured"]) == (1234, 1234)
        assert stripe.get(f"payment_intents/{sold['id']}")["amount_received"] == 1334

    def test_another_currency(self, stripe: Stripe) -> None:
        stripe.simulator.fault("currency_off:EUR", "sale", "stripe")
        assert stripe.sale()["currency"] == "eur"


class TestLookUps:
    def test_lag(self, stripe: Stripe) -> None:
        stripe.simulator.fault("lookup_lag:600", "sale", "stripe")
        sold = stripe.sale()
        assert stripe.get("payment_intents")["data"] == []
        assert stripe.refused(f"payment_intents/{sold['id']}", 404)["code"] == "resource_missing"
        stripe.simulator.act("advance_clock", "stripe", seconds=601)
        assert stripe.get(f"payment_intents/{sold['id']}")["status"] == "succeeded"

    def test_lag_of_one_question(self, stripe: Stripe) -> None:
        stripe.sale()
        stripe.simulator.fault("lookup_lag:60", "query", "stripe")
        assert stripe.get("payment_intents")["data"] == []
        assert len(stripe.get("payment_intents")["data"]) == 1

    def test_down(self, stripe: Stripe) -> None:
        stripe.simulator.fault("lookup_down", gateway="stripe")
        answer = stripe.client.get(f"{stripe.url}/v1/balance")
        assert (answer.status_code, stripe.sale()["status"]) == (503, "succeeded")


class TestWebhooks:
    def test_are_signed_with_the_whole_secret(self, stripe: Stripe) -> None:
        stripe.sale()
        stripe.types()
        assert [one.path for one in stripe.listener.received] == ["/webhooks/stripe/"] * 3
        assert all(signed_by_us(one) for one in stripe.listener.received)

    def test_every_delivery_is_signed_anew(self, stripe: Stripe) -> None:
        stripe.simulator.fault("webhook_delayed:1.1", "sale", "stripe")
        before = int(time.time())
        stripe.sale()
        stripe.types()
        moments = [int(one.headers["Stripe-Signature"].split(",")[0][2:]) for one in stripe.listener.received]
        assert min(moments) > before
        assert all(signed_by_us(one) for one in stripe.listener.received)

    def test_are_repeated_until_they_are_taken(self, stripe: Stripe) -> None:
        stripe.listener.statuses = [503, 500]
        stripe.sale()
        stripe.types()
        bodies = [one.body for one in stripe.listener.received]
        assert (len(bodies), len(set(bodies))) == (5, 3)

    def test_follow_trouble_of_the_whole_request(self, stripe: Stripe) -> None:
        def arrived(fault: str) -> list[dict[str, Any]]:
            stripe.listener.received.clear()
            stripe.simulator.fault(fault, "sale", "stripe")
            stripe.sale()
            stripe.types()
            return [one.event for one in stripe.listener.received]

        assert arrived("webhook_missing") == []
        twice = arrived("webhook_duplicate:1")
        assert (len(twice), len({event["id"] for event in twice})) == (6, 3)
        renamed = arrived("webhook_other_id")
        assert (len(renamed), len({event["id"] for event in renamed})) == (6, 6)

    def test_forged_ones_have_a_wrong_signature(self, stripe: Stripe) -> None:
        stripe.simulator.fault("webhook_forged", "sale", "stripe")
        stripe.sale()
        stripe.types()
        forged = [one for one in stripe.listener.received if not signed_by_us(one)]
        assert len(stripe.listener.received) == 6
        assert [one.event["data"]["object"]["amount"] for one in forged] == [99_999_999] * 3

    def test_may_overtake_each_other(self, stripe: Stripe) -> None:
        stripe.simulator.fault("webhook_reordered:3000", "auth", "stripe")
        held = stripe.auth()
        stripe.done(f"payment_intents/{held['id']}/capture")
        wait_for(lambda: len(stripe.listener.received) >= 2)
        assert stripe.listener.received[0].event["type"] in ("charge.captured", "payment_intent.succeeded")

    def test_can_be_sent_again(self, stripe: Stripe) -> None:
        stripe.simulator.fault("webhook_missing", "sale", "stripe")
        stripe.sale()
        assert stripe.types() == set()
        assert stripe.simulator.act("resend_webhook", "stripe", reference="ref-1")["resent"] == 3
        assert "charge.succeeded" in stripe.types()
