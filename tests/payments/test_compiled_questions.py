"""Does a question that was compiled once read what the query set would, also the second time and of another number?"""

from __future__ import annotations

import pytest
from django.db import transaction
from django.db.transaction import TransactionManagementError

from payments.models import Attempt, Operation, Payment
from payments.queries.compiled import Question
from payments.services.case import lock_payment
from tests.payments.admin.payment_scenes import sent, set_credentials
from tests.payments.factories import Clock, new_payment, nmi_account

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    set_credentials(monkeypatch)


def test_reads_every_column_of_the_rows_of_its_number_and_no_others() -> None:
    now = Clock()()
    first, second = sent(now, reference="order-1"), sent(now, reference="order-2")
    question = Question(lambda pk: Operation.objects.filter(payment=pk).order_by("id"))

    for payment in (first, second, first):
        [asked], [read] = list(payment.operations.all()), question(payment.pk)
        assert {f.attname: getattr(asked, f.attname) for f in Operation._meta.concrete_fields} == {
            f.attname: getattr(read, f.attname) for f in Operation._meta.concrete_fields
        }
    assert question(-5) == []


def test_reads_what_has_changed_since() -> None:
    nmi_account()
    payment = new_payment(Clock())
    question = Question(lambda pk: Payment.objects.filter(pk=pk))
    question(payment.pk)

    Payment.objects.filter(pk=payment.pk).update(return_url="https://shop.example")

    assert [row.return_url for row in question(payment.pk)] == ["https://shop.example"]


def test_locks_inside_a_transaction_and_refuses_to_outside_one() -> None:
    payment = sent(Clock()())

    for _ in range(2):  # also once it is compiled
        with transaction.atomic():
            case = lock_payment(payment.pk)
        assert case.payment == payment and case.operations[0].payment is case.payment
        assert [a.gateway_account.slug for a in case.attempts] == ["nmi"]
        with pytest.raises(TransactionManagementError):
            lock_payment(payment.pk)
    with transaction.atomic(), pytest.raises(Payment.DoesNotExist):
        lock_payment(-5)


def test_one_with_another_value_is_refused_when_it_is_first_asked() -> None:
    question = Question(lambda pk: Attempt.objects.filter(payment=pk, state="open"))

    with pytest.raises(ValueError, match="one number"):
        question(1)
