"""Are webhooks signed, delivered and redelivered as the gateway's own are, and do the webhook faults strike?"""

from __future__ import annotations

import hashlib
import hmac
from contextlib import closing

import pytest

from simulator.nmi.events import sign
from tests.simulator.conftest import SECRET, Listener, Nmi, Received
from tests.simulator_fixture import start_simulator, wait_for

# Recomputed by the gateway's rule, hex HMAC-SHA256 of nonce "." body, and published with public SDKs of it.
VECTOR_BODY = (
    b'{"event_id":"11111111-2222-3333-4444-555555555555","event_type":"transaction.sale.success",'
    b'"event_body":{"transaction_id":"9000000001"}}'
)
VECTOR = "t=1700000000,s=89c5916d3764e1cf9283c2c51c29ac8c56db0323f9bf0fc9cb19fe998822c27b"


def is_genuine(received: Received) -> bool:
    parts = dict(part.split("=", 1) for part in received.headers["Webhook-Signature"].split(","))
    signed = parts["t"].encode() + b"." + received.body
    return hmac.compare_digest(hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest(), parts["s"])


class TestAnEvent:
    def test_is_signed_as_the_known_vector(self) -> None:
        assert sign("nmi_signing_key_1", "1700000000", VECTOR_BODY) == VECTOR

    def test_of_a_sale_tells_all_and_arrives_at_the_gateways_door(self, nmi: Nmi, listener: Listener) -> None:
        sold = nmi.sale("ref-1", "12.34", email="a@example.com")["transactionid"]
        wait_for(lambda: listener.received)

        [received] = listener.received
        body = received.event["event_body"]
        assert received.path == "/webhooks/nmi/"
        assert is_genuine(received)
        assert received.event["event_type"] == "transaction.sale.success"
        assert (body["transaction_id"], body["order_id"], body["currency"]) == (sold, "ref-1", "USD")
        assert (body["condition"], body["requested_amount"]) == ("pendingsettlement", "12.34")
        assert (body["action"]["amount"], body["action"]["action_type"], body["action"]["success"]) == (
            "12.34",
            "sale",
            "1",
        )
        assert (body["action"]["source"], body["action"]["response_code"]) == ("api", "100")
        assert body["features"] == {"is_test_mode": False}
        assert body["card"]["cc_number"] == "411111******1111"

    def test_goes_out_for_every_step_and_every_refusal_by_the_processor(self, nmi: Nmi, listener: Listener) -> None:
        held = nmi.auth("ref-1", "5.00")["transactionid"]
        nmi.transact(type="capture", transactionid=held, amount="5.00")
        nmi.simulator.act("batch_settle")
        nmi.transact(type="refund", transactionid=held, amount="1.00")
        voided = nmi.sale("ref-2")["transactionid"]
        nmi.transact(type="void", transactionid=voided)
        nmi.sale("ref-3", payment_token="nmi_tok_decline_fraud")
        nmi.sale("ref-4", payment_token="nmi_tok_decline_unknown")
        nmi.transact(type="validate", payment_token="nmi_tok_ok")
        nmi.sale("ref-5", payment_token="nonsense")
        nmi.simulator.wait_until_quiet()

        assert sorted(listener.types()) == sorted(
            [
                "transaction.auth.success",
                "transaction.capture.success",
                "settlement.batch.complete",
                "transaction.refund.success",
                "transaction.sale.success",
                "transaction.void.success",
                "transaction.sale.failure",
                "transaction.sale.unknown",
                "transaction.validate.success",
            ]
        )
        assert all(is_genuine(received) for received in listener.received)

    def test_is_redelivered_with_the_same_bytes_until_accepted(self, nmi: Nmi, listener: Listener) -> None:
        listener.statuses[:] = [500, 503, 404]
        nmi.sale("ref-1")
        nmi.simulator.wait_until_quiet()

        assert len(listener.received) == 4
        assert len({(r.body, r.headers["Webhook-Signature"]) for r in listener.received}) == 1
        [logged] = nmi.simulator.books()["webhooks"]
        assert (logged["state"], logged["attempts"]) == ("delivered", ["500", "503", "404", "200"])

    def test_is_given_up_after_the_last_try(self, nmi: Nmi, listener: Listener) -> None:
        listener.statuses[:] = [500] * 5
        nmi.sale("ref-1")
        nmi.simulator.wait_until_quiet()

        [logged] = nmi.simulator.books()["webhooks"]
        assert (logged["state"], len(logged["attempts"])) == ("given_up", 5)

    def test_log_shows_the_exact_bytes(self, nmi: Nmi, listener: Listener) -> None:
        sold = nmi.sale("ref-1")["transactionid"]
        nmi.simulator.wait_until_quiet()

        [logged] = nmi.simulator.webhooks(sold)
        assert logged["body"].encode() == listener.received[0].body
        assert logged["headers"]["Webhook-Signature"] == listener.received[0].headers["Webhook-Signature"]


