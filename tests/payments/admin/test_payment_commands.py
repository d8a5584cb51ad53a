"""Do the payment's commands run only as they were shown, once, by those who may, and are conflicts told?"""

from __future__ import annotations

import re
from itertools import product
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from config.services import make_staff
from payments.models import Credential, Operation, Payment, Refund
from payments.services.actors import SYSTEM
from payments.services.refunds import request_refund
from tests.payments.admin.payment_scenes import (
    SCENES,
    authorised,
    captured,
    fresh,
    set_credentials,
    stored,
    unknown,
)
from tests.payments.factories import nmi_account

pytestmark = pytest.mark.django_db
LIST = "/admin/payments/payment/"
CARD = "4111 1111 1111 1111"


@pytest.fixture(autouse=True)
def _demo(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DEMO = True
    set_credentials(monkeypatch)


def signed_in(role: str = "operator") -> Client:
    client = Client()
    client.force_login(make_staff(role, role, "pw"))
    return client


def text_of(answer: Any) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())


def previewed(client: Client, address: str, **answers: str) -> Any:
    return client.post(address, {**answers, "step": "preview"})


def confirmed(client: Client, address: str, preview: Any, **answers: str) -> Any:
    """Press the button of a preview that was shown."""
    assert preview.status_code == 200, text_of(preview)
    return client.post(address, {**answers, "step": "execute", "preview_seal": preview.context["seal"]})


class TestRefund:
    ANSWERS = {"amount": "25.00", "reason": "returned goods"}

    def test_shows_then_does_exactly_that(self) -> None:
        client, payment = signed_in(), captured(timezone.now())
        address = f"{LIST}{payment.public_id}/refund/"

        first = client.get(address)
        preview = previewed(client, address, **self.ANSWERS)
        answer = confirmed(client, address, preview, **self.ANSWERS)

        assert first.context["form"]["amount"].value() == "125.00"
        assert "25.00 USD goes back to the payer." in text_of(preview)
        assert "Refundable afterwards 100.00 USD" in text_of(preview)
        assert answer.headers["Location"] == f"{LIST}{payment.public_id}/"
        refund = Refund.objects.get()
        assert (refund.amount_minor, refund.reason, refund.requested_by) == (2500, "returned goods", "operator")

    def test_looking_at_the_preview_writes_nothing(self) -> None:
        payment = captured(timezone.now())

        previewed(signed_in(), f"{LIST}{payment.public_id}/refund/", **self.ANSWERS)

        assert not Refund.objects.exists()
        assert fresh(payment).version == payment.version

    def test_pressing_twice_refunds_once_and_says_who_did(self) -> None:
        client, payment = signed_in(), captured(timezone.now())
        address = f"{LIST}{payment.public_id}/refund/"
        preview = previewed(client, address, **self.ANSWERS)

        answers = [confirmed(client, address, preview, **self.ANSWERS) for _ in range(2)]

        assert [answer.status_code for answer in answers] == [302, 409]
        assert Refund.objects.count() == 1
        told = text_of(answers[1])
        assert "Nothing was done: it changed while you were looking" in told
        assert "Operator: 25.00 USD shall go back: returned goods" in told

    def test_a_change_meanwhile_is_a_conflict_and_what_was_typed_is_kept(self) -> None:
        client, payment = signed_in(), captured(timezone.now())
        address = f"{LIST}{payment.public_id}/refund/"
        preview = previewed(client, address, **self.ANSWERS)
        request_refund(payment.public_id, amount_minor=100, reason="by API", actor=SYSTEM, now=timezone.now())

        answer = confirmed(client, address, preview, **self.ANSWERS)

        assert answer.status_code == 409
        assert "The merchant's system: 1.00 USD shall go back: by API" in text_of(answer).replace("&#x27;", "'")
        assert answer.context["form"]["reason"].value() == "returned goods"
        assert Refund.objects.count() == 1

    def test_a_bad_amount_is_named_and_nothing_done(self) -> None:
        complaints = {
            "125.01": "125.01 USD asked, 125.00 USD can be refunded.",
            "0": "The amount must be more than zero.",
            "-5": "The amount must be more than zero.",
            "1.234": "has 3 decimals, but USD has 2",
            "1,50": "is not an amount",
            "": "This field is required.",
            "1e3": "is not an amount",
        }
        client, payment = signed_in(), captured(timezone.now())

        for amount, complaint in complaints.items():
            answer = previewed(client, f"{LIST}{payment.public_id}/refund/", amount=amount, reason="x")

            assert (amount, answer.status_code) == (amount, 422)
            assert complaint in text_of(answer).replace("&#x27;", "'")
        assert not Refund.objects.exists()

    def test_a_card_number_as_reason_is_refused_and_not_repeated(self) -> None:
        payment = captured(timezone.now())

        answer = previewed(signed_in(), f"{LIST}{payment.public_id}/refund/", amount="1.00", reason=f"card {CARD}")

        assert answer.status_code == 422
        assert "This looks like a card number." in text_of(answer)
        assert "4111" not in answer.content.decode()

    def test_what_is_not_captured_is_refused_with_the_reason(self) -> None:
        payment = authorised(timezone.now())

        answer = previewed(signed_in(), f"{LIST}{payment.public_id}/refund/", **self.ANSWERS)

        assert answer.status_code == 422
        assert "The payment is authorised: only captured money can be refunded." in text_of(answer)


