"""Who gets in, and how often?"""

from __future__ import annotations

import io
import json
import socket
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from pytest_django import Settings
from redis import Redis

from payments.models import ApiToken, IdempotencyRecord
from payments.services import rate_limit
from payments.services.rate_limit import TooManyRequests, spend
from payments.services.tokens import issue_token, revoke_token
from tests.payments.api.callers import MerchantSystem, assert_problem, intent

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


def run(*arguments: str) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command("api_token", *arguments, stdout=out, stderr=err)
    return out.getvalue().strip(), err.getvalue().strip()


class TestTokens:
    @pytest.mark.parametrize("header", [None, "", "Basic abc", "Bearer", "Bearer ", "Bearer wrong", "wrong"])
    def test_without_a_valid_one_nobody_gets_in(self, merchant: MerchantSystem, header: str | None) -> None:
        headers = {} if header is None else {"Authorization": header}
        for path in ("/api/v1/payments?reference=a", "/api/v1/payments/pay_a", "/api/v1/refunds/rfnd_a"):
            response = merchant.client.get(path, headers=headers)
            assert_problem(response, 401, "unauthorised")
            assert response.headers["WWW-Authenticate"] == "Bearer"

    def test_a_stranger_is_not_told_what_is_wrong_with_the_body(self, merchant: MerchantSystem) -> None:
        merchant.token = "wrong"
        assert_problem(merchant.post("/payments", b"{"), 401, "unauthorised")

    def test_only_a_digest_is_stored(self, merchant: MerchantSystem) -> None:
        row = ApiToken.objects.get()
        assert merchant.token not in str(ApiToken.objects.values().get())
        assert (len(row.digest), row.prefix) == (64, merchant.token[:8])

    def test_each_scope_opens_its_doors_and_no_other(self, merchant: MerchantSystem) -> None:
        payment = merchant.create()
        doors = {
            "payments:read": [("get", f"/payments/{payment}"), ("get", "/payments?reference=order-17")],
            "payments:write": [
                ("post", "/payments"),
                ("post", f"/payments/{payment}/capture"),
                ("post", f"/payments/{payment}/cancel"),
            ],
            "refunds:write": [("post", f"/payments/{payment}/refunds")],
        }
        for scope in doors:
            system = MerchantSystem(issue_token(f"only {scope}", scopes=[scope], now=timezone.now()).token)
            for needed, addresses in doors.items():
                for method, path in addresses:
                    response = system.get(path) if method == "get" else system.post(path, {"x": 1})
                    assert (response.status_code == 403) == (needed != scope), (scope, path, response.content)
                    if needed != scope:
                        assert needed in assert_problem(response, 403, "forbidden")["detail"]
        assert IdempotencyRecord.objects.count() == 1  # the created payment's

    def test_a_revoked_one_is_refused_at_once(self, merchant: MerchantSystem) -> None:
        assert merchant.get("/payments", {"reference": "a"}).status_code == 200
        revoke_token("shop", now=timezone.now())
        assert_problem(merchant.get("/payments", {"reference": "a"}), 401, "unauthorised")

    def test_its_use_is_noted_once_a_minute(self, merchant: MerchantSystem) -> None:
        merchant.get("/payments", {"reference": "a"})
        noted = ApiToken.objects.get().last_used_at
        merchant.get("/payments", {"reference": "a"})
        assert noted is not None
        assert ApiToken.objects.get().last_used_at == noted
        ApiToken.objects.update(last_used_at=noted - timedelta(seconds=61))
        merchant.get("/payments", {"reference": "a"})
        assert (ApiToken.objects.get().last_used_at or NOON) > noted - timedelta(seconds=61)


