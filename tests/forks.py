"""How does a test start many processes of ours without importing the product anew for each of them?

`python -m tests.forks` imports it once, reaches neither database nor Redis, and forks a child a request: with the arguments,
environment and pipes that it is given, in a session of its own. A child is as real as one started plainly. It has its own
number and its own connections, takes real signals, and leaves a real exit code. Without their parent all of them end.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NoReturn

from config.embedded import dies_with_parent

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60.0  # a busy machine imports slowly
AT_RUN_TIME = ("GATEWAY_", "TMPDIR")  # variables read when asked for; others are read once, by Django's settings
READ_AHEAD = (  # not what is run: as with `python -m` it is read again
    "celery.apps.worker", "celery.bin.celery", "celery.concurrency.prefork", "celery.fixups.django", "celery.worker.worker",
    "config.urls", "granian.cli", "granian.server.mp", "kombu.transport.redis", "payments.gateways.registry",
    "payments.queries.proofs", "payments.services.batches.results", "payments.services.batches.running",
    "payments.services.batches.upload", "payments.services.execution", "payments.services.sweep", "payments.tasks",
    "reconciliation.tasks", "tests.payments.factories", "tests.payments.flows.books",
)  # fmt: skip


# ---- the side of the tests -----------------------------------------------------------------------------------------------


@dataclass
class Forked:
    """One child: as much of `subprocess.Popen` as tests use."""

    pid: int
    _fate: IO[bytes]  # a line with its exit code comes here
    returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit code, or minus the signal that ended it; None while it lives."""
        if self.returncode is None and select.select([self._fate], [], [], 0)[0]:
            self._read()
        return self.returncode

    def wait(self, seconds: float) -> int:
        """Until its end. Raises: subprocess.TimeoutExpired."""
        if self.returncode is None:
            if not select.select([self._fate], [], [], seconds)[0]:
                raise subprocess.TimeoutExpired(f"fork {self.pid}", seconds)
            self._read()
        assert self.returncode is not None
        return self.returncode

    def _read(self) -> None:
        line = self._fate.readline()
        assert line, "the process that forks has ended"
        self._fate.close()
        self.returncode = int(line)

    def send_signal(self, number: int) -> None:
        """A real one. Nothing happens if it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def kill_group(self) -> None:
        """SIGKILL for it and its children, also once it has ended itself."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


@dataclass
class Forks:
    """Starts children of one environment; only what is read at run time may differ from child to child."""

    env: Mapping[str, str]
    _server: subprocess.Popen[bytes] | None = None
    _control: socket.socket | None = field(default=None, repr=False)

    def start(
        self,
        module: str,
        *arguments: object,
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.DEVNULL,
        stderr: int = subprocess.DEVNULL,
        **env: str,
    ) -> Forked:
        """`python -m module argument …`; `stdin` and the others are open files' numbers, the caller's to close."""
        assert all(name.startswith(AT_RUN_TIME) for name in env), "the settings have been read"
        control = self._ready()
        fate, told = os.pipe()
        with open(os.devnull, "r+b") as nothing, os.fdopen(told, "wb") as teller:
            files = [nothing.fileno() if each == subprocess.DEVNULL else each for each in (stdin, stdout, stderr)]
            wish = json.dumps({"argv": [module, *map(str, arguments)], "env": {**self.env, **env}}).encode()
            socket.send_fds(control, [len(wish).to_bytes(4, "big")], [*files, teller.fileno()])
            control.sendall(wish)
        return Forked(int.from_bytes(_exactly(control, 4), "big"), os.fdopen(fate, "rb"))

    def _ready(self) -> socket.socket:
        if self._control is None:
            self._control, theirs = socket.socketpair()
            self._control.settimeout(START_SECONDS)
            with theirs:
                self._server = subprocess.Popen(
                    [sys.executable, "-m", "tests.forks", str(theirs.fileno())],
                    cwd=ROOT, env=dict(self.env), stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()],
                    start_new_session=True,
                )  # fmt: skip
        return self._control

    def end(self) -> None:
        """End it and whatever of its children is left."""
        if self._control is not None and self._server is not None:
            self._control.close()
            self._server.wait(START_SECONDS)
        self._control = self._server = None


def _exactly(control: socket.socket, size: int) -> bytes:
    heard = b""
    while len(heard) < size:
        part = control.recv(size - len(heard))
        if not part:
            raise EOFError
        heard += part
    return heard


# ---- the side of the process that forks ----------------------------------------------------------------------------------


def serve(control: socket.socket) -> list[str]:
    """Fork a child a request. Returns in a child alone, with its arguments; ends this process once nobody asks any more."""
    tellers: dict[int, int] = {}
    bell, ringer = os.pipe()
    os.set_blocking(ringer, False)
    signal.set_wakeup_fd(ringer, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        if bell in select.select([bell, control.fileno()], [], [])[0]:
            os.read(bell, 4096)
            _tell(tellers)
        elif (asked := _heard(control)) is None:
            _end(tellers)
        else:
            wish, files = asked
            pid = _fork()
            if pid == 0:
                for mine in (bell, ringer, control.detach(), files[3], *tellers.values()):
                    os.close(mine)
                return _become(wish, files[:3])
            tellers[pid] = files[3]
            for given in files[:3]:
                os.close(given)
            control.sendall(pid.to_bytes(4, "big"))


def _heard(control: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """One request with its open files; None once the other side is gone."""
    try:
        head, files, _, _ = socket.recv_fds(control, 4, 4)
        return (json.loads(_exactly(control, int.from_bytes(head, "big"))), files) if head else None
    except (EOFError, ConnectionError):
        return None


def _fork() -> int:
    assert threading.active_count() == 1, "a fork has none of the other threads"
    pid = os.fork()
    if pid == 0:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    return pid


def _become(wish: dict[str, Any], files: Sequence[int]) -> list[str]:
    """In the child: what `subprocess.Popen` would have done."""
    os.setsid()
    if (ask_kernel := dies_with_parent(signal.SIGKILL)) is not None:
        ask_kernel()
    for number, given in enumerate(files):
        os.dup2(given, number)
        os.close(given)
    os.environ.clear()
    os.environ.update(wish["env"])
    argv: list[str] = wish["argv"]
    return argv


def _tell(tellers: dict[int, int]) -> None:
    """The exit code of each child that has ended."""
    while tellers:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        teller = tellers.pop(pid)
        with suppress(BrokenPipeError):
            os.write(teller, b"%d\n" % os.waitstatus_to_exitcode(status))
        os.close(teller)


def _end(tellers: Mapping[int, int]) -> NoReturn:
    for pid in tellers:
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
    for pid in tellers:
        os.waitpid(pid, 0)
    sys.exit(0)


def main() -> None:
    """Import, then fork; a child goes on here as the program it was asked to be."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import gc

    import django

    django.setup()
    gc.disable()  # nothing of what is imported is garbage
    for module in READ_AHEAD:
        importlib.import_module(module)
    gc.freeze()
    sys.argv = serve(socket.socket(fileno=int(sys.argv[1])))
    gc.enable()
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
