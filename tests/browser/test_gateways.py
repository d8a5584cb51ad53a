"""Does a person see at a glance that a gateway is away, a line is crossed and sending is stopped, and can they act on it?"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from payments.models import Approval, GatewayAccount, GatewayMonth, Route, Switch
from payments.services.health import note_outcome
from payments.states import Certainty
from tests.browser.conftest import Window
from tests.payments.factories import nmi_account

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]


@pytest.fixture
def account(transactional_db: None) -> GatewayAccount:
    account = nmi_account(breaker_failures=3)
    rows = [(812, 96, 700, 2), (4210, 702, 3431, 31), (3920, 2118, 1790, 9), (12, 9, 3, 0), (0, 0, 0, 0)]
    for number, (answered, declined, captured, disputed) in enumerate(rows):
        GatewayMonth.objects.create(
            gateway_account=account, month=date(2026, 6 - number, 1), answered=answered, declined=declined,
            captured=captured, disputed=disputed, counted_at=datetime.now(UTC),
        )  # fmt: skip
    return account


def test_a_gateway_that_is_away_is_seen_and_paused(window: Window, account: GatewayAccount) -> None:
    for number in range(3):
        at = datetime.now(UTC) - timedelta(seconds=40 - number)
        note_outcome(account.pk, certainty=Certainty.NOT_SENT, message="no connection could be made", now=at)
    window.sign_in("operator")

    window.open("/admin/payments/gatewayaccount/nmi/")
    window.says("breaker open")
    window.shot("gateway-away")
    window.press("Pause")
    window.page.fill("[name=reason]", "their status page says maintenance until 14:00")
    window.press("Show what will happen")
    window.shot("gateway-pause-preview")
    window.press("Pause")

    window.says("NMI is paused since")
    window.shot("gateway-paused")
    account.refresh_from_db()
    assert account.paused_by == "operator"


def test_everything_is_stopped_and_resumed(window: Window, account: GatewayAccount) -> None:
    window.sign_in("finance")
    window.page.get_by_role("link", name="Stop sending").click()
    window.shot("stop-running")
    window.press("Stop all sending")
    window.page.fill("[name=reason]", "bank incident, ticket 4711")
    window.press("Show what will happen")
    window.says("No call at all is sent")
    window.shot("stop-preview")
    window.press("Stop all sending")

    window.says("All sending is stopped since")
    window.shot("stop-stopped")
    window.press("Resume all sending")
    window.page.fill("[name=reason]", "the bank says it is over")
    window.press("Show what will happen")
    window.press("Resume all sending")
    window.says("You resumed all sending.")
    window.shot("stop-resumed")
    assert not Switch.objects.filter(lifted_at=None).exists()


def test_a_route_is_asked_for(window: Window, account: GatewayAccount) -> None:
    Route.objects.create(name="Large euros", gateway_account=account, priority=20, currency="EUR", min_minor=100_000)
    window.sign_in("finance")
    window.page.get_by_role("link", name="Routes").click()
    window.shot("routes")
    window.press("New route")
    window.page.fill("[name=name]", "Small dollars")
    window.page.select_option("[name=currency]", "USD")
    window.page.fill("[name=highest]", "25.00")
    window.page.fill("[name=reason]", "cheaper for small amounts")
    window.shot("route-form")
    window.press("Show what will happen")
    window.says("up to 25.00 USD")
    window.shot("route-preview")
    window.press("Ask a second person")
    window.says("waits for a second person")
    window.press("Change the order")
    window.shot("route-order")

    route = Route.objects.get(name="Large euros")
    window.open(f"/admin/payments/route/{route.pk}/")
    window.shot("route")
    assert Approval.objects.get().arguments["max_minor"] == 2500
