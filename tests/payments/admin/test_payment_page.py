"""Does the page of a payment answer in every situation, at a constant price, and say the same as the services?"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from config.services import make_staff
from payments.facts import FactKind
from payments.models import Attempt, Payment, Transition
from payments.queries.page_rows import MOST_FACTS, Amounts, PaymentRows, amounts_of, page_version, read_payment
from payments.queries.page_steps import steps_of
from payments.services.commands import preview_cancel, preview_capture, preview_refund
from payments.services.retries import preview_cancel_retry, preview_retry, refusal_of
from payments.states import Source
from tests.payments.admin.payment_scenes import (
    SCENES,
    captured,
    gateway_id,
    money,
    set_credentials,
    told,
    told_by_webhook,
    unknown,
)

pytestmark = pytest.mark.django_db
LIST = "/admin/payments/payment/"
EVERY_RIGHT = frozenset(
    f"payments.{name}"
    for name in ("ask_gateway", "capture_payment", "cancel_payment", "refund_payment", "retry_payment")
)


@pytest.fixture(autouse=True)
def _demo(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DEMO = True
    set_credentials(monkeypatch)


def signed_in(role: str) -> Client:
    client = Client()
    client.force_login(make_staff(role, role, "pw"))
    return client


def text_of(answer: Any) -> str:
    """The page's words without its markup."""
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())


@pytest.mark.parametrize("scene", SCENES)
def test_the_page_renders_in_every_situation_and_says_the_same_as_the_services_and_the_list(scene: str) -> None:
    now = timezone.now()
    payment = SCENES[scene](now)

    answer = signed_in("operator").get(f"{LIST}{payment.public_id}/")

    assert answer.status_code == 200
    text = text_of(answer)
    for heading in ("Now", "Because", "Waiting for", "You can", "You cannot", "What happened", payment.reference):
        assert heading in text
    rows = read_payment(payment)
    shown, refused = steps_and_services(payment, rows, now)
    assert shown == refused
    amounts = Amounts(rows.held.amount_minor, rows.captured.amount_minor, rows.refunded.amount_minor)
    assert amounts_of([payment.pk])[payment.pk] == amounts


def steps_and_services(payment: Payment, rows: PaymentRows, now: datetime) -> tuple[dict[str, bool], dict[str, bool]]:
    """Of every command, is it blocked? As the page says, and as its service does."""
    steps = steps_of(rows, EVERY_RIGHT, refusal_of(rows, now))
    blocked = {"retry": "not offered", "cancel_retry": "not offered"} | {step.name: step.blocked_by for step in steps}
    said = {
        "retry": preview_retry(payment.public_id, now)[0],
        "cancel_retry": preview_cancel_retry(payment.public_id)[0],
        "capture": preview_capture(payment.public_id).refused,
        "refund": preview_refund(payment.public_id).refused,
        "cancel": preview_cancel(payment.public_id).refused,
    }
    if payment.cancel_requested_at is not None and not said["cancel"]:
        assert "asked already" in blocked.pop("cancel")  # the service takes it again and changes nothing
        said.pop("cancel")
    return {name: bool(blocked[name]) for name in said}, {name: bool(refused) for name, refused in said.items()}


@pytest.mark.parametrize("role", ["support", "finance", "auditor", "admin"])
def test_every_role_that_may_look_sees_the_page(role: str) -> None:
    payment = captured(timezone.now())

    answer = signed_in(role).get(f"{LIST}{payment.public_id}/")

    assert answer.status_code == 200
    assert ("Journal entries" in text_of(answer)) == (role != "support")


def test_a_payment_of_nobody_is_not_found() -> None:
    client = signed_in("operator")

    answers = [client.get(f"{LIST}pay_nothere/{end}") for end in ("", "fresh/", "refund/")]

    assert [answer.status_code for answer in answers] == [404, 404, 404]


def test_what_one_cannot_do_says_who_could() -> None:
    payment = captured(timezone.now())

    text = text_of(signed_in("auditor").get(f"{LIST}{payment.public_id}/"))

    assert "Refund… Your roles do not allow it. Finance or operator could." in text
    assert "Capture… The payment is captured: only an authorised one can be captured." in text


