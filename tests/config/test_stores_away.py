"""What does a visitor see while the database or Redis is away, or only hangs?"""

import json
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.core.cache.backends.redis import RedisCache
from django.db import InterfaceError, OperationalError, connection
from django.test import Client
from pytest_django import Settings
from redis.exceptions import RedisError

from config.cache import JsonSerializer
from config.celery import app
from config.health import readyz
from config.services import make_staff
from config.settings import database_from_url
from payments import jobs
from payments.services.inbox import store

pytestmark = pytest.mark.django_db


@pytest.fixture
def silent_server() -> Iterator[str]:
    """An address that takes connections and never says a word, as a frozen server does."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture(params=[OperationalError, InterfaceError])
def broken_database(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """An execute wrapper under which every statement fails as it does when the server has gone."""

    def fail(*args: object) -> None:
        raise request.param("server closed the connection; password=topsecret")

    return fail


class TestDatabaseAway:
    def test_a_page_says_so_and_nothing_else(
        self, settings: Settings, broken_database: Callable[..., Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        settings.DEMO = True
        client = Client()
        client.force_login(make_staff("operator", "operator", "pw"))

        with connection.execute_wrapper(broken_database):
            answer = client.get("/admin/payments/payment/")

        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
        assert answer.content.startswith(b"The database does not answer")
        assert "topsecret" not in answer.text + caplog.text
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]

    def test_the_api_answers_a_problem(self, broken_database: Callable[..., Any]) -> None:
        with connection.execute_wrapper(broken_database):
            answer = Client().get("/api/v1/payments?reference=x", headers={"Authorization": "Bearer x"})

        assert (answer.status_code, answer.headers["Content-Type"]) == (503, "application/problem+json")

    def test_a_webhook_is_asked_for_again(self, broken_database: Callable[..., Any]) -> None:
        with connection.execute_wrapper(broken_database):
            answer = Client().post("/webhooks/nmi/", b"{}", content_type="application/json")

        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")

    def test_readyz_names_it(self, broken_database: Callable[..., Any], rf: Any) -> None:
        with connection.execute_wrapper(broken_database):
            answer = readyz(rf.get("/readyz"))

        assert answer.status_code == 503
        assert b'"database": "PostgreSQL does not answer"' in answer.content

    def test_one_that_hangs_is_given_up_unless_the_url_says_otherwise(self) -> None:
        def options(query: str) -> dict[str, str]:
            found = database_from_url(f"postgresql://u@db/x{query}", variable="DATABASE_URL")["OPTIONS"]
            return {name: found[name] for name in ("connect_timeout", "tcp_user_timeout")}

        assert options("") == {"connect_timeout": "5", "tcp_user_timeout": "30000"}
        assert options("?connect_timeout=60") == {"connect_timeout": "60", "tcp_user_timeout": "30000"}


class TestRedisHangs:
    def test_the_cache_gives_up_within_a_second(self, settings: Settings, silent_server: str) -> None:
        options = settings.CACHES["default"]["OPTIONS"]
        assert options["socket_connect_timeout"] + options["socket_timeout"] <= 1
        frozen = RedisCache(f"redis://{silent_server}/0", {"OPTIONS": options})

        with pytest.raises((RedisError, ValueError)):
            frozen.get("x")

    def test_a_nudge_is_left_to_the_sweep(
        self, monkeypatch: pytest.MonkeyPatch, settings: Settings, silent_server: str
    ) -> None:
        frozen = RedisCache(f"redis://{silent_server}/0", {"OPTIONS": settings.CACHES["default"]["OPTIONS"]})
        monkeypatch.setattr(store, "cache", frozen)

        store.nudge()  # both come back at all, and raise nothing: the server never answers
        store.forget_nudge()

    def test_a_broker_that_failed_is_left_alone_for_a_while(
        self, monkeypatch: pytest.MonkeyPatch, redis: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setitem(jobs._away_until, str(app.conf.broker_url), time.monotonic() + 60)
        jobs._send(jobs.DRAIN_INBOX, (), None)
        assert redis.llen("inbox") == 0

        monkeypatch.setitem(jobs._away_until, str(app.conf.broker_url), 0.0)
        jobs._send(jobs.DRAIN_INBOX, (), None)
        assert redis.llen("inbox") == 1


class TestCacheIsNoWayIn:
    def test_values_come_back_as_they_were(self, redis: Any) -> None:
        for value in (1, 1.5, "a\u00e9", [1, {"a": None}], True):
            cache.set("x", value)
            assert cache.get("x") == value

    def test_a_pickle_somebody_put_there_is_not_run(self) -> None:
        with pytest.raises(json.JSONDecodeError):
            JsonSerializer().loads(b"cos\nsystem\n(S'true'\ntR.")
