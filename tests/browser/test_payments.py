"""Can an operator find a payment, understand it and refund it, with the mouse alone?"""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from payments.facts import FactKind
from payments.models import Refund
from tests.browser.conftest import Window
from tests.payments.admin.payment_scenes import captured, looked_up, money, stored, tell, unknown

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def earlier() -> datetime:
    return timezone.now() - timedelta(minutes=7)


def test_from_the_list_over_the_page_to_a_refund(window: Window) -> None:
    now = earlier()
    stored(now, reference="order-1", payer=None)
    payment = captured(now, reference="order-2")
    window.sign_in("operator")

    window.open("/admin/payments/payment/")
    window.page.fill("#searchbar", payment.attempts.get().gateway_id)
    window.page.press("#searchbar", "Enter")
    window.page.get_by_role("link", name="order-2").click()
    window.says("Paid: NMI took 125.00 USD.")
    window.shot("payment")
    window.press("Refund…")
    window.page.fill("[name=amount]", "25.00")
    window.page.fill("[name=reason]", "returned goods")
    window.press("Show what will happen")
    window.says("25.00 USD goes back to the payer.")
    assert not Refund.objects.exists()
    window.shot("refund")
    window.press("Refund")
    window.says("is approved and on its way.")
    window.says("25.00 USD is on its way back to the payer.")

    refund = Refund.objects.get()
    assert (refund.payment_id, refund.amount_minor, refund.requested_by) == (payment.pk, 2500, "operator")


def test_the_page_says_why_it_waits_and_tells_when_there_is_news(window: Window) -> None:
    payment = unknown(earlier())
    window.sign_in("support")
    window.open(f"/admin/payments/payment/{payment.public_id}/")
    window.says("It is not known whether NMI took 125.00 USD.")
    window.says("NMI did not answer the sale within 30 s.")

    tell(payment, money(FactKind.CAPTURE, timezone.now()), timezone.now())
    window.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    window.says("There is news about this payment.")
    assert window.page.get_by_text("It is not known whether NMI took 125.00 USD.").is_visible()
    window.press("Show it")

    window.says("Paid: NMI took 125.00 USD.")


def test_a_reason_leads_to_its_evidence(window: Window) -> None:
    payment = looked_up(earlier())
    window.sign_in("auditor")
    window.open(f"/admin/payments/payment/{payment.public_id}/")

    window.page.get_by_role("link", name="NMI did not answer the sale").click()
    line = window.page.locator("li:target")
    assert "Outcome unknown" in line.inner_text()
    line.locator("summary").first.click()
    line.locator("summary", has_text="Fact as judged").click()

    assert "ReadTimeout" in line.locator("pre").first.inner_text()
    window.shot("evidence")


def test_a_conflict_is_told_and_what_was_typed_is_kept(window: Window) -> None:
    payment = captured(earlier())
    window.sign_in("finance")
    window.open(f"/admin/payments/payment/{payment.public_id}/refund/")
    window.page.fill("[name=reason]", "returned goods")
    window.press("Show what will happen")
    window.says("125.00 USD goes back to the payer.")
    window.expected.add(409)

    tell(payment, money(FactKind.VOID, timezone.now()), timezone.now())
    window.press("Refund")

    window.says("Nothing was done: it changed while you were looking")
    assert window.page.input_value("[name=reason]") == "returned goods"
    assert not Refund.objects.filter(origin="requested").exists()
    window.shot("conflict")
