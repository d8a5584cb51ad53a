"""Is it alive, is it ready, and how much is waiting? Three doors for machines; they read and never write."""

import hmac
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

import redis
from django.conf import settings
from django.core.cache import cache
from django.db import Error as DatabaseError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.module_loading import import_string
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from config.celery import HEARTBEAT_KEY, HEARTBEAT_SECONDS, QUEUES
from config.history import stranded

log = logging.getLogger(__name__)

STALE_SECONDS = 6 * HEARTBEAT_SECONDS
Sample = tuple[str, str, Mapping[str, str], float]


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """200 while this process answers at all."""
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when work can be done, else 503 naming what is missing and why."""
    problems = {name: problem for name, ask in READINESS.items() if (problem := ask())}
    return JsonResponse({"ready": not problems, "missing": problems}, status=503 if problems else 200)


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus text. 401 without the token when METRICS_TOKEN is set."""
    given = request.headers.get("Authorization", "").removeprefix("Bearer ").encode()
    if settings.METRICS_TOKEN and not hmac.compare_digest(given, settings.METRICS_TOKEN.encode()):
        return HttpResponse("The metrics need their bearer token.\n", status=401, content_type="text/plain")
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(_Gauges())
    return HttpResponse(generate_latest(registry), content_type="text/plain; version=0.0.4; charset=utf-8")


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return "PostgreSQL does not answer"
    return ""


def _migrations() -> str:
    try:
        if reason := stranded(connection):
            return reason
        executor = MigrationExecutor(connection)
        waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError:
        return "not known while PostgreSQL does not answer"
    return f"{len(waiting)} not applied, the first is {waiting[0][0]}" if waiting else ""


def _broker() -> str:
    try:
        with _redis() as client:
            client.ping()
    except redis.RedisError:
        return "Redis does not answer"
    return ""


def _beat() -> str:
    try:
        last = cache.get(HEARTBEAT_KEY)
    except redis.RedisError:
        return "not known while Redis does not answer"
    if last is None:
        return "no heartbeat yet: are beat and a worker running?"
    age = time.time() - last
    return f"the last heartbeat is {age:.0f} s old: are beat and a worker running?" if age > STALE_SECONDS else ""


READINESS: dict[str, Callable[[], str]] = {
    "database": _database,
    "migrations": _migrations,
    "broker": _broker,
    "beat": _beat,
}


def _redis() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1)


class _Gauges(Collector):
    """Asks every source once a scrape; a source that fails is counted and does not hide the others."""

    def collect(self) -> Iterator[Metric]:
        """One family a metric name, in the order of the sources."""
        families: dict[str, GaugeMetricFamily] = {}
        failed = 0.0
        for source in (_queue_depths, *(import_string(path) for path in settings.METRICS)):
            try:
                samples = list(source())
            except (DatabaseError, redis.RedisError):
                log.exception("A source of metrics failed")
                failed += 1
                continue
            for name, text, labels, value in samples:
                family = families.setdefault(name, GaugeMetricFamily(name, text, labels=list(labels)))
                family.add_metric(list(labels.values()), value)
        yield from families.values()
        yield GaugeMetricFamily("counterfoil_metric_sources_failed", "Sources this scrape could not ask", value=failed)


def _queue_depths() -> Iterable[Sample]:
    with _redis() as client:
        for queue in QUEUES:
            depth = client.llen(queue)
            assert isinstance(depth, int)
            yield "counterfoil_queue_depth", "Nudges waiting in the broker", {"queue": queue}, float(depth)
