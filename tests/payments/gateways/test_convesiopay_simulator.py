"""Do adapter, HTTP client and a ConvesioPay on the wire agree? Answer, look-up and notification tell what its books say."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from ledger.money import Money
from payments.facts import MONEY_KINDS, Fact, FactKind
from payments.gateways import http
from payments.gateways.base import Command, LookUpAnswer, LookUpQuestion, WireAnswer, WireRequest
from payments.gateways.convesiopay import ConvesioPay, codes
from payments.gateways.errors import GatewayError, NotSent, OutcomeUnknown
from payments.states import Certainty, FailureClass, OperationKind
from tests.payments.gateways.loopback import HEAD, Server
from tests.simulator_fixture import SimulatorProcess, start_simulator, wait_for

pytestmark = pytest.mark.slow

GATEWAY = "convesiopay"
SECRET, HMAC_KEY = "a-secret-of-the-tests", "0f" * 32
MONEY = Money(4999, "USD")
convesiopay = ConvesioPay()


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(scope="module")
def process() -> Iterator[SimulatorProcess]:
    listener = Server(lambda connection: None)

    def accept(connection: Any) -> None:
        listener.read(connection)
        word = convesiopay.webhook_answer
        connection.sendall(HEAD + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(word) + word)

    listener.play = accept
    environment = {"GATEWAY_CONVESIOPAY_SECRET": SECRET, "GATEWAY_CONVESIOPAY_WEBHOOK_SECRET": HMAC_KEY}
    with listener:
        started = start_simulator(webhooks=f"{listener.url}/webhooks", env=environment)
        yield started
        started.stop()


@dataclass
class Gateway:
    """The adapter and the client in front of a simulator."""

    process: SimulatorProcess
    secret: str = SECRET

    def send(self, request: WireRequest, seconds: float = 60) -> WireAnswer:
        until = now() + timedelta(seconds=seconds)
        url = f"{self.process.url}/{GATEWAY}"

        def send(sealed: WireRequest) -> WireAnswer:
            return http.send(sealed, base_url=url, send_before=until, done_before=until, clock=now)

        return convesiopay.speak(request, {"SECRET": self.secret, "INTEGRATION": "int_1"}, send)

    def call(self, command: Command, seconds: float = 60) -> Fact:
        assert convesiopay.refuses(command) == ""
        return convesiopay.answer(command, self.send(convesiopay.request(command), seconds), at=now())

    def look_up(self, command: Command, handle: str = "") -> LookUpAnswer:
        question = LookUpQuestion(command.kind, command.reference, command.money, handle=handle)
        try:
            return convesiopay.look_up_answer(question, self.send(convesiopay.look_up_request(question)), at=now())
        except GatewayError:
            return LookUpAnswer(answered=False)

    def told(self, payment_id: str) -> list[Fact]:
        """Every notification about a payment, verified and translated."""
        self.process.wait_until_quiet()
        facts: list[Fact] = []
        for delivery in self.process.webhooks(gateway=GATEWAY):
            assert delivery["state"] == "delivered"
            body = delivery["body"].encode()
            assert convesiopay.verify_webhook({}, body, (HMAC_KEY,))
            facts += convesiopay.translate_webhook(body, received_at=now()).facts
        return [fact for fact in facts if fact.handle == payment_id]

    def fault(self, fault: str, operation: str = "any", **more: object) -> None:
        self.process.fault(fault, operation, gateway=GATEWAY, **more)

    def act(self, action: str, **more: object) -> dict[str, Any]:
        return self.process.act(action, gateway=GATEWAY, **more)

    def requests(self) -> dict[str, int]:
        counted: dict[str, int] = self.process.books(gateway=GATEWAY)["requests"]
        return counted


@pytest.fixture
def gateway(process: SimulatorProcess) -> Gateway:
    process.reset()
    return Gateway(process)


def sale(token: str = "tok_ok", money: Money = MONEY) -> Command:
    reference = f"att-{uuid.uuid4().hex[:16]}"
    return Command(OperationKind.SALE, reference, money, credential=f"convesiopay_{token}", payer_email="p@example.com")


def hold() -> Command:
    return replace(sale(), kind=OperationKind.AUTHORISE)


def change(kind: OperationKind, of: Fact, minor: int = 4999) -> Command:
    reference = f"ref-{uuid.uuid4().hex[:16]}"
    return Command(kind, reference, Money(minor, "USD"), gateway_id=of.gateway_id, handle=of.handle)


def moved(facts: list[Fact] | tuple[Fact, ...]) -> list[tuple[str, str, int]]:
    money = [fact for fact in facts if fact.kind in MONEY_KINDS]
    return [(fact.kind.value, fact.gateway_id, fact.money.amount_minor) for fact in money if fact.money is not None]


def booked(gateway: Gateway) -> list[tuple[str, str, int]]:
    rows = gateway.process.movements(gateway=GATEWAY)
    return [(row["kind"], row["gateway_id"], row["amount_minor"]) for row in rows]


class TestALife:
    def test_of_a_sale_is_told_alike_by_answer_look_up_and_notification(self, gateway: Gateway) -> None:
        command = sale()

        answer = gateway.call(command)

        by_number, by_id = gateway.look_up(command), gateway.look_up(command, answer.handle)
        told = gateway.told(answer.handle)
        assert booked(gateway) == [("capture", answer.gateway_id, 4999)]
        assert moved([answer]) == moved(by_number.facts) == moved(by_id.facts) == moved(told) == booked(gateway)
        assert {answer.reference, by_number.facts[0].reference, told[0].reference} == {command.reference}

    def test_of_a_hold_captured_in_part_and_refunded(self, gateway: Gateway) -> None:
        asked = hold()
        held = gateway.call(asked)
        capture = change(OperationKind.CAPTURE, held, 2000)
        taken = gateway.call(capture)
        refund = change(OperationKind.REFUND, held, 500)
        returned = gateway.call(refund)

        history = gateway.look_up(refund, held.handle)

        assert [held.kind, taken.kind, returned.kind] == [
            FactKind.AUTHORISATION,
            FactKind.CAPTURE,
            FactKind.REFUND,
        ]
        assert held.gateway_id == taken.gateway_id != returned.gateway_id
        assert moved([held, taken, returned]) == moved(history.facts) == moved(gateway.told(held.handle))
        assert moved(history.facts) == booked(gateway)
        assert history.facts[-1].reference == refund.reference
        assert history.facts[-1].original_gateway_id == held.gateway_id

    def test_of_a_hold_released_or_lapsed(self, gateway: Gateway) -> None:
        asked, lapses = hold(), hold()
        held, other = gateway.call(asked), gateway.call(lapses)
        void = gateway.call(change(OperationKind.VOID, held))
        gateway.act("expire_hold", transaction_id=other.gateway_id)

        released, lapsed = gateway.look_up(asked), gateway.look_up(lapses)

        assert moved([held, void]) == moved(released.facts) == moved(gateway.told(held.handle))
        assert [fact.kind for fact in lapsed.facts] == [FactKind.AUTHORISATION, FactKind.HOLD_LAPSED]

    def test_of_a_refund_that_fails_late(self, gateway: Gateway) -> None:
        taken = gateway.call(sale())
        refund = change(OperationKind.REFUND, taken, 1000)
        returned = gateway.call(refund)

        gateway.act("refund_fails", transaction_id=taken.gateway_id)

        told, seen = gateway.told(taken.handle)[-1], gateway.look_up(refund, taken.handle).facts[-1]
        assert (told.kind, seen.kind) == (FactKind.REFUND_FAILED, FactKind.REFUND_FAILED)
        assert {told.gateway_id, seen.gateway_id} == {returned.gateway_id}
        assert {told.reference, seen.reference} == {refund.reference}

    def test_of_a_capture_that_fails_late_is_left_to_a_person(self, gateway: Gateway) -> None:
        held = gateway.call(hold())
        gateway.call(change(OperationKind.CAPTURE, held))
        gateway.act("capture_fails", transaction_id=held.gateway_id)
        gateway.process.wait_until_quiet()

        body = gateway.process.webhooks(gateway=GATEWAY)[-1]["body"].encode()

        assert not convesiopay.translate_webhook(body, received_at=now()).understood


class TestThePayer:
    def ask(self, gateway: Gateway) -> tuple[Command, Fact]:
        command = replace(sale("tok_3ds"), return_url="https://shop.example/return", store=True)
        fact = gateway.call(command)
        assert (fact.kind, fact.certainty) == (FactKind.ACTION_REQUIRED, Certainty.UNKNOWN)
        assert fact.action_url.startswith(gateway.process.url)
        return command, fact

    def answer(self, fact: Fact, outcome: str) -> httpx.Response:
        return httpx.post(fact.action_url, data={"outcome": outcome}, trust_env=False)

    def test_confirms_and_is_sent_back(self, gateway: Gateway) -> None:
        command, fact = self.ask(gateway)
        before = gateway.look_up(command)

        page = httpx.get(fact.action_url, trust_env=False)
        sent_on = self.answer(fact, "approve")

        assert "Confirm the payment" in page.text
        assert (sent_on.status_code, sent_on.headers["location"]) == (303, "https://shop.example/return")
        assert (before.in_progress, before.facts[0].action_url) == (True, fact.action_url)
        assert moved(gateway.look_up(command).facts) == moved(gateway.told(fact.handle)) == booked(gateway)
        assert len(booked(gateway)) == 1

    def test_fails_at_their_bank(self, gateway: Gateway) -> None:
        command, fact = self.ask(gateway)

        self.answer(fact, "fail")

        (seen,), (told,) = gateway.look_up(command).facts, gateway.told(fact.handle)
        for refused in (seen, told):
            assert (refused.kind, refused.code) == (FactKind.DECLINED, "refusal:11")
            assert refused.failure_class == FailureClass.AUTHENTICATION_REQUIRED
        assert booked(gateway) == []

    def test_who_leaves_leaves_it_open_until_it_is_closed(self, gateway: Gateway) -> None:
        command, fact = self.ask(gateway)
        self.answer(fact, "abandon")
        open_still = gateway.look_up(command)

        closed = gateway.call(change(OperationKind.CLOSE, fact))

        late = self.answer(fact, "approve")
        assert open_still.in_progress
        assert (closed.kind, closed.certainty) == (FactKind.CLOSED, Certainty.REFUSED)
        assert [seen.kind for seen in gateway.look_up(command).facts] == [FactKind.CLOSED]
        assert [told.kind for told in gateway.told(fact.handle)] == [FactKind.CLOSED]
        assert late.status_code == 410
        assert booked(gateway) == []

    def test_what_they_confirmed_meanwhile_is_not_closed(self, gateway: Gateway) -> None:
        command, fact = self.ask(gateway)
        self.answer(fact, "approve")

        closing = gateway.call(change(OperationKind.CLOSE, fact))

        assert (closing.kind, closing.about) == (FactKind.DECLINED, OperationKind.CLOSE)
        assert moved(gateway.look_up(command).facts) == booked(gateway)
        assert len(booked(gateway)) == 1

    def test_a_stored_card_is_charged_without_them(self, gateway: Gateway) -> None:
        first = replace(sale(f"once_{uuid.uuid4().hex}"), store=True)
        issued = convesiopay.issued(first, gateway.send(convesiopay.request(first)))
        assert issued is not None

        later = replace(sale(), credential=issued.credential, customer=issued.customer, reusable=True)
        taken, spent = gateway.call(later), gateway.call(replace(sale(), credential=first.credential))

        assert (taken.kind, spent.kind) == (FactKind.CAPTURE, FactKind.DECLINED)
        assert len(booked(gateway)) == 2
        assert gateway.requests()["payments.sale.stored"] == 1


class TestRefusals:
    @pytest.mark.parametrize("code", [code for code in codes.SHEET if code.startswith("refusal:")])
    def test_every_one_ends_in_its_class_in_answer_look_up_and_notification(self, gateway: Gateway, code: str) -> None:
        command = sale(f"tok_decline_{code}")

        answer = gateway.call(command)

        facts = [answer, *gateway.look_up(command).facts, *gateway.told(answer.handle)]
        meaning = codes.SHEET[code]
        assert [(fact.kind, fact.code, fact.failure_class) for fact in facts] == [
            (FactKind.DECLINED, code, meaning.failure_class)
        ] * 3
        assert len({fact.network_code for fact in facts}) == 1
        assert booked(gateway) == []

    def test_of_a_wrong_secret_was_not_processed(self, gateway: Gateway) -> None:
        command, stranger = sale(), Gateway(gateway.process, secret="another")

        answer = stranger.call(command)

        assert (answer.kind, answer.failure_class) == (FactKind.NOT_SENT, FailureClass.CONFIGURATION_ERROR)
        assert not stranger.look_up(command).answered
        assert booked(gateway) == []

    @pytest.mark.parametrize("kind", [OperationKind.CAPTURE, OperationKind.REFUND, OperationKind.VOID])
    def test_of_a_change_leave_the_payment_as_it_was(self, gateway: Gateway, kind: OperationKind) -> None:
        first = gateway.call(sale() if kind == OperationKind.REFUND else hold())
        gateway.fault("decline:refusal:4", kind.value, times=1)

        refused = gateway.call(change(kind, first))

        assert (refused.kind, refused.failure_class) == (FactKind.DECLINED, FailureClass.GATEWAY_ERROR)
        assert booked(gateway) == moved([first])

    def test_of_another_gateway_s_token(self, gateway: Gateway) -> None:
        answer = gateway.call(replace(sale(), credential="nmi_tok_ok"))

        assert (answer.kind, answer.code) == (FactKind.DECLINED, codes.UNLISTED)


class TestTrouble:
    @pytest.mark.parametrize(
        ("fault", "happened"),
        [("lost_response", True), ("dropped_request", False), ("timeout", False), ("timeout_after", True)],
    )
    def test_without_an_answer_only_presence_is_ever_known(self, gateway: Gateway, fault: str, happened: bool) -> None:
        command = sale()
        gateway.fault(fault, "sale", times=1)

        with pytest.raises(OutcomeUnknown):
            gateway.call(command, seconds=2 if "timeout" in fault else 60)

        wait_for(lambda: len(booked(gateway)) == happened)
        answer = gateway.look_up(command)
        assert (answer.answered, answer.found) == (True, happened)
        assert moved(answer.facts) == booked(gateway)
        assert len(booked(gateway)) == happened

    @pytest.mark.parametrize(
        ("fault", "happened"),
        [
            ("server_error", False),
            ("server_error_after", True),
            ("empty_body", False),
            ("empty_body_after", True),
            ("html_body_after", True),
            ("rate_limited", False),
            ("communication_error", True),
        ],
    )
    def test_with_a_useless_answer_the_outcome_is_unknown(self, gateway: Gateway, fault: str, happened: bool) -> None:
        command = sale()
        gateway.fault(fault, "sale", times=1)

        fact = gateway.call(command)

        assert (fact.kind, fact.certainty) == (FactKind.UNKNOWN, Certainty.UNKNOWN)
        assert moved(gateway.look_up(command).facts) == booked(gateway)
        assert len(booked(gateway)) == happened

    @pytest.mark.parametrize("kind", [OperationKind.CAPTURE, OperationKind.REFUND, OperationKind.VOID])
    def test_a_change_whose_answer_is_lost_is_found_in_the_payment(self, gateway: Gateway, kind: OperationKind) -> None:
        first = gateway.call(sale() if kind == OperationKind.REFUND else hold())
        asked = change(kind, first)
        gateway.fault("lost_response", kind.value, times=1)

        with pytest.raises(OutcomeUnknown):
            gateway.call(asked)

        assert moved(gateway.look_up(asked, first.handle).facts) == booked(gateway)
        assert len(booked(gateway)) == 2

    def test_a_pending_one_is_concluded_by_its_notification(self, gateway: Gateway) -> None:
        command = sale("tok_pending")

        fact = gateway.call(command)
        waiting = gateway.look_up(command)
        told = gateway.told(fact.handle)

        assert (fact.kind, waiting.in_progress, waiting.facts) == (FactKind.UNKNOWN, True, ())
        assert moved(told) == moved(gateway.look_up(command).facts) == booked(gateway)

    def test_another_amount_and_currency_are_told_as_they_are(self, gateway: Gateway) -> None:
        gateway.fault("amount_off:100", "sale", times=1)
        told = gateway.call(sale())
        gateway.fault("amount_off:-100:silent", "sale", times=1)
        silent_sale = sale()
        silent = gateway.call(silent_sale)
        gateway.fault("currency_off:EUR", "sale", times=1)
        foreign = gateway.call(sale())

        assert (told.money, silent.money, foreign.money) == (Money(5099, "USD"), MONEY, Money(4999, "EUR"))
        assert gateway.look_up(silent_sale).facts[0].money == Money(4899, "USD")
        assert gateway.told(silent.handle)[0].money == Money(4899, "USD")

    def test_an_outage_is_felt_by_the_probe(self, gateway: Gateway) -> None:
        assert convesiopay.probe_answer(gateway.send(convesiopay.probe_request()))
        gateway.fault("outage")

        with pytest.raises((NotSent, OutcomeUnknown)):
            gateway.call(sale())
        with pytest.raises(GatewayError):
            gateway.send(convesiopay.probe_request())

    @pytest.mark.parametrize("fault", ["lookup_down", "lookup_down:reset"])
    def test_a_look_up_that_is_down_answers_nothing(self, gateway: Gateway, fault: str) -> None:
        command = sale()
        gateway.call(command)
        gateway.fault(fault, "query")

        assert not gateway.look_up(command).answered

    def test_a_look_up_that_lags_finds_nothing_yet(self, gateway: Gateway) -> None:
        command = sale()
        gateway.fault("lookup_lag:60", "sale", times=1)
        gateway.call(command)

        answer = gateway.look_up(command)

        assert (answer.answered, answer.found) == (True, False)

    def test_test_mode_is_told_by_the_notification(self, gateway: Gateway) -> None:
        gateway.fault("test_mode")

        fact = gateway.call(sale())

        assert [told.test_mode for told in gateway.told(fact.handle)] == [True]

    def test_a_forged_notification_is_refused_and_one_told_twice_has_another_key(self, gateway: Gateway) -> None:
        gateway.fault("webhook_forged", times=1)
        gateway.fault("webhook_other_id:1", times=1)
        gateway.call(sale())
        gateway.process.wait_until_quiet()

        bodies = [delivery["body"].encode() for delivery in gateway.process.webhooks(gateway=GATEWAY)]

        verified = [body for body in bodies if convesiopay.verify_webhook({}, body, (HMAC_KEY,))]
        facts = [convesiopay.translate_webhook(body, received_at=now()).facts for body in verified]
        assert (len(bodies), len(verified)) == (3, 2)
        assert len({convesiopay.event_key(body) for body in bodies}) == 3
        assert moved(facts[0]) == moved(facts[1]) == booked(gateway)
