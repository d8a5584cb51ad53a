"""Does Stripe's official SDK, unmodified, work against the simulator? What it accepts is what Stripe would answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import stripe

from tests.simulator_fixture import SimulatorProcess, start_simulator, wait_for

KEY, SECRET = "sk_test_demo", "whsec_demo"
NO_ENDPOINT = "http://127.0.0.1:9/webhooks"  # nobody listens there: deliveries are read from the simulator's own log


@pytest.fixture(scope="module")
def running() -> Iterator[SimulatorProcess]:
    process = start_simulator(webhooks=NO_ENDPOINT, options=("--webhook-tries", "1"))
    yield process
    process.stop()


@pytest.fixture
def simulator(running: SimulatorProcess) -> SimulatorProcess:
    running.reset()
    return running


@pytest.fixture
def client(simulator: SimulatorProcess) -> Iterator[stripe.StripeClient]:
    yield from _client(simulator, KEY)


def _client(simulator: SimulatorProcess, key: str) -> Iterator[stripe.StripeClient]:
    http_client = stripe.RequestsClient()
    yield stripe.StripeClient(
        key, base_addresses={"api": f"{simulator.url}/stripe"}, max_network_retries=0, http_client=http_client
    )
    http_client.close()


def sale(reference: str = "ref-1", **more: Any) -> Any:
    return {
        "amount": 1234,
        "currency": "usd",
        "capture_method": "automatic",
        "confirm": True,
        "payment_method": "stripe_tok_ok",
        "allowed_payment_method_types": ["card"],
        "metadata": {"our_ref": reference},
    } | more


def error_of(raised: pytest.ExceptionInfo[Any]) -> dict[str, Any]:
    body = raised.value.json_body
    assert isinstance(body, dict)
    error: dict[str, Any] = body["error"]
    return error


def test_creates_confirms_and_expands(client: stripe.StripeClient) -> None:
    intent = client.v1.payment_intents.create(
        sale(expand=["latest_charge.balance_transaction", "payment_method"]), {"idempotency_key": "op-1"}
    )
    assert intent.status == "succeeded"
    assert intent.latest_charge.balance_transaction.fee == 66
    assert intent.payment_method.card.brand == "visa"
    assert intent.last_response.request_id.startswith("req_")
    assert client.v1.charges.retrieve(intent.latest_charge.id).outcome.network_status == "approved_by_network"


def test_confirms_a_waiting_intent(client: stripe.StripeClient) -> None:
    waiting = client.v1.payment_intents.create(
        {"amount": 500, "currency": "eur", "allowed_payment_method_types": ["card"]}
    )
    assert waiting.status == "requires_payment_method"
    done = client.v1.payment_intents.confirm(waiting.id, {"payment_method": "pm_card_mastercard"})
    assert (done.status, done.currency) == ("succeeded", "eur")


def test_captures_a_part_and_refunds_a_part(client: stripe.StripeClient, simulator: SimulatorProcess) -> None:
    held = client.v1.payment_intents.create(sale(capture_method="manual"))
    assert (held.status, held.amount_capturable) == ("requires_capture", 1234)
    done = client.v1.payment_intents.capture(held.id, {"amount_to_capture": 1000})
    refund = client.v1.refunds.create({"payment_intent": held.id, "amount": 300, "metadata": {"our_ref": "back-1"}})

    assert (done.amount_received, refund.status, refund.amount) == (1000, "succeeded", 300)
    kinds = [(m["kind"], m["amount_minor"]) for m in simulator.movements("ref-1", "stripe") if m["kind"] != "fee"]
    assert kinds == [("authorisation", 1234), ("capture", 1000), ("refund", 300)]
    assert [r.id for r in client.v1.refunds.list({"payment_intent": held.id}).data] == [refund.id]


def test_cancels_and_is_told_the_state_when_it_is_too_late(client: stripe.StripeClient) -> None:
    held = client.v1.payment_intents.create(sale(capture_method="manual"))
    assert client.v1.payment_intents.cancel(held.id).status == "canceled"
    with pytest.raises(stripe.InvalidRequestError) as raised:
        client.v1.payment_intents.capture(held.id)
    assert raised.value.code == "payment_intent_unexpected_state"
    assert raised.value.error.payment_intent.status == "canceled"


def test_pages_through_a_list_by_itself(client: stripe.StripeClient) -> None:
    made = [client.v1.payment_intents.create(sale(f"ref-{number}")).id for number in range(5)]
    listed = client.v1.payment_intents.list({"limit": 2, "created": {"gte": 1}})
    assert (len(listed.data), listed.has_more) == (2, True)
    assert [intent.id for intent in listed.auto_paging_iter()] == made[::-1]


def test_searches_what_is_a_while_ago(client: stripe.StripeClient, simulator: SimulatorProcess) -> None:
    made = client.v1.payment_intents.create(sale()).id
    query: Any = {"query": "metadata['our_ref']:'ref-1'"}
    assert client.v1.payment_intents.search(query).data == []
    simulator.act("advance_clock", "stripe", seconds=90)
    assert [intent.id for intent in client.v1.payment_intents.search(query).auto_paging_iter()] == [made]


def test_a_webhook_passes_the_sdks_own_check(client: stripe.StripeClient, simulator: SimulatorProcess) -> None:
    client.v1.payment_intents.create(sale(), {"idempotency_key": "op-1"})
    simulator.wait_until_quiet()
    delivered = simulator.webhooks(gateway="stripe")
    events = [
        stripe.Webhook.construct_event(one["body"].encode(), one["headers"]["Stripe-Signature"], SECRET)
        for one in delivered
    ]

    assert {event.type for event in events} >= {"charge.succeeded", "payment_intent.succeeded"}
    assert {event.request.idempotency_key for event in events} == {"op-1"}
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(
            delivered[0]["body"].encode() + b" ", delivered[0]["headers"]["Stripe-Signature"], SECRET
        )
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(
            delivered[0]["body"].encode(), delivered[0]["headers"]["Stripe-Signature"], "whsec_other"
        )


def test_a_key_is_replayed_and_kept_to_its_parameters(client: stripe.StripeClient, simulator: SimulatorProcess) -> None:
    first = client.v1.payment_intents.create(sale(), {"idempotency_key": "op-1"})
    again = client.v1.payment_intents.create(sale(), {"idempotency_key": "op-1"})
    assert again.id == first.id
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    with pytest.raises(stripe.IdempotencyError):
        client.v1.payment_intents.create(sale(amount=99), {"idempotency_key": "op-1"})
    assert len(client.v1.payment_intents.list().data) == 1

    simulator.fault("late_authorisation:600", "sale", "stripe")
    with pytest.raises(stripe.APIConnectionError):
        client.v1.payment_intents.create(sale(), {"idempotency_key": "op-2"})
    with pytest.raises(stripe.StripeError) as raised:
        client.v1.payment_intents.create(sale(), {"idempotency_key": "op-2"})
    assert (raised.value.http_status, error_of(raised)["code"]) == (409, "idempotency_key_in_use")


@pytest.mark.parametrize(
    ("token", "code", "decline_code"),
    [
        ("stripe_tok_decline_insufficient_funds", "card_declined", "insufficient_funds"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"),
        ("stripe_tok_decline_do_not_honor+advice_03", "card_declined", "do_not_honor"),
    ],
)
def test_a_decline_is_a_card_error(client: stripe.StripeClient, token: str, code: str, decline_code: str) -> None:
    with pytest.raises(stripe.CardError) as raised:
        client.v1.payment_intents.create(sale(payment_method=token))
    assert (raised.value.http_status, raised.value.code) == (402, code)
    error = error_of(raised)
    assert error["decline_code"] == decline_code
    assert error.get("network_advice_code") == ("03" if "advice" in token else None)
    assert error["payment_intent"]["status"] == "requires_payment_method"


def test_trouble_has_the_sdks_names(client: stripe.StripeClient, simulator: SimulatorProcess) -> None:
    for fault, name in (("rate_limited", stripe.RateLimitError), ("server_error_after", stripe.APIError),
                        ("lost_response", stripe.APIConnectionError), ("html_body", stripe.APIError)):  # fmt: skip
        simulator.fault(fault, "sale", "stripe")
        with pytest.raises(name):
            client.v1.payment_intents.create(sale())


def test_a_wrong_key_is_an_authentication_error(simulator: SimulatorProcess) -> None:
    for wrong in _client(simulator, "sk_test_somebody_else"):
        with pytest.raises(stripe.AuthenticationError):
            wrong.v1.balance.retrieve()


def test_another_gateways_token_is_unknown(client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError) as raised:
        client.v1.payment_intents.create(sale(payment_method="nmi_tok_ok"))
    assert raised.value.code == "resource_missing"


def test_the_payer_is_asked_and_comes_back(client: stripe.StripeClient) -> None:
    asked = client.v1.payment_intents.create(
        sale(payment_method="stripe_tok_3ds", return_url="http://127.0.0.1:9/back", capture_method="manual")
    )
    assert asked.status == "requires_action"
    url = asked.next_action.redirect_to_url.url
    back = httpx.post(url, data={"outcome": "approve"}, trust_env=False)
    assert back.headers["location"].startswith(f"http://127.0.0.1:9/back?payment_intent={asked.id}&")
    assert client.v1.payment_intents.retrieve(asked.id).status == "requires_capture"


def test_a_card_is_stored_and_charged_while_nobody_is_there(client: stripe.StripeClient) -> None:
    customer = client.v1.customers.create({"email": "ada@example.com"})
    stored = sale(payment_method="stripe_once_1", customer=customer.id, setup_future_usage="off_session")
    first = client.v1.payment_intents.create(stored)
    later = sale("ref-2", payment_method=first.payment_method, customer=customer.id, off_session=True)
    assert client.v1.payment_intents.create(later).status == "succeeded"
    assert client.v1.payment_methods.retrieve(first.payment_method).customer == customer.id


def test_disputes_and_payouts_are_listed(client: stripe.StripeClient, simulator: SimulatorProcess) -> None:
    sold = client.v1.payment_intents.create(sale())
    simulator.act("dispute", "stripe", reference="ref-1", amount_minor=200)
    [dispute] = client.v1.disputes.list({"payment_intent": sold.id}).data
    assert (dispute.status, dispute.amount, dispute.balance_transactions[0].fee) == ("needs_response", 200, 1500)
    answered = client.v1.disputes.update(dispute.id, {"evidence": {"customer_name": "Ada"}})
    assert (answered.status, client.v1.disputes.close(_second(client, simulator)).status) == ("under_review", "lost")

    client.v1.payment_intents.create(sale("ref-3", amount=90_000))
    paid_out = simulator.act("settle", "stripe")["payout"]["id"]
    wait_for(lambda: client.v1.payouts.retrieve(paid_out).reconciliation_status == "completed")
    lines = client.v1.balance_transactions.list({"payout": paid_out, "limit": 100}).data
    payout = client.v1.payouts.retrieve(paid_out)
    assert sum(line.net for line in lines if line.type != "payout") == payout.amount
    assert any(event.type == "payout.paid" for event in client.v1.events.list({"limit": 100}).auto_paging_iter())


def _second(client: stripe.StripeClient, simulator: SimulatorProcess) -> str:
    client.v1.payment_intents.create(sale("ref-2"))
    dispute_id: str = simulator.act("dispute", "stripe", reference="ref-2")["dispute"]["id"]
    return dispute_id
