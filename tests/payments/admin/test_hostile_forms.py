"""What of a hostile text does a command page take, show or pass on?"""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone
from django.utils.html import escape

from payments.admin.payment_forms import CommandForm, RefundForm
from payments.admin.review import DecisionForm
from payments.models import Payment, Refund
from tests.payments.admin.payment_scenes import captured, set_credentials
from tests.payments.admin.test_payment_commands import LIST, confirmed, previewed, signed_in

pytestmark = pytest.mark.django_db
MARKUP = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


@pytest.fixture(autouse=True)
def _demo(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DEMO = True
    set_credentials(monkeypatch)


def refund_form(reason: str) -> CommandForm:
    return RefundForm(data={"amount": "1.00", "reason": reason}, initial={"currency": "USD"})


@pytest.mark.parametrize("text", ["a\u202eb", "a\nb", "a\u0007b", "a\u200bb", "a\ud800b"])
def test_a_line_holds_only_signs_that_can_be_seen(text: str) -> None:
    form = refund_form(text)

    assert form.errors["reason"] == [
        "This holds a sign that cannot be seen: a line break, a control character or one that turns the text round."
    ]


@pytest.mark.parametrize("text", ["returned goods", "Größe passt nicht · 👕", "返品", MARKUP])
def test_any_other_words_are_taken(text: str) -> None:
    assert refund_form(text).is_valid()


def test_a_note_may_have_lines_and_nothing_else_that_is_unseen() -> None:
    def errors(note: str) -> list[str]:
        return list(DecisionForm(data={"reason": "other", "note": note}).errors)

    assert errors("first\r\n\tsecond") == []
    assert errors("first\u202esecond") == ["note"]
    assert errors("card 4111/1111/1111/1111") == ["note"]


def test_markup_is_shown_as_text_on_every_screen() -> None:
    client, payment = signed_in(), captured(timezone.now())
    Payment.objects.filter(pk=payment.pk).update(reference=MARKUP, metadata={MARKUP: MARKUP})
    address = f"{LIST}{payment.public_id}/refund/"
    answers = {"amount": "1.00", "reason": MARKUP}

    preview = previewed(client, address, **answers)
    confirmed(client, address, preview, **answers)

    pages = [preview, *(client.get(place) for place in (LIST, f"{LIST}{payment.public_id}/", address))]
    assert Refund.objects.get().reason == MARKUP
    for page in pages:
        assert escape("<script>alert(1)</script>") in page.text
        assert "<script>alert" not in page.text
        assert "<img src=x" not in page.text
