"""Can an operator see where a payment stands between two tries, act on it, and give the second money of two back?"""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from payments.models import Review
from tests.browser.conftest import Window
from tests.payments.admin.payment_scenes import double_capture, held_back, payers_turn, refused_by_both, retry_planned

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
LIST = "/admin/payments/payment/"


def earlier() -> datetime:
    return timezone.now() - timedelta(minutes=7)


def test_from_the_home_page_to_a_retry_taken_back(window: Window) -> None:
    payment = retry_planned(earlier(), reference="order-again")
    payers_turn(earlier(), reference="order-bank")
    held_back(earlier(), reference="order-held")
    window.sign_in("operator")
    window.says("1 refused, with a retry planned")
    window.shot("tries-home")
    window.page.get_by_role("link", name="1 refused, with a retry planned").click()
    window.says("pending, retry planned")
    window.shot("tries-list")
    window.page.get_by_role("link", name="order-again").click()
    window.says("It is tried again on")
    window.shot("tries-planned")

    window.press("Cancel the retry…")
    window.page.fill("[name=because]", "the order changed")
    window.press("Show what will happen")
    window.says("It is not made. The payment has then failed")
    window.shot("tries-cancel")
    window.press("Cancel the retry")

    window.says("The retry is cancelled.")
    window.says("Not paid: NMI declined it (insufficient funds).")
    assert payment.retries.get().ended_by == "operator"


def test_a_failed_payment_is_tried_again_by_hand(window: Window) -> None:
    payment = refused_by_both(earlier())
    window.sign_in("operator")
    window.open(f"{LIST}{payment.public_id}/")
    window.says("NMI refused: Do not honour (code 200). Stripe was asked next.")
    window.shot("tries-refused")

    window.press("Try again…")
    window.press("Show what will happen")
    window.says("NMI is the first that can take it.")
    window.shot("tries-preview")
    window.press("Try again")

    window.says("It is being tried again.")
    assert payment.attempts.count() == 3


def test_the_payers_turn_is_told_and_their_bank_is_not_linked(window: Window) -> None:
    payment = payers_turn(earlier())
    window.sign_in("support")
    window.open(f"{LIST}{payment.public_id}/")

    window.says("The payer has to confirm 125.00 USD at their bank")
    window.says("payer's bank: link given to the payer")
    assert "bank.example" not in window.page.content()
    window.shot("tries-payer")


def test_money_taken_twice_is_seen_side_by_side(window: Window) -> None:
    double_capture(earlier())
    review = Review.objects.get()
    window.sign_in("finance")
    window.open(f"/admin/payments/review/{review.public_id}/")

    window.says("Taken for this payment")
    window.says("Void at NMI of transaction 8100001, 125.00 USD: it is not settled yet.")
    window.shot("tries-double")
