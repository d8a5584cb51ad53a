"""What has to be done with the system's own services? Fast clocks before a drill; afterwards weeks that pass in seconds.

`python -m config.drill.inside prepare | settle SIMULATOR_URL` with the system's environment. It prints one line of JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from config.drill.client import Control

ACCOUNT = "nmi"
FAST = {"planned_seconds": 5, "send_window_seconds": 4, "call_seconds": 6, "look_up_first_seconds": 2}
# Proof of absence needs a quarter of an hour, an orphan an hour, a waiting refund its batch, a hold's warning six days.
MINUTES = (*[5] * 14, *[20] * 6, "batch", *[60] * 5, "batch", *[60] * 3, *[720] * 12)
_WEBHOOK_SECONDS = 8.0
_MOMENT_SECONDS = 0.1  # for what became due at the gateway to happen there and to send its webhook


@dataclass
class Shifted:
    """The present, moved by hand; the gateway's clock is moved along."""

    control: Control
    offset: timedelta = field(default_factory=timedelta)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def pass_(self, **time_: float) -> None:
        """Let so much time pass here and at the gateway."""
        step = timedelta(**time_)
        self.offset += step
        self.control.act("advance_clock", seconds=step.total_seconds())


def prepare() -> dict[str, Any]:
    """Clocks with which a drill ends in minutes; the proof of absence keeps its own. The drill is about one gateway."""
    from payments.services.accounts import edit_gateway_account, enabled_accounts
    from payments.services.actors import SYSTEM

    for other in enabled_accounts():
        if other.slug != ACCOUNT:
            edit_gateway_account(other.slug, {"enabled": False}, version=other.version, actor=SYSTEM)
    account = edit_gateway_account(ACCOUNT, FAST, version=0, actor=SYSTEM)
    return {"account": account.slug}


def settle(simulator_url: str) -> dict[str, Any]:
    """Let time pass step by step: webhooks arrive, the inbox is drained, the sweep does what is due. Ends with a back-fill."""
    from payments.services.actors import SYSTEM
    from payments.services.inbox import back_fill

    control = Control(simulator_url)
    clock = Shifted(control)
    began = clock()
    failed: dict[str, str] = {}
    for step in _steps(control):
        clock.pass_(minutes=step)
        failed |= _work(clock)
    filled = back_fill(ACCOUNT, began - timedelta(hours=2), clock(), clock, actor=SYSTEM)
    failed |= _work(clock)
    return {
        "now": clock().isoformat(),
        "simulated_days": round(clock.offset.total_seconds() / 86_400, 2),
        "failed": failed,
        "back_filled": filled.changed,
    }


def _steps(control: Control) -> Iterator[float]:
    for step in MINUTES:
        if isinstance(step, int):
            yield float(step)
        else:
            control.act("batch_settle")


def _work(clock: Shifted) -> dict[str, str]:
    """What beat and a worker would do in this step."""
    from payments.services.inbox import drain_inbox
    from payments.services.sweep import sweep

    time.sleep(_MOMENT_SECONDS)
    until = time.monotonic() + _WEBHOOK_SECONDS
    while clock.control.webhooks_waiting() and time.monotonic() < until:
        time.sleep(0.05)
    drain_inbox(clock)
    return dict(sweep(clock).failed)


def main() -> None:
    """Set Django up and do the one thing asked for."""
    import django

    django.setup()
    done = settle(sys.argv[2]) if sys.argv[1] == "settle" else prepare()
    sys.stdout.write(json.dumps(done) + "\n")


if __name__ == "__main__":
    main()
