"""Do adapter, HTTP client and a gateway on the wire agree? Answer, look-up and webhook tell the same as the gateway's own books."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ledger.money import Money
from payments.facts import MONEY_KINDS, Fact, FactKind
from payments.gateways import http
from payments.gateways.base import Command, LookUpAnswer, LookUpQuestion, WireAnswer, WireRequest
from payments.gateways.errors import GatewayError, NotSent, OutcomeUnknown
from payments.gateways.nmi import Nmi, query
from payments.gateways.nmi.codes import NOT_PENDING_SETTLEMENT
from payments.states import Certainty, FailureClass, OperationKind
from tests.payments.gateways.loopback import HEAD, Server
from tests.simulator_fixture import SimulatorProcess, start_simulator, wait_for

pytestmark = pytest.mark.slow

KEY, WEBHOOK_SECRET = "a-key-of-the-tests", "a-signing-key-of-the-tests"
MONEY = Money(4999, "USD")
nmi = Nmi()


def now() -> datetime:
    return datetime.now(UTC)


def new_reference() -> str:
    return f"att_{uuid.uuid4().hex[:16]}"


@pytest.fixture(scope="module")
def process() -> Iterator[SimulatorProcess]:
    listener = Server(lambda connection: None)

    def accept(connection: Any) -> None:
        listener.read(connection)
        connection.sendall(HEAD + b"Content-Length: 0\r\nConnection: close\r\n\r\n")

    listener.play = accept
    environment = {"GATEWAY_NMI_SECURITY_KEY": KEY, "GATEWAY_NMI_WEBHOOK_SECRET": WEBHOOK_SECRET}
    with listener:
        started = start_simulator(webhooks=f"{listener.url}/webhooks", env=environment)
        yield started
        started.stop()


@dataclass
class Gateway:
    """The adapter and the client in front of a simulator."""

    process: SimulatorProcess
    key: str = KEY

    def send(self, request: WireRequest, seconds: float = 60) -> WireAnswer:
        until = now() + timedelta(seconds=seconds)

        def send(sealed: WireRequest) -> WireAnswer:
            return http.send(sealed, base_url=self.process.nmi_url, send_before=until, done_before=until, clock=now)

        return nmi.speak(request, {"SECURITY_KEY": self.key}, send)

    def call(self, command: Command, seconds: float = 60) -> Fact:
        assert nmi.refuses(command) == ""
        return nmi.answer(command, self.send(nmi.request(command), seconds), at=now())

    def look_up(self, question: LookUpQuestion) -> LookUpAnswer:
        try:
            return nmi.look_up_answer(question, self.send(nmi.look_up_request(question)), at=now())
        except GatewayError:
            return LookUpAnswer(answered=False)

    def webhook_facts(self, transaction_id: str) -> list[Fact]:
        """Every delivery about a transaction, verified and translated."""
        self.process.wait_until_quiet()
        facts: list[Fact] = []
        for delivery in self.process.webhooks():
            headers = {name.lower(): value for name, value in delivery["headers"].items()}
            body = delivery["body"].encode()
            assert nmi.verify_webhook(headers, body, (WEBHOOK_SECRET,))
            facts += nmi.translate_webhook(body, received_at=now()).facts
        return [fact for fact in facts if fact.gateway_id == transaction_id]


@pytest.fixture
def gateway(process: SimulatorProcess) -> Gateway:
    process.reset()
    return Gateway(process)


def sale(token: str = "tok_ok", money: Money = MONEY) -> Command:
    return Command(OperationKind.SALE, new_reference(), money, credential=f"nmi_{token}", payer_email="p@example.com")


def question_of(command: Command, gateway_id: str = "") -> LookUpQuestion:
    return LookUpQuestion(
        command.kind, command.reference, command.money, gateway_id, sent_at=now() - timedelta(minutes=1)
    )


def moved(facts: list[Fact] | tuple[Fact, ...]) -> list[tuple[str, str, int]]:
    return [
        (fact.kind.value, fact.gateway_id, fact.money.amount_minor)
        for fact in facts
        if fact.kind in MONEY_KINDS and fact.money is not None
    ]


def booked(gateway: Gateway) -> list[tuple[str, str, int]]:
    return [(row["kind"], row["gateway_id"], row["amount_minor"]) for row in gateway.process.movements()]


class TestALife:
    def test_of_a_sale_is_told_alike_by_answer_look_up_and_webhook(self, gateway: Gateway) -> None:
        command = sale()

        answer = gateway.call(command)

        by_reference = gateway.look_up(question_of(command))
        by_id = gateway.look_up(question_of(command, answer.gateway_id))
        webhooks = gateway.webhook_facts(answer.gateway_id)
        assert booked(gateway) == [("capture", answer.gateway_id, 4999)]
        assert moved([answer]) == moved(by_reference.facts) == moved(by_id.facts) == moved(webhooks) == booked(gateway)
        assert {answer.reference, by_reference.facts[0].reference, webhooks[0].reference} == {command.reference}

    def test_of_a_hold_captured_in_part_settled_and_refunded(self, gateway: Gateway) -> None:
        authorise = replace(sale(), kind=OperationKind.AUTHORISE)
        hold = gateway.call(authorise)
        capture = Command(OperationKind.CAPTURE, "op_1", Money(2000, "USD"), gateway_id=hold.gateway_id)
        taken = gateway.call(capture)
        gateway.process.act("batch_settle")
        refund = Command(OperationKind.REFUND, new_reference(), Money(500, "USD"), gateway_id=hold.gateway_id)
        returned = gateway.call(refund)

        history = gateway.look_up(question_of(capture, hold.gateway_id))
        refunded = gateway.look_up(question_of(refund, hold.gateway_id))

        assert (hold.kind, taken.kind, returned.kind) == (FactKind.AUTHORISATION, FactKind.CAPTURE, FactKind.REFUND)
        assert hold.gateway_id == taken.gateway_id != returned.gateway_id
        assert moved([hold, taken, returned]) == booked(gateway)
        assert moved(history.facts) + moved(refunded.facts) == booked(gateway)
        settled = [fact for fact in history.facts if fact.kind == FactKind.SETTLED]
        assert len(settled) == 1
        assert settled[0].batch_id
        assert refunded.facts[0].original_gateway_id == hold.gateway_id
        told = gateway.webhook_facts(hold.gateway_id)
        assert moved(told) == moved(history.facts)
        assert [fact.batch_id for fact in told if fact.kind == FactKind.SETTLED] == [settled[0].batch_id]

    @pytest.mark.parametrize(("kind", "held"), [(OperationKind.SALE, False), (OperationKind.AUTHORISE, True)])
    def test_of_a_void_gives_back_what_was_taken_or_held(
        self, gateway: Gateway, kind: OperationKind, held: bool
    ) -> None:
        first = gateway.call(replace(sale(), kind=kind))
        void = Command(OperationKind.VOID, "op_2", MONEY, gateway_id=first.gateway_id)

        answer = gateway.call(void)

        history = gateway.look_up(question_of(void, first.gateway_id))
        assert moved([first, answer]) == moved(history.facts) == moved(gateway.webhook_facts(first.gateway_id))
        assert (history.facts[0].kind == FactKind.AUTHORISATION) == held

    def test_of_a_hold_that_lapses(self, gateway: Gateway) -> None:
        authorise = replace(sale(), kind=OperationKind.AUTHORISE)
        hold = gateway.call(authorise)

        gateway.process.act("expire_hold", transaction_id=hold.gateway_id)

        history = gateway.look_up(question_of(authorise, hold.gateway_id))
        assert [fact.kind for fact in history.facts] == [FactKind.AUTHORISATION, FactKind.HOLD_LAPSED]


class TestRefusals:
    @pytest.mark.parametrize(
        "failure_class",
        [
            FailureClass.SOFT_DECLINE,
            FailureClass.HARD_DECLINE,
            FailureClass.INSUFFICIENT_FUNDS,
            FailureClass.EXPIRED_CARD,
            FailureClass.INVALID_CARD_DATA,
            FailureClass.FRAUD,
            FailureClass.LIMIT_EXCEEDED,
            FailureClass.CONFIGURATION_ERROR,
        ],
    )
    def test_have_their_class_in_answer_and_look_up(self, gateway: Gateway, failure_class: FailureClass) -> None:
        command = sale(f"tok_decline_{failure_class}")

        answer = gateway.call(command)

        facts = gateway.look_up(question_of(command)).facts
        assert (answer.kind, answer.failure_class) == (FactKind.DECLINED, failure_class)
        # What its own set-up refuses makes no transaction; an issuer's refusal is one that failed.
        reported = [] if failure_class == FailureClass.CONFIGURATION_ERROR else [(FactKind.DECLINED, failure_class)]
        assert [(fact.kind, fact.failure_class) for fact in facts] == reported
        assert booked(gateway) == []

    @pytest.mark.parametrize(("code", "network"), [("201", "05"), ("202", "51"), ("261", "R1"), ("264", "")])
    def test_bear_the_network_s_code_in_look_up_and_webhook(self, gateway: Gateway, code: str, network: str) -> None:
        command = sale(f"tok_decline_{code}")
        gateway.call(command)

        (reported,) = gateway.look_up(question_of(command)).facts
        (told,) = gateway.webhook_facts(reported.gateway_id)

        assert (reported.code, told.code) == (code, code)
        assert (reported.network_code, told.network_code) == (network, network)

    def test_by_its_rate_limit_never_reached_it(self, gateway: Gateway) -> None:
        answer = gateway.call(sale("tok_decline_gateway_unavailable"))

        assert (answer.kind, answer.certainty) == (FactKind.NOT_SENT, Certainty.NOT_SENT)

    def test_of_a_wrong_security_key(self, gateway: Gateway) -> None:
        command = sale()
        stranger = Gateway(gateway.process, key="another-key")

        answer = stranger.call(command)

        assert (answer.kind, answer.failure_class) == (FactKind.DECLINED, FailureClass.CONFIGURATION_ERROR)
        assert not stranger.look_up(question_of(command)).answered

    def test_of_another_gateway_s_token(self, gateway: Gateway) -> None:
        answer = gateway.call(replace(sale(), credential="pm_card_visa"))

        assert (answer.kind, answer.failure_class) == (FactKind.DECLINED, FailureClass.INVALID_REQUEST)

    def test_of_a_void_after_settlement_call_for_a_refund(self, gateway: Gateway) -> None:
        taken = gateway.call(sale())
        gateway.process.act("batch_settle")

        answer = gateway.call(Command(OperationKind.VOID, "op_3", MONEY, gateway_id=taken.gateway_id))

        assert (answer.kind, answer.code) == (FactKind.DECLINED, NOT_PENDING_SETTLEMENT)

    def test_of_a_refund_before_settlement(self, gateway: Gateway) -> None:
        taken = gateway.call(sale())

        answer = gateway.call(Command(OperationKind.REFUND, new_reference(), MONEY, gateway_id=taken.gateway_id))

        assert (answer.kind, answer.failure_class) == (FactKind.DECLINED, FailureClass.INVALID_REQUEST)


class TestStoredCards:
    def test_are_kept_by_the_first_use_and_charged_later_without_the_payer(self, gateway: Gateway) -> None:
        first = replace(sale(f"once_{uuid.uuid4().hex}"), store=True, stored_credential="stored")
        answer = gateway.send(nmi.request(first))
        issued = nmi.issued(first, answer)
        assert issued is not None

        later = replace(
            sale(),
            credential=issued.credential,
            reusable=True,
            initiated_by="merchant",
            stored_credential="used",
            network_transaction_id=issued.network_transaction_id,
        )
        fact = gateway.call(later)

        taken = nmi.answer(first, answer, at=now())
        assert moved([taken, fact]) == booked(gateway)
        assert issued.network_transaction_id == taken.gateway_id
        flags = [transaction["flags"] for transaction in gateway.process.books()["transactions"]]
        assert flags == [
            {"initiated_by": "customer", "stored_credential_indicator": "stored", "customer_vault": "add_customer"},
            {
                "initiated_by": "merchant",
                "stored_credential_indicator": "used",
                "billing_method": "recurring",
                "initial_transaction_id": taken.gateway_id,
            },
        ]

    def test_a_single_use_token_is_spent_also_where_the_card_was_kept(self, gateway: Gateway) -> None:
        token = f"once_{uuid.uuid4().hex}"
        gateway.call(replace(sale(token), store=True, stored_credential="stored"))

        again = gateway.call(sale(token))

        assert (again.kind, again.failure_class) == (FactKind.DECLINED, FailureClass.INVALID_REQUEST)
        assert len(booked(gateway)) == 1

    def test_are_not_kept_by_a_refused_use(self, gateway: Gateway) -> None:
        first = replace(sale("tok_decline_fraud"), store=True, stored_credential="stored")

        assert nmi.issued(first, gateway.send(nmi.request(first))) is None

    def test_one_that_is_unknown_is_refused(self, gateway: Gateway) -> None:
        assert gateway.call(replace(sale(), credential="vault:404")).failure_class == FailureClass.INVALID_REQUEST


class TestTrouble:
    @pytest.mark.parametrize(
        ("fault", "happened"),
        [("lost_response", True), ("dropped_request", False), ("timeout", False), ("timeout_after", True)],
    )
    def test_without_an_answer_the_look_up_tells(self, gateway: Gateway, fault: str, happened: bool) -> None:
        command = sale()
        gateway.process.fault(fault, "sale", times=1)

        with pytest.raises(OutcomeUnknown):
            gateway.call(command, seconds=2 if "timeout" in fault else 60)

        wait_for(lambda: len(booked(gateway)) == happened)
        answer = gateway.look_up(question_of(command))
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
            ("html_body", False),
            ("html_body_after", True),
            ("communication_error", True),
        ],
    )
    def test_with_a_useless_answer_the_look_up_tells(self, gateway: Gateway, fault: str, happened: bool) -> None:
        command = sale()
        gateway.process.fault(fault, "sale", times=1)

        fact = gateway.call(command)

        answer = gateway.look_up(question_of(command))
        assert (fact.kind, fact.certainty) == (FactKind.UNKNOWN, Certainty.UNKNOWN)
        assert (answer.answered, answer.found) == (True, happened)
        assert moved(answer.facts) == booked(gateway)
        assert len(booked(gateway)) == happened

    def test_in_an_outage_nothing_is_believed(self, gateway: Gateway) -> None:
        command = sale()
        gateway.process.fault("outage")

        with pytest.raises((NotSent, OutcomeUnknown)):
            gateway.call(command)

        assert not gateway.look_up(question_of(command)).answered
        gateway.process.clear_faults()
        assert not gateway.look_up(question_of(command)).found

    def test_by_http_429_nothing_was_sent(self, gateway: Gateway) -> None:
        gateway.process.fault("rate_limited", "sale", times=1)

        assert gateway.call(sale()).kind == FactKind.NOT_SENT
        assert booked(gateway) == []

    def test_a_duplicate_names_the_other_transaction(self, gateway: Gateway) -> None:
        first = gateway.call(sale())
        gateway.process.fault(f"duplicate:{first.gateway_id}", "sale", times=1)
        command = sale()

        fact = gateway.call(command)

        assert (fact.kind, fact.evidence["refid"]) == (FactKind.DUPLICATE, first.gateway_id)
        assert not gateway.look_up(question_of(command)).found

    def test_another_amount_is_told_by_the_answer_or_else_by_the_look_up(self, gateway: Gateway) -> None:
        gateway.process.fault("amount_off:100", "sale", times=1)
        told = gateway.call(sale())
        gateway.process.fault("amount_off:-100:silent", "sale", times=1)
        command = sale()

        silent = gateway.call(command)

        assert told.money == Money(5099, "USD")
        assert silent.money == MONEY
        assert gateway.look_up(question_of(command)).facts[0].money == Money(4899, "USD")
        assert gateway.webhook_facts(silent.gateway_id)[0].money == Money(4899, "USD")

    def test_another_currency_is_told_by_look_up_and_webhook(self, gateway: Gateway) -> None:
        command = sale()
        gateway.process.fault("currency_off:EUR", "sale", times=1)

        fact = gateway.call(command)

        assert gateway.look_up(question_of(command)).facts[0].money == Money(4999, "EUR")
        assert gateway.webhook_facts(fact.gateway_id)[0].money == Money(4999, "EUR")

    @pytest.mark.parametrize("fault", ["lookup_down", "lookup_down:reset"])
    def test_a_look_up_that_is_down_answers_nothing(self, gateway: Gateway, fault: str) -> None:
        command = sale()
        gateway.call(command)
        gateway.process.fault(fault, "query")

        assert not gateway.look_up(question_of(command)).answered

    def test_a_look_up_that_lags_finds_nothing_yet(self, gateway: Gateway) -> None:
        command = sale()
        gateway.process.fault("lookup_lag:60", "sale", times=1)
        gateway.call(command)

        answer = gateway.look_up(question_of(command))

        assert (answer.answered, answer.found) == (True, False)

    def test_test_mode_is_told_by_the_webhook(self, gateway: Gateway) -> None:
        gateway.process.fault("test_mode")

        fact = gateway.call(sale())

        assert [told.test_mode for told in gateway.webhook_facts(fact.gateway_id)] == [True]

    def test_a_forged_webhook_is_refused(self, gateway: Gateway) -> None:
        gateway.process.fault("webhook_forged", times=1)
        gateway.call(sale())
        gateway.process.wait_until_quiet()

        verified = [
            nmi.verify_webhook(
                {name.lower(): value for name, value in delivery["headers"].items()},
                delivery["body"].encode(),
                (WEBHOOK_SECRET,),
            )
            for delivery in gateway.process.webhooks()
        ]

        assert sorted(verified) == [False, True]


class TestWindows:
    def test_list_everything_page_by_page(self, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(query, "PAGE_SIZE", 2)
        start = now() - timedelta(minutes=1)
        for token in ("tok_ok", "tok_ok", "tok_decline_fraud", "tok_ok", "tok_ok"):
            gateway.call(sale(token))

        pages: list[LookUpAnswer] = []
        while not pages or pages[-1].found:
            request = nmi.window_request(start, now() + timedelta(minutes=1), page=len(pages))
            pages.append(nmi.window_answer(gateway.send(request), at=now()))

        assert [page.evidence["count"] for page in pages] == [2, 2, 1, 0]
        assert sorted(moved([fact for page in pages for fact in page.facts])) == sorted(booked(gateway))
        refused = [fact for page in pages for fact in page.facts if fact.kind == FactKind.DECLINED]
        assert [fact.failure_class for fact in refused] == [FailureClass.FRAUD]
