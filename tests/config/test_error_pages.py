"""Where there is no page: is it said in the product's words, with a way back for people and nothing for strangers to learn?"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.http import HttpRequest, HttpResponse
from django.template.loader import get_template
from django.test import Client, RequestFactory
from django.urls import path

from config import urls
from config.error_pages import broken, form_too_old
from config.middleware import ADMIN, STRICT
from config.services import make_staff

BROWSER = {"HTTP_ACCEPT": "text/html,application/xhtml+xml,*/*;q=0.8"}
NOWHERE = "/admin/payments/nothing/"
DESK = 'href="/admin/">Back to the desk</a>'
FRAME = 'id="nav-sidebar"'
SAYS_OF_US = ("admin", "desk", "counterfoil", "sign in", "operator", "django", "payment")


@pytest.fixture
def ola(settings: Any, db: None) -> Client:
    settings.DEMO = True
    client = Client(**BROWSER)
    client.force_login(make_staff("ola", "operator", "pw"))
    return client


def shown(answer: Any, status: int, *words: str) -> str:
    page: str = answer.content.decode()
    assert answer.status_code == status
    assert (answer.headers["Cache-Control"], answer.headers["Content-Type"]) == ("no-store", "text/html; charset=utf-8")
    assert [each for each in words if each not in page] == []
    assert "<script>" not in page and "onclick" not in page, "the policy would refuse it"
    return page


def tells_nothing(page: str) -> bool:
    return not any(word in page.replace("payments/pay.css", "").lower() for word in SAYS_OF_US)


class TestAtTheDesk:
    def test_an_address_that_is_not_there_is_answered_in_the_frame(self, ola: Client) -> None:
        answer = ola.get(NOWHERE)
        shown(answer, 404, "There is nothing at this address.", DESK, FRAME, "Reviews")
        assert answer.headers["Content-Security-Policy"] == ADMIN

    def test_what_was_looked_for_is_named_and_escaped(self, ola: Client) -> None:
        shown(ola.get("/admin/payments/payment/pay_<b>/"), 404, "There is no payment “pay_&lt;b&gt;”.", DESK)

    def test_a_page_of_another_role_says_who_could(self, ola: Client) -> None:
        shown(ola.get("/admin/auth/user/"), 403, "Your roles do not let you open this page.", DESK, FRAME)
        words = "Your roles do not let you close days, and ask for them to be reopened. Finance could."
        shown(ola.get("/admin/reconciliation/dayclose/close/"), 403, words, DESK, FRAME)

    def test_who_is_no_browser_gets_it_without_the_frame(self, ola: Client) -> None:
        page = shown(ola.get(NOWHERE, HTTP_ACCEPT="*/*"), 404, "There is nothing at this address.", DESK)
        assert FRAME not in page

    def test_who_has_not_set_up_the_second_factor_sees_nothing_of_the_frame(self, ola: Client, settings: Any) -> None:
        settings.DEMO = False
        strict = Client(enforce_csrf_checks=True, **BROWSER)
        strict.cookies = ola.cookies
        page = shown(strict.post("/admin/logout/"), 403, "Nothing was changed.", DESK)
        assert FRAME not in page

    def test_who_is_not_signed_in_is_sent_to_the_sign_in_and_learns_of_no_address(self, db: None) -> None:
        assert [Client(**BROWSER).get(each).status_code for each in (NOWHERE, "/admin/payments/payment/")] == [302, 302]


class TestAFormWithoutItsToken:
    def test_at_the_desk_it_is_refused_with_the_way_back(self, ola: Client) -> None:
        strict = Client(enforce_csrf_checks=True, **BROWSER)
        strict.cookies = ola.cookies
        shown(strict.post("/admin/logout/"), 403, "This form is from before you signed in", DESK, FRAME)
        assert strict.get("/admin/").status_code == 200, "still signed in"

    def test_with_the_database_away_it_is_refused_all_the_same(self, ola: Client) -> None:
        def fail(*_args: object) -> None:
            raise OperationalError("server closed the connection; password=topsecret")

        strict = Client(enforce_csrf_checks=True, **BROWSER)
        strict.cookies = ola.cookies
        with connection.execute_wrapper(fail):
            page = shown(strict.post("/admin/logout/"), 403, "Nothing was changed.", DESK)
        assert (FRAME in page, "topsecret" in page) == (False, False)

    def test_at_the_sign_in_nobody_is_asked_for(self, db: None) -> None:
        strict = Client(enforce_csrf_checks=True, **BROWSER)
        page = shown(strict.post("/admin/login/", {"username": "ola", "password": "pw"}), 403, "once more", DESK)
        assert FRAME not in page

    def test_elsewhere_it_tells_nothing(self, rf: RequestFactory) -> None:
        assert tells_nothing(shown(form_too_old(rf.post("/elsewhere/"), "CSRF cookie not set."), 403, "once more"))


class TestForStrangers:
    @pytest.mark.parametrize(
        "address", ["/nothing", "/pay/", "/pay/a/b/c", "/webhooks/a/b/", "/pay/<script>alert(1)</script>"]
    )
    def test_it_says_what_happened_and_nothing_of_the_desk(self, address: str) -> None:
        answer = Client(**BROWSER).get(address)
        page = shown(answer, 404, "There is nothing at this address.", "payments/pay.css")
        assert tells_nothing(page)
        assert answer.headers["Content-Security-Policy"] == STRICT

    def test_a_signed_in_person_outside_the_admin_is_a_stranger_too(
        self, ola: Client, django_assert_num_queries: Any
    ) -> None:
        with django_assert_num_queries(0):
            page = shown(ola.get("/pay/a/b/c"), 404)
        assert tells_nothing(page)

    def test_the_api_answers_as_the_api(self) -> None:
        answer = Client(**BROWSER).get("/api/v1/nothing")
        assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")


class TestBroken:
    """None of these may open the database, and none is given one."""

    def test_it_renders_without_context_and_then_tells_strangers_nothing(self) -> None:
        page = get_template("500.html").render()
        assert "Something broke" in page
        assert tells_nothing(page)

    @pytest.mark.parametrize("template", ["404.html", "403.html", "403_csrf.html"])
    def test_so_do_the_others(self, template: str) -> None:
        assert tells_nothing(get_template(template).render())

    def test_the_desk_gets_its_way_back_and_a_warning(self) -> None:
        shown(broken(RequestFactory().get("/admin/x/")), 500, DESK, "look before you send it again")

    def test_it_is_what_a_view_that_breaks_is_answered_with(self, settings: Any) -> None:
        def breaks(_request: HttpRequest) -> HttpResponse:
            raise RuntimeError("the secret reason")

        settings.ROOT_URLCONF = broken_urls = ModuleType("broken_urls")
        broken_urls.__dict__.update(
            vars(urls) | {"urlpatterns": [path("pay/broken", breaks), path("admin/broken", breaks)]}
        )
        client = Client(raise_request_exception=False, **BROWSER)
        public, desk = client.get("/pay/broken"), client.get("/admin/broken")
        assert tells_nothing(shown(public, 500, "Please open it again"))
        assert "secret" not in shown(desk, 500, DESK)
        assert (public.headers["Content-Security-Policy"], desk.headers["Content-Security-Policy"]) == (STRICT, ADMIN)
