"""Start everything: databases, web, worker, beat, and for a demo the simulator with traffic. One line a service.

It opens no database itself; what needs the tables (migrations, checks, people) runs in `prepare`, the only child that
is given the owner's URL. It reads settings and nothing else of the product: `manage.py` starts it without the apps.
"""

import json
import os
import secrets
import sys
import time
from argparse import ArgumentParser
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL, SIGQUIT, SIGTERM
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from config import running
from config.embedded import APP, OWNER, EmbeddedError, Postgres, Valkey
from config.roles import DEMO_LOGINS
from config.settings import env, env_bool, env_int
from config.supervisor import (
    CannotStartError,
    Child,
    Startable,
    Supervisor,
    answers,
    exclusive_folder_lock,
    refuse_port_in_use,
    run_to_end,
    says,
)

DATABASE = "counterfoil"
PLAYED = ("nmi", "convesiopay", "stripe")  # gateways of the simulator that the demo speaks to
WORKERS = {
    # Threads: its slots mostly wait for gateways, and one process takes less processor time than four (`bench/upload.py`).
    "worker": ("-Q", "default,gateway", "--pool", "threads", "--concurrency", "4"),
    # One process that never calls a gateway: webhooks are worked on while every slot of the other waits for an answer.
    "inbox": ("-Q", "inbox", "--pool", "solo"),
}
GENERATED = (
    "SECRET_KEY",
    "GATEWAY_NMI_SECURITY_KEY",
    "GATEWAY_NMI_WEBHOOK_SECRET",
    "GATEWAY_CONVESIOPAY_SECRET",
    "GATEWAY_CONVESIOPAY_INTEGRATION",
    "GATEWAY_CONVESIOPAY_WEBHOOK_SECRET",
    "GATEWAY_STRIPE_SECRET_KEY",
    "GATEWAY_STRIPE_WEBHOOK_SECRET",
)


@dataclass
class Plan:
    """What was asked for, from the environment."""

    port: int
    simulator_port: int
    data_dir: Path
    demo: bool
    demo_rate: int

    @classmethod
    def read(cls) -> "Plan":
        """Defaults are the public contract's."""
        return cls(
            port=env_int("PORT", default=8000),
            simulator_port=env_int("SIMULATOR_PORT", default=8100),
            data_dir=settings.DATA_DIR,
            demo=env_bool("DEMO", default=True),
            demo_rate=env_int("DEMO_RATE", default=12),
        )

    @property
    def address(self) -> str:
        """Where people and gateways reach the site."""
        return f"http://127.0.0.1:{self.port}"


class Command(BaseCommand):
    """`manage.py up [--json]`"""

    help = "Start everything and stop everything with Ctrl-C."
    requires_system_checks = ()  # the database of the checks does not run yet

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object a line instead of words")

    def handle(self, *args: Any, **options: Any) -> None:
        self.as_json = bool(options["json"])
        supervisor = Supervisor(report=self._report)
        try:
            with supervisor.session():
                self._run(Plan.read(), supervisor)
        except (CannotStartError, EmbeddedError) as trouble:
            self._say("failed", str(trouble), error=True, message=str(trouble))
            sys.exit(1)
        self._say("stopped", "Everything has stopped.")

    def _run(self, plan: Plan, supervisor: Supervisor) -> None:
        began = time.monotonic()
        refuse_port_in_use(plan.port, "PORT")
        if plan.demo:
            refuse_port_in_use(plan.simulator_port, "SIMULATOR_PORT")
        _make_folders(plan.data_dir)
        self._lock = exclusive_folder_lock(plan.data_dir)
        environment, owner_url = _start_stores(plan, supervisor)
        with running.noted(plan.data_dir, environment):
            self._serve(plan, supervisor, environment, owner_url, began)

    def _serve(
        self,
        plan: Plan,
        supervisor: Supervisor,
        environment: dict[str, str],
        owner_url: dict[str, str],
        began: float,
    ) -> None:
        log = plan.data_dir / "logs" / "prepare.log"
        run_to_end(_manage("prepare"), env={**environment, **owner_url}, cwd=settings.BASE_DIR, log=log)
        self._report("tables", time.monotonic() - began)
        supervisor.start(_services(plan, environment))
        if plan.demo and plan.demo_rate > 0:
            supervisor.start({"traffic": _child(plan, environment, "traffic", _manage("demo_traffic"))})
        self._announce(plan, time.monotonic() - began)
        supervisor.watch()

    def _report(self, name: str, seconds: float) -> None:
        self._say("ready", f"  {name:<10} ready after {seconds:.1f} s", service=name, seconds=round(seconds, 2))

    def _announce(self, plan: Plan, seconds: float) -> None:
        logins = [{"name": name, "password": password} for name, password in DEMO_LOGINS.items()] if plan.demo else []
        lines = [f"\nCounterfoil runs at {plan.address}/ ({seconds:.1f} s). Stop with Ctrl-C."]
        lines += [f"  log in as {login['name']:<9} password {login['password']}" for login in logins]
        lines += [
            f"  the simulated gateway's own books: http://127.0.0.1:{plan.simulator_port}/_control/books/nmi"
        ] * plan.demo
        lines += [f"  logs in {plan.data_dir / 'logs'}"]
        self._say("started", "\n".join(lines), address=plan.address, logins=logins, seconds=round(seconds, 2))

    def _say(self, event: str, words: str, *, error: bool = False, **facts: object) -> None:
        stream = self.stderr if error and not self.as_json else self.stdout
        stream.write(json.dumps({"event": event, **facts}) if self.as_json else words)
        stream.flush()