class TestCapture:
    def test_a_part_is_taken_and_the_rest_released(self) -> None:
        client, payment = signed_in(), authorised(timezone.now())
        address = f"{LIST}{payment.public_id}/capture/"

        preview = previewed(client, address, amount="100.00")
        confirmed(client, address, preview, amount="100.00")

        assert "25.00 USD of the hold is released and cannot be taken any more." in text_of(preview)
        call = Operation.objects.get(kind="capture")
        assert (call.amount_minor, call.final, call.requested_by) == (10000, True, "operator")

    def test_more_than_is_held_is_refused(self) -> None:
        payment = authorised(timezone.now())

        answer = previewed(signed_in(), f"{LIST}{payment.public_id}/capture/", amount="125.01")

        assert "125.01 USD asked, 125.00 USD is held." in text_of(answer)

    def test_pressing_twice_asks_the_gateway_once(self) -> None:
        client, payment = signed_in(), authorised(timezone.now())
        address = f"{LIST}{payment.public_id}/capture/"
        preview = previewed(client, address, amount="125.00")

        answers = [confirmed(client, address, preview, amount="125.00") for _ in range(2)]

        assert [answer.status_code for answer in answers] == [302, 409]
        assert Operation.objects.filter(kind="capture").count() == 1


class TestCancel:
    def test_what_was_never_sent_is_cancelled_at_once(self) -> None:
        client, payment = signed_in(), stored(timezone.now())
        address = f"{LIST}{payment.public_id}/cancel/"

        answer = confirmed(client, address, previewed(client, address))

        assert answer.status_code == 302
        assert fresh(payment).state == "cancelled"
        assert fresh(payment).transitions.order_by("-id")[0].actor == "operator"

    def test_a_hold_is_let_go_first(self) -> None:
        client, payment = signed_in(), authorised(timezone.now())
        address = f"{LIST}{payment.public_id}/cancel/"

        preview = previewed(client, address)
        confirmed(client, address, preview)

        assert "NMI is asked to void the hold" in text_of(preview)
        assert (fresh(payment).state, fresh(payment).cancel_requested_at is not None) == ("authorised", True)


class TestAsk:
    @pytest.mark.django_db(transaction=True)
    def test_a_gateway_that_does_not_answer_is_said_and_nothing_concluded(self) -> None:
        client, payment = signed_in("support"), unknown(timezone.now())

        answer = client.post(f"{LIST}{payment.public_id}/ask/", follow=True)

        assert "The gateway did not answer. Nothing is concluded from that" in text_of(answer)
        assert payment.operations.get().look_ups.get().asked_by == "support"
        assert fresh(payment).state == "pending"

    def test_asking_is_a_post(self) -> None:
        payment = unknown(timezone.now())

        assert signed_in().get(f"{LIST}{payment.public_id}/ask/").status_code == 405


class TestRights:
    @pytest.mark.parametrize("role", ["support", "auditor", "admin"])
    def test_who_may_not_is_kept_out(self, role: str) -> None:
        client, payment = signed_in(role), authorised(timezone.now())

        for method, command in product(("get", "post"), ("capture", "cancel", "refund")):
            answer = getattr(client, method)(f"{LIST}{payment.public_id}/{command}/", {"step": "preview"})
            assert (method, command, answer.status_code) == (method, command, 403)
        assert fresh(payment).version == payment.version

    @pytest.mark.parametrize("role", ["support", "auditor", "admin"])
    def test_only_operator_and_finance_make_payments(self, role: str) -> None:
        assert signed_in(role).post(f"{LIST}create/", {"step": "preview"}).status_code == 403

    def test_an_auditor_may_not_even_ask(self) -> None:
        payment = unknown(timezone.now())

        assert signed_in("auditor").post(f"{LIST}{payment.public_id}/ask/").status_code == 403
        assert not payment.operations.get().look_ups.exists()


