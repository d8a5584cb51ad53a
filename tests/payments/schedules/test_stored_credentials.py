"""What is said on the wire of a charge without its payer? The first payment keeps the card; later ones refer to it."""

from __future__ import annotations

import pytest

from payments.errors import InvalidInput
from payments.models import Payment
from payments.services.actors import SYSTEM
from payments.services.schedules.making import make_schedule
from payments.states import ScheduleState
from tests.payments.factories import Clock
from tests.payments.schedules.scenes import first_payment, fresh, schedule, stored_method, wish, work
from tests.simulator_fixture import SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)


def test_nmi_is_told_who_began_it_and_which_transaction_stored_the_card(
    simulator: SimulatorProcess, clock: Clock
) -> None:
    method = first_payment(clock, "nmi_once_17")
    schedule(clock, method)
    work(clock)

    first, later = simulator.books()["transactions"]
    assert first["flags"] == {
        "initiated_by": "customer",
        "stored_credential_indicator": "stored",
        "customer_vault": "add_customer",
    }
    assert later["flags"] == {
        "initiated_by": "merchant",
        "stored_credential_indicator": "used",
        "billing_method": "recurring",
        "initial_transaction_id": first["transaction_id"],
    }
    assert method.credentials.get().network_transaction_id == first["transaction_id"]
    assert Payment.objects.get(initiated_by="merchant").state == "captured"


def test_stripe_charges_the_customer_s_card_off_session(gateways: SimulatorProcess, clock: Clock) -> None:
    method = first_payment(clock, "stripe_once_17", slug="stripe", return_url="https://shop.example/back")
    assert method.credentials.get().customer.startswith("cus_")
    schedule(clock, method)
    work(clock)

    assert [*Payment.objects.order_by("id").values_list("initiated_by", "state")] == [
        ("customer", "captured"),
        ("merchant", "captured"),
    ]
    assert len(gateways.movements(gateway="stripe")) >= 2


def test_a_card_whose_bank_wants_the_payer_is_refused_and_nobody_is_waited_for(
    gateways: SimulatorProcess, clock: Clock
) -> None:
    monthly = schedule(clock, stored_method("pm_card_threeDSecure2Required", slug="stripe"))
    work(clock)
    clock.pass_(hours=2)
    work(clock)

    payment = Payment.objects.get()
    assert payment.state == "failed"
    assert [a.failure_class for a in payment.attempts.all()] == ["authentication_required"]
    assert [a.awaits_payer for a in payment.attempts.all()] == [False]
    assert fresh(monthly).state == ScheduleState.ACTIVE, "the bank may let the next one pass"


def test_a_token_that_works_once_can_not_be_charged_again_and_again(simulator: SimulatorProcess, clock: Clock) -> None:
    method = stored_method("nmi_once_18")
    method.credentials.update(reusable=False)

    with pytest.raises(InvalidInput, match="No gateway keeps a stored credential for it") as refused:
        make_schedule(wish(clock, method), actor=SYSTEM, now=clock())

    assert refused.value.field == "payment_method"
