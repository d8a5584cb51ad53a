"""A payment through ConvesioPay, from the order to the books: what is never proven stays open, and nothing is charged twice."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

import httpx
import pytest
from django.test import Client

from payments.models import InboundEvent, LookUp, Payment, Refund, Route
from payments.queries.proofs import completeness_findings, suspense_findings
from payments.services.accounts import ensure_gateway_account
from payments.services.actors import SYSTEM
from payments.services.commands import cancel_payment, capture_payment
from payments.services.execution import advance_payment
from payments.services.inbox import drain_inbox, store_event
from payments.services.intake import MethodRequest, PaymentRequest, create_payment
from payments.services.refunds import advance_refund, request_refund
from payments.services.sweep import sweep
from payments.states import OperationState, PaymentState, RefundState, Waits
from tests.payments.factories import Clock, nmi_account, paid, sweep_until_quiet
from tests.payments.flows.books import open_reviews, our_movements
from tests.simulator_fixture import SimulatorProcess

S = PaymentState
GATEWAY = "convesiopay"
RETURN = "https://shop.example/back"
HMAC_KEY = "64656d6f2d636f6e766573696f7061792d686d61632d6b6579"


@pytest.fixture(autouse=True)
def account(transactional_db: None) -> None:
    """ConvesioPay alone, in place of the other flows' NMI."""
    ensure_gateway_account(GATEWAY, GATEWAY, "ConvesioPay", priority=200)


@dataclass
class Gateway:
    """ConvesioPay on the wire, and the notifications it makes."""

    simulator: SimulatorProcess
    clock: Clock

    def fault(self, name: str, operation: str) -> None:
        self.simulator.fault(name, operation, gateway=GATEWAY, times=1)

    def act(self, action: str, payment: Payment, **more: object) -> None:
        self.simulator.act(action, gateway=GATEWAY, reference=payment.attempts.latest("number").reference, **more)

    def hear(self, *, times: int = 1, backwards: bool = False) -> None:
        """Every notification made so far, and what becomes of it."""
        self.simulator.wait_until_quiet()
        log = self.simulator.webhooks(gateway=GATEWAY) * times
        for delivery in reversed(log) if backwards else log:
            store_event(GATEWAY, {"content-type": "application/json"}, delivery["body"].encode(), now=self.clock())
        for _ in range(3):  # what was parked is heard again
            drain_inbox(self.clock)
            InboundEvent.objects.filter(state="parked").update(next_check_at=self.clock())
        assert [*InboundEvent.objects.exclude(error="").values_list("event_type", "error")] == []

    def charges(self) -> int:
        return sum(row["operation"] in ("sale", "auth") for row in self.simulator.movements(gateway=GATEWAY))

    def assert_books_agree(self) -> None:
        booked: Counter[tuple[str, str]] = Counter()
        for row in self.simulator.movements(gateway=GATEWAY):
            booked[row["gateway_id"], row["kind"]] += row["amount_minor"]
        assert our_movements() == booked
        assert [*map(str, suspense_findings())] == []
        assert [*map(str, completeness_findings())] == []


