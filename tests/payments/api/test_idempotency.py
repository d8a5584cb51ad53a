"""Is a keyed POST executed once and answered alike ever after?"""

from __future__ import annotations

import json
from contextlib import nullcontext
from datetime import timedelta

import pytest
from django.utils import timezone

from payments.errors import Forbidden, NotAllowedNow, PaymentsError
from payments.models import ApiToken, IdempotencyRecord, Payer, Payment
from payments.services.idempotency import Executed, KeyedCall, answer_once, forget_old_answers
from payments.services.tokens import Caller, issue_token
from tests.payments.api.callers import MerchantSystem, assert_problem, intent

pytestmark = pytest.mark.django_db


def test_a_replay_is_the_first_answer_byte_for_byte(merchant: MerchantSystem) -> None:
    first = merchant.post("/payments", intent(), key="k")
    Payment.objects.update(state="captured", waits_for="")  # the world went on

    second = merchant.post("/payments", intent(), key="k")

    assert (first.status_code, second.status_code) == (202, 202)
    assert second.content == first.content
    assert second.headers["Content-Type"] == first.headers["Content-Type"] == "application/json"
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert Payment.objects.count() == 1


def test_order_and_spacing_of_the_body_do_not_matter(merchant: MerchantSystem) -> None:
    first = merchant.post("/payments", intent(metadata={"a": 1, "b": 2}), key="k")
    turned = json.dumps(dict(reversed(intent(metadata={"b": 2, "a": 1}).items())), indent=3).encode()

    second = merchant.post("/payments", turned, key="k")

    assert (second.status_code, second.content) == (202, first.content)


def test_the_same_key_with_another_body_is_refused(merchant: MerchantSystem) -> None:
    first = merchant.post("/payments", intent(), key="k")

    assert_problem(
        merchant.post("/payments", intent(amount_minor=1235), key="k"), 422, "idempotency_key_reused", "Idempotency-Key"
    )
    assert merchant.post("/payments", intent(), key="k").content == first.content
    assert Payment.objects.count() == 1


def test_a_refusal_of_the_service_is_an_answer_and_is_replayed(merchant: MerchantSystem) -> None:
    other = merchant.create()
    refused = merchant.post("/payments", intent(), key="k")
    problem = assert_problem(refused, 409, "duplicate_reference", "reference")
    assert problem["payment_id"] == other
    Payment.objects.update(state="failed", waits_for="", next_check_at=None)  # it would be possible now

    again = merchant.post("/payments", intent(), key="k")

    assert (again.status_code, again.content) == (409, refused.content)
    assert again.headers["Content-Type"] == "application/problem+json"
    assert again.headers["Idempotent-Replayed"] == "true"
    assert merchant.post("/payments", intent(), key="k2").status_code == 202


def test_a_refused_use_case_leaves_nothing_but_its_answer(merchant: MerchantSystem) -> None:
    body = intent(method={"type": "card", "credentials": {"elsewhere": "x"}}, payer={"id": "7"})

    assert_problem(merchant.post("/payments", body), 422, "invalid_input", "method.credentials.elsewhere")

    assert (Payment.objects.count(), Payer.objects.count()) == (0, 0)  # the payer had been written already
    assert IdempotencyRecord.objects.get().status == 422


def keyed_call(key: str) -> KeyedCall:
    issue_token("shop", now=timezone.now())
    caller = Caller(ApiToken.objects.get().pk, "shop", frozenset())
    return KeyedCall(caller, "POST", "/api/v1/payments", key, "digest")


@pytest.mark.parametrize(("refusal", "kept"), [(NotAllowedNow("not now"), 1), (Forbidden("not you"), 0)])
def test_what_a_use_case_wrote_before_it_refused_is_taken_back(refusal: PaymentsError, kept: int) -> None:
    def execute() -> Executed:
        Payer.objects.create(name="Ada")
        raise refusal

    with nullcontext() if kept else pytest.raises(Forbidden):
        assert answer_once(keyed_call("k"), execute, now=timezone.now()).status == 409

    assert (Payer.objects.count(), IdempotencyRecord.objects.count()) == (0, kept)


def test_a_fault_stores_no_answer_and_the_key_stays_free() -> None:
    def fail() -> Executed:
        Payer.objects.create(name="Ada")
        raise RuntimeError("a bug")

    call = keyed_call("k")
    with pytest.raises(RuntimeError):
        answer_once(call, fail, now=timezone.now())

    assert (Payer.objects.count(), IdempotencyRecord.objects.count()) == (0, 0)


def test_keys_of_other_paths_and_tokens_are_other_keys(merchant: MerchantSystem) -> None:
    other = MerchantSystem(issue_token("other shop", now=timezone.now()).token)
    first = merchant.post("/payments", intent(reference="a"), key="k").json()["id"]
    second = other.post("/payments", intent(reference="b"), key="k").json()["id"]
    cancelled = merchant.post(f"/payments/{first}/cancel", {}, key="k")

    assert first != second
    assert cancelled.status_code in {200, 202}
    assert IdempotencyRecord.objects.count() == 3


def test_a_renewed_token_keeps_its_owners_keys(merchant: MerchantSystem) -> None:
    first = merchant.post("/payments", intent(), key="k")
    renewed = MerchantSystem(issue_token("shop", now=timezone.now()).token)

    assert renewed.post("/payments", intent(), key="k").content == first.content


@pytest.mark.parametrize("key", ["", "a b", "ä", "k" * 256, "a\tb"])
def test_a_key_is_needed_and_is_visible_ascii(merchant: MerchantSystem, key: str) -> None:
    assert_problem(merchant.post("/payments", intent(), key=key), 400, "unreadable_request", "Idempotency-Key")
    assert not IdempotencyRecord.objects.exists()


def test_the_longest_key_is_kept(merchant: MerchantSystem) -> None:
    assert merchant.post("/payments", intent(), key="~" * 255).status_code == 202


def test_invalid_input_does_not_use_the_key_up(merchant: MerchantSystem) -> None:
    assert merchant.post("/payments", intent(amount_minor=0), key="k").status_code == 422
    assert merchant.post("/payments", intent(), key="k").status_code == 202


def test_commands_are_keyed_too(merchant: MerchantSystem) -> None:
    payment = merchant.create()
    for path, body in (("capture", {}), ("cancel", {}), ("refunds", {"amount_minor": 1, "reason": "r"})):
        assert_problem(
            merchant.post(f"/payments/{payment}/{path}", body, key=""), 400, "unreadable_request", "Idempotency-Key"
        )


def test_answers_are_kept_for_ninety_days(merchant: MerchantSystem) -> None:
    now = timezone.now()
    merchant.post("/payments", intent(), key="old")
    merchant.post("/payments", intent(reference="b"), key="young")
    IdempotencyRecord.objects.filter(key="old").update(created_at=now - timedelta(days=90, seconds=1))
    IdempotencyRecord.objects.filter(key="young").update(created_at=now - timedelta(days=89, hours=23))

    assert forget_old_answers(now) == 1
    assert [record.key for record in IdempotencyRecord.objects.all()] == ["young"]
    assert ApiToken.objects.count() == 1
