"""How fast does an upload run where a gateway answers after 200 ms, and what does deciding to ask the next one cost? Prints JSON.

    python -m bench.upload [--rounds 2] [--rows 200] [--slots 2 4] [--pool threads]

A slot of a worker that did nothing but wait for the gateway would make five payments a second. An upload runs on a real worker
process with so many slots and a real simulator; counted are its payments between the first call sent and the last answer booked.
Beside it, in the same round, as many threads make the same calls and nothing else: what this machine allows just now. Failover is
timed in this process: the first gateway declines, the second one takes it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil

from tests import services  # before Django: it decides the database

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ["LOG_LEVEL"] = "WARNING"
ANSWER_SECONDS = 0.2
CREDENTIALS = {
    "GATEWAY_NMI_SECURITY_KEY": "demo-nmi-security-key",
    "GATEWAY_NMI_WEBHOOK_SECRET": "demo-nmi-webhook-secret",
    "GATEWAY_SECOND_SECURITY_KEY": "demo-nmi-security-key",
    "GATEWAY_SECOND_WEBHOOK_SECRET": "demo-nmi-webhook-secret",
}


def main() -> None:
    options = _arguments()
    services.make_database()
    try:
        import django

        os.environ.update(CREDENTIALS)
        django.setup()
        print(json.dumps(measure(options), indent=2))
    finally:
        from django.db import connections

        connections.close_all()
        services.drop_database()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--slots", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--pool", default="threads")
    parser.add_argument("--failovers", type=int, default=40)
    return parser.parse_args()


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Both accounts on one simulator, whose collecting calls answer late."""
    from payments.services.accounts import ensure_gateway_account
    from tests.simulator_fixture import start_simulator

    simulator = start_simulator()
    for slug in ("NMI", "SECOND"):
        os.environ[f"GATEWAY_{slug}_BASE_URL"] = simulator.nmi_url
    ensure_gateway_account("nmi", "nmi", "NMI", priority=1)
    ensure_gateway_account("second", "nmi", "Second", priority=2)
    simulator.fault(f"slow:{ANSWER_SECONDS}", "sale", rate=1)
    try:
        return {
            "answer_seconds": ANSWER_SECONDS,
            "rows_an_upload": options.rows,
            "rounds": options.rounds,
            "pool": options.pool,
            "load_before": [round(load, 1) for load in os.getloadavg()],
            "processors": os.cpu_count(),
            "uploads": _uploads(options, simulator.nmi_url),
            "failover": _failover(options.failovers),
        }
    finally:
        simulator.stop()


# --- uploads ----------------------------------------------------------------------------------------------------------


