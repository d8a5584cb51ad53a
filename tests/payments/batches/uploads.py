"""Uploads for tests: made by the services, started and run to their end."""

from __future__ import annotations

import io

from config.services import make_staff, sync_roles
from payments.models import Batch, Limit
from payments.services.actors import SYSTEM, Actor
from payments.services.batches.running import run_batch
from payments.services.batches.starting import start_batch
from payments.services.batches.upload import upload_batch
from payments.services.calls import Clock as AnyClock
from payments.states import BatchState
from tests.payments.batches.sheets import csv_file, orders
from tests.payments.factories import Clock


def person(role: str = "operator", name: str = "") -> Actor:
    """Somebody of this role, with a row in the table of people."""
    sync_roles()
    return Actor.for_user(make_staff(name or role, role, "pw"))


def allow_alone(role: str = "operator", currency: str = "USD", minor: int = 10_000_000) -> None:
    """The role may start uploads up to this sum without a second person."""
    Limit.objects.create(action="start_batch", currency=currency, role=role, per_item_minor=minor, per_day_minor=minor)


def uploaded(
    clock: Clock, *references: str, file: io.BytesIO | None = None, name: str = "a.csv", **fields: str
) -> Batch:
    """A checked upload of good rows, or of the file given."""
    return upload_batch(name, file or csv_file(*orders(references, **fields)), actor=SYSTEM, now=clock())


def started(clock: AnyClock, *references: str, **more: object) -> Batch:
    """An upload that runs; no row is begun yet."""
    batch = uploaded(clock, *references, **more)  # type: ignore[arg-type]
    return start_batch(batch.public_id, version=batch.version, reason="", actor=SYSTEM, now=clock()).batch


def run_rounds(batch: Batch, clock: Clock, rounds: int = 20) -> Batch:
    """Rounds two seconds apart until the upload is finished."""
    for _ in range(rounds):
        run_batch(batch.pk, clock)
        batch.refresh_from_db()
        if batch.state != BatchState.RUNNING:
            break
        clock.pass_(seconds=2)
    return batch
