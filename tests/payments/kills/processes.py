"""How does a test run a worker, see how far it has come, and end or freeze it there? Nothing of ours is patched:
a worker is held up by a row lock, or by a gateway that does not take its call."""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import IO, Any

import psutil
import psycopg
from django.db import connection

from tests.forks import Forked, Forks
from tests.simulator_fixture import wait_for

PATIENCE = 90.0  # seconds; a busy machine starts a Python slowly


def _sessions() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


@dataclass
class Worker:
    """One driver process. `go` lets it begin; `kill`, `stop` and `resume` are real signals."""

    process: Forked
    stdin: IO[str]
    stdout: IO[str]

    def go(self) -> Worker:
        self.stdin.write("\n")
        self.stdin.flush()
        return self

    def wait_until_ready(self) -> Worker:
        with selectors.DefaultSelector() as selector:
            selector.register(self.stdout, selectors.EVENT_READ)
            assert selector.select(PATIENCE), "the driver did not start"
        assert self.stdout.readline() == "ready\n"
        return self

    def kill(self) -> None:
        """SIGKILL: no handler, no clean-up, no goodbye to anybody. Returns once the server has noticed, too.

        Until it has, the dead worker's advisory lock is held, and whoever looks takes the call for one in flight.
        """
        before = _sessions()
        self.process.kill()
        assert self.process.wait(PATIENCE) == -signal.SIGKILL
        with suppress(AssertionError):  # it may have had no session
            wait_for(lambda: _sessions() < before, 3)

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def result(self) -> dict[str, Any]:
        """What it printed at its end. Fails if it ended in an error."""
        code = self.process.wait(PATIENCE)
        assert code == 0, f"exit code {code}"
        answer: dict[str, Any] = json.loads(self.stdout.read().splitlines()[-1])
        return answer

    def exit_code(self) -> int:
        return self.process.wait(PATIENCE)

    def end(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)
        for pipe in (self.stdin, self.stdout):
            with suppress(BrokenPipeError):
                pipe.close()


@dataclass
class Workers:
    """Starts drivers and ends what is left of them."""

    forks: Forks
    gateway: dict[str, str]
    started: list[Worker] = field(default_factory=list)

    def start(self, command: str, argument: object, **gateway: str) -> Worker:
        (their_in, our_in), (our_out, their_out) = os.pipe(), os.pipe()
        with os.fdopen(their_in) as stdin, os.fdopen(their_out, "w") as stdout:
            process = self.forks.start(
                "tests.payments.kills.driver", command, argument,
                stdin=stdin.fileno(), stdout=stdout.fileno(), **{**self.gateway, **gateway},
            )  # fmt: skip
        self.started.append(Worker(process, os.fdopen(our_in, "w"), os.fdopen(our_out)))
        return self.started[-1].wait_until_ready()

    def run(self, command: str, argument: object, **gateway: str) -> dict[str, Any]:
        """From beginning to end."""
        return self.start(command, argument, **gateway).go().result()

    def end(self) -> None:
        for worker in self.started:
            worker.end()


@contextmanager
def row_locked(other: psycopg.Connection, table: str, pk: int) -> Iterator[None]:
    """Somebody else holds this row: whoever wants it waits."""
    with other.transaction():
        other.execute(f"SELECT 1 FROM {table} WHERE id = %s FOR UPDATE", [pk])  # type: ignore[arg-type]
        yield


def wait_for_blocked_worker() -> None:
    """Until a worker of this database waits for a lock."""

    def blocked() -> bool:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            return bool(cursor.fetchone()[0])

    wait_for(blocked, PATIENCE)


class BusyGateway:
    """A gateway whose queue of connections is full: a call hangs in the TCP handshake, its first byte can not leave."""

    def __init__(self) -> None:
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(0)
        self._fillers: list[socket.socket] = []
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            with suppress(BlockingIOError):
                filler.connect(self._listener.getsockname())
            self._fillers.append(filler)
        self._callers: list[socket.socket] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/nmi"

    def wait_for_caller(self, worker: Worker) -> None:
        """Until it hangs in the handshake. A moment after its row says *sent* it may be on its way there yet."""
        process, port = psutil.Process(worker.process.pid), self._listener.getsockname()[1]
        wait_for(lambda: any(c.raddr[1:] == (port,) for c in process.net_connections("tcp4")), PATIENCE)

    def take_call(self, seconds: float) -> socket.socket:
        """Let the waiting handshake come through (the kernel repeats it by itself) and return the caller's connection."""
        known = {filler.getsockname() for filler in self._fillers}
        self._listener.settimeout(seconds)
        while True:
            caller, address = self._listener.accept()
            self._callers.append(caller)
            if address not in known:
                return caller

    def close(self) -> None:
        for each in (*self._fillers, *self._callers):
            each.close()
        self._listener.close()


class SilentGateway:
    """A gateway that takes the whole request and never answers; nothing happened there."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._callers: list[socket.socket] = []
        self.heard = b""
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/nmi"

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                caller, _ = self._listener.accept()
                self._callers.append(caller)
                self.heard += caller.recv(65536)

    def close(self) -> None:
        for caller in self._callers:
            caller.close()
        self._listener.close()


def bytes_of(caller: socket.socket, seconds: float) -> bytes:
    """Everything that comes until the caller hangs up."""
    caller.settimeout(seconds)
    heard = b""
    while part := caller.recv(65536):
        heard += part
    return heard
