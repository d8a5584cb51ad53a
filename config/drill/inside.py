"""What has to be done with the system's own services? Fast clocks before a drill; afterwards weeks that pass in seconds.

`python -m config.drill.inside prepare GATEWAYS | orders | settle SIMULATOR_URL GATEWAYS DAYS` with the system's
environment; `orders` reads its work from standard input. It prints one line of JSON.
"""

from __future__ import annotations

import csv
import io
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from config.drill.client import Control

# Three of five payments are struck on purpose: a breaker that opens at once would keep most of them from the gateway.
FAST = {
    "planned_seconds": 5,
    "send_window_seconds": 4,
    "call_seconds": 6,
    "look_up_first_seconds": 2,
    "breaker_seconds": 2,
    "breaker_failures": 6,
}
# Proof of absence needs a quarter of an hour, an orphan an hour, a waiting refund its batch, a hold's warning six days.
MINUTES = (*[5] * 14, *[20] * 6, "batch", *[60] * 5, "batch", *[60] * 3)
HALF_DAY, TAIL = 720, (*[5] * 8, *[60] * 2)  # after the last day, what that day began comes to its end
ORDINARY_DAYS = 6.4
_ROUTES = (
    "SELECT r.id, g.slug FROM payments_route r JOIN payments_gatewayaccount g ON g.id = r.gateway_account_id"
    " ORDER BY r.priority, r.id"
)
_UPLOADS = "SELECT public_id, state, version FROM payments_batch WHERE name = %s ORDER BY id"
_WEBHOOK_SECONDS = 8.0
_MOMENT_SECONDS = 0.1  # for what became due at the gateway to happen there and to send its webhook
_AGREES = "finance"
_SETTLES = {"nmi": "batch_settle", "stripe": "settle"}


@dataclass
class Shifted:
    """The present, moved by hand; the gateways' clock is moved along."""

    control: Control
    offset: timedelta = field(default_factory=timedelta)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def pass_(self, **time_: float) -> None:
        """Let so much time pass here and at the gateways."""
        step = timedelta(**time_)
        self.offset += step
        self.control.pass_time(step.total_seconds())


def prepare(gateways: Sequence[str]) -> dict[str, Any]:
    """Clocks with which a drill ends in minutes; the proof of absence keeps its own. Routing asks in the order given."""
    from payments.services.accounts import edit_gateway_account, enabled_accounts
    from payments.services.actors import SYSTEM

    for account in enabled_accounts():
        changes = FAST if account.slug in gateways else {"enabled": False}
        edit_gateway_account(account.slug, changes, version=account.version, actor=SYSTEM)
    return {"accounts": list(gateways), "routes": _order_routes(gateways)}


def _order_routes(gateways: Sequence[str]) -> list[str]:
    """The system asks for the order and a person of the demo agrees, as the desk wants it. Nothing, if it is so already."""
    from django.contrib.auth.models import User

    from payments.services.actors import SYSTEM, Actor
    from payments.services.approvals import approve
    from payments.services.routes import ask_order

    routes = [(key, slug) for key, slug in _rows(_ROUTES) if slug in gateways]
    if [slug for _, slug in routes] != list(gateways):
        wanted = {key: 1 + gateways.index(slug) for key, slug in routes}
        because = "the order of this drill"
        approval = ask_order(wanted, reason=because, actor=SYSTEM, now=datetime.now(UTC))
        person = Actor.for_user(User.objects.get(username=_AGREES))
        approve(approval.public_id, digest=approval.digest, note=because, actor=person, clock=lambda: datetime.now(UTC))
    return [slug for _, slug in _rows(_ROUTES)]


