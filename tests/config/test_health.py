"""Do the machines' doors name what is missing?"""

import time
from pathlib import Path

import pytest
import redis as redis_client
from django.core.cache import cache
from django.test import Client, RequestFactory
from pytest_django import Settings

from config import health
from config.celery import HEARTBEAT_KEY, app, broker_url, heartbeat

pytestmark = pytest.mark.django_db


def test_healthz_answers_without_looking_at_anything(client: Client, django_assert_num_queries) -> None:
    with django_assert_num_queries(0):
        answer = client.get("/healthz")

    assert (answer.status_code, answer.content) == (200, b"ok\n")


class TestReadyz:
    def test_is_ready_with_everything_there(self, client: Client, redis: "redis_client.Redis") -> None:
        heartbeat()

        answer = client.get("/readyz")

        assert (answer.status_code, answer.json()) == (200, {"ready": True, "missing": {}})

    def test_names_a_missing_heartbeat(self, client: Client, redis: "redis_client.Redis") -> None:
        answer = client.get("/readyz")

        assert answer.status_code == 503
        assert answer.json()["missing"] == {"beat": "no heartbeat yet: are beat and a worker running?"}

    def test_names_a_stale_heartbeat_with_its_age(self, client: Client, redis: "redis_client.Redis") -> None:
        cache.set(HEARTBEAT_KEY, time.time() - 3600, None)

        assert client.get("/readyz").json()["missing"]["beat"].startswith("the last heartbeat is 3600 s old")

    def test_names_a_broker_that_is_away(self, client: Client, settings: Settings, tmp_path: Path) -> None:
        settings.REDIS_URL = f"unix://{tmp_path}/nobody.sock?db=0"

        assert client.get("/readyz").json()["missing"]["broker"] == "Redis does not answer"

    def test_names_a_migration_that_is_not_applied(self, client: Client, redis: "redis_client.Redis") -> None:
        heartbeat()
        from django.db import connection
        from django.db.migrations.recorder import MigrationRecorder

        MigrationRecorder(connection).record_unapplied("otp_static", "0003_add_timestamps")

        answer = client.get("/readyz")

        assert answer.status_code == 503
        assert answer.json()["missing"]["migrations"] == "1 not applied, the first is otp_static.0003_add_timestamps"


class TestMetrics:
    def test_shows_what_waits_in_each_queue(self, client: Client, redis: "redis_client.Redis") -> None:
        redis.lpush("inbox", "a", "b")

        text = client.get("/metrics").content.decode()

        assert 'counterfoil_queue_depth{queue="inbox"} 2.0' in text
        assert 'counterfoil_queue_depth{queue="gateway"} 0.0' in text
        assert "process_resident_memory_bytes" in text

    def test_a_source_that_fails_is_counted_and_hides_no_other(
        self, client: Client, settings: Settings, tmp_path: Path
    ) -> None:
        settings.REDIS_URL = f"unix://{tmp_path}/nobody.sock?db=0"
        settings.METRICS = ["tests.config.test_health.two_gauges"]

        text = client.get("/metrics").content.decode()

        assert "counterfoil_metric_sources_failed 1.0" in text
        assert 'counterfoil_test{kind="a"} 1.0' in text
        assert 'counterfoil_test{kind="b"} 2.0' in text

    def test_asks_for_the_token_when_there_is_one(self, client: Client, settings: Settings) -> None:
        settings.METRICS_TOKEN = "open sesame"

        assert client.get("/metrics").status_code == 401
        assert client.get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 401
        assert client.get("/metrics", headers={"Authorization": "Bearer open sesame"}).status_code == 200


def two_gauges() -> list[health.Sample]:
    """A source of metrics for the test above."""
    return [("counterfoil_test", "A test", {"kind": kind}, value) for kind, value in (("a", 1.0), ("b", 2.0))]


class TestHeaders:
    def test_admin_pages_may_evaluate_and_others_may_not(self, client: Client) -> None:
        assert "'unsafe-eval'" in client.get("/admin/login/").headers["Content-Security-Policy"]
        strict = client.get("/healthz").headers["Content-Security-Policy"]
        assert "unsafe" not in strict
        assert "frame-ancestors 'none'" in strict

    def test_home_leads_to_the_admin(self, client: Client) -> None:
        assert client.get("/").headers["Location"] == "/admin/"

    def test_a_writing_method_is_refused(self, rf: RequestFactory) -> None:
        assert [door(rf.post("/")).status_code for door in (health.healthz, health.readyz, health.metrics)] == [405] * 3


class TestCelery:
    @pytest.mark.parametrize(
        ("ours", "celerys"),
        [
            ("redis://cache:6379/2", "redis://cache:6379/2"),
            ("unix:///var/run/valkey.sock?db=3", "redis+socket:///var/run/valkey.sock?virtual_host=3"),
            ("unix:///a%20b/v.sock", "redis+socket:///a%20b/v.sock?virtual_host=0"),
        ],
    )
    def test_spells_the_redis_url_its_own_way(self, ours: str, celerys: str) -> None:
        assert broker_url(ours) == celerys

    def test_every_line_of_the_timetable_names_a_task_that_exists(self) -> None:
        app.loader.import_default_modules()

        assert {line["task"] for line in app.conf.beat_schedule.values()} <= set(app.tasks)

    def test_a_nudge_reaches_the_queue_of_its_route(self, redis: "redis_client.Redis") -> None:
        app.send_task("payments.drain_inbox", args=())
        app.send_task("payments.advance_payment", args=("pay_1",))

        assert (redis.llen("inbox"), redis.llen("gateway"), redis.llen("default")) == (1, 1, 0)
