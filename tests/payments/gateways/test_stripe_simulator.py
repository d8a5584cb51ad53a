"""Do the Stripe adapter, its official library and a gateway on the wire agree? Answer, look-up and webhook tell alike."""

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
from payments.gateways.base import Command, Issued, LookUpAnswer, LookUpQuestion, WireAnswer, WireRequest
from payments.gateways.errors import GatewayError, NotSent, OutcomeUnknown
from payments.gateways.stripe import Stripe, codes
from payments.states import Certainty, DisputeState, FailureClass, OperationKind
from tests.payments.gateways.loopback import HEAD, Server
from tests.simulator_fixture import SimulatorProcess, start_simulator, wait_for

pytestmark = pytest.mark.slow

KEY, WEBHOOK_SECRET = "sk_test_of_the_tests", "whsec_of_the_tests"
MONEY = Money(4999, "USD")
RETURN = "https://shop.example/back"
stripe = Stripe()


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
    environment = {"GATEWAY_STRIPE_SECRET_KEY": KEY, "GATEWAY_STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET}
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
        base_url = f"{self.process.url}/stripe"

        def send(outgoing: WireRequest) -> WireAnswer:
            return http.send(outgoing, base_url=base_url, send_before=until, done_before=until, clock=now)

        return stripe.speak(request, {"SECRET_KEY": self.key, "BASE_URL": base_url}, send)

    def call(self, command: Command, seconds: float = 60) -> Fact:
        assert stripe.refuses(command) == ""
        return stripe.answer(command, self.send(stripe.request(command), seconds), at=now())

    def call_and_keep(self, command: Command) -> tuple[Fact, Issued | None]:
        wire = self.send(stripe.request(command))
        return stripe.answer(command, wire, at=now()), stripe.issued(command, wire)

    def look_up(self, question: LookUpQuestion) -> LookUpAnswer:
        try:
            return stripe.look_up_answer(question, self.send(stripe.look_up_request(question)), at=now())
        except GatewayError:
            return LookUpAnswer(answered=False)

    def act(self, action: str, **more: object) -> dict[str, Any]:
        return self.process.act(action, gateway="stripe", **more)

    def fault(self, name: str, operation: str = "any", **more: object) -> None:
        self.process.fault(name, operation, gateway="stripe", **more)

    def webhook_facts(self) -> list[Fact]:
        """Every delivery, verified and translated."""
        self.process.wait_until_quiet()
        facts: list[Fact] = []
        for delivery in self.process.webhooks(gateway="stripe"):
            headers = {name.lower(): value for name, value in delivery["headers"].items()}
            body = delivery["body"].encode()
            assert stripe.verify_webhook(headers, body, (WEBHOOK_SECRET,), at=now())
            message = stripe.translate_webhook(body, received_at=now())
            assert message.understood, message
            facts += message.facts
        return facts

    def window(self) -> list[Fact]:
        """Everything of the last hour, page by page."""
        facts: list[Fact] = []
        cursor = ""
        for page in range(20):
            start, end = now() - timedelta(hours=1), now() + timedelta(minutes=1)
            request = stripe.window_request(start, end, page=page, cursor=cursor)
            answer = stripe.window_answer(self.send(request), at=now())
            assert answer.answered
            assert not answer.evidence["unreadable"]
            facts += answer.facts
            if answer.last:
                return facts
            cursor = answer.next_cursor
        raise AssertionError("the window has no end")

    def booked(self) -> list[tuple[str, str, int]]:
        """What truly moved. The fee of a charge is part of its worth, and told with it; a dispute's is money of its own."""
        rows = self.process.movements(gateway="stripe")
        told = [(row["kind"], row["gateway_id"], row["amount_minor"]) for row in rows]
        return [one for one in told if one[0] != "fee" or one[1].startswith("du_")]


@pytest.fixture
def gateway(process: SimulatorProcess) -> Gateway:
    process.reset()
    return Gateway(process)


def sale(token: str = "tok_ok", money: Money = MONEY, **more: Any) -> Command:
    return Command(OperationKind.SALE, new_reference(), money, credential=f"stripe_{token}", payment_id="pay_1", **more)


def authorise(money: Money = MONEY, **more: Any) -> Command:
    return replace(sale(money=money, **more), kind=OperationKind.AUTHORISE)


def on(fact: Fact, kind: OperationKind, amount_minor: int = 4999, *, final: bool = True) -> Command:
    """A later operation on what an answer made."""
    money = Money(amount_minor, fact.money.currency if fact.money else "USD")
    reference = new_reference()
    return Command(kind, reference, money, gateway_id=fact.gateway_id, handle=fact.handle, final=final)


def question_of(command: Command, handle: str = "") -> LookUpQuestion:
    return LookUpQuestion(command.kind, command.reference, command.money, handle=handle, sent_at=now())


def moved(facts: list[Fact] | tuple[Fact, ...]) -> list[tuple[str, str, int]]:
    """Money in order; what different messages repeat once."""
    told = [
        (fact.kind.value, fact.gateway_id, fact.money.amount_minor)
        for fact in facts
        if fact.kind in MONEY_KINDS and fact.money is not None
    ]
    return list(dict.fromkeys(told))


def kinds(facts: list[Fact] | tuple[Fact, ...]) -> list[FactKind]:
    return [fact.kind for fact in facts]


class TestALife:
    def test_of_a_sale_is_told_alike_by_answer_look_up_webhook_and_window(self, gateway: Gateway) -> None:
        command = sale()

        answer = gateway.call(command)

        by_list = gateway.look_up(question_of(command))
        by_handle = gateway.look_up(question_of(command, answer.handle))
        by_charge = gateway.look_up(replace(question_of(command), gateway_id=answer.gateway_id))
        webhooks = gateway.webhook_facts()
        assert gateway.booked() == [("capture", answer.gateway_id, 4999)]
        assert answer.gateway_id.startswith("ch_")
        assert answer.handle.startswith("pi_")
        told = (moved([answer]), moved(by_list.facts), moved(by_handle.facts), moved(by_charge.facts), moved(webhooks))
        assert [*told, moved(gateway.window())] == [gateway.booked()] * 6
        everywhere = [answer, *by_list.facts, *by_handle.facts, *by_charge.facts, *webhooks]
        assert {fact.reference for fact in everywhere} == {command.reference}
        assert {fact.handle for fact in everywhere} == {answer.handle}
        assert all(fact.test_mode for fact in everywhere)

    def test_tells_the_worth_and_the_fee_in_settlement_money(self, gateway: Gateway) -> None:
        command = sale(money=Money(10_000, "EUR"))
        gateway.call(command)

        facts = gateway.look_up(question_of(command)).facts

        (worth,) = (fact.settlement for fact in facts if fact.kind == FactKind.SETTLEMENT_TOLD)
        assert worth is not None
        assert worth.settlement_id.startswith("txn_")
        assert worth.money.currency == worth.fee.currency == "USD"
        assert worth.money.amount_minor > 10_000
        assert worth.fee.amount_minor > 0
        assert float(worth.exchange_rate) > 1

    def test_of_yen_has_no_decimals(self, gateway: Gateway) -> None:
        answer = gateway.call(sale(money=Money(5000, "JPY")))

        assert answer.money == Money(5000, "JPY")
        assert gateway.process.movements(gateway="stripe")[0]["amount_minor"] == 5000

    def test_of_a_hold_released(self, gateway: Gateway) -> None:
        command = authorise()
        hold = gateway.call(command)
        void = on(hold, OperationKind.VOID)

        gone = gateway.call(void)

        looked_up = gateway.look_up(question_of(void, hold.handle))
        assert (hold.kind, gone.kind) == (FactKind.AUTHORISATION, FactKind.VOID)
        assert hold.hold_until is not None
        assert moved([hold, gone]) == moved(looked_up.facts) == gateway.booked()
        assert moved(gateway.webhook_facts()) == gateway.booked()
        assert looked_up.facts[0].undone

    def test_of_a_hold_captured_in_part_with_the_rest_released(self, gateway: Gateway) -> None:
        command = authorise()
        hold = gateway.call(command)

        taken = gateway.call(on(hold, OperationKind.CAPTURE, 2000))

        history = gateway.look_up(question_of(command, hold.handle))
        assert (taken.kind, taken.money, taken.gateway_id) == (FactKind.CAPTURE, Money(2000, "USD"), hold.gateway_id)
        assert moved([hold, taken]) == moved(history.facts) == gateway.booked()
        assert moved(gateway.webhook_facts()) == gateway.booked()

    def test_of_a_hold_captured_three_times_is_a_running_total(self, gateway: Gateway) -> None:
        command = authorise()
        hold = gateway.call(command)

        totals = [
            gateway.call(on(hold, OperationKind.CAPTURE, amount, final=last))
            for amount, last in ((1000, False), (1000, False), (2500, True))
        ]

        history = gateway.look_up(question_of(command, hold.handle))
        assert [fact.money.amount_minor for fact in totals if fact.money] == [1000, 2000, 4500]
        assert all(fact.running_total for fact in totals)
        assert moved(history.facts)[-1] == ("capture", hold.gateway_id, 4500)
        by_webhook = [fact for fact in gateway.webhook_facts() if fact.kind == FactKind.CAPTURE]
        assert sorted({fact.money.amount_minor for fact in by_webhook if fact.money}) == [1000, 2000, 4500]
        assert [row[2] for row in gateway.booked()] == [4999, 1000, 1000, 2500]

    def test_of_a_hold_that_lapses(self, gateway: Gateway) -> None:
        command = authorise()
        hold = gateway.call(command)
        gateway.act("expire_hold", reference=command.reference)

        told = gateway.webhook_facts()
        looked_up = gateway.look_up(question_of(command, hold.handle))

        assert FactKind.HOLD_LAPSED in kinds(told)
        assert FactKind.VOID not in kinds(told)
        assert kinds(looked_up.facts) == [FactKind.AUTHORISATION, FactKind.HOLD_LAPSED]

    def test_of_two_refunds_one_by_us_one_in_the_dashboard(self, gateway: Gateway) -> None:
        command = sale()
        paid = gateway.call(command)
        refund = on(paid, OperationKind.REFUND, 1000)

        returned = gateway.call(refund)
        gateway.act("refund_from_dashboard", reference=command.reference, amount_minor=500)

        ours = gateway.look_up(question_of(refund, paid.handle))
        everything = gateway.look_up(question_of(command, paid.handle))
        assert (returned.kind, returned.reference) == (FactKind.REFUND, refund.reference)
        assert returned.original_gateway_id == paid.gateway_id
        assert moved(ours.facts) == moved([returned])
        assert sorted(moved(everything.facts)) == sorted(gateway.booked()) == sorted(moved(gateway.webhook_facts()))
        assert {fact.original_gateway_id for fact in everything.facts if fact.kind == FactKind.REFUND} == {
            paid.gateway_id
        }

    def test_of_a_refund_that_fails_later_is_money_out_and_in(self, gateway: Gateway) -> None:
        paid = gateway.call(sale())
        refund = on(paid, OperationKind.REFUND, 1000)
        returned = gateway.call(refund)
        gateway.act("refund_fail", transaction_id=returned.gateway_id, reason="lost_or_stolen_card")

        looked_up = gateway.look_up(question_of(refund, paid.handle))

        there_and_back = [("refund", returned.gateway_id, 1000), ("refund_return", returned.gateway_id, 1000)]
        assert moved(looked_up.facts) == there_and_back
        assert moved(gateway.webhook_facts())[1:] == there_and_back
        assert gateway.booked()[1:] == there_and_back

    def test_of_a_refund_that_takes_its_time(self, gateway: Gateway) -> None:
        paid = gateway.call(sale("tok_refund_waits"))
        refund = on(paid, OperationKind.REFUND, 1000)

        first = gateway.call(refund)
        gateway.process.wait_until_quiet()

        later = gateway.look_up(question_of(refund, paid.handle))
        assert (first.kind, first.certainty) == (FactKind.UNKNOWN, Certainty.UNKNOWN)
        assert kinds(later.facts) == [FactKind.REFUND, FactKind.SETTLEMENT_TOLD]
        assert FactKind.REFUND in kinds(gateway.webhook_facts())


class TestRefusals:
    @pytest.mark.parametrize(
        "code",
        sorted(
            set(codes._BY_ISSUER)
            - {"card_declined", "highest_risk_level", "rule"}  # told as a generic decline; see below
        ),
    )
    def test_each_decline_ends_in_its_class(self, gateway: Gateway, code: str) -> None:
        command = sale(f"tok_decline_{code}")

        answer = gateway.call(command)

        meaning = codes.SHEET[code]
        assert (answer.kind, answer.certainty) == (FactKind.DECLINED, Certainty.REFUSED)
        assert (answer.code, answer.failure_class) == (code, meaning.failure_class)
        assert answer.retry_after_seconds == meaning.retry_after_seconds
        assert (answer.gateway_id, answer.alive) == ("", False)
        looked_up = gateway.look_up(question_of(command))
        refusals = [fact for fact in looked_up.facts if fact.kind == FactKind.DECLINED]
        assert [(fact.code, fact.failure_class, fact.alive) for fact in refusals] == [
            (code, meaning.failure_class, True)
        ]
        told = [fact for fact in gateway.webhook_facts() if fact.kind == FactKind.DECLINED]
        assert [(fact.code, fact.failure_class, fact.reference) for fact in told] == [
            (code, meaning.failure_class, command.reference)
        ]
        assert gateway.booked() == []

    def test_a_block_of_stripe_s_own_is_fraud_once_the_charge_is_seen(self, gateway: Gateway) -> None:
        command = sale("tok_decline_highest_risk_level")
        gateway.call(command)

        (looked_up,) = gateway.look_up(question_of(command)).facts

        assert (looked_up.code, looked_up.failure_class) == ("highest_risk_level", FailureClass.FRAUD)

    def test_the_networks_own_codes_and_advice_are_told(self, gateway: Gateway) -> None:
        answer = gateway.call(sale("tok_decline_do_not_honor+advice_03+network_05+do_not_try_again"))

        said = (answer.network_code, answer.network_advice, answer.gateway_advice)
        assert said == ("05", "03", "do_not_try_again")

    def test_a_reason_of_tomorrow_is_refused_for_certain_and_unknown(self, gateway: Gateway) -> None:
        answer = gateway.call(sale("tok_decline_unknown"))

        assert (answer.kind, answer.failure_class) == (FactKind.DECLINED, FailureClass.UNKNOWN)

    def test_another_gateway_s_token_is_an_invalid_request(self, gateway: Gateway) -> None:
        answer = gateway.call(replace(sale(), credential="nmi_tok_ok"))

        assert (answer.kind, answer.failure_class) == (FactKind.DECLINED, FailureClass.INVALID_REQUEST)
        assert gateway.booked() == []

    def test_a_wrong_key_was_never_worked_on(self, gateway: Gateway) -> None:
        answer = Gateway(gateway.process, key="sk_test_of_somebody_else").call(sale())

        assert (answer.kind, answer.certainty) == (FactKind.NOT_SENT, Certainty.NOT_SENT)
        assert answer.failure_class == FailureClass.CONFIGURATION_ERROR

    def test_a_limiter_was_never_worked_on(self, gateway: Gateway) -> None:
        gateway.fault("rate_limited", "sale", times=1)

        answer = gateway.call(sale())

        assert (answer.kind, answer.code) == (FactKind.NOT_SENT, "rate_limit")

    def test_what_was_done_already_is_looked_up(self, gateway: Gateway) -> None:
        hold = gateway.call(authorise())
        gateway.call(on(hold, OperationKind.CAPTURE))

        again = gateway.call(on(hold, OperationKind.CAPTURE))
        voided = gateway.call(on(hold, OperationKind.VOID))

        assert {again.kind, voided.kind} == {FactKind.UNKNOWN}
        assert again.code == voided.code == "payment_intent_unexpected_state"

    def test_a_refund_of_what_is_gone_or_disputed(self, gateway: Gateway) -> None:
        paid, command = gateway.call(sale()), sale()
        gateway.call(on(paid, OperationKind.REFUND))
        disputed = gateway.call(command)
        gateway.act("dispute", reference=command.reference)

        gone = gateway.call(on(paid, OperationKind.REFUND))
        barred = gateway.call(on(disputed, OperationKind.REFUND))

        assert (gone.kind, gone.code) == (FactKind.UNKNOWN, "charge_already_refunded")
        assert (barred.kind, barred.code) == (FactKind.DECLINED, "charge_disputed")


class TestLostAnswers:
    def test_a_sale_whose_answer_was_lost_is_found_by_our_reference(self, gateway: Gateway) -> None:
        gateway.fault("lost_response", "sale", times=1)
        command = sale()

        with pytest.raises(OutcomeUnknown):
            gateway.call(command)

        found = gateway.look_up(question_of(command))
        assert (found.answered, found.found) == (True, True)
        assert moved(found.facts) == gateway.booked()

    def test_a_sale_that_never_arrived_is_absent_among_others(self, gateway: Gateway) -> None:
        gateway.call(sale())
        gateway.fault("dropped_request", "sale", times=1)
        command = sale()

        with pytest.raises(OutcomeUnknown):
            gateway.call(command)

        answer = gateway.look_up(question_of(command))
        assert (answer.answered, answer.found, answer.facts) == (True, False, ())
        assert command.reference not in {fact.reference for fact in gateway.window()}

    def test_a_sale_is_found_on_a_later_page(self, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("payments.gateways.stripe.listing.PAGE_SIZE", 2)
        command = sale()
        gateway.call(command)
        for _ in range(4):
            gateway.call(sale())

        question, pages = question_of(command), 0
        while not (answer := gateway.look_up(question)).found:
            assert answer.next_cursor
            question, pages = replace(question, cursor=answer.next_cursor), pages + 1

        assert pages == 2
        assert {fact.reference for fact in answer.facts} == {command.reference}
        assert len(moved(gateway.window())) == 5

    @pytest.mark.parametrize("kind", [OperationKind.CAPTURE, OperationKind.VOID])
    def test_what_acted_on_a_hold_is_found_by_its_intent(self, gateway: Gateway, kind: OperationKind) -> None:
        hold = gateway.call(authorise())
        gateway.fault("lost_response", kind.value, times=1)
        command = on(hold, kind)

        with pytest.raises(OutcomeUnknown):
            gateway.call(command)

        assert moved(gateway.look_up(question_of(command, hold.handle)).facts) == gateway.booked()

    def test_a_refund_whose_answer_was_lost(self, gateway: Gateway) -> None:
        paid = gateway.call(sale())
        gateway.fault("lost_response", "refund", times=1)
        refund, other = on(paid, OperationKind.REFUND, 1000), on(paid, OperationKind.REFUND, 1000)

        with pytest.raises(OutcomeUnknown):
            gateway.call(refund)

        by_handle = gateway.look_up(question_of(refund, paid.handle))
        by_charge = gateway.look_up(replace(question_of(refund), gateway_id=paid.gateway_id))
        by_list = gateway.look_up(question_of(refund))
        assert moved(by_handle.facts) == moved(by_charge.facts) == moved(by_list.facts) == gateway.booked()[1:]
        assert not gateway.look_up(question_of(other, paid.handle)).found

    def test_a_refund_of_another_charge_of_the_order_is_found_all_the_same(self, gateway: Gateway) -> None:
        command = sale()
        paid = gateway.call(command)
        gateway.act("sale", reference=command.reference, amount_minor=4999)
        other = next(row for row in gateway.booked() if row[1] != paid.gateway_id)
        refund = replace(on(paid, OperationKind.REFUND, 1000), gateway_id=other[1])

        made = gateway.call(refund)

        assert made.original_gateway_id == other[1]
        assert moved(gateway.look_up(question_of(refund, paid.handle)).facts) == moved([made])

    def test_a_server_error_after_the_money_moved_is_unknown_and_found(self, gateway: Gateway) -> None:
        gateway.fault("server_error_after", "sale", times=1)
        command = sale()

        answer = gateway.call(command)

        assert answer.kind == FactKind.UNKNOWN
        assert moved(gateway.look_up(question_of(command)).facts) == gateway.booked() != []

    def test_an_answer_that_comes_too_late_is_unknown(self, gateway: Gateway) -> None:
        gateway.fault("timeout", "sale", times=1)

        with pytest.raises(OutcomeUnknown):
            gateway.call(sale(), seconds=2)

    def test_look_ups_that_fail_prove_nothing(self, gateway: Gateway) -> None:
        gateway.fault("lookup_down", "query")

        assert not gateway.look_up(question_of(sale())).answered
        assert not stripe.probe_answer(WireAnswer(503, "text/html", b"maintenance"))

    def test_repeating_a_request_takes_nothing_twice(self, gateway: Gateway) -> None:
        command = sale()

        first, second = gateway.call(command), gateway.call(command)

        assert (first.gateway_id, first.money) == (second.gateway_id, second.money)
        assert len(gateway.booked()) == 1

    def test_a_healthy_gateway_answers_the_probe(self, gateway: Gateway) -> None:
        assert stripe.probe_answer(gateway.send(stripe.probe_request()))


TROUBLES = (
    "lost_response", "dropped_request", "server_error", "server_error_after", "timeout", "timeout_after", "empty_body",
    "empty_body_after", "html_body", "html_body_after", "rate_limited", "late_authorisation:1", "amount_off:-500",
    "amount_off:-500:silent", "decline:insufficient_funds",
)  # fmt: skip


class TestEveryTrouble:
    """Whatever an answer says or does not say, the look-up afterwards tells what the gateway's own books say."""

    @pytest.mark.parametrize("operation", ["sale", "auth", "capture", "void", "refund"])
    @pytest.mark.parametrize("trouble", TROUBLES)
    def test_is_told_by_a_look_up(self, gateway: Gateway, operation: str, trouble: str) -> None:
        made = sale() if operation in ("sale", "refund") else authorise()
        collects = operation in ("sale", "auth")
        struck = made if collects else on(gateway.call(made), OperationKind(operation), 1000)
        gateway.fault(trouble, operation, times=1)

        certainty = self.certainty_of(gateway, struck, 2 if "timeout" in trouble else 60)
        if "timeout" in trouble:  # nobody waited until it was read
            wait_for(lambda: gateway.process.faults()["struck"])
        gateway.process.clear_faults()
        gateway.process.wait_until_quiet()

        of_attempt = [one for one in moved(gateway.look_up(question_of(made)).facts) if one[0] != "refund"]
        of_refund = moved(gateway.look_up(question_of(struck)).facts) if operation == "refund" else []
        assert of_attempt + of_refund == gateway.booked()
        happened = len(gateway.booked()) > (0 if collects else 1)
        if certainty != Certainty.UNKNOWN:
            assert happened == (certainty == Certainty.TAKEN)

    def certainty_of(self, gateway: Gateway, command: Command, seconds: float) -> Certainty:
        try:
            return gateway.call(command, seconds).certainty
        except OutcomeUnknown:
            return Certainty.UNKNOWN

    def test_another_currency_is_told_as_it_is(self, gateway: Gateway) -> None:
        gateway.fault("currency_off:EUR", "sale", times=1)

        answer = gateway.call(sale())

        assert answer.money is not None
        assert answer.money.currency == "EUR"
        assert moved([answer]) == gateway.booked()


class TestThePayerAtTheirBank:
    def ask(self, gateway: Gateway, token: str = "tok_3ds", **more: Any) -> tuple[Command, Fact]:
        command = sale(token, return_url=RETURN, **more)
        return command, gateway.call(command)

    def test_is_asked_at_an_address_of_their_own(self, gateway: Gateway) -> None:
        command, asked = self.ask(gateway)

        assert (asked.kind, asked.gateway_id) == (FactKind.ACTION_REQUIRED, "")
        assert asked.action_url.startswith(f"{gateway.process.url}/stripe/_3ds/")
        assert asked.action_url not in repr(asked.evidence)
        assert kinds(gateway.look_up(question_of(command)).facts) == [FactKind.ACTION_REQUIRED]
        assert kinds(gateway.webhook_facts()) == [FactKind.ACTION_REQUIRED]
        assert gateway.booked() == []

    def test_approves(self, gateway: Gateway) -> None:
        command, asked = self.ask(gateway)
        gateway.act("approve", reference=command.reference)

        found = gateway.look_up(question_of(command, asked.handle))

        assert moved(found.facts) == gateway.booked() == moved(gateway.webhook_facts())
        assert {fact.handle for fact in found.facts} == {asked.handle}

    @pytest.mark.parametrize(
        ("token", "action", "failure"),
        [
            ("tok_3ds", "fail", FailureClass.AUTHENTICATION_REQUIRED),
            ("tok_3ds_decline_insufficient_funds", "approve", FailureClass.INSUFFICIENT_FUNDS),
        ],
    )
    def test_fails_or_is_declined_after_all_and_could_go_on_until_it_is_closed(
        self, gateway: Gateway, token: str, action: str, failure: FailureClass
    ) -> None:
        command, asked = self.ask(gateway, token)
        gateway.act(action, reference=command.reference)

        refused = [fact for fact in gateway.webhook_facts() if fact.kind == FactKind.DECLINED]
        looked_up = gateway.look_up(question_of(command, asked.handle))
        closed = gateway.call(on(asked, OperationKind.CLOSE))

        assert [(fact.failure_class, fact.alive, fact.handle) for fact in refused] == [(failure, True, asked.handle)]
        assert [(fact.failure_class, fact.alive) for fact in looked_up.facts] == [(failure, True)]
        assert (closed.kind, closed.handle, closed.gateway_id) == (FactKind.CLOSED, asked.handle, "")
        assert kinds(gateway.look_up(question_of(command, asked.handle)).facts) == [FactKind.CLOSED]

    def test_walks_away_and_is_closed(self, gateway: Gateway) -> None:
        command, asked = self.ask(gateway)
        gateway.act("abandon", reference=command.reference)

        closed = gateway.call(on(asked, OperationKind.CLOSE))

        assert closed.kind == FactKind.CLOSED
        assert kinds(gateway.webhook_facts()) == [FactKind.ACTION_REQUIRED, FactKind.CLOSED]
        assert gateway.booked() == []

    def test_confirms_while_it_is_being_closed(self, gateway: Gateway) -> None:
        command, asked = self.ask(gateway)
        gateway.act("approve", reference=command.reference)

        late = gateway.call(on(asked, OperationKind.CLOSE))

        assert (late.kind, late.code) == (FactKind.UNKNOWN, "payment_intent_unexpected_state")
        assert moved(gateway.look_up(question_of(command, asked.handle)).facts) == gateway.booked() != []

    @pytest.mark.parametrize("more", [{}, {"initiated_by": "merchant", "return_url": RETURN}])
    def test_is_not_asked_where_nobody_could_answer(self, gateway: Gateway, more: dict[str, Any]) -> None:
        answer = gateway.call(sale("tok_3ds", **more))

        assert (answer.kind, answer.failure_class) == (FactKind.DECLINED, FailureClass.AUTHENTICATION_REQUIRED)


class TestStoredCredentials:
    def test_a_first_use_gives_one_that_the_merchant_may_use_again(self, gateway: Gateway) -> None:
        paid, kept = gateway.call_and_keep(sale("once_a", store=True))
        assert kept is not None
        again = sale(
            store=False, initiated_by="merchant", stored_credential="used", customer=kept.customer, reusable=True
        )

        later = gateway.call(replace(again, credential=kept.credential))

        assert (paid.kind, later.kind) == (FactKind.CAPTURE, FactKind.CAPTURE)
        assert (kept.credential[:3], kept.customer[:4]) == ("pm_", "cus_")
        assert kept.network_transaction_id
        assert kept.card is not None
        assert len(kept.card.last_four) == 4
        assert kept.card.fingerprint
        assert kept.card.expires == (2034, 12)
        assert kept.credential not in repr(paid) + repr(kept)

    def test_a_customer_that_could_not_be_made_means_that_nothing_was_asked(self, gateway: Gateway) -> None:
        gateway.fault("lost_response", "vault", times=1)

        with pytest.raises(NotSent):
            gateway.call(sale("once_b", store=True))

        assert gateway.booked() == []

    def test_a_single_use_token_is_spent_by_its_first_use(self, gateway: Gateway) -> None:
        gateway.call(sale("once_c"))

        assert gateway.call(sale("once_c")).failure_class == FailureClass.INVALID_REQUEST

    def test_a_sale_that_stores_nothing_shows_its_card_only(self, gateway: Gateway) -> None:
        _, kept = gateway.call_and_keep(sale())

        assert kept is not None
        assert (kept.credential, kept.customer) == ("", "")
        assert kept.card is not None


class TestDisputes:
    def open(self, gateway: Gateway, **more: object) -> Fact:
        command = sale()
        paid = gateway.call(command)
        gateway.act("dispute", reference=command.reference, **more)
        return paid

    def told(self, gateway: Gateway) -> tuple[list[DisputeState], list[tuple[str, int]]]:
        facts = [fact for fact in gateway.webhook_facts() if fact.gateway_id.startswith("du_")]
        states = [fact.dispute.state for fact in facts if fact.dispute is not None]
        money = [
            (fact.kind.value, fact.occurrence, fact.money.amount_minor) for fact in facts if fact.money is not None
        ]
        return list(dict.fromkeys(states)), [(kind, amount) for kind, _, amount in dict.fromkeys(money)]

    def test_a_partial_one_is_won(self, gateway: Gateway) -> None:
        paid = self.open(gateway, amount_minor=3000)
        gateway.act("dispute_win", transaction_id=paid.gateway_id)

        states, money = self.told(gateway)

        assert states == [DisputeState.CHARGEBACK, DisputeState.WON]
        assert money == [("chargeback", 3000), ("fee", 1500), ("chargeback_return", 3000)]
        told = [fact for fact in gateway.webhook_facts() if fact.kind == FactKind.CHARGEBACK]
        assert {fact.original_gateway_id for fact in told} == {paid.gateway_id}
        assert all(fact.settlement is not None for fact in told)

    def test_an_inquiry_becomes_one_and_is_lost(self, gateway: Gateway) -> None:
        paid = self.open(gateway, kind="inquiry")
        gateway.act("dispute_escalate", transaction_id=paid.gateway_id)
        gateway.act("dispute_lose", transaction_id=paid.gateway_id)

        states, money = self.told(gateway)

        assert states == [DisputeState.INQUIRY, DisputeState.CHARGEBACK, DisputeState.LOST]
        assert money == [("chargeback", 4999), ("fee", 1500)]

    def test_one_that_was_won_is_argued_again_and_lost(self, gateway: Gateway) -> None:
        paid = self.open(gateway)
        for action in ("dispute_win", "pre_arbitration", "dispute_lose"):
            gateway.act(action, transaction_id=paid.gateway_id)

        states, money = self.told(gateway)

        assert states == [
            DisputeState.CHARGEBACK,
            DisputeState.WON,
            DisputeState.PRE_ARBITRATION,
            DisputeState.LOST,
        ]
        assert money == [("chargeback", 4999), ("fee", 1500), ("chargeback_return", 4999), ("chargeback", 4999)]

    def test_the_window_tells_the_same_as_the_webhooks(self, gateway: Gateway) -> None:
        paid = self.open(gateway)
        gateway.act("dispute_win", transaction_id=paid.gateway_id)

        assert sorted(moved(gateway.window())) == sorted(moved(gateway.webhook_facts()))

    def test_evidence_is_due_on_a_day(self, gateway: Gateway) -> None:
        self.open(gateway)

        told = [fact.dispute for fact in gateway.webhook_facts() if fact.dispute is not None]

        assert told[0].evidence_due_at is not None
        assert told[0].evidence_due_at > now() + timedelta(days=1)
        assert told[0].money == MONEY


class TestWebhookFaults:
    def test_a_forged_one_is_refused(self, gateway: Gateway) -> None:
        gateway.fault("webhook_forged", times=1)
        gateway.call(sale())
        gateway.process.wait_until_quiet()

        good = [
            stripe.verify_webhook(
                {name.lower(): value for name, value in delivery["headers"].items()},
                delivery["body"].encode(),
                (WEBHOOK_SECRET,),
                at=now(),
            )
            for delivery in gateway.process.webhooks(gateway="stripe")
        ]

        assert False in good
        assert True in good

    def test_repeated_ones_have_one_key(self, gateway: Gateway) -> None:
        gateway.fault("webhook_duplicate:3", times=1)
        gateway.call(sale())
        gateway.process.wait_until_quiet()

        keys = [stripe.event_key(one["body"].encode()) for one in gateway.process.webhooks(gateway="stripe")]

        assert len(keys) > len(set(keys))
        assert all(key.startswith("evt_") for key in keys)

    def test_payouts_are_understood_and_left_to_reconciliation(self, gateway: Gateway) -> None:
        gateway.call(sale())
        gateway.act("settle")

        told = gateway.webhook_facts()

        assert all(fact.kind in {FactKind.CAPTURE, FactKind.SETTLEMENT_TOLD} for fact in told)