def _uploads(options: argparse.Namespace, url: str) -> dict[str, Any]:
    """Contenders take turns within a round."""
    made: dict[int, list[float]] = {slots: [] for slots in options.slots}
    worked: dict[int, list[float]] = {slots: [] for slots in options.slots}
    bare: dict[int, list[float]] = {slots: [] for slots in options.slots}
    for number in range(options.rounds):
        for slots in options.slots:
            bare[slots].append(_bare_calls(url, slots, options.rows // 2))
            with _worker(slots, options.pool) as process:
                _upload(f"warm-{number}-{slots}", 4 * slots)
                before = _processor_seconds(process)
                made[slots].append(_upload(f"round-{number}-{slots}", options.rows))
                worked[slots].append((_processor_seconds(process) - before) / options.rows)
    return {
        f"{slots} slots": {
            "payments_a_second": round(statistics.median(made[slots]), 2),
            "of_slots_times_five": round(statistics.median(made[slots]) / (slots / ANSWER_SECONDS), 3),
            "worker_processor_ms_a_payment": round(1000 * statistics.median(worked[slots]), 1),
            "bare_calls_a_second": round(statistics.median(bare[slots]), 2),
            "of_bare_calls": round(statistics.median(a / b for a, b in zip(made[slots], bare[slots], strict=True)), 3),
        }
        for slots in options.slots
    }


def _upload(name: str, rows: int) -> float:
    """Payments a second, from the first call sent to the last outcome booked."""
    from django.db.models import Max, Min

    from payments.models import Operation, Payment
    from payments.services.actors import SYSTEM
    from payments.services.batches.starting import start_batch
    from payments.services.batches.upload import upload_batch
    from tests.payments.batches.sheets import csv_file, orders

    now = datetime.now(UTC)
    file = csv_file(*orders(f"{name}-{number}" for number in range(rows)))
    batch = upload_batch(f"{name}.csv", file, actor=SYSTEM, now=now)
    start_batch(batch.public_id, version=batch.version, reason="", actor=SYSTEM, now=now)
    ours = Payment.objects.filter(batch_row__batch=batch)
    deadline = time.monotonic() + 60 + rows * ANSWER_SECONDS * 2
    while ours.filter(state="captured").count() < rows:
        assert time.monotonic() < deadline, f"{name} did not end: {[*ours.values_list('state', 'waits_for')][:5]}"
        time.sleep(0.3)
    ends = Operation.objects.filter(payment__in=ours).aggregate(first=Min("sent_at"), last=Max("ended_at"))
    return float(rows / (ends["last"] - ends["first"]).total_seconds())


@contextmanager
def _worker(slots: int, pool: str) -> Iterator[psutil.Process]:
    """A worker as `up` starts it, on all queues; ready once it has answered a ping."""
    from config.celery import app

    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_OWNER_URL"} | {"DEMO": "1"}
    command = [sys.executable, "-m", "celery", "-A", "config.celery", "worker", "--loglevel", "WARNING"]
    process = subprocess.Popen(
        [*command, "--pool", pool, "--concurrency", str(slots), "--without-gossip", "--without-mingle"],
        cwd=services.ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while not app.control.ping(timeout=0.5):
            assert process.poll() is None and time.monotonic() < deadline, "the worker did not start"
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(15)


def _processor_seconds(process: psutil.Process) -> float:
    """Of a process and its children so far: what it costs whoever else is busy on the machine."""
    times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    return float(sum(each.user + each.system for each in times))


def _bare_calls(url: str, slots: int, calls: int) -> float:
    """Calls a second of threads that do nothing else."""
    from payments.gateways import http
    from payments.gateways.base import WireRequest

    def one(number: int) -> None:
        form = {
            "security_key": CREDENTIALS["GATEWAY_NMI_SECURITY_KEY"], "type": "sale", "amount": "12.34", "currency": "USD",
            "orderid": f"bare-{time.monotonic_ns()}-{number}", "payment_token": "nmi_tok_ok",
        }  # fmt: skip
        until = _now() + timedelta(seconds=20)
        request = WireRequest("POST", "/api/transact.php", form=form)
        answer = http.send(request, base_url=url, send_before=until, done_before=until, clock=_now)
        assert b"response=1" in answer.body, answer.body

    with ThreadPoolExecutor(slots) as pool:
        started = time.perf_counter()
        list(pool.map(one, range(calls)))
        return calls / (time.perf_counter() - started)


def _now() -> datetime:
    return datetime.now(UTC)


# --- failover ---------------------------------------------------------------------------------------------------------


@dataclass
class Timed:
    """Stands in for a function for the time of a measurement, and adds up what its calls take."""

    function: Callable[..., Any]
    seconds: list[float] = field(default_factory=list)

    def __call__(self, *args: Any, **named: Any) -> Any:
        started = time.perf_counter()
        try:
            return self.function(*args, **named)
        finally:
            self.seconds.append(time.perf_counter() - started)


@contextmanager
def _timed(module: Any, name: str) -> Iterator[Timed]:
    original = getattr(module, name)
    timed = Timed(original)
    setattr(module, name, timed)
    try:
        yield timed
    finally:
        setattr(module, name, original)


def _failover(payments: int) -> dict[str, float]:
    """Medians of payments that the first gateway declines: reading the route, the whole decision with its writes, the charge."""
    from payments.services import attempts, execution
    from payments.services.execution import advance_payment
    from tests.payments.factories import new_payment

    whole: list[float] = []
    with _timed(attempts, "choose_route") as routes, _timed(execution, "follow_up") as decisions:
        for _ in range(payments):
            payment = new_payment(_now, token="tok_decline_soft_decline")  # type: ignore[arg-type]
            started = time.perf_counter()
            advance_payment(payment.pk, _now)
            whole.append(time.perf_counter() - started)
            asked = list(payment.attempts.order_by("number").values_list("gateway_account__slug", flat=True))
            assert asked == ["nmi", "second"], asked
    first = decisions.seconds[::2]  # what follows the first refusal; the second one ends the payment
    calls = 2 * ANSWER_SECONDS
    return {
        "payments": payments,
        "choosing_a_route_ms": round(1000 * statistics.median(routes.seconds), 2),
        "deciding_and_planning_ms": round(1000 * statistics.median(first), 2),
        "whole_charge_ms": round(1000 * statistics.median(whole), 1),
        "share_of_choosing": round(statistics.median(routes.seconds) / statistics.median(whole), 4),
        "share_of_deciding": round(statistics.median(first) / statistics.median(whole), 4),
        "share_of_all_but_the_calls": round(1 - calls / statistics.median(whole), 4),
    }


if __name__ == "__main__":
    main()