@pytest.fixture
def gateway(simulator: SimulatorProcess, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Gateway:
    monkeypatch.setenv("GATEWAY_CONVESIOPAY_BASE_URL", f"{simulator.url}/{GATEWAY}")
    monkeypatch.setenv("GATEWAY_CONVESIOPAY_SECRET", "demo-convesiopay-secret")
    monkeypatch.setenv("GATEWAY_CONVESIOPAY_INTEGRATION", "int_1")
    monkeypatch.setenv("GATEWAY_CONVESIOPAY_WEBHOOK_SECRET", HMAC_KEY)
    return Gateway(simulator, clock)


class TestASale:
    def test_is_paid_whoever_tells_of_it_how_often(self, gateway: Gateway, clock: Clock) -> None:
        payment = paid(clock)
        gateway.hear(times=2)

        payment.refresh_from_db()
        attempt = payment.attempts.get()
        assert (payment.state, attempt.handle) == (S.CAPTURED, attempt.gateway_id)
        assert open_reviews() == []
        gateway.assert_books_agree()

    def test_leaves_a_stored_card_that_is_charged_next_time(self, gateway: Gateway, clock: Clock) -> None:
        first = paid(clock, token="convesiopay_once_17")
        stored = MethodRequest("card", payment_method=first.method.public_id)
        second = create_payment(PaymentRequest(500, "USD", "again", stored), actor=SYSTEM, now=clock())
        advance_payment(second.pk, clock)

        second.refresh_from_db()
        credential = first.method.credentials.get()
        assert (first.state, second.state) == (S.CAPTURED, S.CAPTURED)
        assert (credential.token[:7], credential.customer[:3], credential.reusable) == ("stored:", "CUS", True)
        first.method.refresh_from_db()
        assert (first.method.brand, str(first.method.expires_on)) == ("visa", "2030-03-31")
        assert gateway.simulator.books(gateway=GATEWAY)["requests"]["payments.sale.stored"] == 1
        gateway.assert_books_agree()

    def test_whose_answer_was_lost_is_found_by_its_number(self, gateway: Gateway, clock: Clock) -> None:
        gateway.fault("lost_response", "sale")
        payment = paid(clock)
        assert payment.waits_for == Waits.LOOK_UP

        sweep_until_quiet(clock, rounds=4, step=timedelta(minutes=1))

        payment.refresh_from_db()
        assert payment.state == S.CAPTURED
        gateway.assert_books_agree()

    def test_whose_answer_was_lost_is_told_by_the_notification(self, gateway: Gateway, clock: Clock) -> None:
        gateway.fault("lost_response", "sale")
        payment = paid(clock)

        gateway.hear()

        payment.refresh_from_db()
        assert (payment.state, payment.attempts.get().handle != "") == (S.CAPTURED, True)
        gateway.assert_books_agree()

    def test_of_which_nothing_is_found_is_never_proven_absent(self, gateway: Gateway, clock: Clock) -> None:
        gateway.fault("dropped_request", "sale")
        payment = paid(clock)

        sweep_until_quiet(clock, rounds=60, step=timedelta(minutes=30))

        payment.refresh_from_db()
        operation = payment.operations.get()
        assert (payment.state, operation.state) == (S.PENDING, OperationState.UNKNOWN)
        assert open_reviews() == ["lookup_exhausted"]
        assert not LookUp.objects.filter(counts=True).exists()
        assert (payment.attempts.count(), gateway.charges()) == (1, 0)

    def test_that_appears_after_days_is_believed(self, gateway: Gateway, clock: Clock) -> None:
        gateway.fault("late_authorisation:400000", "sale")
        payment = paid(clock)
        sweep_until_quiet(clock, rounds=60, step=timedelta(minutes=30))

        gateway.simulator.act("advance_clock", seconds=400_001)
        gateway.hear()

        payment.refresh_from_db()
        assert payment.state == S.CAPTURED
        assert gateway.charges() == 1
        gateway.assert_books_agree()

    def test_that_is_pending_is_concluded_by_whoever_speaks_first(self, gateway: Gateway, clock: Clock) -> None:
        payment = paid(clock, token="tok_pending")
        assert payment.state == S.PENDING

        gateway.hear()

        payment.refresh_from_db()
        assert payment.state == S.CAPTURED
        gateway.assert_books_agree()


class TestAHold:
    def test_is_captured_in_part_and_refunded(self, gateway: Gateway, clock: Clock) -> None:
        payment = paid(clock, capture="manual")
        assert payment.state == S.AUTHORISED
        capture_payment(payment.public_id, amount_minor=700, final=True, actor=SYSTEM, now=clock())
        advance_payment(payment.pk, clock)
        request_refund(payment.public_id, amount_minor=200, reason="returned", actor=SYSTEM, now=clock())
        advance_refund(Refund.objects.get().pk, clock)

        gateway.hear(backwards=True)

        payment.refresh_from_db()
        assert Refund.objects.get().state == RefundState.SUCCEEDED
        gateway.assert_books_agree()

    def test_whose_answer_was_lost_is_no_sale_by_its_notification(self, gateway: Gateway, clock: Clock) -> None:
        gateway.fault("lost_response", "auth")
        payment = paid(clock, capture="manual")

        gateway.hear()

        payment.refresh_from_db()
        assert payment.state == S.AUTHORISED
        gateway.assert_books_agree()

    def test_is_released(self, gateway: Gateway, clock: Clock) -> None:
        payment = paid(clock, capture="manual")
        cancel_payment(payment.public_id, actor=SYSTEM, now=clock())
        advance_payment(payment.pk, clock)
        gateway.hear()

        payment.refresh_from_db()
        assert payment.state == S.CANCELLED
        gateway.assert_books_agree()


class TestARefund:
    def test_whose_answer_was_lost_is_found_in_the_payment(self, gateway: Gateway, clock: Clock) -> None:
        payment = paid(clock)
        gateway.fault("lost_response", "refund")
        request_refund(payment.public_id, amount_minor=200, reason="returned", actor=SYSTEM, now=clock())
        advance_refund(Refund.objects.get().pk, clock)

        sweep_until_quiet(clock, rounds=4, step=timedelta(minutes=1))

        assert Refund.objects.get().state == RefundState.SUCCEEDED
        gateway.assert_books_agree()

    def test_that_fails_late_is_money_that_came_back(self, gateway: Gateway, clock: Clock) -> None:
        payment = paid(clock)
        request_refund(payment.public_id, amount_minor=200, reason="returned", actor=SYSTEM, now=clock())
        advance_refund(Refund.objects.get().pk, clock)
        gateway.hear()

        gateway.act("refund_fails", payment)
        gateway.hear()

        assert Refund.objects.get().state == RefundState.RETURNED
        assert open_reviews() == ["refund_returned"]
        gateway.assert_books_agree()


class TestThePayer:
    def ask(self, clock: Clock) -> Payment:
        payment = paid(clock, token="tok_3ds", return_url=RETURN)
        assert (payment.state, payment.waits_for) == (S.PENDING, Waits.PAYER)
        assert payment.attempts.get().action_url
        return payment

    def test_confirms_and_it_is_paid(self, gateway: Gateway, clock: Clock) -> None:
        payment = self.ask(clock)
        back = httpx.post(payment.attempts.get().action_url, data={"outcome": "approve"}, trust_env=False)

        gateway.hear()

        payment.refresh_from_db()
        assert back.status_code == 303
        assert payment.state == S.CAPTURED
        gateway.assert_books_agree()

    def test_confirms_and_is_found_without_a_notification(self, gateway: Gateway, clock: Clock) -> None:
        payment = self.ask(clock)
        gateway.act("payer_approves", payment)

        sweep_until_quiet(clock, rounds=6, step=timedelta(minutes=1))

        payment.refresh_from_db()
        assert payment.state == S.CAPTURED
        gateway.assert_books_agree()

    def test_who_never_comes_back_finds_it_closed(self, gateway: Gateway, clock: Clock) -> None:
        payment = self.ask(clock)

        sweep_until_quiet(clock, rounds=30, step=timedelta(minutes=10))

        payment.refresh_from_db()
        assert payment.state in {S.EXPIRED, S.FAILED}
        (there,) = gateway.simulator.books(gateway=GATEWAY)["transactions"]
        assert there["condition"] == "Abandoned"
        gateway.assert_books_agree()


class TestBesideNmi:
    def test_it_is_asked_where_nmi_can_not_be_reached(
        self, gateway: Gateway, clock: Clock, monkeypatch: pytest.MonkeyPatch, free_port: int
    ) -> None:
        nmi_account()
        monkeypatch.setenv("GATEWAY_NMI_BASE_URL", f"http://127.0.0.1:{free_port}/nmi")

        payment = paid(clock)

        asked = list(payment.attempts.order_by("number").values_list("gateway_account__slug", flat=True))
        assert (payment.state, asked) == (S.CAPTURED, ["nmi", GATEWAY])
        gateway.assert_books_agree()

    def test_nothing_follows_while_its_own_outcome_is_unknown(self, gateway: Gateway, clock: Clock) -> None:
        nmi_account(priority=900)
        Route.objects.filter(gateway_account__slug="nmi").update(priority=900)
        gateway.fault("dropped_request", "sale")

        payment = paid(clock)
        sweep(clock)

        assert list(payment.attempts.values_list("gateway_account__slug", flat=True)) == [GATEWAY]
        assert gateway.simulator.movements() == []


def test_the_door_answers_the_word_that_ends_the_redelivery(gateway: Gateway, clock: Clock) -> None:
    paid(clock)
    (delivery, *_) = gateway.simulator.webhooks(gateway=GATEWAY)
    client, url = Client(), f"/webhooks/{GATEWAY}/"

    answers = [client.post(url, delivery["body"], "application/json") for _ in range(2)]
    forged = client.post(url, delivery["body"].replace("AUTHORISATION", "REFUND"), "application/json")

    assert [(answer.status_code, answer.content) for answer in answers] == [(200, b"[accepted]")] * 2
    assert (forged.status_code, InboundEvent.objects.count()) == (401, 1)
