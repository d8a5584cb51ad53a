"""How do many processes start, run and end as one? A small supervisor; it knows nothing of Django or of payments.

Every child is in a session of its own and ends when this process ends, also by SIGKILL. A signal raises one exception
in the main loop; from then on further signals are ignored and everything is stopped in reverse order.
"""

import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from config.embedded import dies_with_parent, stop_process

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class CannotStartError(Exception):
    """Something needed is missing or broken; the text is for the person at the terminal."""


class StopRequested(BaseException):
    """A signal asked to stop."""


class Startable(Protocol):
    """What can be started and stopped: a child process, or an embedded server."""

    process: subprocess.Popen[Any] | None

    def start(self) -> None:
        """Start; may return before it is ready."""

    def stop(self) -> None:
        """End. Idempotent."""


@dataclass
class Child:
    """One process of ours, its output in a log file."""

    command: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    log: Path
    is_ready: Callable[["Child"], bool] = lambda child: True
    goodbye: tuple[tuple[int, float], ...] = ((signal.SIGTERM, 8.0),)  # signals with seconds of grace, then SIGKILL
    death_signal: int = signal.SIGTERM
    process: subprocess.Popen[Any] | None = None

    def start(self) -> None:
        """Start it; the log of the last start is kept as `.old`."""
        with contextlib.suppress(FileNotFoundError):
            self.log.replace(self.log.with_suffix(".old"))
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own command line
                self.command, env=dict(self.env), cwd=self.cwd, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, preexec_fn=dies_with_parent(self.death_signal),
            )  # fmt: skip

    def stop(self) -> None:
        """Ask ever less politely, then end the whole group."""
        for polite, grace in self.goodbye:
            if self.process is not None and self.process.poll() is None:
                self.process.send_signal(polite)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(grace)
        stop_process(self.process, signal.SIGKILL, grace=5)

    def output(self, lines: int = 15) -> str:
        """The last lines it wrote."""
        with contextlib.suppress(FileNotFoundError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        return ""


def says(words: str) -> Callable[[Child], bool]:
    """Ready once the words stand in its log."""
    return lambda child: words in child.log.read_text(errors="replace")


def answers(url: str) -> Callable[[Child], bool]:
    """Ready once the address answers 200."""

    def ask(_child: Child) -> bool:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own loopback address
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    return ask


@dataclass
class Supervisor:
    """Starts services, reports each as it becomes ready, watches them, stops them in reverse."""

    report: Callable[[str, float], None]
    ready_seconds: float = 60.0
    running: list[tuple[str, Startable]] = field(default_factory=list)

    @contextlib.contextmanager
    def session(self) -> Iterator[None]:
        """Signals stop the body; whatever was started is stopped on the way out. Swallows StopRequested."""
        before = {number: signal.signal(number, _request_stop) for number in SIGNALS}
        try:
            yield
        except StopRequested:
            pass
        finally:
            for number in SIGNALS:
                signal.signal(number, signal.SIG_IGN)
            self._stop_all()
            for number, handler in before.items():
                signal.signal(number, handler)

    def start(self, services: Mapping[str, Startable]) -> None:
        """Start all, then wait for each. Raises: CannotStartError with the last words of one that failed."""
        began = time.monotonic()
        for name, service in services.items():
            self.running.append((name, service))  # first: a signal in between must not leave it behind
            service.start()
        for name, service in services.items():
            if isinstance(service, Child):
                self._wait_until_ready(name, service)
            self.report(name, time.monotonic() - began)

    def watch(self) -> None:
        """Return never, except by StopRequested. Raises: CannotStartError naming a service that ended by itself."""
        while True:
            self._refuse_dead()
            time.sleep(0.2)

    def _wait_until_ready(self, name: str, child: Child) -> None:
        deadline = time.monotonic() + self.ready_seconds
        while not child.is_ready(child):
            self._refuse_dead()
            if time.monotonic() > deadline:
                raise CannotStartError(f"{name} is not ready after {self.ready_seconds:.0f} s.\n{child.output()}")
            time.sleep(0.05)

    def _refuse_dead(self) -> None:
        for name, service in self.running:
            if service.process is not None and (code := service.process.poll()) is not None:
                words = service.output() if isinstance(service, Child) else ""
                raise CannotStartError(f"{name} ended by itself ({_how(code)}), so everything stops.\n{words}".strip())

    def _stop_all(self) -> None:
        while self.running:
            _name, service = self.running.pop()
            service.stop()


def _request_stop(number: int, _frame: FrameType | None) -> None:
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise StopRequested(number)


def _how(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"


def refuse_port_in_use(port: int, variable: str) -> None:
    """Raises: CannotStartError naming the port and the variable that moves it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as trouble:
            reason = "is in use" if isinstance(trouble, OSError) and trouble.errno == 98 else "can not be used"
            raise CannotStartError(
                f"Port {port} {reason}: stop what listens there, or choose another, as in {variable}={port + 1}."
            ) from None


def run_to_end(command: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path) -> None:
    """Run one command that must succeed. Raises: CannotStartError with what it said, or its last line if it crashed."""
    with log.open("wb") as file:
        code = subprocess.run(  # noqa: S603 - our own command line
            command, env=dict(env), cwd=cwd, stdin=subprocess.DEVNULL, stdout=file, stderr=file, check=False,
            start_new_session=True, preexec_fn=dies_with_parent(signal.SIGKILL),
        ).returncode  # fmt: skip
    if code:
        said = log.read_text(errors="replace").strip()
        if "Traceback (most recent call last)" in said:
            said = f"{said.splitlines()[-1]} (all of it in {log})"
        raise CannotStartError(said or f"{command[-1]} ended without a word ({_how(code)})")


def exclusive_folder_lock(folder: Path) -> int:
    """Hold `folder` for this process until it ends. Raises: CannotStartError when another start holds it."""
    import fcntl

    handle = os.open(folder / "up.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise CannotStartError(f"Counterfoil already runs on {folder}: stop it first, or set DATA_DIR.") from None
    return handle
