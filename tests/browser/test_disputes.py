"""Can an operator find a dispute, understand what it means, and say what is done about it?"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from ledger.money import Money
from payments.facts import FactKind
from payments.models import Dispute, Payment, Review
from payments.states import DisputeState, ReviewState
from tests.browser.conftest import Window
from tests.payments.admin.payment_scenes import captured
from tests.payments.disputes.told import moved, record, settlement, word
from tests.payments.factories import Clock

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def disputed() -> Payment:
    """125.00 captured, 40.00 of it disputed; evidence is due in nine days."""
    clock = Clock()
    at = timezone.now() - timedelta(minutes=7)
    payment = captured(at, reference="order-9")
    charge, part = payment.attempts.get().gateway_id, Money(4000, "USD")
    record(settlement(charge, Money(11500, "EUR"), Money(365, "EUR"), at=at, settlement_id="txn_0", rate="0.92"), clock)
    record(word(DisputeState.CHARGEBACK, at, charge=charge, money=part, due_at=at + timedelta(days=9)), clock)
    record(moved(FactKind.CHARGEBACK, at, charge=charge, money=part), clock)
    record(moved(FactKind.FEE, at, charge=charge, money=Money(1500, "EUR")), clock)
    return payment


def test_from_the_home_page_over_the_dispute_to_a_decision(window: Window, disputed: Payment) -> None:
    window.sign_in("operator")
    window.says("Disputes that ask for evidence")
    window.shot("home")
    window.open("/admin/payments/dispute/")
    window.shot("disputes")
    window.page.get_by_role("link", name="Fraudulent").click()
    window.says("40.00 USD was taken and stands as a claim until it is decided.")
    window.shot("dispute")
    window.page.locator(".cf-page").get_by_role("link", name="order-9").or_(
        window.page.locator(".cf-page").get_by_role("link", name=disputed.public_id)
    ).first.click()
    window.says("The payer disputes 40.00 USD: it is taken back until that is decided.")
    window.shot("payment")
    window.press("Open the review: dispute")
    window.shot("case")
    window.page.get_by_role("link", name="Prepare “Contest it”").click()
    window.page.select_option("[name=reason]", "other")
    window.page.fill("[name=note]", "Signed delivery note uploaded in the dashboard")
    window.shot("contest")
    assert Review.objects.get().state == ReviewState.OPEN
    assert Dispute.objects.get().accepted_at is None
