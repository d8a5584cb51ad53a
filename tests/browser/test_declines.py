"""Can a person find a decline code, ask for another meaning, and classify an unknown code, with a browser?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from payments.facts import Fact, FactKind
from payments.models import DeclineRule, NetworkCeiling
from payments.services.declining import note_unmapped
from payments.states import Certainty, FailureClass, Source
from tests.browser.conftest import Window
from tests.payments.declines.rows import card, refused

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def unknown_code(code: str, at: datetime, message: str, *, currency: str = "USD") -> None:
    operation = refused(card(), at, code=code, failure_class="unknown", currency=currency)
    fact = Fact(
        FactKind.DECLINED, Source.ANSWER, at, certainty=Certainty.REFUSED, failure_class=FailureClass.UNKNOWN,
        code=code, message=message,
    )  # fmt: skip
    note_unmapped(operation, fact, at)


def test_codes_are_read_changed_and_classified(window: Window) -> None:
    now = datetime.now(UTC)
    for code, number in (("202", 5), ("201", 12), ("251", 1)):
        for _ in range(number):
            refused(card(), now - timedelta(days=1), code=code, failure_class="soft_decline")
    unknown_code("299", now - timedelta(minutes=12), "Try method of payment again")
    unknown_code("299", now - timedelta(minutes=2), "Try method of payment again", currency="EUR")
    unknown_code("238", now, "Restricted for this region")
    NetworkCeiling.objects.all().delete()
    NetworkCeiling.objects.create(network="visa", declines=15, window_hours=720)
    window.sign_in("operator")
    window.shot("declines-home")

    window.open("/admin/payments/declinerule/?provider=nmi")
    window.says("201 · do not honour")
    window.shot("declines-sheet")
    window.page.get_by_role("link", name="201 · do not honour").click()
    window.press("Change its meaning")
    window.page.select_option("[name=failure_class]", "insufficient_funds")
    window.page.fill("[name=reason]", "This acquirer says 201 where it means no funds.")
    window.shot("declines-form")
    window.press("Show what will happen")
    window.says("12 refusals of the last 30 days came with this code")
    window.shot("declines-preview")
    window.press("Ask a second person")
    window.says("A second person has to agree.")
    window.shot("declines-code")

    window.open("/admin/payments/unmappedcode/")
    window.shot("declines-unmapped")
    window.page.locator("section", has_text="238").get_by_role("button", name="limit exceeded").click()
    window.says("nmi 238 counts as limit exceeded from the next refusal on.")
    assert DeclineRule.objects.get().code == "238"

    window.open("/admin/payments/networkceiling/")
    window.shot("declines-ceilings")
    window.page.get_by_role("link", name="Visa").click()
    window.says("15 declines within 30 days")
    window.shot("declines-ceiling")
