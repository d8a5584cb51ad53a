"""Does a page still come, and keep its secrets, whatever a gateway or a stranger put into text and addresses?"""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from config.services import make_staff
from console.redaction import HIDDEN, redact
from console.templatetags.console import evidence

PEOPLE = "/admin/auth/user/"


class TestEvidence:
    def test_half_a_surrogate_pair_is_shown_as_its_escape(self) -> None:
        shown = evidence(b'{"text": "\\ud800"}')

        assert shown["text"].encode() == b'{\n  "text": "\\ud800"\n}'

    def test_text_outside_json_with_half_a_pair_can_be_sent_too(self) -> None:
        assert evidence("a\ud800b")["text"].encode() == rb"a\ud800b"

    @pytest.mark.parametrize("rest", ["[" * 900 + "]" * 900, "1" * 5000], ids=["too deep", "a number too long"])
    def test_json_that_cannot_be_looked_through_is_not_shown(self, rest: str) -> None:
        shown = redact(f'{{"security_key": "topsecret", "rest": {rest}}}')

        assert shown == f"{len(rest) + 39} characters that could not be looked through for secrets"

    def test_what_only_looks_like_json_keeps_its_text_but_not_its_secrets(self) -> None:
        assert redact('{"security_key": "topsecret", "cut') == f'{{"security_key": "{HIDDEN}", "cut'

    @pytest.mark.parametrize("sign", [".", "/", "_", "+", "  "])
    def test_a_card_number_is_cut_whatever_stands_between_its_digits(self, sign: str) -> None:
        number = sign.join(["4111", "1111", "1111", "1111"])

        assert redact(f"card {number} end") == f"card {HIDDEN}1111 end"


@pytest.mark.django_db
class TestAddresses:
    @pytest.fixture
    def admin(self, settings: Any) -> Client:
        settings.DEMO = True
        client = Client()
        client.force_login(make_staff("admin", "admin", "pw"))
        return client

    @pytest.mark.parametrize(
        "address",
        [
            f"{PEOPLE}%00/",
            f"{PEOPLE}?q=%00",
            f"{PEOPLE}?username=a%00",
            f"{PEOPLE}?%00=1",
            "/admin/payments/payment/?state__exact=%00",
            "/admin/payments/payment/pay_%00/fresh/",
            "/admin/payments/gatewayaccount/%00/edit/",
            "/admin/ledger/account/?currency=%00",
        ],
    )
    def test_a_nul_is_a_bad_request_and_no_failure(self, admin: Client, address: str) -> None:
        assert admin.get(address).status_code == 400

    @pytest.mark.parametrize("lookup", ["username__regex=(a%2B)%2B$", "password__startswith=p", "id__gt=1"])
    def test_a_list_is_narrowed_by_its_filters_only(self, admin: Client, lookup: str) -> None:
        assert admin.get(f"{PEOPLE}?{lookup}").status_code == 400

    @pytest.mark.parametrize(
        "lookup",
        ["is_active__exact=1", "is_staff=1", "is_staff__exact=0"],
    )
    def test_its_own_filters_work(self, admin: Client, lookup: str) -> None:
        assert admin.get(f"{PEOPLE}?{lookup}").status_code == 200

    @pytest.mark.parametrize(
        "address",
        [
            "/admin/payments/inboundevent/?gateway_account__id__exact=1",
            "/admin/payments/inboundevent/?state__exact=parked",
            "/admin/payments/payment/?state__exact=captured&attention=late&age=1d&gateway=nmi",
            "/admin/ledger/account/?code=1010&currency=USD&memo__exact=0",
        ],
    )
    def test_links_of_other_pages_to_lists_work(self, settings: Any, address: str) -> None:
        settings.DEMO = True
        client = Client()
        client.force_login(make_staff("finance", "finance", "pw"))

        assert client.get(address).status_code == 200

    def test_nobody_makes_a_list_count_its_whole_table(self, admin: Client, django_assert_num_queries: Any) -> None:
        User.objects.create(username="somebody")
        answer = admin.get(f"{PEOPLE}?_facets=True")

        assert answer.status_code == 200
        assert answer.context["cl"].add_facets is False

    @pytest.mark.parametrize("query", ["s=people", "s=people&extended=1", "s=people&page=x", "s=PEOPLE&page=99"])
    def test_pages_are_found_by_name_whatever_else_is_asked(self, admin: Client, query: str) -> None:
        assert "Users" in admin.get("/admin/search/?s=user").text
        assert admin.get(f"/admin/search/?{query}").status_code == 200
