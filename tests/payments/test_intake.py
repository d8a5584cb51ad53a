"""How does a payment enter, whatever the door? Refusals name the field and write nothing."""

from __future__ import annotations

from threading import Thread

import pytest
from django.db import connection

from payments.errors import CardNumberRefused, DuplicateReference, Forbidden, InvalidInput
from payments.models import Credential, GatewayAccount, Payer, Payment, PaymentMethod
from payments.services.accounts import edit_gateway_account
from payments.services.actors import SYSTEM
from payments.services.execution import advance_payment
from payments.services.intake import MethodRequest, PayerRequest, PaymentRequest, create_payment
from payments.states import PaymentState
from tests.payments.factories import Clock, new_payment, nmi_account, operator

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def account() -> GatewayAccount:
    return nmi_account()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def request(**fields: object) -> PaymentRequest:
    known: dict[str, object] = {
        "amount_minor": 1000,
        "currency": "USD",
        "reference": "order-1",
        "method": MethodRequest("card", token="tok_ok"),
    }
    return PaymentRequest(**{**known, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"amount_minor": 0}, "amount_minor"),
        ({"amount_minor": -5}, "amount_minor"),
        ({"currency": "XXQ"}, "currency"),
        ({"currency": "usd"}, "currency"),
        ({"reference": "  "}, "reference"),
        ({"gateway": "stripe"}, "gateway"),
        ({"gateway": "nmi", "currency": "JPY"}, "currency"),
        ({"method": MethodRequest("crypto", token="x")}, "method.type"),
        ({"method": MethodRequest("card")}, "method.credentials"),
        ({"method": MethodRequest("card", credentials={"nowhere": "x"})}, "method.credentials.nowhere"),
        ({"method": MethodRequest("card", payment_method="pm_nobody")}, "method.payment_method"),
    ],
)
def test_what_can_not_be_used_is_refused_by_field_and_nothing_is_written(fields, field, clock):
    with pytest.raises(InvalidInput) as refused:
        create_payment(request(**fields), actor=SYSTEM, now=clock())

    assert refused.value.field == field
    assert (Payment.objects.count(), Payer.objects.count(), PaymentMethod.objects.count()) == (0, 0, 0)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"reference": "4111 1111 1111 1111"}, "reference"),
        ({"payer": PayerRequest(name="4111-1111-1111-1111")}, "payer.name"),
        ({"method": MethodRequest("card", token="4111111111111111")}, "method.token"),
        ({"metadata": {"note": ["5431111111111111"]}}, "metadata.note.0"),
    ],
)
def test_a_card_number_is_refused_and_not_repeated(fields, field, clock):
    with pytest.raises(CardNumberRefused) as refused:
        create_payment(request(**fields), actor=SYSTEM, now=clock())

    assert refused.value.field == field
    assert "1111" not in refused.value.detail
    assert Payment.objects.count() == 0


def test_an_open_or_paid_payment_of_the_reference_bars_another_unless_it_is_allowed(clock):
    first = create_payment(request(), actor=SYSTEM, now=clock())

    with pytest.raises(DuplicateReference) as refused:
        create_payment(request(), actor=SYSTEM, now=clock())
    assert refused.value.extra == {"payment_id": first.public_id}
    create_payment(request(allow_another=True), actor=SYSTEM, now=clock())
    assert Payment.objects.count() == 2


def test_two_intents_of_one_reference_at_once_make_one_payment(clock):
    answers: list[str] = []

    def ask() -> None:
        try:
            answers.append(create_payment(request(), actor=SYSTEM, now=clock()).public_id)
        except DuplicateReference as refused:
            answers.append(refused.code)
        finally:
            connection.close()

    threads = [Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers.count("duplicate_reference") == 7
    assert Payment.objects.count() == 1


def test_a_demo_token_becomes_a_credential_of_each_account_that_is_not_live(clock):
    GatewayAccount.objects.create(slug="real", provider="nmi", name="Real", live=True)

    payment = new_payment(clock)

    assert [(c.gateway_account.slug, c.token) for c in Credential.objects.all()] == [("nmi", "nmi_tok_ok")]
    assert payment.state == PaymentState.INITIATED


def test_creating_needs_the_right(clock):
    with pytest.raises(Forbidden):
        create_payment(request(), actor=operator("refund_payment"), now=clock())


class TestGatewayAccounts:
    def test_clocks_below_the_adapters_rule_are_refused(self, account):
        actor = operator("edit_gateway_account")

        with pytest.raises(InvalidInput) as refused:
            edit_gateway_account("nmi", {"absence_look_ups": 2}, version=account.version, actor=actor)
        assert refused.value.field == "absence_look_ups"
        with pytest.raises(InvalidInput):
            edit_gateway_account("nmi", {"absence_seconds": 60}, version=account.version, actor=actor)
        with pytest.raises(InvalidInput):
            edit_gateway_account("nmi", {"slug": "other"}, version=account.version, actor=actor)

    def test_an_edit_counts_the_version_and_an_older_form_is_refused(self, account):
        actor = operator("edit_gateway_account")

        edited = edit_gateway_account("nmi", {"enabled": False}, version=account.version, actor=actor)

        assert (edited.enabled, edited.version) == (False, account.version + 1)
        with pytest.raises(Exception, match="changed since"):
            edit_gateway_account("nmi", {"enabled": True}, version=account.version, actor=actor)

    def test_a_switched_off_account_is_no_route_and_the_page_can_say_so(self, account, clock):
        edit_gateway_account("nmi", {"enabled": False}, version=0, actor=operator("edit_gateway_account"))
        payment = new_payment(clock)

        advance_payment(payment.pk, clock)

        payment.refresh_from_db()
        assert payment.state == PaymentState.FAILED
        assert "switched off" in payment.transitions.get(fact="no_route").because
