"""What does a person see where there is no page: in the light, in the dark, on a telephone, and as a payer?"""

from __future__ import annotations

import pytest

from tests.browser.conftest import Window

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
_PHONE = {"width": 390, "height": 844}


def test_whoever_is_lost_at_the_desk_finds_back(window: Window) -> None:
    window.expected = {403, 404}
    window.sign_in("operator")
    window.open("/admin/payments/payment/pay_nobody/")
    window.says("There is no payment “pay_nobody”.")
    window.shot("not-found")
    window.page.emulate_media(color_scheme="dark")
    window.open("/admin/nothing/")
    window.says("There is nothing at this address.")
    window.shot("not-found-dark")
    window.page.set_viewport_size(_PHONE)
    window.open("/admin/reconciliation/dayclose/close/")
    window.says("Finance could.")
    window.shot("not-allowed-phone")
    assert window.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    window.press("Back to the desk")
    window.page.wait_for_url(f"{window.base}/admin/")


def test_a_form_without_its_cookie_leads_back_to_the_sign_in(window: Window) -> None:
    window.expected = {403}
    window.open("/admin/login/?next=/admin/")
    window.page.context.clear_cookies()
    window.page.fill("[name=username]", "operator")
    window.page.fill("[name=password]", "pw")
    window.page.press("[name=password]", "Enter")
    window.says("Open the page again and send the form once more.")
    window.shot("not-accepted")
    window.page.get_by_role("link", name="Back to the desk").click()
    window.page.wait_for_url("**/admin/login/**")


def test_a_payer_reads_what_happened_and_nothing_of_the_desk(window: Window) -> None:
    window.expected = {404}
    window.open("/pay/not/here/")
    window.says("Please open the link once more")
    window.shot("not-found-payer")
    assert window.page.locator("a").count() == 0
    window.page.emulate_media(color_scheme="dark")
    window.page.set_viewport_size(_PHONE)
    window.shot("not-found-payer-dark-phone")
