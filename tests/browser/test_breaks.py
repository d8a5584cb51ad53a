"""Can finance find a difference, understand both sides, book the fix it was shown, and take it back?"""

from __future__ import annotations

import pytest

from payments.states import MovementKind
from reconciliation.models import Break, Resolution
from reconciliation.states import BreakType, LineKind
from tests.browser.conftest import Window
from tests.reconciliation.factories import a_break, may_alone
from tests.reconciliation.resolutions.scene import Scene

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def scene() -> Scene:
    """A sum that differs, an adjustment, a charge we miss, a report that did not come."""
    scene = Scene()
    line = scene.line(LineKind.CHARGE, 970, fee_minor=59, gateway_id="ch_3Pq8")
    a_break(
        scene.account, BreakType.AMOUNT_MISMATCH, line=line, movement=scene.moved(MovementKind.CAPTURE, 1000),
        because="The gateway reports 9.70 USD, we booked 10.00 USD: -0.30 USD between them.",
        ours={"kind": "charge", "amount": "10.00 USD", "transaction": "ch_3Pq8", "reference": "order-17", "day": "2026-03-02"},
        theirs={"kind": "charge", "amount": "9.70 USD", "net": "9.11 USD", "transaction": "ch_3Pq8", "reference": "order-17",
                "payout": "po_88", "line": "txn_1", "day": "2026-03-02"},
    )  # fmt: skip
    for number in range(3):
        a_break(
            scene.account, BreakType.GATEWAY_ADJUSTMENT, line=scene.line(LineKind.ADJUSTMENT, -500 - number),
            because="The gateway adjusts the balance, and nothing of ours explains it.", cause="adjustment in USD",
        )  # fmt: skip
    a_break(scene.account, BreakType.MISSING_AT_GATEWAY, movement=scene.moved(MovementKind.CAPTURE, 125000))
    a_break(scene.account, BreakType.REPORT_MISSING, currency="", because="The report of 2 March has not come.")
    return scene


def test_from_the_queue_over_both_sides_to_a_fix_and_back(window: Window, scene: Scene) -> None:
    may_alone(role="operator")
    window.sign_in("operator")
    window.open("/admin/reconciliation/break/")
    window.says("At risk")
    window.shot("breaks")
    window.page.get_by_role("link", name="Other amount").last.click()
    window.says("differs")
    window.shot("break")
    window.page.get_by_role("link", name="Prepare “Adopt the gateway's amount”").click()
    reason = window.page.locator("[name=reason]")
    assert reason.evaluate("field => getComputedStyle(field).borderTopWidth") == "1px", "one sees where to answer"
    assert reason.evaluate("field => getComputedStyle(field).colorScheme") != "dark"
    reason.select_option("gateway_mistake")
    window.page.fill("[name=note]", "Their support confirms the sum.")
    window.page.locator(".cf-page").get_by_role("button").first.click()
    window.says("0: nothing of it stays unexplained")
    window.shot("break_preview")
    window.page.locator(".cf-page").get_by_role("button", name="Adopt the gateway's amount").click()
    window.says("Resolved: Adopt the gateway's amount.")
    window.shot("break_resolved")
    resolution = Resolution.objects.get()
    window.open(f"/admin/reconciliation/resolution/{resolution.public_id}/")
    window.says("Take it back")
    window.shot("resolution")
    window.open("/admin/reconciliation/break/causes/")
    window.says("adjustment in USD")
    window.shot("causes")
    window.page.get_by_role("row", name="adjustment in USD").get_by_role("link", name="Open").click()
    window.says("End all of them")
    window.shot("cause")
    window.page.set_viewport_size({"width": 390, "height": 844})
    for name, path in (
        ("phone_breaks", "/admin/reconciliation/break/"),
        ("phone_break", f"/admin/reconciliation/break/{Break.objects.filter(state='open')[0].public_id}/"),
        ("phone_resolution", f"/admin/reconciliation/resolution/{resolution.public_id}/"),
    ):
        window.open(path)
        window.shot(name)
        assert window.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        if name == "phone_break":
            order = [card.split("\n")[0] for card in _cards(window)]
            assert order[:2] == ["Because", "Money"], "the sum before the story"
    assert scene.residual() == 0


def _cards(window: Window) -> list[str]:
    """The cards' words, from the top of the page down."""
    cards = window.page.locator(".cf-card").all()
    return [card.inner_text() for card in sorted(cards, key=lambda card: (card.bounding_box() or {"y": 0.0})["y"])]
