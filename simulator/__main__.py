"""How is the simulator started and stopped? `python -m simulator --port 8100 --webhooks URL`; on loopback only."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence

from simulator.application import Settings, build_application
from simulator.control import MOST_SECONDS
from simulator.server import SimulatorServer, serve_in_background
from simulator.webhooks import RetryPlan


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT. Returns 1, with one sentence, when the port cannot be had or a secret is none."""
    options = _parser().parse_args(arguments)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    plan = RetryPlan(options.webhook_retry_first, options.webhook_retry_cap, options.webhook_tries)
    settings = Settings(
        options.webhooks, options.seed, options.settle_every, plan, os.environ, behind_seconds=options.behind
    )
    try:
        server = SimulatorServer(options.port, build_application(settings))
    except OSError as error:
        sys.stderr.write(f"simulator: cannot listen on 127.0.0.1:{options.port}: {error.strerror}\n")
        return 1
    except ValueError as error:
        sys.stderr.write(f"simulator: {error}\n")
        return 1
    serve_in_background(server)
    sys.stdout.write(f"ready {server.url}\n")
    sys.stdout.flush()
    if options.exit_with_stdin:
        threading.Thread(target=_wait_for_end_of_input, args=(stopped,), daemon=True).start()
    stopped.wait()
    server.server_close()
    return 0


def _wait_for_end_of_input(stopped: threading.Event) -> None:
    """Ends the simulator when whoever started it is gone, however it went."""
    while os.read(0, 1024):
        pass
    stopped.set()


def _seconds(text: str) -> float:
    """Raises: ArgumentTypeError for what is no time, is negative, or is more than ten years."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= MOST_SECONDS:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds from 0 to ten years")
    return seconds


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m simulator",
        description="NMI, ConvesioPay and Stripe on the wire, for tests and the demo. docs/simulator.md says what they take.",
    )
    parser.add_argument("--port", type=int, default=8100, help="port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--webhooks", default="", help="base URL; events go to <base>/<gateway>/; empty sends none")
    parser.add_argument("--seed", type=int, default=7, help="decides whom faults given by rate strike")
    parser.add_argument("--settle-every", type=float, default=0.0, help="seconds between settlement batches; 0: never")
    parser.add_argument("--behind", type=_seconds, default=0.0, help="seconds the gateways' clock starts in the past")
    parser.add_argument("--webhook-retry-first", type=float, default=0.2, help="seconds before the first redelivery")
    parser.add_argument("--webhook-retry-cap", type=float, default=30.0, help="longest pause between redeliveries")
    parser.add_argument("--webhook-tries", type=int, default=20, help="deliveries in all before giving up")
    parser.add_argument("--exit-with-stdin", action="store_true", help="end when standard input is closed")
    return parser


if __name__ == "__main__":
    # Daemon threads may still sleep in a fault: leave without waiting for them.
    code = main()
    sys.stdout.flush()
    os._exit(code)
