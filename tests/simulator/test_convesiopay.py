"""Does the simulated ConvesioPay keep its rules, its books and its word on the wire? Spoken to by plain HTTP alone."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest

from tests.simulator.conftest import Listener
from tests.simulator_fixture import ROOT, SimulatorError, SimulatorProcess, wait_for

pytestmark = pytest.mark.slow

GATEWAY, SECRET = "convesiopay", "demo-convesiopay-secret"
HMAC_KEY = "64656d6f2d636f6e766573696f7061792d686d61632d6b6579"


class Wire:
    """A client of the payments API."""

    def __init__(self, simulator: SimulatorProcess) -> None:
        self.simulator = simulator
        base, headers = f"{simulator.url}/{GATEWAY}/v1/payments", {"Authorization": SECRET}
        self.client = httpx.Client(base_url=base, headers=headers, timeout=60, trust_env=False)

    def close(self) -> None:
        self.client.close()

    def pay(self, order: str = "ref-1", amount: object = 1234, token: str = "tok_ok", **more: object) -> httpx.Response:
        body = {"integration": "int", "paymentToken": f"{GATEWAY}_{token}", "orderNumber": order, "amount": amount}
        return self.client.post("", json={**body, "currency": "USD", **more})

    def hold(self, order: str = "ref-1", **more: object) -> dict[str, Any]:
        held: dict[str, Any] = self.pay(order, captureMethod="manual", **more).json()
        return held

    def change(self, payment: dict[str, Any], what: str, **body: object) -> httpx.Response:
        return self.client.post(f"/{payment['id']}/{what}", json=body)

    def get(self, payment: dict[str, Any]) -> dict[str, Any]:
        shown: dict[str, Any] = self.client.get(f"/{payment['id']}").json()
        return shown

    def books(self, reference: str = "") -> dict[str, Any]:
        return self.simulator.books(reference, gateway=GATEWAY)

    def moved(self) -> list[tuple[str, int]]:
        return [(row["kind"], row["amount_minor"]) for row in self.books()["movements"]]


@pytest.fixture
def wire(simulator: SimulatorProcess) -> Iterator[Wire]:
    with closing(Wire(simulator)) as client:
        yield client


class TestPayments:
    def test_a_sale_is_taken_and_shown(self, wire: Wire) -> None:
        answer = wire.pay()

        assert (answer.status_code, answer.json()["status"]) == (200, "Succeeded")
        assert wire.get(answer.json()) == answer.json()
        assert wire.client.get("", params={"orderNumber": "ref-1"}).json() == {"payments": [answer.json()]}
        assert wire.moved() == [("capture", 1234)]

    def test_an_order_number_is_charged_as_often_as_asked(self, wire: Wire) -> None:
        wire.pay()
        wire.pay()

        assert len(wire.client.get("", params={"orderNumber": "ref-1"}).json()["payments"]) == 2
        assert wire.moved() == [("capture", 1234)] * 2

    @pytest.mark.parametrize("header", [{}, {"Authorization": "wrong"}, {"Authorization": f"Bearer {SECRET}"}])
    def test_the_secret_alone_opens(self, wire: Wire, header: dict[str, str]) -> None:
        answer = httpx.get(f"{wire.client.base_url}?orderNumber=ref-1", headers=header, trust_env=False)

        assert (answer.status_code, answer.json()["message"]) == (401, "Invalid authentication token")

    @pytest.mark.parametrize(
        ("change", "about"),
        [
            ({"amount": 12.5}, "amount"),
            ({"amount": "1234"}, "amount"),
            ({"amount": 0}, "amount"),
            ({"amount": True}, "amount"),
            ({"currency": ""}, "currency"),
            ({"orderNumber": None}, "orderNumber"),
            ({"integration": ""}, "integration"),
            ({"paymentToken": "nmi_tok_ok"}, "token"),
            ({"paymentToken": "convesiopay_tok_nonsense"}, "token"),
        ],
    )
    def test_what_it_can_not_take_is_refused_and_moves_nothing(
        self, wire: Wire, change: dict[str, Any], about: str
    ) -> None:
        answer = wire.pay(**change)

        assert (answer.status_code, answer.json()["error"]) == (422, True)
        assert about in answer.json()["message"]
        assert wire.books()["transactions"] == []

    @pytest.mark.parametrize("word", ["refusal:12", "12", "insufficient_funds"])
    def test_a_token_that_is_declined(self, wire: Wire, word: str) -> None:
        answer = wire.pay(token=f"tok_decline_{word}")

        assert (answer.status_code, answer.json()["status"], answer.json()["refusalReasonCode"]) == (
            402,
            "Failed",
            "12",
        )
        assert wire.moved() == []

    def test_a_single_use_token_works_once_and_may_be_kept(self, wire: Wire) -> None:
        kept = wire.pay(token="once_1", storePaymentMethod=True).json()
        again = wire.pay(token="once_1")
        customer = {"id": kept["customer"]["id"], **kept["paymentMethodDetails"]}
        body = {"integration": "i", "orderNumber": "ref-2", "amount": 5, "currency": "USD"}

        later = wire.client.post("/stored-card", json=body | {"customer": customer})
        strangers = wire.client.post("/stored-card", json=body | {"customer": customer | {"id": "CUS0"}})

        assert (again.status_code, later.json()["status"], strangers.status_code) == (422, "Succeeded", 422)
        assert wire.moved() == [("capture", 1234), ("capture", 5)]


class TestChanges:
    def test_a_hold_is_captured_once_and_refunded_up_to_what_was_captured(self, wire: Wire) -> None:
        held = wire.hold()

        too_much = wire.change(held, "captures", amount=1235)
        captured = wire.change(held, "captures", amount=1000)
        twice = wire.change(held, "captures", amount=1)
        returned = wire.change(held, "refunds", amount=600, reference="r-1")
        beyond = wire.change(held, "refunds", amount=401, reference="r-2")

        statuses = [answer.status_code for answer in (too_much, captured, twice, returned, beyond)]
        assert statuses == [422, 200, 422, 200, 422]
        assert wire.moved() == [("authorisation", 1234), ("capture", 1000), ("refund", 600)]
        assert [row["reference"] for row in wire.get(held)["refunds"]] == ["r-1"]

    def test_a_hold_is_released_and_a_sale_is_not(self, wire: Wire) -> None:
        held, sold = wire.hold(), wire.pay("ref-2").json()

        assert wire.change(held, "cancels").status_code == 200
        assert wire.change(sold, "cancels").status_code == 422
        assert wire.get(held)["status"] == "Cancelled"
        assert wire.books()["holds_open"] == []

    def test_of_no_payment_are_not_found(self, wire: Wire) -> None:
        assert wire.change({"id": "PSP0"}, "captures", amount=1).status_code == 404
        assert wire.client.post("/PSP0/nonsense", json={}).status_code == 404
        assert wire.client.get("/PSP0").status_code == 404


class TestBooks:
    def test_a_marked_number_is_found_by_what_stands_before_the_mark(self, wire: Wire) -> None:
        wire.hold("att-1-hold")
        wire.hold("att-2-hold")

        (found,) = wire.books("att-1")["transactions"]
        assert found["reference"] == "att-1-hold"

    def test_the_dashboard_sells_captures_voids_and_refunds(self, wire: Wire) -> None:
        def act(action: str, **more: object) -> dict[str, Any]:
            return wire.simulator.act(action, gateway=GATEWAY, **more)

        act("auth", reference="a", amount_minor=500)
        act("capture", reference="a", amount_minor=400)
        act("refund", reference="a")
        act("auth", reference="b", amount_minor=300)
        act("void", reference="b")
        act("foreign_sale")

        assert wire.moved() == [
            ("authorisation", 500),
            ("capture", 400),
            ("refund", 400),
            ("authorisation", 300),
            ("void", 300),
            ("capture", 4242),
        ]
        origins = {row["origin"] for row in wire.books()["movements"]}
        assert origins == {"dashboard", "foreign"}

    @pytest.mark.parametrize(
        ("action", "more", "field"),
        [
            ("sale", {"amount_minor": 5}, "reference"),
            ("sale", {"reference": "a"}, "amount_minor"),
            ("sale", {"reference": "a", "amount_minor": 5, "token": "nonsense"}, "token"),
            ("capture", {"transaction_id": "PSP0"}, "transaction_id"),
            ("refund_fails", {"reference": "nobody"}, "reference"),
            ("payer_approves", {}, "transaction_id"),
            ("nonsense", {}, "action"),
        ],
    )
    def test_an_act_that_can_not_be_done_names_its_field(
        self, wire: Wire, action: str, more: dict[str, Any], field: str
    ) -> None:
        with pytest.raises(SimulatorError, match=f'"field": "{field}"'):
            wire.simulator.act(action, gateway=GATEWAY, **more)

    @pytest.mark.parametrize("fault", ["decline:nonsense", "duplicate"])
    def test_a_fault_it_can_not_act_out_is_refused(self, wire: Wire, fault: str) -> None:
        with pytest.raises(SimulatorError, match='"field": "fault"'):
            wire.simulator.fault(fault, "sale", gateway=GATEWAY)

    def test_a_refund_that_fails_comes_back(self, wire: Wire) -> None:
        sold = wire.pay().json()
        wire.change(sold, "refunds", amount=200, reference="r-1")

        wire.simulator.act("refund_fails", gateway=GATEWAY, reference="ref-1")

        assert wire.moved() == [("capture", 1234), ("refund", 200), ("refund_return", 200)]
        assert wire.change(sold, "refunds", amount=1234, reference="r-2").status_code == 200


class TestThePayer:
    @pytest.mark.parametrize(
        ("action", "status", "moved"),
        [
            ("payer_approves", "Succeeded", [("capture", 1234)]),
            ("payer_fails", "Failed", []),
            ("payer_abandons", "Abandoned", []),
        ],
    )
    def test_answers_once(self, wire: Wire, action: str, status: str, moved: list[Any]) -> None:
        asked = wire.pay(token="tok_3ds").json()

        wire.simulator.act(action, gateway=GATEWAY, reference="ref-1")

        assert (asked["status"], wire.get(asked)["status"], wire.moved()) == ("AwaitingAction", status, moved)
        with pytest.raises(SimulatorError):
            wire.simulator.act("payer_approves", gateway=GATEWAY, reference="ref-1")

    def test_a_page_of_nobody_is_gone(self, wire: Wire) -> None:
        assert httpx.get(f"{wire.simulator.url}/{GATEWAY}/_3ds/PSP0", trust_env=False).status_code == 410


class TestNotifications:
    def items(self, listener: Listener) -> list[dict[str, Any]]:
        bodies = [json.loads(one.body) for one in listener.received]
        return [body["notificationItems"][0]["NotificationRequestItem"] for body in bodies]

    def test_are_signed_over_their_fields_and_repeated_until_accepted(self, wire: Wire, listener: Listener) -> None:
        wire.pay("a:b\\c")

        wait_for(lambda: len(listener.received) >= 3)  # the listener's empty 200 is no acceptance
        item = self.items(listener)[0]
        fields = (item["pspReference"], "", "SimulatedMerchant", "a\\:b\\\\c", "1234", "USD", "AUTHORISATION", "true")
        digest = hmac.new(bytes.fromhex(HMAC_KEY), ":".join(fields).encode(), hashlib.sha256).digest()
        assert item["additionalData"]["hmacSignature"] == base64.b64encode(digest).decode()
        assert len({one.body for one in listener.received}) == 1
        attempts = wire.books()["webhooks"][0]["attempts"]
        assert attempts[0] == "not accepted: 200"

    def test_tell_every_step_of_a_life(self, wire: Wire, listener: Listener) -> None:
        held = wire.hold(storePaymentMethod=True)
        wire.change(held, "captures", amount=1234)
        wire.change(held, "refunds", amount=34, reference="r-1")
        wire.simulator.act("report", gateway=GATEWAY, reference="ref-1")

        codes = [event["event_type"] for event in wire.books()["webhooks"]]

        assert codes == ["AUTHORISATION", "RECURRING_CONTRACT", "CAPTURE", "REFUND", "REPORT_AVAILABLE"]

    def test_are_sent_again_when_asked(self, wire: Wire) -> None:
        wire.pay()

        wire.simulator.act("resend_webhook", gateway=GATEWAY, reference="ref-1")

        assert [event["note"] for event in wire.books()["webhooks"]] == ["", "resent"]


def test_a_key_that_is_not_hexadecimal_is_named() -> None:
    environment = {**os.environ, "GATEWAY_CONVESIOPAY_WEBHOOK_SECRET": "not hexadecimal"}

    ended = subprocess.run(
        [sys.executable, "-m", "simulator", "--port", "0"], cwd=ROOT, env=environment, capture_output=True, timeout=60
    )

    said = b"simulator: GATEWAY_CONVESIOPAY_WEBHOOK_SECRET must be a hexadecimal key\n"
    assert (ended.returncode, ended.stderr) == (1, said)
