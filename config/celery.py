"""Who runs what in the background, and when? The Celery app: broker, queues, timetable.

Rows are the queue of record. A task is a nudge that may be lost, doubled or late without harm, so nothing here retries.
"""

import os
import time
from typing import Any, TypedDict
from urllib.parse import parse_qs, quote, unquote, urlsplit

from celery import Celery, Task
from django.conf import settings
from django.core.cache import cache
from django.db import close_old_connections
from kombu import Queue

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

HEARTBEAT_KEY = "counterfoil:heartbeat"
HEARTBEAT_SECONDS = 10.0
QUEUES = ("default", "gateway", "inbox")
# Calls to a gateway may hang for their whole time-out. The inbox makes none: with a worker of its own nothing holds it up.
ROUTES = {
    "payments.advance_*": {"queue": "gateway"},
    "reconciliation.run_nights": {"queue": "gateway"},
    "payments.drain_inbox": {"queue": "inbox"},
}


class BeatEntry(TypedDict):
    """One line of the timetable: a task's name and the seconds between two nudges."""

    task: str
    schedule: float


# By name: the apps' tasks are below the project and are not imported here.
BEAT: dict[str, BeatEntry] = {
    "heartbeat": {"task": "config.heartbeat", "schedule": HEARTBEAT_SECONDS},
    "sweep": {"task": "payments.sweep", "schedule": 10.0},
    "inbox": {"task": "payments.drain_inbox", "schedule": 5.0},
    "nights": {"task": "reconciliation.run_nights", "schedule": 60.0},
    "alarms": {"task": "reconciliation.watch_alarms", "schedule": 60.0},
    "breaks": {"task": "reconciliation.watch_breaks", "schedule": 300.0},
    "old answers": {"task": "payments.forget_old_answers", "schedule": 600.0},
    "reports": {"task": "reconciliation.sweep_reports", "schedule": 20.0},
}


class DatabaseTask(Task):  # type: ignore[type-arg]  # generic only in the stubs
    """A task on kept database connections: one that a restarted database has dropped is replaced before the task runs."""

    def before_start(self, task_id: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Drop connections that are dead or too old (CONN_HEALTH_CHECKS finds them)."""
        close_old_connections()


def broker_url(redis_url: str) -> str:
    """Celery's spelling of REDIS_URL: a Unix socket is `redis+socket:///path?virtual_host=N` there."""
    parts = urlsplit(redis_url)
    if parts.scheme != "unix":
        return redis_url
    database = parse_qs(parts.query).get("db", ["0"])[0]
    return f"redis+socket://{quote(unquote(parts.path))}?virtual_host={database}"


app = Celery("counterfoil", task_cls=DatabaseTask)
app.conf.update(
    broker_url=broker_url(settings.REDIS_URL),
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,  # workers and beat wait for the broker for ever
    broker_transport_options={
        "max_retries": 0,  # a publisher finds out at once; otherwise the first one blocks for six seconds
        "visibility_timeout": 120,
        "unacked_restore_interval": 10,
        "unacked_restore_throttle": 1,
        "socket_timeout": 10,
        "socket_connect_timeout": 2,
    },
    task_ignore_result=True,
    task_acks_late=True,  # a killed worker's nudge comes back; every task may run twice
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    task_default_queue=QUEUES[0],
    task_queues=[Queue(name) for name in QUEUES],
    task_routes=ROUTES,
    task_serializer="json",
    accept_content=["json"],
    beat_schedule=BEAT,
    timezone="UTC",
)
app.conf["CELERY_DB_REUSE_MAX"] = 1000  # keep connections between tasks; DatabaseTask replaces the dead ones
app.set_default()  # `current_app` in every thread, not only in the one that imported this
app.autodiscover_tasks()


@app.task(name="config.heartbeat")
def heartbeat() -> None:
    """Say that beat, broker and worker are alive; /readyz reads it."""
    cache.set(HEARTBEAT_KEY, time.time(), None)
