"""Is what the networks forbid forbidden on every way to a call? Through the services, against the simulated gateways."""

from __future__ import annotations

from datetime import timedelta

import pytest

from payments.errors import NotAllowedNow
from payments.models import DeclineRule, NetworkCeiling, Operation, Payment, PaymentMethod, Retry, UnmappedCode
from payments.services.declining import ceiling_reached
from payments.services.execution import advance_payment
from payments.services.payer_page import look_at
from payments.services.retries import retry_now
from payments.services.sweep import sweep
from payments.states import PaymentState
from tests.payments.declines.rows import refused as refused_row
from tests.payments.declines.simulated import followed, intent, point_at, refused
from tests.payments.factories import Clock, operator
from tests.simulator_fixture import SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)
DAY = timedelta(days=1)


@pytest.fixture
def simulator(simulator_process: SimulatorProcess, monkeypatch: pytest.MonkeyPatch) -> SimulatorProcess:
    point_at(simulator_process, monkeypatch)
    return simulator_process


def calls(payment: Payment) -> int:
    return Operation.objects.filter(payment=payment).count()


def days_pass(clock: Clock, number: int) -> None:
    for _ in range(number):
        clock.pass_(days=1)
        assert sweep(clock).failed == {}


@pytest.mark.usefixtures("simulator")
class TestForbidden:
    @pytest.mark.parametrize(
        "code",
        [
            "do_not_honor+advice_03+network_05", "insufficient_funds+advice_21+network_51", "try_again_later+advice_40",
            "generic_decline+network_57", "do_not_honor+do_not_try_again", "processing_error+advice_41+try_again_later",
            "issuer_not_available+advice_42",
        ],
    )  # fmt: skip
    def test_a_code_that_could_be_tried_again_is_not_by_anybody(self, code: str) -> None:
        clock = Clock()
        payment, operation = refused("stripe", code, clock, another=True)
        assert (payment.state, operation.failure_class) == (PaymentState.FAILED, "hard_decline")

        days_pass(clock, 20)
        with pytest.raises(NotAllowedNow):
            retry_now(payment.public_id, actor=operator("retry_payment"), now=clock())

        assert (calls(payment), Retry.objects.count()) == (1, 0)

    def test_no_rule_of_ours_brings_it_back(self) -> None:
        DeclineRule.objects.create(provider="stripe", code="do_not_honor", failure_class="soft_decline", version=1,
                                   next_step="retry_later", retry_after_seconds=0)  # fmt: skip
        clock = Clock()

        payment, operation = refused("stripe", "do_not_honor+advice_03", clock, another=True)

        assert (payment.state, operation.failure_class, calls(payment)) == (PaymentState.FAILED, "hard_decline", 1)

    def test_the_same_card_is_not_asked_for_another_payment_either(self) -> None:
        clock = Clock()
        first, _ = refused("stripe", "do_not_honor+advice_03", clock)
        first.method.refresh_from_db()
        assert first.method.fingerprint.startswith("stripe:")  # the refusal told the card

        again = intent("stripe", "tok_decline_do_not_honor+advice_03", clock, reference="order-2", method=first.method)
        advance_payment(again.pk, clock)

        again.refresh_from_db()
        assert (again.state, calls(again)) == (PaymentState.FAILED, 0)
        assert "not asked again before" in again.transitions.latest("id").inputs["fact"]["message"]

    def test_a_card_that_came_under_two_tokens_is_known_by_its_fingerprint(self) -> None:
        clock = Clock()
        one, _ = refused("stripe", "do_not_honor", clock, reference="order-1")
        other, _ = refused("stripe", "do_not_honor", clock, reference="order-2")
        NetworkCeiling.objects.all().delete()
        NetworkCeiling.objects.create(network="mastercard", declines=2, window_hours=720)

        for payment in (one, other):
            payment.method.refresh_from_db()
            assert "declined 2 times" in ceiling_reached(payment.method, payment.money, clock())
        assert one.method.pk != other.method.pk


