"""The life of a dispute at Stripe, told by webhooks in any order: both books, cases and settlement money agree with the
gateway's own."""

from __future__ import annotations

import hashlib
import hmac
import random
from collections import Counter

import pytest

from ledger.models import Posting
from payments.models import InboundEvent, Movement, Payment, Refund, Review
from payments.queries.proofs import completeness_findings, suspense_findings
from payments.services.accounts import ensure_gateway_account
from payments.services.actors import SYSTEM
from payments.services.inbox import drain_inbox, store_event
from payments.services.refunds import advance_refund, request_refund
from payments.services.resolution import ask_about
from payments.states import DisputeState, PaymentState, RefundState, ReviewState
from tests.payments.disputes.told import the_dispute
from tests.payments.factories import Clock, paid
from tests.payments.flows.books import open_reviews
from tests.simulator_fixture import SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)
D = DisputeState


@pytest.fixture(autouse=True)
def account(transactional_db: None) -> None:
    """Stripe alone, in place of the other flows' NMI."""
    ensure_gateway_account("stripe", "stripe", "Stripe")


@pytest.fixture
def stripe(simulator: SimulatorProcess, monkeypatch: pytest.MonkeyPatch) -> SimulatorProcess:
    monkeypatch.setenv("GATEWAY_STRIPE_BASE_URL", f"{simulator.url}/stripe")
    monkeypatch.setenv("GATEWAY_STRIPE_SECRET_KEY", "sk_test_demo")
    monkeypatch.setenv("GATEWAY_STRIPE_WEBHOOK_SECRET", "whsec_demo")
    return simulator


@pytest.fixture
def payment(stripe: SimulatorProcess, clock: Clock) -> Payment:
    made = paid(clock)
    assert made.state == PaymentState.CAPTURED
    return made


def signed(body: bytes, clock: Clock) -> str:
    """Stripe signs each delivery anew, at its time; the log of the simulator holds that of the first."""
    stamp = str(int(clock().timestamp()))
    mac = hmac.new(b"whsec_demo", stamp.encode() + b"." + body, hashlib.sha256)
    return f"t={stamp},v1={mac.hexdigest()}"


def hear_all(stripe: SimulatorProcess, clock: Clock, *, shuffled: int | None = None, twice: bool = False) -> None:
    """Every webhook made so far, in the order they were made or in any other, and what becomes of them."""
    stripe.wait_until_quiet()
    log = stripe.webhooks(gateway="stripe") * (2 if twice else 1)
    if shuffled is not None:
        random.Random(shuffled).shuffle(log)
    for delivery in log:
        body = str(delivery["body"]).encode()
        store_event("stripe", {"stripe-signature": signed(body, clock)}, body, now=clock())
    for _ in range(4):  # what was parked is heard again
        drain_inbox(clock)
        InboundEvent.objects.filter(state="parked").update(next_check_at=clock())
    assert [*InboundEvent.objects.exclude(error="").values_list("event_type", "error")] == []


def act(stripe: SimulatorProcess, clock: Clock, action: str, payment: Payment, **more: object) -> None:
    """The issuer's or the dashboard's doing, an hour after the last: Stripe tells times in seconds."""
    stripe.act("advance_clock", gateway="stripe", seconds=3600)
    clock.pass_(hours=1)
    stripe.act(action, gateway="stripe", reference=payment.attempts.get().reference, **more)


def assert_both_books_agree(stripe: SimulatorProcess) -> None:
    ours: Counter[tuple[str, str]] = Counter()
    for movement in Movement.objects.all():
        ours[movement.gateway_id, movement.kind] += movement.amount_minor
    theirs: Counter[tuple[str, str]] = Counter()
    for moved in stripe.movements(gateway="stripe"):
        if moved["kind"] == "fee" and moved["gateway_id"].startswith("ch_"):
            continue  # part of the charge's settlement money here, no movement of its own
        theirs[moved["gateway_id"], moved["kind"]] += moved["amount_minor"]
    assert ours == theirs
    assert [*map(str, suspense_findings()), *map(str, completeness_findings())] == []


def total(code: str) -> int:
    return sum(Posting.objects.filter(account__code=code).values_list("amount_minor", flat=True))


STORIES = {
    "lost": (["dispute", "dispute_lose"], D.LOST, PaymentState.CHARGED_BACK, {"1130": 0, "5020": 1000}),
    "won": (["dispute", "dispute_win"], D.WON, PaymentState.CAPTURED, {"1130": 0, "5020": 0}),
    "taken again": (
        ["dispute", "dispute_win", "pre_arbitration"],
        D.PRE_ARBITRATION,
        PaymentState.CAPTURED,
        {"1130": 1000, "5020": 0},
    ),
}


@pytest.mark.parametrize("shuffled", [None, 1, 2, 3])
@pytest.mark.parametrize("story", sorted(STORIES))
def test_told_in_any_order_it_ends_the_same(story, shuffled, payment: Payment, stripe, clock):
    acts, state, payment_state, books = STORIES[story]
    for action in acts:
        act(stripe, clock, action, payment)

    hear_all(stripe, clock, shuffled=shuffled, twice=True)

    payment.refresh_from_db()
    assert (the_dispute().state, payment.state) == (state, payment_state)
    assert {code: total(code) for code in books} == books
    assert total("5025") > 0
    assert_both_books_agree(stripe)


def test_an_inquiry_that_becomes_a_chargeback(payment: Payment, stripe, clock):
    act(stripe, clock, "dispute", payment, kind="inquiry", amount_minor=400)
    hear_all(stripe, clock)
    assert (the_dispute().state, total("1130"), open_reviews()) == (D.INQUIRY, 0, ["dispute"])

    act(stripe, clock, "dispute_escalate", payment)
    hear_all(stripe, clock)

    dispute = the_dispute()
    assert (dispute.state, dispute.amount_minor, total("1130")) == (D.CHARGEBACK, 400, 400)
    assert dispute.evidence_due_at is not None
    assert Review.objects.filter(state=ReviewState.OPEN).count() == 1
    assert_both_books_agree(stripe)


def test_settlement_money_of_the_charge_and_of_the_chargeback_is_kept(payment: Payment, stripe, clock):
    act(stripe, clock, "dispute", payment)
    hear_all(stripe, clock)
    ask_about(payment.pk, clock)  # a webhook names the charge's balance transaction only, a look-up tells it

    told = {m.kind: (m.settlement_minor, m.settlement_fee_minor) for m in Movement.objects.exclude(settlement_id="")}
    assert told["capture"][0] == 1000
    assert told["capture"][1] > 0
    assert told["chargeback"][0] == -1000


def test_a_refund_that_had_succeeded_and_fails_later(payment: Payment, stripe, clock):
    made = request_refund(payment.public_id, amount_minor=400, reason="returned", actor=SYSTEM, now=clock())
    advance_refund(made.pk, clock)
    hear_all(stripe, clock)
    made.refresh_from_db()
    assert made.state == RefundState.SUCCEEDED

    act(stripe, clock, "refund_fail", payment)
    hear_all(stripe, clock, twice=True)

    made.refresh_from_db()
    assert (made.state, Refund.objects.count()) == (RefundState.RETURNED, 1)
    assert (total("2050"), open_reviews()) == (-400, ["refund_returned"])
    assert_both_books_agree(stripe)
