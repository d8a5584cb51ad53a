"""Does one command start everything, and does nothing stay behind however it ends?"""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from config.celery import QUEUES, ROUTES
from config.embedded import Valkey
from config.management.commands.up import WORKERS
from config.supervisor import SIGNALS, Child, Supervisor
from tests import services

pytestmark = pytest.mark.slow
Start = Callable[..., "Running"]


class Running:
    """A start of everything, on a data directory of its own."""

    def __init__(self, data_dir: Path, port: int, simulator_port: int, **more: str) -> None:
        env = {name: value for name, value in os.environ.items() if name not in services.ENVIRONMENT}
        self.data_dir, self.port = data_dir, port
        self.lines: list[dict[str, Any]] = []
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "up", "--json"],
            cwd=services.ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
            env={**env, "DATA_DIR": str(data_dir), "PORT": str(port), "SIMULATOR_PORT": str(simulator_port), **more},
        )  # fmt: skip
        assert self.process.stdout is not None

    def read_until(self, event: str) -> dict[str, Any]:
        """Read its lines up to the event."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(json.loads(line))
            if self.lines[-1]["event"] == event:
                return self.lines[-1]
        raise AssertionError(f"ended before {event}: {self.lines}")

    def refused(self) -> str:
        """Why it does not start, in its own words."""
        message: str = self.read_until("failed")["message"]
        assert self.process.wait(60) == 1
        return message

    def ready(self) -> set[str]:
        """Services reported ready so far."""
        return {line["service"] for line in self.lines if line["event"] == "ready"}

    def family(self) -> list[psutil.Process]:
        """Every process below it that lives (zombies wait for a reaper and do not count)."""
        return [each for each in psutil.Process(self.process.pid).children(recursive=True) if _lives(each)]


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for_end(family: list[psutil.Process], seconds: float = 60) -> list[psutil.Process]:
    deadline = time.monotonic() + seconds
    while (alive := [each for each in family if _lives(each)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return alive


@pytest.fixture
def start(server_path: Path, free_port: int) -> Iterator[Start]:
    """Start everything on free ports."""
    started: list[Running] = []

    def run(data_dir: Path = server_path / "data", port: int = free_port, **more: str) -> Running:
        started.append(Running(data_dir, port, free_port + 1, **more))
        return started[-1]

    yield run
    for each in started:
        family = each.family() if each.process.poll() is None else []
        each.process.kill()
        each.process.communicate()
        wait_for_end(family)


@pytest.fixture
def stores(django_db_setup: None) -> dict[str, str]:
    """PostgreSQL and Redis of the suite, as the environment names them."""
    return {
        "DATABASE_URL": services.ENVIRONMENT["DATABASE_URL"],
        "DATABASE_OWNER_URL": services.owner_url(),
        "REDIS_URL": services.REDIS_URL,
    }


def get(url: str) -> tuple[int, str]:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.status, answer.read().decode()


class TestAStart:
    """Two on one data directory, for a start is dear: the first makes it, and the second finds what a kill left behind."""

    def test_from_nothing_then_killed_then_with_a_service_that_dies(self, start: Start, free_port: int) -> None:
        running = start(DEMO_RATE="120")
        started = running.read_until("started")
        family = running.family()
        assert len(family) >= 8
        assert running.ready() == {
            "PostgreSQL", "Valkey", "tables", "simulator", "web", "worker", "inbox", "beat", "traffic",
        }  # fmt: skip
        assert {login["name"] for login in started["logins"]} == {
            "support",
            "operator",
            "finance",
            "auditor",
            "admin",
        }
        assert get(f"{started['address']}/healthz") == (200, "ok\n")
        assert "Counterfoil" in get(f"{started['address']}/admin/login/")[1]
        assert self._becomes_ready(started["address"])
        assert self._takes_money(f"http://127.0.0.1:{running.port + 1}/_control/books/nmi")

        # Nobody starts beside it.
        said = start(port=free_port + 2, DEMO="0").refused()
        assert said == f"Counterfoil already runs on {running.data_dir}: stop it first, or set DATA_DIR."

        # Killed, it leaves nothing behind.
        running.process.kill()
        assert wait_for_end(family) == []

        # Its stale files are no obstacle. No payments are wanted this time: nothing sends any.
        running = start(DEMO_RATE="0")
        running.read_until("started")
        family = running.family()
        assert running.ready() == {"PostgreSQL", "Valkey", "tables", "simulator", "web", "worker", "inbox", "beat"}

        # One service dies: all stop.
        next(each for each in family if "beat" in each.cmdline()).kill()
        failed = running.read_until("failed")
        assert failed["message"].startswith("beat ended by itself (signal SIGKILL), so everything stops.")
        assert running.process.wait(60) == 1
        assert wait_for_end(family) == []

    def _becomes_ready(self, address: str) -> bool:
        return _comes_true(lambda: json.loads(get(f"{address}/readyz")[1])["ready"])

    def _takes_money(self, books: str) -> bool:
        return _comes_true(lambda: json.loads(get(books)[1])["movements"])

    def test_without_the_demo_and_with_databases_it_is_told_to_use_it_starts_no_more_than_it_must(
        self, start: Start, stores: dict[str, str]
    ) -> None:
        running = start(DEMO="0", **stores)
        started = running.read_until("started")
        family = running.family()

        assert running.ready() == {"tables", "web", "worker", "inbox", "beat"}  # no stores, no simulator, no traffic
        assert started["logins"] == []
        assert not (running.data_dir / "postgres").exists()
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(60) == 0
        assert wait_for_end(family) == []


@pytest.mark.parametrize("number", SIGNALS)
def test_each_signal_stops_servers_and_processes_alike(number: int, server_path: Path) -> None:
    """What a start and a drill do with them all, here with two; afterwards the signal means again what it did before."""
    before, reported = signal.getsignal(number), list[str]()
    valkey = Valkey(server_path / "valkey")
    child = Child(["sleep", "600"], os.environ, services.ROOT, server_path / "child.log")
    supervisor = Supervisor(report=lambda name, _seconds: reported.append(name))

    with supervisor.session():
        supervisor.start({"Valkey": valkey, "child": child})
        family = [psutil.Process(each.process.pid) for each in (valkey, child) if each.process]
        os.kill(os.getpid(), number)
        supervisor.watch()

    assert reported == ["Valkey", "child"]
    assert len(family) == 2
    assert wait_for_end(family) == []
    assert signal.getsignal(number) is before


def test_every_queue_has_a_worker_and_nothing_that_calls_a_gateway_is_beside_the_inbox() -> None:
    queues = {name: options[options.index("-Q") + 1].split(",") for name, options in WORKERS.items()}
    assert sorted(queue for served in queues.values() for queue in served) == sorted(QUEUES)
    assert queues["inbox"] == ["inbox"]
    assert [task for task, where in ROUTES.items() if where["queue"] == "inbox"] == ["payments.drain_inbox"]


class TestARefusal:
    def test_a_port_in_use(self, start: Start, free_port: int) -> None:
        import socket

        with socket.create_server(("127.0.0.1", free_port)):
            said = start().refused()

        assert (
            said
            == f"Port {free_port} is in use: stop what listens there, or choose another, as in PORT={free_port + 1}."
        )

    def test_a_damaged_data_directory(self, start: Start, server_path: Path) -> None:
        (server_path / "data" / "postgres").mkdir(parents=True)
        (server_path / "data" / "postgres" / "PG_VERSION").write_text("18\n")

        said = start().refused()

        assert said.startswith(f"The data directory {server_path}/data/postgres is damaged")
        assert "restore it from a backup" in said

    def test_a_database_that_does_not_answer(self, start: Start) -> None:
        said = start(DEMO="0", DATABASE_URL="postgresql://x@127.0.0.1:1/x").refused()

        assert said.startswith("PostgreSQL at DATABASE_URL can not be used: ")

    def test_a_redis_that_does_not_answer(self, start: Start, stores: dict[str, str]) -> None:
        said = start(DEMO="0", **{**stores, "REDIS_URL": "redis://127.0.0.1:1/0"}).refused()

        assert said.startswith("Redis at REDIS_URL can not be used: ")

    def test_an_unsafe_production(self, start: Start, stores: dict[str, str]) -> None:
        said = start(DEMO="0", DEBUG="1", ALLOWED_HOSTS="pay.example.com", **stores).refused()

        assert "counterfoil.E001" in said
        assert "counterfoil.E004" in said


def _comes_true(question: Callable[[], object], seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if question():
                return True
        except OSError:  # 503 until it is
            pass
        time.sleep(0.1)
    return False