def _rows(query: str, *values: str) -> list[tuple[Any, ...]]:
    """The product's tables are its own: what no service tells is read by plain SQL, as everywhere in a drill."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return list(cursor.fetchall())


def orders(work: dict[str, Any]) -> dict[str, Any]:
    """Upload the spreadsheet and start it; charge what the merchant charges while no payer is there.

    It can be asked again: what a database that went away has cut off is gone on with.
    """
    from payments.services.actors import SYSTEM
    from payments.services.batches.starting import start_batch
    from payments.services.batches.upload import upload_batch
    from payments.services.intake import MethodRequest, PayerRequest, PaymentRequest, create_payment

    told: dict[str, Any] = {"rows": len(work["rows"]), "charges": len(work["charges"])}
    if work["rows"]:
        name, file = f"{work['rows'][0]['reference']}.csv", _spreadsheet(work["rows"], work["gateways"])
        if not _rows(_UPLOADS, name):
            upload_batch(name, file, actor=SYSTEM, now=datetime.now(UTC))
        (public_id, state, version), *_ = _rows(_UPLOADS, name)
        if state == "checked":
            start_batch(public_id, version=version, reason="a drill", actor=SYSTEM, now=datetime.now(UTC))
        told["upload"] = public_id
    for charge in work["charges"]:
        method = charge["method"]
        request = PaymentRequest(
            amount_minor=charge["amount_minor"],
            currency="USD",
            reference=charge["reference"],
            method=MethodRequest("card", token=method.get("token", ""), credentials=method.get("credentials", {})),
            payer=PayerRequest(email=charge["email"]),
            gateway=charge["gateway"],
            expires_in_seconds=charge["seconds"],
            initiated_by="merchant",
            request_id=charge["reference"],
        )
        create_payment(request, actor=SYSTEM, now=datetime.now(UTC))
    return told


def _spreadsheet(rows: Sequence[dict[str, str]], gateways: Sequence[str]) -> io.BytesIO:
    text = io.StringIO()
    headings = ["reference", "amount", "currency", "payer_email", "gateway", "token", *gateways]
    writer = csv.DictWriter(text, headings, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return io.BytesIO(text.getvalue().encode())


def settle(simulator_url: str, gateways: Sequence[str], days: float) -> dict[str, Any]:
    """Let time pass step by step: webhooks arrive, the inbox is drained, the sweep does what is due. Ends with a back-fill."""
    from payments.services.actors import SYSTEM
    from payments.services.inbox import back_fill

    control = Control(simulator_url)
    clock = Shifted(control)
    began = clock()
    failed: dict[str, str] = {}
    for step in _steps(control, gateways, clock, days):
        clock.pass_(minutes=step)
        failed |= _work(clock)
    filled = 0
    for slug in _listing(gateways):
        filled += back_fill(slug, began - timedelta(hours=2), clock(), clock, actor=SYSTEM).changed
    failed |= _work(clock)
    return {
        "now": clock().isoformat(),
        "simulated_days": round(clock.offset.total_seconds() / 86_400, 2),
        "failed": failed,
        "back_filled": filled,
    }


def _listing(gateways: Sequence[str]) -> list[str]:
    """Those that can list what changed in a window."""
    from payments.services.accounts import describe, enabled_accounts

    accounts = [account for account in enabled_accounts() if account.slug in gateways]
    return [account.slug for account in accounts if describe(account).lists_window]


def _steps(control: Control, gateways: Sequence[str], clock: Shifted, days: float) -> Iterator[float]:
    for step in MINUTES:
        if isinstance(step, int):
            yield float(step)
        else:
            for gateway in gateways:
                if gateway in _SETTLES:
                    control.may_act(gateway, _SETTLES[gateway])
    while clock.offset < timedelta(days=days):
        yield HALF_DAY
    yield from map(float, TAIL)


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
    what, *rest = sys.argv[1:]
    doing: dict[str, Callable[[], dict[str, Any]]] = {
        "prepare": lambda: prepare(rest[0].split(",")),
        "orders": lambda: orders(json.load(sys.stdin)),
        "settle": lambda: settle(rest[0], rest[1].split(","), float(rest[2])),
    }
    sys.stdout.write(json.dumps(doing[what]()) + "\n")


if __name__ == "__main__":
    main()
