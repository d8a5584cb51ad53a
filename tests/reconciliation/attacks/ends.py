"""Ends a break as people do: alone where they may, else a second person agrees."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from ledger.queries import balances
from payments.services.approvals import approve
from reconciliation.models import Break, Resolution
from reconciliation.queries.proof import proof
from reconciliation.services.desk import lay_evidence
from reconciliation.services.resolutions.commanding import resolve
from tests.reconciliation.factories import person, wish
from tests.reconciliation.running.night import LATER, NIGHT, Night

MORNING = NIGHT + timedelta(hours=3)
AFTER = NIGHT + timedelta(days=3)


def clock() -> datetime:
    return MORNING


def booked(code: str) -> int:
    """Minor units of all currencies, debit positive."""
    return sum(found.amount_minor for found in balances([code]))


def residual(night: Night) -> int:
    return proof(night.account.pk, "USD", LATER).residual_minor


def end(broken: Break, command: str, **answers: Any) -> Resolution:
    fiona = person()
    broken.refresh_from_db()
    if command in {"write_off", "close_explained", "post_journal", "dismiss_duplicate"}:
        lay_evidence(broken.public_id, name="mail.txt", content=b"gone", actor=fiona, now=MORNING)
    done = resolve(broken.public_id, wish(command, broken, **answers), actor=fiona, clock=clock)
    if done.approval is not None:
        agreed = approve(
            done.approval.public_id, digest=done.approval.digest, note="", actor=person("frank"), clock=clock
        )
        assert agreed.state == "executed", agreed.outcome
    return Resolution.objects.order_by("-id")[0]
