"""A payment through Stripe, from the order to the books: parts, payers at their bank, lost answers, and word in any order."""

from __future__ import annotations

import hashlib
import hmac
import random
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

import pytest

from payments.models import InboundEvent, Movement, Payment, Refund
from payments.queries.proofs import completeness_findings, suspense_findings
from payments.services.accounts import ensure_gateway_account
from payments.services.actors import SYSTEM
from payments.services.commands import cancel_payment, capture_payment
from payments.services.execution import advance_payment
from payments.services.inbox import back_fill, drain_inbox, store_event
from payments.services.refunds import advance_refund, request_refund
from payments.states import PaymentState, RefundState, Waits
from tests.payments.factories import Clock, operator, paid, sweep_until_quiet
from tests.payments.flows.books import open_reviews, our_movements
from tests.simulator_fixture import SimulatorProcess

S = PaymentState
RETURN = "https://shop.example/back"


@pytest.fixture(autouse=True)
def account(transactional_db: None) -> None:
    """Stripe alone, in place of the other flows' NMI."""
    ensure_gateway_account("stripe", "stripe", "Stripe")


@dataclass
class Gateway:
    """Stripe on the wire, and the webhooks it makes."""

    simulator: SimulatorProcess
    clock: Clock

    def fault(self, name: str, operation: str) -> None:
        self.simulator.fault(name, operation, gateway="stripe", times=1)

    def act(self, action: str, payment: Payment, **more: object) -> None:
        self.simulator.act(action, gateway="stripe", reference=payment.attempts.latest("number").reference, **more)

    def hear(self, *, shuffled: int | None = None, times: int = 1) -> None:
        """Every webhook made so far, signed anew, and what becomes of it."""
        self.simulator.wait_until_quiet()
        log = self.simulator.webhooks(gateway="stripe") * times
        if shuffled is not None:
            random.Random(shuffled).shuffle(log)
        for delivery in log:
            body = str(delivery["body"]).encode()
            stamp = str(int(self.clock().timestamp()))
            mac = hmac.new(b"whsec_demo", stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
            store_event("stripe", {"stripe-signature": f"t={stamp},v1={mac}"}, body, now=self.clock())
        for _ in range(3):  # what was parked is heard again
            drain_inbox(self.clock)
            InboundEvent.objects.filter(state="parked").update(next_check_at=self.clock())
        assert [*InboundEvent.objects.exclude(error="").values_list("event_type", "error")] == []

    def booked(self) -> Counter[tuple[str, str]]:
        """What truly moved. A charge's fee is part of its worth and no movement of ours."""
        sums: Counter[tuple[str, str]] = Counter()
        for row in self.simulator.movements(gateway="stripe"):
            if row["kind"] != "fee" or row["gateway_id"].startswith("du_"):
                sums[row["gateway_id"], row["kind"]] += row["amount_minor"]
        return sums

    def assert_books_agree(self) -> None:
        assert our_movements() == self.booked()
        assert [*map(str, suspense_findings())] == []
        assert [*map(str, completeness_findings())] == []


@pytest.fixture
def stripe(simulator: SimulatorProcess, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Gateway:
    monkeypatch.setenv("GATEWAY_STRIPE_BASE_URL", f"{simulator.url}/stripe")
    monkeypatch.setenv("GATEWAY_STRIPE_SECRET_KEY", "sk_test_demo")
    monkeypatch.setenv("GATEWAY_STRIPE_WEBHOOK_SECRET", "whsec_demo")
    return Gateway(simulator, clock)


def capture(payment: Payment, amount_minor: int, clock: Clock, *, final: bool) -> None:
    capture_payment(payment.public_id, amount_minor=amount_minor, final=final, actor=SYSTEM, now=clock())
    advance_payment(payment.pk, clock)
    payment.refresh_from_db()


def captures() -> list[int]:
    rows = Movement.objects.filter(kind="capture").order_by("occurrence", "revision")
    return list(rows.values_list("amount_minor", flat=True))


class TestASale:
    def test_is_paid_and_knows_its_charge_and_its_intent(self, stripe: Gateway, clock: Clock) -> None:
        payment = paid(clock)
        stripe.hear(times=2)

        attempt = payment.attempts.get()
        assert (payment.state, attempt.gateway_id[:3], attempt.handle[:3]) == (S.CAPTURED, "ch_", "pi_")
        assert (captures(), open_reviews()) == ([1000], [])
        stripe.assert_books_agree()

    def test_whose_answer_was_lost_is_found(self, stripe: Gateway, clock: Clock) -> None:
        stripe.fault("lost_response", "sale")
        payment = paid(clock)
        assert payment.waits_for == Waits.LOOK_UP

        sweep_until_quiet(clock, rounds=4, step=timedelta(minutes=1))

        payment.refresh_from_db()
        assert (payment.state, captures()) == (S.CAPTURED, [1000])
        stripe.assert_books_agree()

    def test_that_never_arrived_is_proven_absent(self, stripe: Gateway, clock: Clock) -> None:
        stripe.fault("dropped_request", "sale")
        payment = paid(clock)

        sweep_until_quiet(clock, rounds=6, step=timedelta(minutes=1))

        first = payment.attempts.get(number=1)
        assert first.state == "failed"
        assert first.operations.first().look_ups.filter(counts=True).exists()  # type: ignore[union-attr]  # it was planned
        stripe.assert_books_agree()

    def test_is_told_by_webhooks_alone_before_anybody_asks(self, stripe: Gateway, clock: Clock) -> None:
        stripe.fault("lost_response", "sale")
        payment = paid(clock)

        stripe.hear(shuffled=3)

        payment.refresh_from_db()
        assert (payment.state, captures()) == (S.CAPTURED, [1000])
        stripe.assert_books_agree()

    def test_that_took_less_than_its_answer_says_is_corrected_and_asked_about(
        self, stripe: Gateway, clock: Clock
    ) -> None:
        stripe.fault("amount_off:-25:silent", "sale")
        paid(clock)
        assert captures() == [1000]

        stripe.hear(shuffled=5)
        sweep_until_quiet(clock, rounds=3, step=timedelta(minutes=2))

        assert (captures(), open_reviews()) == ([1000, -25], ["amount_mismatch"])
        stripe.assert_books_agree()

    def test_made_while_nobody_listened_is_back_filled(self, stripe: Gateway, clock: Clock) -> None:
        payment = paid(clock)
        stripe.act("refund_from_dashboard", payment, amount_minor=300)

        filled = back_fill(
            "stripe", clock() - timedelta(hours=1), clock() + timedelta(minutes=1), clock,
            actor=operator("ask_gateway"),
        )  # fmt: skip

        # The refund is booked; what it is worth is only named by the list, and asked for.
        assert (filled.facts["apply"], filled.facts["ask"], filled.changed) == (1, 1, 2)
        stripe.assert_books_agree()


class TestAHold:
    @pytest.mark.parametrize("heard", ["never", "after each", "at the end"])
    def test_is_captured_in_three_parts_two_of_them_equal(self, stripe: Gateway, clock: Clock, heard: str) -> None:
        payment = paid(clock, capture="manual")

        for amount_minor, final in ((300, False), (300, False), (250, True)):
            capture(payment, amount_minor, clock, final=final)
            if heard == "after each":
                stripe.hear()
        if heard == "at the end":
            stripe.hear(shuffled=5)

        assert captures() == [300, 300, 250]
        assert open_reviews() == []
        stripe.assert_books_agree()

    @pytest.mark.parametrize("seed", range(6))
    def test_whose_captures_went_unanswered_is_booked_whoever_tells_of_them(
        self, stripe: Gateway, clock: Clock, seed: int
    ) -> None:
        payment, chance = paid(clock, capture="manual"), random.Random(seed)

        for amount_minor, final in ((300, False), (300, False), (400, True)):
            stripe.fault("lost_response", "capture")
            capture(payment, amount_minor, clock, final=final)
            if chance.random() < 0.5:
                stripe.hear(shuffled=seed)
            else:
                sweep_until_quiet(clock, rounds=3, step=timedelta(minutes=1))
        stripe.hear(shuffled=seed, times=2)

        payment.refresh_from_db()
        assert captures() == [300, 300, 400]
        assert (payment.state, open_reviews()) == (S.CAPTURED, [])
        stripe.assert_books_agree()

    def test_keeps_its_captures_when_older_totals_are_heard_again(self, stripe: Gateway, clock: Clock) -> None:
        payment = paid(clock, capture="manual")
        for amount_minor, final in ((300, False), (700, True)):
            capture(payment, amount_minor, clock, final=final)

        back_fill(
            "stripe", clock() - timedelta(hours=1), clock() + timedelta(minutes=1), clock,
            actor=operator("ask_gateway"),
        )  # fmt: skip

        assert (captures(), open_reviews()) == ([300, 700], [])
        stripe.assert_books_agree()

    def test_captured_by_us_and_in_the_dashboard(self, stripe: Gateway, clock: Clock) -> None:
        payment = paid(clock, capture="manual")
        capture(payment, 300, clock, final=False)
        stripe.act("capture", payment, amount_minor=700)
        stripe.hear(shuffled=7)

        payment.refresh_from_db()
        assert captures() == [300, 700]
        stripe.assert_books_agree()

    def test_is_let_go_when_the_payment_is_cancelled(self, stripe: Gateway, clock: Clock) -> None:
        payment = paid(clock, capture="manual")
        cancel_payment(payment.public_id, actor=SYSTEM, now=clock())
        advance_payment(payment.pk, clock)
        stripe.hear(shuffled=1)

        payment.refresh_from_db()
        assert (payment.state, captures()) == (S.CANCELLED, [])
        stripe.assert_books_agree()

    def test_lapses_by_itself(self, stripe: Gateway, clock: Clock) -> None:
        payment = paid(clock, capture="manual")
        stripe.act("expire_hold", payment)
        stripe.hear()

        payment.refresh_from_db()
        assert payment.state == S.EXPIRED
        assert open_reviews() == []


class TestThePayerAtTheirBank:
    def test_confirms_and_has_paid(self, stripe: Gateway, clock: Clock) -> None:
        payment = paid(clock, token="tok_3ds", return_url=RETURN)
        assert (payment.state, payment.waits_for) == (S.PENDING, Waits.PAYER)
        assert payment.attempts.get().handle.startswith("pi_")

        stripe.act("approve", payment)
        stripe.hear(shuffled=2)

        payment.refresh_from_db()
        assert (payment.state, captures()) == (S.CAPTURED, [1000])
        stripe.assert_books_agree()

    def test_fails_and_the_intent_is_closed_before_anything_else(self, stripe: Gateway, clock: Clock) -> None:
        payment = paid(clock, token="tok_3ds", return_url=RETURN)
        stripe.act("fail", payment)
        stripe.hear()
        sweep_until_quiet(clock, rounds=5, step=timedelta(minutes=1))

        payment.refresh_from_db()
        assert payment.attempts.get().state == "declined"
        assert payment.operations.filter(kind="close", state="succeeded").exists()
        assert captures() == []

    def test_walks_away_and_the_intent_is_closed_at_the_end(self, stripe: Gateway, clock: Clock) -> None:
        payment = paid(clock, token="tok_3ds", return_url=RETURN)
        stripe.act("abandon", payment)

        sweep_until_quiet(clock, rounds=30, step=timedelta(minutes=5))

        payment.refresh_from_db()
        assert payment.state in {S.EXPIRED, S.FAILED}
        assert payment.operations.filter(kind="close", state="succeeded").exists()
        assert captures() == []


class TestARefund:
    def test_succeeds_then_fails_and_the_money_is_back(self, stripe: Gateway, clock: Clock) -> None:
        payment = paid(clock)
        request_refund(payment.public_id, amount_minor=400, reason="returned", actor=SYSTEM, now=clock())
        refund = Refund.objects.get()
        advance_refund(refund.pk, clock)
        refund.refresh_from_db()
        assert refund.state == RefundState.SUCCEEDED

        made = Movement.objects.get(kind="refund").gateway_id
        stripe.simulator.act("refund_fail", gateway="stripe", transaction_id=made)
        stripe.hear(shuffled=4, times=2)

        refund.refresh_from_db()
        assert refund.state == RefundState.RETURNED
        stripe.assert_books_agree()

    def test_whose_answer_was_lost_is_found(self, stripe: Gateway, clock: Clock) -> None:
        payment = paid(clock)
        stripe.fault("lost_response", "refund")
        request_refund(payment.public_id, amount_minor=400, reason="returned", actor=SYSTEM, now=clock())
        refund = Refund.objects.get()
        advance_refund(refund.pk, clock)

        sweep_until_quiet(clock, rounds=4, step=timedelta(minutes=1))

        refund.refresh_from_db()
        assert refund.state == RefundState.SUCCEEDED
        stripe.assert_books_agree()