class TestCommand:
    def test_prints_a_token_that_works(self) -> None:
        token, said = run("shop")
        assert MerchantSystem(token).get("/payments", {"reference": "a"}).status_code == 200
        assert said == "Scopes: payments:read, payments:write, refunds:write. It is not shown again."

    def test_prints_json(self) -> None:
        issued = json.loads(run("shop", "--json", "--scopes", "payments:read,refunds:write", "--per-minute", "7")[0])
        assert issued | {"token": ""} == {
            "name": "shop",
            "token": "",
            "scopes": ["payments:read", "refunds:write"],
            "per_minute": 7,
            "renewed": False,
        }

    def test_renews_the_secret_of_a_known_name_and_keeps_what_it_may(self) -> None:
        first, _ = run("shop", "--scopes", "payments:read")
        second, said = run("shop")
        assert "no longer works" in said
        assert MerchantSystem(first).get("/payments", {"reference": "a"}).status_code == 401
        assert MerchantSystem(second).get("/payments", {"reference": "a"}).status_code == 200
        assert ApiToken.objects.get().scopes == ["payments:read"]

    def test_revokes_and_a_new_one_lifts_it(self) -> None:
        first, _ = run("shop")
        assert run("shop", "--revoke") == ("“shop” is revoked.", "")
        assert run("shop", "--revoke", "--json") == ('{"name": "shop", "revoked": true}', "")
        assert MerchantSystem(first).get("/payments", {"reference": "a"}).status_code == 401
        assert MerchantSystem(run("shop")[0]).get("/payments", {"reference": "a"}).status_code == 200

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (("shop", "--scopes", "payments:everything"), "not payments:everything"),
            (("shop", "--scopes", ","), "not none"),
            ((" ",), "1 to 80 characters"),
            (("n" * 81,), "1 to 80 characters"),
            (("shop", "--per-minute", "0"), "between 1 and"),
            (("nobody", "--revoke"), "no token named “nobody”"),
        ],
    )
    def test_refuses_what_it_cannot_do(self, arguments: tuple[str, ...], words: str) -> None:
        with pytest.raises(CommandError, match=words):
            run(*arguments)
        assert not ApiToken.objects.exists()


class TestRateLimit:
    @pytest.fixture(autouse=True)
    def nobody_is_away(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What an earlier test found hanging, perhaps at the port this one is given, is forgotten."""
        monkeypatch.setattr(rate_limit, "_away_until", {})

    def test_the_one_request_too_many_is_refused_until_the_next_minute(self, redis: Redis) -> None:
        for _ in range(3):
            spend("t", 3, now=NOON + timedelta(seconds=50))
        with pytest.raises(TooManyRequests) as refused:
            spend("t", 3, now=NOON + timedelta(seconds=50.5))
        assert refused.value.retry_after == 10
        spend("t", 3, now=NOON + timedelta(seconds=60))
        assert redis.ttl(redis.keys("api:requests:t:*")[0]) <= 120

    def test_each_caller_has_its_own_allowance(self, redis: Redis) -> None:
        spend("a", 1, now=NOON)
        spend("b", 1, now=NOON)
        with pytest.raises(TooManyRequests):
            spend("a", 1, now=NOON)

    def test_the_api_answers_429_with_retry_after_and_executes_nothing(
        self, merchant: MerchantSystem, redis: Redis
    ) -> None:
        ApiToken.objects.update(per_minute=1)
        answers = [merchant.post("/payments", intent(), key="k") for _ in range(4)]  # a minute may turn in between
        refused = [answer for answer in answers if answer.status_code == 429]
        assert len(refused) >= 2
        assert_problem(refused[0], 429, "too_many_requests")
        assert 1 <= int(refused[0].headers["Retry-After"]) <= 60

    def test_without_redis_the_limit_is_off_and_not_the_api(
        self, merchant: MerchantSystem, settings: Settings, free_port: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        settings.REDIS_URL = f"redis://127.0.0.1:{free_port}/0"
        ApiToken.objects.update(per_minute=1)
        answers = [merchant.get("/payments", {"reference": "a"}).status_code for _ in range(5)]
        assert answers == [200] * 5
        assert caplog.text.count("the rate limit is off") == 1  # and then it is left alone for a while

    def test_redis_is_asked_again_after_a_rest(self, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(rate_limit._away_until, django_settings.REDIS_URL, NOON + timedelta(seconds=5))
        for _ in range(3):
            spend("t", 1, now=NOON)
        spend("t", 1, now=NOON + timedelta(seconds=5))
        with pytest.raises(TooManyRequests):
            spend("t", 1, now=NOON + timedelta(seconds=5))

    def test_a_redis_that_hangs_does_not_hang_the_api(self, settings: Settings, free_port: int) -> None:
        with socket.create_server(("127.0.0.1", free_port)) as silent:  # takes connections and never says a word
            settings.REDIS_URL = f"redis://127.0.0.1:{free_port}/0"
            spend("t", 1, now=NOON)
            asked = _connections(silent)
            for _ in range(4):
                spend("t", 1, now=NOON)
            assert (asked, _connections(silent)) == (1, 0)  # asked once, given up, and left alone


def test_no_answer_is_kept_by_a_cache_on_the_way(client: Client) -> None:
    assert client.get("/api/v1/payments?reference=x").headers["Cache-Control"] == "no-store"


def _connections(server: socket.socket) -> int:
    """How many have knocked since it was last asked."""
    server.setblocking(False)
    found = 0
    with suppress(BlockingIOError):
        while True:
            server.accept()[0].close()
            found += 1
    return found
