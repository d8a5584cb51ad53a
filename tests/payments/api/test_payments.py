"""What does a payment look like to the system that made it?"""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from payments.api.schemas import PaymentOut, PaymentPage, RefundOut
from payments.models import Attempt, GatewayAccount, Movement, Operation, Payment, Refund, Review
from payments.queries.api_views import payment_views
from tests.payments.api.callers import MerchantSystem, assert_problem, intent

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)
_numbers = itertools.count(1)


def attempt_of(payment: Payment, account: GatewayAccount) -> Attempt:
    number = payment.attempts.count() + 1
    return Attempt.objects.create(
        payment=payment, number=number, gateway_account=account, reference=f"a{next(_numbers)}", created_at=NOON
    )


def moved(attempt: Attempt, kind: str, amount_minor: int, **fields: Any) -> Movement:
    number = next(_numbers)
    return Movement.objects.create(
        **{
            "gateway_account": attempt.gateway_account,
            "gateway_id": f"t{number}",
            "kind": kind,
            "payment": attempt.payment,
            "attempt": attempt,
            "amount_minor": amount_minor,
            "currency": "USD",
            "occurred_at": NOON,
            "posted_at": NOON,
            "entry_source_key": f"e{number}",
        }
        | fields
    )


def operation_of(attempt: Attempt, state: str, **fields: Any) -> Operation:
    return Operation.objects.create(
        **{
            "payment": attempt.payment,
            "attempt": attempt,
            "gateway_account": attempt.gateway_account,
            "kind": "sale",
            "reference": f"o{next(_numbers)}",
            "amount_minor": 1234,
            "currency": "USD",
            "request": {},
            "state": state,
            "planned_at": NOON,
        }
        | fields
    )


def put_in(payment: Payment, state: str) -> None:
    Payment.objects.filter(pk=payment.pk).update(state=state)


def amounts(merchant: MerchantSystem, payment: Payment) -> tuple[int, int, int]:
    view = merchant.get(f"/payments/{payment.public_id}").json()
    return view["amount_authorised_minor"], view["amount_captured_minor"], view["amount_refunded_minor"]


@pytest.fixture
def payment(merchant: MerchantSystem) -> Payment:
    return Payment.objects.get(public_id=merchant.create())


class TestCreating:
    def test_answers_202_with_the_stored_intent(self, merchant: MerchantSystem) -> None:
        before = timezone.now()

        response = merchant.post("/payments", intent())

        assert response.status_code == 202
        view = response.json()
        stored = Payment.objects.get()
        created = datetime.fromisoformat(view["created_at"])
        assert before <= created <= timezone.now()
        assert view == {
            "id": stored.public_id,
            "state": "initiated",
            "waits_for": "worker",
            "cancel_requested": False,
            "amount_minor": 1234,
            "currency": "USD",
            "reference": "order-17",
            "amount_authorised_minor": 0,
            "amount_captured_minor": 0,
            "amount_refunded_minor": 0,
            "gateway": None,
            "review": None,
            "pay_url": None,
            "failure": None,
            "expires_at": view["expires_at"],
            "metadata": {},
            "created_at": view["created_at"],
            "updated_at": view["created_at"],
        }

    def test_every_member_of_the_body_is_stored(self, merchant: MerchantSystem) -> None:
        body = intent(
            amount_minor=2**63 - 1,
            payer={"id": "c-7", "email": "ada@example.test", "name": "Ada Läufer"},
            method={"type": "card", "credentials": {"nmi": "token-of-the-form"}},
            capture="manual",
            gateway="nmi",
            accept_partial=True,
            goods_class="digital",
            return_url="https://shop.example.test/thanks?o=17",
            expires_in_seconds=60,
            metadata={"basket": {"lines": [1, "two", None, True, 2.5]}, "größe": "XL"},
        )

        view = merchant.post("/payments", body).json()

        stored = Payment.objects.select_related("payer", "method").get()
        credential = stored.method.credentials.get()
        assert stored.payer is not None
        assert (stored.payer.external_id, stored.payer.email, stored.payer.name) == (
            "c-7",
            "ada@example.test",
            "Ada Läufer",
        )
        assert (credential.gateway_account.slug, credential.token) == ("nmi", "token-of-the-form")
        assert (stored.amount_minor, stored.capture_mode, stored.accept_partial) == (2**63 - 1, "manual", True)
        assert (stored.goods_class, stored.return_url) == ("digital", "https://shop.example.test/thanks?o=17")
        assert (stored.expires_at - stored.created_at).total_seconds() == 60
        assert stored.metadata == view["metadata"] == body["metadata"]
        assert view["gateway"] == "nmi"

    def test_members_that_may_be_absent_may_be_null(self, merchant: MerchantSystem) -> None:
        nulls = {"payer": None, "gateway": None, "return_url": None, "expires_in_seconds": None}
        assert merchant.post("/payments", intent() | nulls).status_code == 202

    def test_a_stored_payment_method_can_pay_again(self, merchant: MerchantSystem, payment: Payment) -> None:
        method = {"type": "card", "payment_method": payment.method.public_id}
        merchant.create(reference="order-18", method=method)
        assert Payment.objects.filter(method=payment.method).count() == 2

    def test_a_second_payment_of_a_reference_must_be_wanted(self, merchant: MerchantSystem, payment: Payment) -> None:
        problem = assert_problem(merchant.post("/payments", intent()), 409, "duplicate_reference", "reference")
        assert problem["payment_id"] == payment.public_id
        assert merchant.post("/payments", intent(allow_another=True)).status_code == 202

    @pytest.mark.parametrize("kind", ["upi", "crypto", "wallet"])
    def test_a_method_no_gateway_takes_is_said(self, merchant: MerchantSystem, kind: str) -> None:
        response = merchant.post("/payments", intent(method={"type": kind, "token": "x"}))
        assert_problem(response, 422, "invalid_input", "method.type")


