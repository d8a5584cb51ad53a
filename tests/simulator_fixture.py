"""How does a test get gateways to talk to? Starts the simulator as a process of its own and speaks its control interface."""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60.0


class SimulatorError(Exception):
    """The simulator did not start, or refused a control request."""


@dataclass(slots=True)
class SimulatorProcess:
    """A running simulator. It ends with `stop()`, and by itself when the process that started it is gone."""

    url: str
    process: subprocess.Popen[str]
    control: httpx.Client

    @property
    def nmi_url(self) -> str:
        """What GATEWAY_NMI_BASE_URL must be."""
        return f"{self.url}/nmi"

    def stop(self) -> None:
        """End it at once. Idempotent."""
        self.control.close()
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def books(self, reference: str = "", gateway: str = "nmi") -> dict[str, Any]:
        """What truly happened: movements, transactions, webhooks, requests, holds_open, jobs_waiting."""
        return self._get(f"books/{gateway}", {"reference": reference} if reference else {})

    def movements(self, reference: str = "", gateway: str = "nmi") -> list[dict[str, Any]]:
        """The movements of the books alone."""
        moved: list[dict[str, Any]] = self.books(reference, gateway)["movements"]
        return moved

    def webhooks(self, subject: str = "", gateway: str = "nmi") -> list[dict[str, Any]]:
        """Every delivery with its exact headers and body, oldest first."""
        log: list[dict[str, Any]] = self._get(f"webhooks/{gateway}", {"subject": subject} if subject else {})[
            "webhooks"
        ]
        return log

    def faults(self) -> dict[str, Any]:
        """The catalogue, what is switched on, and what has struck."""
        return self._get("faults", {})

    def fault(self, fault: str, operation: str = "any", gateway: str = "nmi", **more: object) -> dict[str, Any]:
        """Switch a fault on; `more`: times, rate, reference."""
        return self._post("faults", {"gateway": gateway, "operation": operation, "fault": fault, **more})

    def clear_faults(self, **filters: object) -> int:
        """Switch off all faults, or those that agree with id, gateway, operation, fault, reference."""
        answer = self.control.request("DELETE", f"{self.url}/_control/faults", json=filters)
        removed: int = _checked(answer)["removed"]
        return removed

    def act(self, action: str, gateway: str = "nmi", **more: object) -> dict[str, Any]:
        """Do something from the gateway's own side."""
        return self._post("act", {"gateway": gateway, "action": action, **more})

    def reset(self) -> None:
        """Forget everything: transactions, books, faults, webhooks, the advanced clock."""
        self._post("reset", {})

    def health(self) -> dict[str, Any]:
        """Status, simulated time, and how many webhooks and jobs wait."""
        return self._get("health", {})

    def wait_until_quiet(self, seconds: float = 60.0) -> None:
        """Until no webhook and no late job waits. Raises: AssertionError after `seconds`."""
        wait_for(self._is_quiet, seconds)

    def wait_until_nothing_is_due(self, seconds: float = 60.0) -> None:
        """Until what is due by the gateways' clock has happened; what comes later still waits. Raises: AssertionError."""
        wait_for(lambda: not self.health()["due_now"], seconds)

    def _is_quiet(self) -> bool:
        """By one answer: between two, the last job could end and leave a webhook that neither saw."""
        said = self.health()
        return not (said["jobs_waiting"] or said["webhooks_waiting"] or said["due_now"])

    def _get(self, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        return _checked(self.control.get(f"{self.url}/_control/{path}", params=dict(query)))

    def _post(self, path: str, wish: Mapping[str, object]) -> dict[str, Any]:
        return _checked(self.control.post(f"{self.url}/_control/{path}", json=dict(wish)))


def start_simulator(
    port: int = 0,
    webhooks: str | None = None,
    seed: int = 7,
    env: Mapping[str, str] | None = None,
    options: tuple[str, ...] = (),
) -> SimulatorProcess:
    """Start it and wait until it accepts. Raises: SimulatorError with what it said."""
    command = [sys.executable, "-m", "simulator", "--port", str(port), "--seed", str(seed), "--exit-with-stdin"]
    process = subprocess.Popen(
        [*command, "--webhooks", webhooks or "", *options],
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    line = _first_line(process)
    if not line.startswith("ready http://"):
        process.kill()
        process.wait(10)
        raise SimulatorError(f"the simulator did not start: {line!r}, exit code {process.returncode}")
    # The environment may name a proxy; loopback needs none.
    return SimulatorProcess(line.split()[1], process, httpx.Client(timeout=60, trust_env=False))


def wait_for(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Poll until the condition holds. Raises: AssertionError after `seconds`."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"not reached within {seconds} s"
        time.sleep(0.02)


def _first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        return process.stdout.readline().strip() if selector.select(START_SECONDS) else ""


def _checked(answer: httpx.Response) -> dict[str, Any]:
    if answer.status_code >= 400:
        raise SimulatorError(f"{answer.status_code}: {answer.text.strip()}")
    content: dict[str, Any] = answer.json()
    return content
