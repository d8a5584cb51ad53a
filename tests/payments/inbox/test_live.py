"""The door on a real server process: bodies on the wire, Redis away and back, the database away."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from config.embedded import Valkey
from payments.models import GatewayAccount, InboundEvent
from tests.forks import Forks
from tests.payments.inbox.conftest import assert_exactly_once, waiting_payment
from tests.payments.inbox.deliveries import SECRET, Delivery, deliver, sale

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[3]
MIB = 1024 * 1024
GATEWAY = {"GATEWAY_NMI_WEBHOOK_SECRET": SECRET, "GATEWAY_NMI_SECURITY_KEY": "key_of_tests"}


@contextmanager
def running(command: list[str], env: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process of ours in its own group, ended with all its children."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=ROOT, env=env, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(30)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)


def until(question: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 10):
        return True
    return False


def granian(port: int) -> list[str]:
    command = ["granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port), "--blocking-threads", "4"]
    return [*command, "config.wsgi:application"]


@contextmanager
def server(port: int, env: dict[str, str], log: Path) -> Iterator[None]:
    with running(granian(port), env, log) as process:
        until(lambda: listens(port) or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield


@contextmanager
def forked_server(forks: Forks, port: int, log: Path, **gateway: str) -> Iterator[None]:
    """One on this worker's database and Redis."""
    with log.open("ab") as output:
        process = forks.start(*granian(port), stdout=output.fileno(), stderr=output.fileno(), **gateway)
    try:
        until(lambda: listens(port) or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.kill_group()
        process.wait(30)


@pytest.fixture
def env(live_env: dict[str, str]) -> dict[str, str]:
    # A production start would be refused for the suite's fast password hasher.
    return {**live_env, "DEMO": "1", **GATEWAY}


def post(port: int, delivery: Delivery, **more: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", "/webhooks/nmi/", delivery.body, {**delivery.headers, **more})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def raw(port: int, head: str, body: bytes, *, half_close: bool = False) -> bytes:
    """Bytes on the wire as they are; whatever comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", port), 60) as connection:
        connection.sendall(head.encode() + b"\r\n\r\n")
        with suppress(OSError):  # a server that refuses by the head may close before it has read the body
            connection.sendall(body)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
        found = b""
        with suppress(OSError):
            while part := connection.recv(65536):
                found += part
        return found


def head_of(delivery: Delivery, *lines: str) -> str:
    headers = [f"{name}: {value}" for name, value in delivery.headers.items()]
    return "\r\n".join(["POST /webhooks/nmi/ HTTP/1.1", "Host: 127.0.0.1", "Connection: close", *headers, *lines])


def as_chunks(body: bytes, size: int = 50_000) -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def test_bodies_on_the_wire(account: GatewayAccount, forks: Forks, free_port: int, tmp_path: Path) -> None:
    """Whole, chunked, too long in both ways, cut short: one server for all of them."""
    with forked_server(forks, free_port, tmp_path / "web.log", **GATEWAY):
        assert post(free_port, sale("9001", "cf-1")) == (200, "stored\n")

        chunked = sale("9002", "cf-2")
        answer = raw(free_port, head_of(chunked, "Transfer-Encoding: chunked"), as_chunks(chunked.body, 100))
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert InboundEvent.objects.count() == 2
        assert bytes(InboundEvent.objects.latest("id").body) == chunked.body

        big = deliver(b"x" * 3 * MIB)
        declared = raw(free_port, head_of(big, f"Content-Length: {len(big.body)}"), big.body)
        assert declared.startswith(b"HTTP/1.1 413 ")
        assert raw(free_port, head_of(big, "Transfer-Encoding: chunked"), as_chunks(big.body)).startswith(
            b"HTTP/1.1 413 "
        )

        cut = sale("9003", "cf-3")
        answer = raw(free_port, head_of(cut, f"Content-Length: {len(cut.body) + 10}"), cut.body, half_close=True)
        assert not answer.startswith(b"HTTP/1.1 2")
        assert InboundEvent.objects.count() == 2
        assert post(free_port, sale("9004", "cf-4")) == (200, "stored\n")


def test_with_the_database_away_the_gateway_is_asked_to_deliver_again(
    db: None, env: dict[str, str], free_port: int, tmp_path: Path
) -> None:
    dead = {**env, "DATABASE_URL": "postgresql://nobody@127.0.0.1:9/nothing"}

    with server(free_port, dead, tmp_path / "web.log"):
        assert post(free_port, sale("9001", "cf-1")) == (503, "The database is away; deliver again.\n")


def test_with_redis_away_it_is_stored_and_applied_once_redis_is_back(
    account: GatewayAccount, env: dict[str, str], free_port: int, tmp_path: Path
) -> None:
    delivery = sale("9001", waiting_payment(account).reference)
    valkey = Valkey(tmp_path / "valkey", durable=False)
    env["REDIS_URL"] = valkey.url()
    worker = ["celery", "-A", "config", "worker", "-B", "-s", str(tmp_path / "beat"), "--pool", "solo"]
    with ExitStack() as stack:
        stack.callback(valkey.stop)
        valkey.start()
        stack.enter_context(server(free_port, env, tmp_path / "web.log"))
        valkey.stop()
        stack.enter_context(running([*worker, "--without-gossip", "--without-mingle"], env, tmp_path / "worker.log"))

        started = time.monotonic()
        assert post(free_port, delivery) == (200, "stored\n")
        assert time.monotonic() - started < 10
        assert post(free_port, delivery) == (200, "already known\n")
        assert InboundEvent.objects.get().state == "stored"

        valkey.start()
        until(lambda: InboundEvent.objects.get().state == "applied", 120)

    assert_exactly_once()