def _make_folders(data_dir: Path) -> None:
    try:
        for folder in (data_dir, data_dir / "logs", data_dir / "run"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (data_dir / "logs", data_dir / "run"):
            folder.chmod(0o700)  # also one that was there before
        (data_dir / "run" / "probe").write_text("")
        (data_dir / "run" / "probe").unlink()
    except OSError as trouble:
        raise CannotStartError(f"DATA_DIR {data_dir} can not be used: {trouble.strerror}.") from None


def _start_stores(plan: Plan, supervisor: Supervisor) -> tuple[dict[str, str], dict[str, str]]:
    """PostgreSQL and Redis: the ones the environment names, else embedded ones. Returns (environment, owner's URL)."""
    data_dir, stores = plan.data_dir, dict[str, Startable]()
    environment = {**_secrets(data_dir, demo=plan.demo), **os.environ, "DEMO": "1" if plan.demo else "0"}
    environment |= {"DATA_DIR": str(data_dir), "DJANGO_SETTINGS_MODULE": "config.settings", "PYTHONUNBUFFERED": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # five processes read the same sources: compile them once
    owner_url = {key: value for key in ["DATABASE_OWNER_URL"] if (value := environment.pop(key, ""))}
    if plan.demo:
        for name in PLAYED:
            address = f"http://127.0.0.1:{plan.simulator_port}/{name}"
            environment.setdefault(f"GATEWAY_{name.upper()}_BASE_URL", address)
    postgres, valkey = (
        Postgres(data_dir / "postgres", log=data_dir / "logs" / "postgres.log"),
        Valkey(data_dir / "valkey"),
    )
    valkey.log = data_dir / "logs" / "valkey.log"
    if not env("DATABASE_URL"):
        stores["PostgreSQL"] = postgres
        environment["DATABASE_URL"] = postgres.url(DATABASE, APP)
        owner_url = {"DATABASE_OWNER_URL": postgres.url(DATABASE, OWNER)}
    if not env("REDIS_URL"):
        stores["Valkey"] = valkey
        environment["REDIS_URL"] = valkey.url()
    supervisor.start(stores)
    if "PostgreSQL" in stores:
        postgres.prepare(DATABASE)
    return environment, owner_url


def _secrets(data_dir: Path, *, demo: bool) -> dict[str, str]:
    """Generated once and kept with mode 0600; a variable of the environment wins. Gateway secrets serve the demo only.

    A folder that an earlier version made gets what it lacks.
    """
    path = data_dir / "secrets.env"
    pairs = _pairs(path) if path.exists() else {}
    # Hexadecimal, because some gateways' keys are nothing else.
    made = {name: secrets.token_hex(32) for name in GENERATED if name not in pairs}
    if made:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "w") as file:
            file.writelines(f"{name}={value}\n" for name, value in made.items())
    pairs |= made
    return {name: value for name, value in pairs.items() if demo or not name.startswith("GATEWAY_")}


def _pairs(path: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in path.read_text().splitlines() if "=" in line)


def _services(plan: Plan, environment: Mapping[str, str]) -> dict[str, Startable]:
    services: dict[str, Startable] = {}
    if plan.demo:
        services["simulator"] = _child(
            plan, environment, "simulator",
            [sys.executable, "-m", "simulator", "--port", str(plan.simulator_port), "--webhooks", f"{plan.address}/webhooks"],
            is_ready=answers(f"http://127.0.0.1:{plan.simulator_port}/_control/health"),
        )  # fmt: skip
    services["web"] = _child(
        plan, environment, "web",
        [sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(plan.port),
         "--blocking-threads", "32", "--no-ws", "--log-level", "warning", "config.wsgi:application"],
        is_ready=answers(f"{plan.address}/healthz"),
    )  # fmt: skip
    celery = [sys.executable, "-m", "celery", "-A", "config.celery"]
    for name, options in WORKERS.items():
        services[name] = _child(
            plan, environment, name,
            [*celery, "worker", "--loglevel", "INFO", "-n", f"{name}@%h", "--without-gossip", "--without-mingle", *options],
            is_ready=says(" ready."),
            # TERM waits for running tasks without end; QUIT gives back what is not acknowledged.
            goodbye=((SIGTERM, 8.0), (SIGQUIT, 3.0)),
            # With the broker gone at the same moment QUIT may wait for it without end; rows are the queue of record.
            death_signal=SIGKILL,
        )  # fmt: skip
    services["beat"] = _child(
        plan, environment, "beat",
        [*celery, "beat", "--loglevel", "INFO", "-s", str(plan.data_dir / "run" / "beat"), "--pidfile="],
        is_ready=says("beat: Starting"),
    )  # fmt: skip
    return services


def _child(
    plan: Plan,
    environment: Mapping[str, str],
    name: str,
    command: list[str],
    **more: Any,
) -> Child:
    return Child(command, environment, settings.BASE_DIR, plan.data_dir / "logs" / f"{name}.log", **more)


def _manage(command: str) -> list[str]:
    return [sys.executable, str(settings.BASE_DIR / "manage.py"), command]
