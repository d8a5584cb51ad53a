"""What is money at Stripe worth in settlement money? Told by the answers themselves, else asked for once; never lost."""

from __future__ import annotations

import pytest

from ledger.money import Money
from payments.facts import Fact, FactKind, SettlementTold
from payments.models import InboundEvent, LookUp, Movement, Payment, Refund, Transition
from payments.services.accounts import ensure_gateway_account
from payments.services.actors import SYSTEM
from payments.services.commands import capture_payment
from payments.services.execution import advance_payment
from payments.services.inbox import drain_inbox
from payments.services.refunds import advance_refund, request_refund
from payments.services.settlement import apart
from payments.states import PaymentState, Source
from tests.payments.disputes.test_stripe import hear_all
from tests.payments.disputes.told import record
from tests.payments.factories import Clock, paid, sweep_until_quiet
from tests.simulator_fixture import SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)
RETURN = "https://shop.example/back"


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


def give_back(payment: Payment, amount_minor: int, clock: Clock) -> None:
    request_refund(payment.public_id, amount_minor=amount_minor, reason="returned", actor=SYSTEM, now=clock())
    advance_refund(Refund.objects.latest("id").pk, clock)


def capture(payment: Payment, amount_minor: int, clock: Clock, *, final: bool) -> None:
    capture_payment(payment.public_id, amount_minor=amount_minor, final=final, actor=SYSTEM, now=clock())
    advance_payment(payment.pk, clock)


def worths(kind: str) -> list[int | None]:
    return [*Movement.objects.filter(kind=kind).order_by("id").values_list("settlement_minor", flat=True)]


def told() -> list[str]:
    """What was decided of settlement money that was named or told, in order."""
    rows = Transition.objects.filter(fact="settlement_told").order_by("id")
    return [*rows.values_list("verdict", flat=True)]


def test_a_sale_and_its_refund_say_it_in_their_answers(stripe: SimulatorProcess, clock: Clock) -> None:
    payment = paid(clock, amount_minor=10_000, currency="EUR")
    assert not LookUp.objects.exists()
    give_back(payment, 2_500, clock)

    sale, refund = Movement.objects.get(kind="capture"), Movement.objects.get(kind="refund")
    assert (sale.settlement_currency, refund.settlement_currency) == ("USD", "USD")
    assert sale.settlement_minor is not None and refund.settlement_minor is not None
    assert sale.settlement_minor > 10_000
    assert sale.settlement_fee_minor and sale.settlement_fee_minor > 0
    assert sale.exchange_rate is not None and sale.exchange_rate > 1
    assert -refund.settlement_minor == sale.settlement_minor // 4


def test_webhooks_that_only_name_it_ask_for_nothing_that_is_known(stripe: SimulatorProcess, clock: Clock) -> None:
    payment = paid(clock)
    give_back(payment, 400, clock)
    heard_before = len(told())

    hear_all(stripe, clock, twice=True)

    payment.refresh_from_db()
    assert (payment.state, payment.next_check_at) == (PaymentState.CAPTURED, None)
    assert len(told()) > heard_before
    assert set(told()) == {"no_op"}


@pytest.mark.parametrize("shuffled", [None, 1, 2])
def test_what_a_webhook_alone_has_told_is_asked_for_once(
    stripe: SimulatorProcess, clock: Clock, shuffled: int | None
) -> None:
    payment = paid(clock, token="tok_3ds", return_url=RETURN)
    stripe.act("approve", gateway="stripe", reference=payment.attempts.get().reference)
    hear_all(stripe, clock, shuffled=shuffled)
    sweep_until_quiet(clock, rounds=2)

    assert worths("capture") == [1000]
    asked = LookUp.objects.count()
    InboundEvent.objects.update(state="received", next_check_at=clock())
    drain_inbox(clock)
    sweep_until_quiet(clock, rounds=4)
    assert (asked, LookUp.objects.count()) == (1, 1)
    assert not InboundEvent.objects.filter(state="parked").exists()


def test_of_several_captures_each_answer_tells_its_own(stripe: SimulatorProcess, clock: Clock) -> None:
    payment = paid(clock, capture="manual")
    for amount_minor, final in ((300, False), (300, False), (250, True)):
        capture(payment, amount_minor, clock, final=final)

    assert worths("capture") == [300, 300, 250]
    assert len(set(Movement.objects.filter(kind="capture").values_list("settlement_id", flat=True))) == 3


def test_of_a_capture_whose_answer_was_lost_it_is_asked_for(stripe: SimulatorProcess, clock: Clock) -> None:
    payment = paid(clock, capture="manual")
    stripe.fault("lost_response", "capture", gateway="stripe", times=1)
    capture(payment, 1000, clock, final=True)
    hear_all(stripe, clock)
    assert worths("capture") == [None]

    sweep_until_quiet(clock, rounds=2)

    assert worths("capture") == [1000]


def test_an_answer_that_a_webhook_overtook_tells_it_of_the_movement_that_is_its_own(
    stripe: SimulatorProcess, clock: Clock
) -> None:
    payment = paid(clock, capture="manual")
    for amount_minor in (300, 400):
        capture(payment, amount_minor, clock, final=False)
    Movement.objects.filter(kind="capture").update(settlement_id="", settlement_minor=None)
    worth = SettlementTold("txn_late", Money(400, "USD"), Money(40, "USD"))
    answer = Fact(
        FactKind.CAPTURE,
        Source.ANSWER,
        clock(),
        gateway_id=payment.attempts.get().gateway_id,
        money=Money(700, "USD"),
        running_total=True,
        settlement=worth,
    )

    stripe_account = payment.attempts.get().gateway_account
    assert not record(answer, clock, account=stripe_account).changed
    assert record(apart(answer), clock, account=stripe_account).changed

    assert worths("capture") == [None, 400]