@pytest.mark.usefixtures("simulator")
class TestWhatTheNetworkTimes:
    @pytest.mark.parametrize(
        ("advice", "wait"),
        [("24", DAY), ("25", DAY), ("26", 2 * DAY), ("27", 4 * DAY), ("28", 6 * DAY), ("30", 10 * DAY)],
    )
    def test_is_tried_again_no_sooner(self, advice: str, wait: timedelta) -> None:
        clock = Clock()
        payment, operation = refused("stripe", f"generic_decline+advice_{advice}+network_05", clock)

        retry = Retry.objects.get(payment=payment)

        assert operation.ended_at is not None
        assert timedelta() <= retry.due_at - operation.ended_at - wait < timedelta(seconds=20)
        if wait > DAY:
            with pytest.raises(NotAllowedNow, match="allows another try from"):
                retry_now(payment.public_id, actor=operator("retry_payment"), now=clock())

    def test_try_again_later_lifts_a_final_code_of_the_gateway(self) -> None:
        payment, operation = refused("stripe", "service_not_allowed+try_again_later", Clock())

        assert (operation.failure_class, payment.state) == ("soft_decline", PaymentState.PENDING)


@pytest.mark.usefixtures("simulator")
class TestCeilings:
    def test_the_last_allowed_decline_is_the_last_call(self) -> None:
        NetworkCeiling.objects.all().delete()
        clock = Clock()
        payment, first = refused("nmi", "201", clock)
        NetworkCeiling.objects.create(network="mastercard", declines=2, window_hours=720)
        NetworkCeiling.objects.create(network="", declines=2, window_hours=720)

        days_pass(clock, 20)

        payment.refresh_from_db()
        assert (payment.state, calls(payment)) == (PaymentState.FAILED, 2)
        assert first.failure_class == "soft_decline"
        with pytest.raises(NotAllowedNow, match="declined 2 times within 30 days"):
            retry_now(payment.public_id, actor=operator("retry_payment"), now=clock())

    def test_a_card_at_its_ceiling_is_not_asked_at_all(self, simulator: SimulatorProcess) -> None:
        NetworkCeiling.objects.all().delete()
        clock = Clock()
        payment = intent("nmi", "tok_ok", clock)
        PaymentMethod.objects.filter(pk=payment.method_id).update(brand="visa", fingerprint="nmi:card-1")
        payment.method.refresh_from_db()
        for _ in range(15):
            refused_row(payment, clock() - 2 * DAY)
        before = calls(payment)

        advance_payment(payment.pk, clock)

        payment.refresh_from_db()
        assert (payment.state, calls(payment), simulator.movements()) == (PaymentState.FAILED, before, [])
        assert "declined 15 times within 30 days" in payment.transitions.latest("id").inputs["fact"]["message"]


@pytest.mark.usefixtures("simulator")
def test_the_payer_reads_our_words_for_a_code() -> None:
    DeclineRule.objects.create(
        provider="nmi", code="203", failure_class="limit_exceeded", payer_wording="Please pay in two parts.", version=1
    )
    clock = Clock()
    payment, _ = refused("nmi", "203", clock)
    other, _ = refused("nmi", "223", clock, reference="order-2")

    assert (look_at(payment.token or "").words, look_at(other.token or "").words) == (
        "Please pay in two parts.",
        "This card has expired. Please use another card.",
    )


@pytest.mark.usefixtures("simulator")
def test_a_code_of_tomorrow_stops_and_is_collected_until_it_has_a_class() -> None:
    clock = Clock()
    payment, operation = refused("stripe", "a_reason_of_tomorrow", clock, reference="order-1")

    assert (payment.state, operation.failure_class) == (PaymentState.FAILED, "unknown")
    assert payment.reviews.get().kind == "payment_stopped"
    row = UnmappedCode.objects.get()
    assert (row.provider, row.code, row.seen, row.money, row.sample) == (
        "stripe", "a_reason_of_tomorrow", 1, {"USD": 1000}, operation,
    )  # fmt: skip

    DeclineRule.objects.create(provider="stripe", code="a_reason_of_tomorrow", failure_class="soft_decline", version=1)
    again = intent("stripe", "tok_decline_a_reason_of_tomorrow", clock, reference="order-2")
    payment, operation = followed(again, clock)

    assert (payment.state, operation.failure_class) == (PaymentState.PENDING, "soft_decline")
    assert UnmappedCode.objects.get().seen == 1
