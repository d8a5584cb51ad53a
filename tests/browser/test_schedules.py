"""Can a person set up a recurring charge from a payment method, follow its dates and change it, with a browser?"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from payments.models import Schedule
from payments.services.schedules.rows import business_day
from payments.services.schedules.running import run_due
from tests.browser.conftest import Window
from tests.payments.factories import Clock, nmi_account
from tests.payments.schedules.scenes import allow_alone, schedule, stored_method

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_set_up_look_and_pause(window: Window) -> None:
    nmi_account()
    window.sign_in("operator")
    allow_alone()
    window.open("/admin/payments/schedule/")
    window.says("No recurring charge yet")
    window.shot("schedules-empty")
    method = stored_method(brand="visa", last_four="4242")
    window.open(f"/admin/payments/paymentmethod/{method.public_id}/")
    window.press("Set up a recurring charge")
    for name, text in {
        "name": "Gold membership, A. Meyer", "reference": "member-4711", "amount": "129.00",
        "anchor": (timezone.now() + timedelta(days=1)).date().isoformat(), "mandate": "By telephone, ticket 81",
    }.items():  # fmt: skip
        window.page.fill(f"[name={name}]", text)
    window.page.select_option("[name=interval]", "week")
    window.shot("schedules-form")
    window.press("Show what will happen")
    window.says("First dates")
    window.shot("schedules-preview")
    window.press("Set it up")
    window.says("Set up. The first charge is due on")

    clock = Clock(timedelta(days=1))
    run_due(clock)
    clock.pass_(days=30)
    run_due(clock)
    window.open(f"/admin/payments/schedule/{Schedule.objects.get().public_id}/")
    window.says("of the missed dates only")
    window.shot("schedules-page")
    window.press("Charge a skipped date")
    window.shot("schedules-overdue")
    window.open(f"/admin/payments/schedule/{Schedule.objects.get().public_id}/")
    window.press("Pause it")
    window.page.fill("[name=because]", "The member moves house.")
    window.press("Show what will happen")
    window.press("Pause it")
    window.says("operator paused it: The member moves house.")
    window.shot("schedules-paused")

    other = stored_method(brand="mastercard", last_four="5100")
    schedule(clock, other, name="Hosting, B. Schulz", interval="year", amount_minor=1_200_000)
    schedule(clock, other, name="Newspaper", every=3, anchor=business_day(clock()) + timedelta(days=9))
    other.credentials.all().delete()
    run_due(clock)
    window.open("/admin/payments/schedule/")
    window.says("paused by itself")
    window.shot("schedules-list")
    window.open("/admin/")
    window.says("Recurring charges that paused themselves")
    window.shot("schedules-home")
