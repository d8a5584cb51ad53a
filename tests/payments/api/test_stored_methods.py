"""What does a merchant hear who pays again with a method that can not be used? A refusal that is kept under the key."""

from __future__ import annotations

import pytest
from django.utils import timezone

from payments.models import Credential, Payment, PaymentMethod
from payments.services.methods import record_block
from tests.payments.api.callers import MerchantSystem, assert_problem, intent

pytestmark = pytest.mark.django_db(transaction=True)
FIELD = "method.payment_method"


@pytest.fixture
def method(merchant: MerchantSystem) -> PaymentMethod:
    """Of a first payment, with a token that works once."""
    merchant.create(method={"type": "card", "token": "nmi_once_1"})
    return PaymentMethod.objects.get()


def again(method: PaymentMethod, **changes: object) -> dict[str, object]:
    stored = {"type": "card", "payment_method": method.public_id}
    return intent(reference="order-18", method=stored, **changes)


def test_a_spent_one_is_refused_in_a_sentence(merchant: MerchantSystem, method: PaymentMethod) -> None:
    Credential.objects.update(used_at=timezone.now())
    problem = assert_problem(merchant.post("/payments", again(method)), 422, "invalid_input", FIELD)
    assert problem["detail"].endswith(
        "Gateway accounts hold no stored credential for it, and its single-use token is spent."
    )
    assert Payment.objects.count() == 1


def test_a_blocked_one_is_refused_and_the_refusal_is_replayed(merchant: MerchantSystem, method: PaymentMethod) -> None:
    record_block(method, because="NMI answered 253: fraud", by="", now=timezone.now())
    first = merchant.post("/payments", again(method), key="again")
    assert "NMI answered 253: fraud" in assert_problem(first, 422, "invalid_input", FIELD)["detail"]
    PaymentMethod.objects.update(blocked_at=None)
    second = merchant.post("/payments", again(method), key="again")
    assert (second.content, second.headers["Idempotent-Replayed"]) == (first.content, "true")
    assert merchant.post("/payments", again(method), key="once-more").status_code == 202


def test_one_without_a_credential_at_the_gateway_that_was_chosen_is_refused(
    merchant: MerchantSystem, method: PaymentMethod
) -> None:
    Credential.objects.all().delete()
    problem = assert_problem(merchant.post("/payments", again(method, gateway="nmi")), 422, "invalid_input", FIELD)
    assert "Gateway account nmi holds no credential for it." in problem["detail"]
