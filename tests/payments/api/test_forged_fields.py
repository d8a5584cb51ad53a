"""Can a merchant's body pass for something of ours, or carry what no gateway issues?"""

from __future__ import annotations

import pytest

from payments.models import Payment
from payments.services.intake import REQUEST_ID
from tests.payments.api.callers import MerchantSystem, assert_problem, intent
from tests.payments.batches.uploads import run_rounds, started
from tests.payments.factories import Clock

pytestmark = pytest.mark.django_db(transaction=True)


def test_nobody_names_a_request_that_others_will_make(merchant: MerchantSystem) -> None:
    answer = merchant.post("/payments", intent(metadata={REQUEST_ID: "bat_x:2"}))

    assert_problem(answer, 422, "invalid_input", field=f"metadata.{REQUEST_ID}")
    assert Payment.objects.count() == 0


def test_a_payment_does_not_pass_for_the_payment_of_an_uploaded_row(merchant: MerchantSystem) -> None:
    clock = Clock()
    batch = started(clock, "order-9")
    merchant.create(reference="order-9", amount_minor=1, metadata={"request_id": f"{batch.public_id}:2"})

    run_rounds(batch, clock, rounds=2)

    row = batch.rows.get()
    assert (row.state, row.payment) == ("failed", None)
    assert "of this reference is initiated" in str(row.problems)


@pytest.mark.parametrize("token", ["   ", "a b", "vault:", "vault:\r\nX: y", "tok\u202e", "a\u200bb"])
@pytest.mark.parametrize("by_account", [True, False])
def test_what_no_gateway_issues_is_no_credential(merchant: MerchantSystem, token: str, by_account: bool) -> None:
    method = {"credentials": {"nmi": token}} if by_account else {"token": token}
    answer = merchant.post("/payments", intent(method={"type": "card"} | method))

    assert_problem(answer, 422, "invalid_input", field="method.credentials.nmi" if by_account else "method.token")
    assert Payment.objects.count() == 0