class TestCreate:
    ANSWERS = {
        "reference": "phone-1", "amount": "12.34", "currency": "USD", "token": "tok_ok", "capture": "manual",
        "payer_email": "ada@example.com", "payer_name": "Ada Lovelace",
    }  # fmt: skip

    @pytest.fixture(autouse=True)
    def _account(self) -> None:
        nmi_account()

    def test_makes_the_payment_that_was_shown(self) -> None:
        client = signed_in()
        preview = previewed(client, f"{LIST}create/", **self.ANSWERS)

        answer = confirmed(client, f"{LIST}create/", preview, **self.ANSWERS)

        payment = Payment.objects.get()
        assert answer.headers["Location"] == f"{LIST}{payment.public_id}/"
        assert (payment.reference, payment.amount_minor, payment.currency) == ("phone-1", 1234, "USD")
        assert (payment.capture_mode, payment.payer and payment.payer.email) == ("manual", "ada@example.com")
        assert Credential.objects.get().token == "nmi_tok_ok"
        assert "by operator" in text_of(client.get(f"{LIST}{payment.public_id}/"))

    @pytest.mark.parametrize("more", [{}, {"allow_another": "on"}])
    def test_pressing_twice_makes_one_payment_and_leads_to_it(self, more: dict[str, str]) -> None:
        client, answers = signed_in(), {**self.ANSWERS, **more}
        preview = previewed(client, f"{LIST}create/", **answers)

        places = [confirmed(client, f"{LIST}create/", preview, **answers).headers["Location"] for _ in range(2)]

        assert Payment.objects.count() == 1
        assert places[0] == places[1] == f"{LIST}{Payment.objects.get().public_id}/"

    def test_a_taken_reference_is_named_with_the_way_to_it(self) -> None:
        first = stored(timezone.now(), reference="phone-1")

        answer = previewed(signed_in(), f"{LIST}create/", **self.ANSWERS)

        assert answer.status_code == 422
        assert f'href="{LIST}{first.public_id}/"' in answer.content.decode()
        assert "of this reference is initiated. If a second one is meant, tick “Make another one”." in text_of(answer)
        assert Payment.objects.count() == 1

    def test_a_second_one_on_purpose_is_warned_about_and_made(self) -> None:
        first, client = stored(timezone.now(), reference="phone-1"), signed_in()
        answers = {**self.ANSWERS, "allow_another": "on"}

        preview = previewed(client, f"{LIST}create/", **answers)
        confirmed(client, f"{LIST}create/", preview, **answers)

        assert f"{first.public_id} of the same reference is initiated already." in text_of(preview)
        assert Payment.objects.filter(reference="phone-1").count() == 2

    def test_a_reference_taken_after_the_preview_makes_nothing(self) -> None:
        client = signed_in()
        preview = previewed(client, f"{LIST}create/", **self.ANSWERS)
        stored(timezone.now(), reference="phone-1")

        answer = confirmed(client, f"{LIST}create/", preview, **self.ANSWERS)

        assert answer.status_code == 422
        assert Payment.objects.count() == 1

    @pytest.mark.parametrize("field", ["reference", "payer_name"])
    def test_a_card_number_is_refused_in_every_text_and_not_repeated(self, field: str) -> None:
        answer = previewed(signed_in(), f"{LIST}create/", **{**self.ANSWERS, field: CARD})

        assert answer.status_code == 422
        assert "This looks like a card number." in text_of(answer)
        assert "4111" not in answer.content.decode()
        assert not Payment.objects.exists()

    @pytest.mark.parametrize("token", [CARD, "4111111111111111"])
    def test_a_card_number_as_token_is_refused_outside_the_demo_too(self, token: str, settings: Any) -> None:
        settings.DEMO = False
        from payments.admin.payment_forms import PaymentForm

        form = PaymentForm(data={**self.ANSWERS, "token": token})

        assert not form.is_valid()
        assert form.errors["token"] == [
            "This looks like a card number. Card numbers must not be typed here; it was not kept."
        ]
        assert form["token"].value() == ""

    def test_bad_input_is_named_where_it_stands(self) -> None:
        client = signed_in()
        complaints: list[tuple[dict[str, str], str]] = [
            ({"amount": "12.345"}, "has 3 decimals, but USD has 2"),
            ({"amount": "12.5", "currency": "JPY"}, "has 1 decimal, but JPY has none"),
            ({"currency": "XYZ"}, "XYZ is not one of the available choices"),
            ({"payer_email": "ada"}, "Enter a valid email address."),
            ({"reference": ""}, "This field is required."),
            ({"token": "tok_unknown"}, "tok_unknown is not one of the available choices"),
        ]

        for wrong, complaint in complaints:
            answer = previewed(client, f"{LIST}create/", **{**self.ANSWERS, **wrong})

            assert (wrong, answer.status_code) == (wrong, 422)
            assert complaint in text_of(answer).replace("&#x27;", "'")
        assert not Payment.objects.exists()

    def test_an_amount_of_nothing_is_refused(self) -> None:
        client = signed_in()

        answer = previewed(client, f"{LIST}create/", **{**self.ANSWERS, "amount": "0"})

        assert answer.status_code == 422
        assert "more than zero" in text_of(answer)


def test_every_command_is_offered_on_some_page_and_works_there() -> None:
    """The steps of the page and the addresses of the admin class name the same commands."""
    client = signed_in()
    offered = set()
    for scene in ("authorised", "captured"):
        page = client.get(f"{LIST}{SCENES[scene](timezone.now(), reference=scene).public_id}/").content.decode()
        offered |= {name for name in ("ask", "capture", "refund", "cancel") if f"/{name}/" in page}

    assert offered == {"ask", "capture", "refund", "cancel"}
