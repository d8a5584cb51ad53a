"""Which system is drilled? One brought up for the purpose below a temporary folder, or a running one that is named.

Only its own processes are killed: an attached system is driven and judged, never harmed.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from config.drill.client import DrillError
from config.embedded import APP, OWNER, Postgres, Valkey, wipe
from config.settings import BASE_DIR
from config.supervisor import Child, Supervisor, answers, run_to_end, says

DATABASE = "drill"
HELD = ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "DATA_DIR", "PORT", "SIMULATOR_PORT", "DEMO", "DEBUG", "TLS")


@dataclass
class System:
    """Addresses and the environment of the system's processes. `worker` and `postgres` only where they are ours."""

    url: str
    simulator_url: str
    env: dict[str, str]
    worker: Child | None = None
    beat: Child | None = None
    postgres: Postgres | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def database_url(self) -> str:
        """The application role's."""
        return self.env["DATABASE_URL"]

    def kills(self, names: frozenset[str], payments: int) -> list[Callable[[], None]]:
        """What may be done to this system's processes, of the chosen names; a longer drill kills more often."""
        if self.worker is None or self.postgres is None:
            if names & {"kill_worker", "restart_database"}:
                self.notes.append("No kills: this system was not started by the drill.")
            return []
        kills: list[Callable[[], None]] = []
        if "kill_worker" in names:
            kills += [self._kill_worker] * max(1, min(4, payments // 50))
        if "restart_database" in names:
            kills.insert(1, self._restart_database)
        return kills

    def _kill_worker(self) -> None:
        """SIGKILL to the worker and its children, whatever they are doing; a new one is started at once."""
        assert self.worker is not None and self.worker.process is not None
        os.killpg(self.worker.process.pid, signal.SIGKILL)
        self.worker.process.wait()
        self.worker.start()
        self.notes.append("The worker was killed in the middle of its work, and started again.")

    def _restart_database(self) -> None:
        assert self.postgres is not None
        self.postgres.stop()
        self.postgres.start()
        self.notes.append("PostgreSQL was restarted in the middle.")

    def stop_clockwork(self) -> None:
        """From here on time is told to the services: nobody else may work by the real one."""
        for child in (self.beat, self.worker):
            if child is not None:
                child.stop()

    def ask_inside(self, *arguments: str, told: str = "", seconds: float = 900) -> dict[str, Any]:
        """Run `python -m config.drill.inside` beside the system; `told` is its input. Raises: DrillError with its last words."""
        return self._json([sys.executable, "-m", "config.drill.inside", *arguments], seconds, told=told)

    def manage(self, *arguments: str, may_fail: bool = False) -> dict[str, Any]:
        """One management command with --json. Raises: DrillError with its last words unless it `may_fail`."""
        command = [sys.executable, str(BASE_DIR / "manage.py"), *arguments, "--json"]
        return self._json(command, 120, may_fail=may_fail)

    def _json(self, command: list[str], seconds: float, *, told: str = "", may_fail: bool = False) -> dict[str, Any]:
        try:
            ran = subprocess.run(  # noqa: S603 - our own command line
                command, env=self.env, cwd=BASE_DIR, input=told, capture_output=True, text=True, check=False,
                timeout=seconds,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise DrillError(f"{' '.join(command[1:])} took more than {seconds:.0f} s.") from None
        if ran.returncode and not may_fail:
            words = (ran.stderr.strip() or ran.stdout.strip() or "nothing").splitlines()
            raise DrillError(f"{' '.join(command[1:])} ended with {ran.returncode}: {words[-1]}")
        try:
            answer: dict[str, Any] = json.loads(ran.stdout)
        except ValueError:
            raise DrillError(f"{' '.join(command[1:])} did not answer in JSON: {ran.stderr[-300:]}") from None
        return answer


def attached(url: str, simulator_url: str) -> System:
    """A running system. Raises: DrillError if DATABASE_URL does not say where its books are."""
    if not os.environ.get("DATABASE_URL"):
        raise DrillError("Set DATABASE_URL (and REDIS_URL) to the running system's: the drill reads its books by SQL.")
    return System(
        url.rstrip("/"),
        simulator_url.rstrip("/"),
        dict(os.environ),
        notes=["Attached to a running system: its workers go on by the real clock while time is passed to the sweep."],
    )


@contextlib.contextmanager
def own(report: Callable[[str], None], *, seed: int, gateways: Sequence[str]) -> Iterator[System]:
    """Bring a whole system up in a temporary folder, and take all of it away afterwards.

    Raises: CannotStartError, EmbeddedError in one sentence; DrillError if a signal ended it.
    """
    stopped = True
    folder = Path(tempfile.mkdtemp(prefix="counterfoil-drill-"))
    supervisor = Supervisor(report=lambda name, seconds: report(f"{name} ready after {seconds:.1f} s"))
    try:
        with supervisor.session():
            yield _start(folder, supervisor, seed, gateways)
            stopped = False
    finally:
        wipe([folder])
    if stopped:  # the supervisor's session swallows the signal
        raise DrillError("The drill was stopped before its verdict.")


def _start(folder: Path, supervisor: Supervisor, seed: int, gateways: Sequence[str]) -> System:
    (folder / "logs").mkdir()
    (folder / "run").mkdir()
    postgres = Postgres(folder / "postgres", log=folder / "logs" / "postgres.log")
    valkey = Valkey(folder / "valkey", log=folder / "logs" / "valkey.log")
    supervisor.start({"PostgreSQL": postgres, "Valkey": valkey})
    postgres.prepare(DATABASE)
    port, simulator_port = _free_ports()
    env = _environment(folder, postgres, valkey, simulator_port)
    system = System(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{simulator_port}", env, postgres=postgres)
    run_to_end(
        [sys.executable, str(BASE_DIR / "manage.py"), "prepare"],
        env={**env, "DATABASE_OWNER_URL": postgres.url(DATABASE, OWNER)},
        cwd=BASE_DIR,
        log=folder / "logs" / "prepare.log",
    )
    system.ask_inside("prepare", ",".join(gateways))
    children = _children(folder, system, port, simulator_port, seed)
    system.worker, system.beat = children["worker"], children["beat"]
    supervisor.start(children)
    return system


def _environment(folder: Path, postgres: Postgres, valkey: Valkey, simulator_port: int) -> dict[str, str]:
    inherited = {n: v for n, v in os.environ.items() if n not in HELD and not n.startswith(("GATEWAY_", "PYTEST_"))}
    return {
        **inherited,
        "DATABASE_URL": postgres.url(DATABASE, APP),
        "REDIS_URL": valkey.url(),
        "DATA_DIR": str(folder),
        "DEMO": "1",
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "PYTHONUNBUFFERED": "1",
        "SECRET_KEY": secrets.token_urlsafe(40),
        "GATEWAY_NMI_BASE_URL": f"http://127.0.0.1:{simulator_port}/nmi",
        "GATEWAY_NMI_SECURITY_KEY": secrets.token_urlsafe(20),
        "GATEWAY_NMI_WEBHOOK_SECRET": secrets.token_urlsafe(20),
        "GATEWAY_CONVESIOPAY_BASE_URL": f"http://127.0.0.1:{simulator_port}/convesiopay",
        "GATEWAY_CONVESIOPAY_SECRET": secrets.token_urlsafe(20),
        "GATEWAY_CONVESIOPAY_INTEGRATION": "drill",
        "GATEWAY_CONVESIOPAY_WEBHOOK_SECRET": secrets.token_hex(20),
        "GATEWAY_STRIPE_BASE_URL": f"http://127.0.0.1:{simulator_port}/stripe",
        "GATEWAY_STRIPE_SECRET_KEY": secrets.token_urlsafe(20),
        "GATEWAY_STRIPE_WEBHOOK_SECRET": secrets.token_urlsafe(20),
    }


def _children(folder: Path, system: System, port: int, simulator_port: int, seed: int) -> dict[str, Child]:
    python, celery = sys.executable, [sys.executable, "-m", "celery", "-A", "config.celery"]
    return {
        "simulator": _child(
            folder, system.env, "simulator",
            [python, "-m", "simulator", "--port", str(simulator_port), "--webhooks", f"{system.url}/webhooks",
             "--seed", str(seed), "--webhook-retry-cap", "2"],
            is_ready=answers(f"{system.simulator_url}/_control/health"),
        ),
        "web": _child(
            folder, system.env, "web",
            [python, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port),
             "--blocking-threads", "32", "--no-ws", "--log-level", "warning", "config.wsgi:application"],
            is_ready=answers(f"{system.url}/healthz"),
        ),
        "worker": _child(
            folder, system.env, "worker",
            [*celery, "worker", "--loglevel", "INFO", "--concurrency", "4", "--without-gossip", "--without-mingle"],
            is_ready=says(" ready."), goodbye=((signal.SIGTERM, 10.0), (signal.SIGQUIT, 3.0)), death_signal=signal.SIGQUIT,
        ),
        "beat": _child(
            folder, system.env, "beat",
            [*celery, "beat", "--loglevel", "INFO", "-s", str(folder / "run" / "beat"), "--pidfile="],
            is_ready=says("beat: Starting"),
        ),
    }  # fmt: skip


def _child(folder: Path, env: Mapping[str, str], name: str, command: list[str], **more: Any) -> Child:
    return Child(command, env, BASE_DIR, folder / "logs" / f"{name}.log", **more)


def _free_ports() -> tuple[int, int]:
    """Two that were free a moment ago."""
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1]), int(other.getsockname()[1])