class TestTheWebhookFaults:
    def test_duplicate_repeats_the_same_event(self, nmi: Nmi, listener: Listener) -> None:
        nmi.simulator.fault("webhook_duplicate:3", "sale")
        nmi.sale("ref-1")
        nmi.simulator.wait_until_quiet()

        assert len(listener.received) == 4
        assert len({received.body for received in listener.received}) == 1

    def test_other_id_tells_the_same_movement_again(self, nmi: Nmi, listener: Listener) -> None:
        nmi.simulator.fault("webhook_other_id:2", "sale")
        nmi.sale("ref-1")
        nmi.simulator.wait_until_quiet()

        events = [received.event for received in listener.received]
        assert len({event["event_id"] for event in events}) == 3
        assert all(event["event_body"] == events[0]["event_body"] for event in events)
        assert all(is_genuine(received) for received in listener.received)

    def test_missing_is_never_sent_until_resent(self, nmi: Nmi, listener: Listener) -> None:
        nmi.simulator.fault("webhook_missing", "sale")
        sold = nmi.sale("ref-1")["transactionid"]
        nmi.sale("ref-2")
        nmi.simulator.wait_until_quiet()
        assert [r.event["event_body"]["order_id"] for r in listener.received] == ["ref-2"]

        assert nmi.simulator.act("resend_webhook", transaction_id=sold)["resent"] == 1
        nmi.simulator.wait_until_quiet()

        assert [r.event["event_body"]["order_id"] for r in listener.received] == ["ref-2", "ref-1"]

    def test_delayed_waits_for_its_time(self, nmi: Nmi, listener: Listener) -> None:
        nmi.simulator.fault("webhook_delayed:3600", "sale")
        nmi.sale("ref-1")
        nmi.sale("ref-2")
        wait_for(lambda: nmi.simulator.health()["webhooks_waiting"] == 1)
        assert len(listener.received) == 1

        nmi.simulator.act("advance_clock", seconds=3601)
        nmi.simulator.wait_until_quiet()

        assert [r.event["event_body"]["order_id"] for r in listener.received] == ["ref-2", "ref-1"]

    def test_reordered_is_overtaken_by_the_next_event_of_its_transaction(self, nmi: Nmi, listener: Listener) -> None:
        nmi.simulator.fault("webhook_reordered:600", "auth")
        held = nmi.auth("ref-1")["transactionid"]
        nmi.transact(type="capture", transactionid=held, amount="1.00")
        nmi.simulator.wait_until_quiet()

        assert listener.types() == ["transaction.capture.success", "transaction.auth.success"]

    def test_reordered_goes_out_alone_when_nothing_follows(self, nmi: Nmi, listener: Listener) -> None:
        nmi.simulator.fault("webhook_reordered:0.05", "auth")
        nmi.auth("ref-1")
        nmi.simulator.wait_until_quiet()

        assert listener.types() == ["transaction.auth.success"]

    def test_forged_comes_besides_with_a_wrong_signature_once(self, nmi: Nmi, listener: Listener) -> None:
        nmi.simulator.fault("webhook_forged", "sale")
        nmi.sale("ref-1")
        nmi.simulator.wait_until_quiet()

        forged = [received for received in listener.received if not is_genuine(received)]
        assert (len(listener.received), len(forged)) == (2, 1)
        assert forged[0].event["event_body"]["action"]["amount"] == "999999.99"
        assert len({received.event["event_id"] for received in listener.received}) == 2

    def test_test_mode_is_told(self, nmi: Nmi, listener: Listener) -> None:
        nmi.simulator.fault("test_mode", "sale", times=1)
        nmi.sale("ref-1")
        nmi.sale("ref-2")
        nmi.simulator.wait_until_quiet()

        told = {r.event["event_body"]["order_id"]: r.event["event_body"]["features"] for r in listener.received}
        assert told == {"ref-1": {"is_test_mode": True}, "ref-2": {"is_test_mode": False}}

    @pytest.mark.parametrize("act", ["batch_settle", "batch_fail"])
    def test_strike_settlement_events_too(self, nmi: Nmi, listener: Listener, act: str) -> None:
        nmi.sale("ref-1")
        nmi.simulator.wait_until_quiet()
        nmi.simulator.fault("webhook_duplicate", "settlement")
        nmi.simulator.act(act)
        nmi.simulator.wait_until_quiet()

        assert len([one for one in listener.types() if one.startswith("settlement.batch.")]) == 2


def test_without_an_address_events_are_kept_and_not_sent() -> None:
    simulator = start_simulator()
    try:
        with closing(Nmi(simulator)) as nmi:
            nmi.sale("ref-1")
        assert [one["state"] for one in simulator.books()["webhooks"]] == ["no_endpoint"]
    finally:
        simulator.stop()


def test_a_door_that_is_shut_is_tried_again(free_port: int) -> None:
    simulator = start_simulator(
        webhooks=f"http://127.0.0.1:{free_port}/webhooks",
        options=("--webhook-retry-first", "0.01", "--webhook-tries", "3"),
    )
    try:
        with closing(Nmi(simulator)) as nmi:
            nmi.sale("ref-1")
        simulator.wait_until_quiet()
        [logged] = simulator.books()["webhooks"]
        assert logged["attempts"] == ["ConnectionRefusedError"] * 3
    finally:
        simulator.stop()
