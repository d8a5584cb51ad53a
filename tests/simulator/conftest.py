"""What do the simulator's tests share? One simulator for the module's tests, emptied before each, and a listener."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

from tests.simulator_fixture import SimulatorProcess, start_simulator

KEY = "demo-nmi-security-key"
SECRET = "demo-nmi-webhook-secret"


@dataclass(slots=True)
class Received:
    """One webhook as it arrived."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.body)
        return content


@dataclass(slots=True)
class Listener:
    """Stands where the product's webhook door stands; answers `statuses` in turn, then 200."""

    url: str
    received: list[Received] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    def types(self) -> list[str]:
        return [one.event["event_type"] for one in self.received]

    def take_status(self) -> int:
        return self.statuses.pop(0) if self.statuses else 200


class Nmi:
    """A client of the wire: every call adds the security key."""

    def __init__(self, simulator: SimulatorProcess) -> None:
        self.simulator = simulator
        self.client = httpx.Client(timeout=60, trust_env=False)

    def close(self) -> None:
        self.client.close()

    def raw(self, **form: str) -> httpx.Response:
        return self.client.post(f"{self.simulator.nmi_url}/api/transact.php", data={"security_key": KEY, **form})

    def transact(self, **form: str) -> dict[str, str]:
        answer = self.raw(**form)
        assert answer.status_code == 200
        return dict(parse_qsl(answer.text, keep_blank_values=True))

    def sale(self, reference: str = "ref-1", amount: str = "12.34", **more: str) -> dict[str, str]:
        return self.transact(
            **{"type": "sale", "payment_token": "nmi_tok_ok"} | {"orderid": reference, "amount": amount} | more
        )

    def auth(self, reference: str = "ref-1", amount: str = "12.34", **more: str) -> dict[str, str]:
        return self.sale(reference, amount, **({"type": "auth"} | more))

    def query(self, **form: str) -> str:
        answer = self.client.post(f"{self.simulator.nmi_url}/api/query.php", data={"security_key": KEY, **form})
        assert answer.status_code == 200
        return answer.text


@pytest.fixture(scope="session")
def listener() -> Iterator[Listener]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Door)
    listening = Listener(f"http://127.0.0.1:{server.server_port}/webhooks")
    server.listening = listening  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield listening
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def running(listener: Listener) -> Iterator[SimulatorProcess]:
    options = ("--webhook-retry-first", "0.02", "--webhook-retry-cap", "0.1", "--webhook-tries", "5")
    process = start_simulator(webhooks=listener.url, options=options)
    yield process
    process.stop()


@pytest.fixture
def simulator(running: SimulatorProcess, listener: Listener) -> SimulatorProcess:
    running.reset()
    listener.received.clear()
    listener.statuses.clear()
    return running


@pytest.fixture
def nmi(simulator: SimulatorProcess) -> Iterator[Nmi]:
    with closing(Nmi(simulator)) as wire:
        yield wire


class _Door(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        listening: Listener = self.server.listening  # type: ignore[attr-defined]
        status = listening.take_status()
        listening.received.append(Received(self.path, dict(self.headers), body))
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""