class TestReading:
    def test_what_is_answered_is_what_the_documentation_says(
        self, merchant: MerchantSystem, payment: Payment, account: GatewayAccount
    ) -> None:
        operation_of(attempt_of(payment, account), "declined", code="202", failure_class="insufficient_funds")
        shown = merchant.get(f"/payments/{payment.public_id}")
        PaymentOut.model_validate_json(shown.content)
        PaymentPage.model_validate_json(merchant.get("/payments", {"reference": "order-17"}).content)

    def test_amounts_are_sums_of_movements(
        self, merchant: MerchantSystem, payment: Payment, account: GatewayAccount
    ) -> None:
        attempt = attempt_of(payment, account)
        put_in(payment, "authorised")
        moved(attempt, "authorisation", 1234)
        assert amounts(merchant, payment) == (1234, 0, 0)
        moved(attempt, "void", 34)  # a part of the hold was let go
        assert amounts(merchant, payment) == (1200, 0, 0)
        moved(attempt, "capture", 1000)
        put_in(payment, "captured")
        assert amounts(merchant, payment) == (1234, 1000, 0)
        moved(attempt, "capture", -100, revision=1)  # restated
        moved(attempt, "refund", 300)
        moved(attempt, "refund", 300)
        moved(attempt, "void", 250, of_captured_money=True)
        assert amounts(merchant, payment) == (1234, 900, 850)

    def test_money_in_a_review_or_of_another_currency_is_not_in_the_amounts(
        self, merchant: MerchantSystem, payment: Payment, account: GatewayAccount
    ) -> None:
        attempt = attempt_of(payment, account)
        moved(attempt, "capture", 1234, counts=False)
        moved(attempt, "capture", 1234, currency="EUR")
        assert amounts(merchant, payment) == (0, 0, 0)

    def test_names_the_gateway_of_the_latest_attempt_the_open_review_and_the_last_failure(
        self, merchant: MerchantSystem, payment: Payment, account: GatewayAccount
    ) -> None:
        attempt = attempt_of(payment, account)
        operation_of(attempt, "declined", code="202", failure_class="insufficient_funds", message="Insufficient funds")
        reviews = [
            Review.objects.create(
                kind="orphan", state=state, gateway_account=account, payment=payment, because="b", opened_at=NOON,
                due_at=NOON,
            )
            for state in ("decided", "open", "open")
        ]  # fmt: skip

        view = merchant.get(f"/payments/{payment.public_id}").json()

        assert (view["gateway"], view["review"]) == ("nmi", reviews[1].public_id)
        assert view["failure"] == {
            "operation": "sale",
            "class": "insufficient_funds",
            "code": "202",
            "message": "Insufficient funds",
        }
        operation_of(attempt, "succeeded")
        assert merchant.get(f"/payments/{payment.public_id}").json()["failure"] is None

    def test_a_reference_shows_its_payments_newest_first_in_pages(self, merchant: MerchantSystem) -> None:
        ids = [merchant.create(allow_another=True) for _ in range(5)]
        merchant.create(reference="order-18")
        seen: list[str] = []
        query = {"reference": "order-17", "limit": 2}
        while True:
            page = merchant.get("/payments", query).json()
            seen += [item["id"] for item in page["items"]]
            if page["next"] is None:
                break
            query["before"] = page["next"]
        assert seen == ids[::-1]

    def test_a_reference_nobody_used_is_an_empty_list(self, merchant: MerchantSystem) -> None:
        for reference in ("nobody's", "a\x00b", "ä"):
            assert merchant.get("/payments", {"reference": reference}).json() == {"items": [], "next": None}

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ({}, "reference"),
            ({"reference": ""}, "reference"),
            ({"reference": "a", "limit": "0"}, "limit"),
            ({"reference": "a", "limit": "101"}, "limit"),
            ({"reference": "a", "limit": "x"}, "limit"),
            ({"reference": "a", "before": "pay_nothing"}, "before"),
            ({"reference": "a", "before": "a\x00'b"}, "before"),
        ],
    )
    def test_a_wrong_query_names_its_field(self, merchant: MerchantSystem, query: dict[str, str], field: str) -> None:
        assert_problem(merchant.get("/payments", query), 422, "invalid_input", field)

    def test_many_payments_cost_as_many_queries_as_one(
        self, merchant: MerchantSystem, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        for _ in range(5):
            merchant.create(allow_another=True)
        payments = list(Payment.objects.all())
        with django_assert_num_queries(4):
            payment_views(payments[:1])
        with django_assert_num_queries(4):
            payment_views(payments)


class TestCommands:
    def test_cancels_at_once_what_was_never_sent(self, merchant: MerchantSystem, payment: Payment) -> None:
        response = merchant.post(f"/payments/{payment.public_id}/cancel", b"")
        assert (response.status_code, response.json()["state"]) == (200, "cancelled")

    def test_a_command_the_state_forbids_says_why(self, merchant: MerchantSystem, payment: Payment) -> None:
        path = f"/payments/{payment.public_id}"
        for command, body in (("capture", {}), ("refunds", {"amount_minor": 1, "reason": "r"})):
            problem = assert_problem(merchant.post(f"{path}/{command}", body), 409, "not_allowed_now")
            assert "initiated" in problem["detail"]

    @pytest.mark.parametrize(
        ("command", "body", "field"),
        [
            ("capture", {"amount_minor": 0}, "amount_minor"),
            ("capture", {"final": "yes"}, "final"),
            ("capture", {"amount": 1}, "amount"),
            ("cancel", {"reason": "r"}, "reason"),
            ("refunds", {"reason": "r"}, "amount_minor"),
            ("refunds", {"amount_minor": 1}, "reason"),
            ("refunds", {"amount_minor": 1, "reason": " "}, "reason"),
            ("refunds", {"amount_minor": 1, "reason": "r" * 201}, "reason"),
        ],
    )
    def test_a_wrong_command_names_its_field(
        self, merchant: MerchantSystem, payment: Payment, command: str, body: dict[str, object], field: str
    ) -> None:
        response = merchant.post(f"/payments/{payment.public_id}/{command}", body)
        assert_problem(response, 422, "invalid_input", field)

    def test_a_refund_is_shown_with_its_payment(
        self, merchant: MerchantSystem, payment: Payment, account: GatewayAccount
    ) -> None:
        refund = Refund.objects.create(
            payment=payment, attempt=attempt_of(payment, account), amount_minor=500, currency="USD", reason="broken",
            requested_by="API shop", state="waiting", waits_for="settlement", waits_because="the next batch",
            created_at=NOON, updated_at=NOON,
        )  # fmt: skip
        response = merchant.get(f"/refunds/{refund.public_id}")
        RefundOut.model_validate_json(response.content)
        assert response.json() == {
            "id": refund.public_id,
            "payment": payment.public_id,
            "state": "waiting",
            "waits_for": "settlement",
            "waits_because": "the next batch",
            "amount_minor": 500,
            "currency": "USD",
            "reason": "broken",
            "origin": "requested",
            "created_at": "2026-11-21T12:00:00.123456Z",
            "updated_at": "2026-11-21T12:00:00.123456Z",
        }


@pytest.fixture
def authorised(merchant: MerchantSystem, account: GatewayAccount) -> Payment:
    """A payment with a hold of 12.34 USD at the gateway."""
    payment = Payment.objects.get(public_id=merchant.create(reference="held", capture="manual"))
    attempt = attempt_of(payment, account)
    Attempt.objects.filter(pk=attempt.pk).update(state="authorised", gateway_id="t-held")
    moved(attempt, "authorisation", 1234, gateway_id="t-held")
    Payment.objects.filter(pk=payment.pk).update(state="authorised", hold_until=timezone.now() + timedelta(days=7))
    return payment


@pytest.fixture
def captured(authorised: Payment) -> Payment:
    """A payment whose 12.34 USD were taken."""
    attempt = authorised.attempts.get()
    Attempt.objects.filter(pk=attempt.pk).update(state="captured")
    moved(attempt, "capture", 1234, gateway_id="t-held")
    put_in(authorised, "captured")
    return authorised


class TestCommandsThatAreAllowed:
    def test_a_capture_is_planned(self, merchant: MerchantSystem, authorised: Payment) -> None:
        response = merchant.post(f"/payments/{authorised.public_id}/capture", {"amount_minor": 1000, "final": True})
        assert response.status_code == 202, response.content
        assert response.json()["id"] == authorised.public_id
        planned = Operation.objects.get()
        assert (planned.kind, planned.state, planned.amount_minor, planned.final) == ("capture", "planned", 1000, True)
        assert planned.requested_by == "API shop"

    def test_a_capture_without_a_body_takes_all(self, merchant: MerchantSystem, authorised: Payment) -> None:
        assert merchant.post(f"/payments/{authorised.public_id}/capture", b"").status_code == 202
        assert Operation.objects.get().amount_minor == 1234

    def test_a_capture_beyond_the_hold_is_refused(self, merchant: MerchantSystem, authorised: Payment) -> None:
        response = merchant.post(f"/payments/{authorised.public_id}/capture", {"amount_minor": 1235})
        assert_problem(response, 422, "amount_too_large", "amount_minor")
        assert not Operation.objects.exists()

    def test_a_replayed_capture_plans_nothing_more(self, merchant: MerchantSystem, authorised: Payment) -> None:
        path = f"/payments/{authorised.public_id}/capture"
        first = merchant.post(path, {}, key="k")
        assert merchant.post(path, {}, key="k").content == first.content
        assert_problem(merchant.post(path, {}, key="k2"), 409, "not_allowed_now")
        assert Operation.objects.count() == 1

    def test_cancelling_a_hold_is_noted_until_the_gateway_lets_go(
        self, merchant: MerchantSystem, authorised: Payment
    ) -> None:
        response = merchant.post(f"/payments/{authorised.public_id}/cancel", {})
        view = response.json()
        assert (response.status_code, view["state"], view["cancel_requested"]) == (202, "authorised", True)

    def test_a_refund_is_reserved_and_can_be_followed(self, merchant: MerchantSystem, captured: Payment) -> None:
        body = {"amount_minor": 500, "reason": "one shoe missing"}
        response = merchant.post(f"/payments/{captured.public_id}/refunds", body)
        assert response.status_code == 202, response.content
        view = response.json()
        assert (view["payment"], view["amount_minor"], view["reason"]) == (captured.public_id, 500, "one shoe missing")
        assert merchant.get(f"/refunds/{view['id']}").content == response.content

    def test_refunds_never_exceed_what_was_captured(self, merchant: MerchantSystem, captured: Payment) -> None:
        path = f"/payments/{captured.public_id}/refunds"
        assert merchant.post(path, {"amount_minor": 1000, "reason": "a"}).status_code == 202
        refused = merchant.post(path, {"amount_minor": 235, "reason": "b"})
        assert_problem(refused, 422, "amount_too_large", "amount_minor")
        assert merchant.post(path, {"amount_minor": 234, "reason": "c"}).status_code == 202
        assert sum(refund.amount_minor for refund in Refund.objects.all()) == 1234