def test_a_page_costs_the_same_however_much_happened() -> None:
    client = signed_in("operator")
    payment = captured(timezone.now())
    address = f"{LIST}{payment.public_id}/"
    client.get(address)
    with CaptureQueriesContext(connection) as few:
        client.get(address)
    now = timezone.now()
    for number in range(30):
        told(payment, replace(money(FactKind.CAPTURE, now), source=Source.WEBHOOK, gateway_id=f"5{number}"), now)

    with CaptureQueriesContext(connection) as many:
        text = text_of(client.get(address))

    assert len(many) == len(few) <= 31
    assert text.count("needs a person") == 1
    assert "3,750.00 USD" in text


def test_a_long_story_shows_its_newest_facts_and_folds_what_had_no_effect() -> None:
    payment = captured(timezone.now())
    first = payment.transitions.order_by("-id")[0]
    Transition.objects.bulk_create(
        Transition(
            payment=payment, at=first.at, occurred_at=first.at, fact="capture", source="webhook", verdict="no_op",
            because=f"Known already, {number}.", inputs={}, before={}, after={},
        )
        for number in range(MOST_FACTS + 50)
    )  # fmt: skip

    text = text_of(signed_in("operator").get(f"{LIST}{payment.public_id}/"))

    assert f"The newest {MOST_FACTS} facts" in text
    assert f"{MOST_FACTS} facts without effect" in text
    assert f"Known already, {MOST_FACTS + 49}." in text


class TestEvidence:
    def test_the_raw_webhook_is_shown_without_its_secrets(self) -> None:
        payment = captured(timezone.now())
        body = (
            b'{"event_body": {"security_key": "sk_very_secret", "card": {"cc_number": "4111111111111111"}, '
            b'"order_id": "visible-id"}}'
        )
        event = told_by_webhook(payment, body, timezone.now())

        page = signed_in("operator").get(f"{LIST}{payment.public_id}/").content.decode()

        assert "visible-id" in page
        assert event.public_id in page
        assert "sk_very_secret" not in page
        assert "4111111111111111" not in page

    def test_a_huge_webhook_stays_in_the_inbox(self) -> None:
        payment = captured(timezone.now())
        told_by_webhook(payment, b"x" * 50_000, timezone.now())

        page = signed_in("operator").get(f"{LIST}{payment.public_id}/").content.decode()

        assert "too large for this page" in page
        assert "x" * 1000 not in page

    def test_texts_from_outside_are_written_as_text(self) -> None:
        payment = SCENES["declined"](timezone.now(), reference="<script>alert(1)</script>")

        page = signed_in("operator").get(f"{LIST}{payment.public_id}/").content.decode()

        assert "<script>alert(1)" not in page
        assert "&lt;script&gt;alert(1)" in page

    def test_the_payer_is_masked(self) -> None:
        payment = captured(timezone.now())

        page = signed_in("support").get(f"{LIST}{payment.public_id}/").content.decode()

        assert "Ada L." in page
        assert "A•••@Example.com" in page
        assert "Lovelace" not in page
        assert "Ada@Example.com" not in page


class TestFreshness:
    def test_a_page_that_is_still_right_is_left_alone(self) -> None:
        payment = unknown(timezone.now())

        answer = signed_in("support").get(f"{LIST}{payment.public_id}/fresh/?seen={page_version(payment.public_id)}")

        assert (answer.status_code, answer.content) == (204, b"")

    @pytest.mark.parametrize("change", ["fact", "look-up"])
    def test_news_is_offered_and_not_forced(self, change: str) -> None:
        payment = unknown(timezone.now())
        seen = page_version(payment.public_id)
        if change == "fact":
            told(payment, money(FactKind.CAPTURE, timezone.now()), timezone.now())
        else:
            payment.operations.get().look_ups.create(
                asked_at=timezone.now(), method="by our reference", result="absent"
            )

        answer = signed_in("support").get(f"{LIST}{payment.public_id}/fresh/?seen={seen}")

        assert answer.status_code == 200
        assert "There is news about this payment." in text_of(answer)
        assert f'href="{LIST}{payment.public_id}/"' in answer.content.decode()

    def test_asking_costs_one_query_beside_the_session(self) -> None:
        client = signed_in("support")
        payment = unknown(timezone.now())
        address = f"{LIST}{payment.public_id}/fresh/?seen={page_version(payment.public_id)}"
        client.get(address)

        with CaptureQueriesContext(connection) as queries:
            client.get(address)

        assert len([query for query in queries if "payments_" in query["sql"] and "auth_" not in query["sql"]]) == 1

    @pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
    def test_it_only_answers_to_looking(self, method: str) -> None:
        payment = unknown(timezone.now())

        assert getattr(signed_in("operator"), method)(f"{LIST}{payment.public_id}/fresh/").status_code == 405


