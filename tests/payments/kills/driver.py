"""A worker of ours for tests to kill: sets Django up and makes one service call, exactly as a task does.

`python -m tests.payments.kills.driver COMMAND [ARGUMENT …]` with DATABASE_URL and the gateway's variables set. It says
`ready` once it could begin, waits for a line on standard input, works, and prints one line of JSON.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from datetime import timedelta


def advance(payment_pk: str) -> dict[str, object]:
    """What the task payments.advance_payment does."""
    from django.utils import timezone

    from payments.services.execution import advance_payment

    advance_payment(int(payment_pk), timezone.now)
    return {}


def run_batch(batch_pk: str) -> dict[str, object]:
    """What the task payments.run_batch does."""
    from django.utils import timezone

    from payments.services.batches.running import run_batch as run

    run(int(batch_pk), timezone.now)
    return {}


def new(reference: str) -> dict[str, object]:
    """The demo's gateway account and one payment that nobody has worked on."""
    from tests.payments.factories import Clock, new_payment, nmi_account

    nmi_account()
    return {"payment": new_payment(Clock(), reference=reference).pk}


def sweep(rounds: str) -> dict[str, object]:
    """Sweeps, five simulated minutes apart; `failed` names the rows that raised."""
    from payments.services.sweep import sweep as sweep_once
    from tests.payments.factories import Clock

    clock = Clock()
    failed: dict[str, str] = {}
    for _ in range(int(rounds)):
        clock.offset += timedelta(minutes=5)
        failed |= sweep_once(clock).failed
    return {"failed": failed}


def report(payment_pk: str) -> dict[str, object]:
    """How the payment stands, and what our books say of it."""
    from payments.models import Payment
    from payments.queries.proofs import completeness_findings, suspense_findings
    from tests.payments.flows.books import our_movements

    payment = Payment.objects.get(pk=payment_pk)
    return {
        "state": payment.state,
        "operations": [operation.state for operation in payment.operations.order_by("id")],
        "movements": sorted([*key, amount] for key, amount in our_movements().items()),
        "findings": [str(finding) for finding in (*suspense_findings(), *completeness_findings())],
    }


COMMANDS: dict[str, Callable[[str], dict[str, object]]] = {
    "advance": advance,
    "run_batch": run_batch,
    "new": new,
    "sweep": sweep,
    "report": report,
}


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django

    django.setup()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    sys.stdout.write(json.dumps(COMMANDS[sys.argv[1]](sys.argv[2])) + "\n")


if __name__ == "__main__":
    main()
