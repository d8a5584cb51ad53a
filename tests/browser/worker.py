"""How does a browser test get work done as in life? A Celery worker and the simulated gateways, processes of their own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.services import ROOT
from tests.simulator_fixture import SimulatorProcess, wait_for

CREDENTIALS = {
    "GATEWAY_NMI_SECURITY_KEY": "demo-nmi-security-key",
    "GATEWAY_NMI_WEBHOOK_SECRET": "demo-nmi-webhook-secret",
    "GATEWAY_CONVESIOPAY_SECRET": "demo-convesiopay-secret",
    "GATEWAY_CONVESIOPAY_INTEGRATION": "int_1",
    "GATEWAY_CONVESIOPAY_WEBHOOK_SECRET": "64656d6f2d636f6e766573696f7061792d686d61632d6b6579",
    "GATEWAY_STRIPE_SECRET_KEY": "sk_test_demo",
    "GATEWAY_STRIPE_WEBHOOK_SECRET": "whsec_demo",
}


def credentials(simulator: SimulatorProcess) -> dict[str, str]:
    """What speaks to the simulator needs in its environment."""
    addresses = {
        f"GATEWAY_{slug.upper()}_BASE_URL": f"{simulator.url}/{slug}" for slug in ("nmi", "convesiopay", "stripe")
    }
    return CREDENTIALS | addresses


@contextmanager
def running_worker(env: Mapping[str, str], log: Path) -> Iterator[None]:
    """A worker on all queues, with the slots it has in life. It ends with the block; what it said stands in `log`."""
    command = [sys.executable, "-m", "celery", "-A", "config.celery", "worker", "--loglevel", "INFO"]
    with log.open("w") as output:
        process = subprocess.Popen(
            [*command, "--pool", "threads", "--concurrency", "4", "--without-gossip", "--without-mingle"],
            cwd=ROOT, env=dict(env), stdout=output, stderr=output,
        )  # fmt: skip
    try:
        wait_for(lambda: " ready." in log.read_text() or process.poll() is not None, 120)
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(30)
        process.kill()
        process.wait(30)