def test_looking_writes_nothing() -> None:
    payment = SCENES["looked_up"](timezone.now())
    client = signed_in("operator")
    before = (page_version(payment.public_id), Payment.objects.values_list("updated_at", flat=True).get(pk=payment.pk))

    for end in ("", "fresh/", "capture/", "cancel/", "refund/"):
        client.get(f"{LIST}{payment.public_id}/{end}")

    after = (page_version(payment.public_id), Payment.objects.values_list("updated_at", flat=True).get(pk=payment.pk))
    assert after == before
    assert gateway_id(payment)


class TestSeveralGateways:
    def test_each_attempt_says_what_it_is_to_the_payment_and_why_it_was_made(self) -> None:
        text = text_of(signed_in("support").get(f"{LIST}{SCENES['paid_by_second'](timezone.now()).public_id}/"))

        assert "Attempt 2 at Stripe check_circle captured this one took the money" in text
        assert "Why here NMI first: asked already. Stripe is the next that can take it." in text
        assert "Attempt 1 at NMI do_not_disturb_on declined earlier attempt" in text

    def test_a_refusal_names_class_code_network_and_when_it_may_be_tried_again(self) -> None:
        now = timezone.now()
        payment = SCENES["retry_planned"](now)
        payment.operations.update(
            network_code="51", network_advice="02", gateway_advice="try_again_later", retry_not_before=now
        )

        text = text_of(signed_in("support").get(f"{LIST}{payment.public_id}/"))

        assert "insufficient funds code 202 · Insufficient funds" in text
        assert "Card network: response 51, advice 02, gateway&#x27;s advice try_again_later" in text
        assert "Not again before" in text

    def test_of_a_refused_payment_it_says_what_its_payer_reads(self) -> None:
        text = text_of(signed_in("support").get(f"{LIST}{SCENES['refused_by_both'](timezone.now()).public_id}/"))

        assert "Payer reads Your bank did not approve this payment." in text

    def test_costs_the_same_after_many_tries(self) -> None:
        client = signed_in("operator")
        payment = SCENES["refused_by_both"](timezone.now())
        address = f"{LIST}{payment.public_id}/"
        client.get(address)
        with CaptureQueriesContext(connection) as few:
            client.get(address)
        first = payment.attempts.get(number=1)
        tried = payment.operations.get(attempt=first)
        for number in range(3, 11):
            again = Attempt.objects.create(
                payment=payment, number=number, gateway_account=first.gateway_account, reference=f"again-{number}",
                state="declined", failure_class="soft_decline", code="200", created_at=first.created_at,
            )  # fmt: skip
            tried.pk, tried.public_id, tried.reference, tried.attempt = None, f"op_{number}", f"again-{number}", again
            tried._state.adding = True
            tried.save()

        with CaptureQueriesContext(connection) as many:
            text = text_of(client.get(address))

        assert "after 7 earlier tries, " in text
        assert len(many) == len(few)
        assert len(few) <= 40

    @pytest.mark.parametrize("scene", ["payers_turn", "being_closed"])
    def test_a_call_that_only_asked_the_payer_is_not_shown_as_done(self, scene: str) -> None:
        text = text_of(signed_in("support").get(f"{LIST}{SCENES[scene](timezone.now()).public_id}/"))

        assert "Sale 125.00 USD person payer asked op_" in text
        assert "task_alt done" not in text
