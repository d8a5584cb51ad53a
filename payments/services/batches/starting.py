"""Who may start an upload, and what is checked before its rows become payments? Above a limit a second person agrees first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from ledger.money import Money
from payments.errors import Conflict, NotAllowedNow
from payments.jobs import RUN_BATCH, enqueue
from payments.models import Approval, Batch
from payments.services import limits
from payments.services.actors import Actor
from payments.services.approvable import Approvable, Arguments, Line
from payments.services.approvals import ask_approval
from payments.services.batches.upload import locked
from payments.states import BatchState

START = "payments.start_batch"
_ACTION = "start_batch"


@dataclass(frozen=True, slots=True)
class Started:
    """The upload; with an approval it waits for a second person, `because` says why."""

    batch: Batch
    approval: Approval | None = None
    because: str = ""


def totals_of(batch: Batch) -> list[tuple[int, Money]]:
    """Count and sum of the good rows, for each currency."""
    return [(count, Money(minor, currency)) for currency, (count, minor) in sorted(batch.totals.items())]


def second_person_because(batch: Batch, *, actor: Actor, now: datetime) -> str:
    """Why starting it needs a second person; empty: the actor may do it alone. Reads only."""
    return limits.needs_second_person(_ACTION, _money(batch), actor=actor, now=now)


def start_batch(public_id: str, *, version: int, reason: str, actor: Actor, now: datetime) -> Started:
    """This function will start an upload: its good rows become payments, or a second person is asked first.

    Raises: NotFound, Forbidden, Conflict (changed meanwhile, by whom), NotAllowedNow, InvalidInput (reason).
    Idempotent: a started upload stays started. Writes: the upload, the use of the limit or the approval.
    """
    actor.require(START)
    with transaction.atomic():
        batch = locked(public_id)
        if batch.state == BatchState.RUNNING and batch.version == version + 1:
            return Started(batch)
        if batch.version != version:
            raise Conflict(f"The upload is {batch.state.replace('_', ' ')} by now.")
        _require_startable(batch, BatchState.CHECKED)
        because = limits.spend(_ACTION, _money(batch), actor=actor, now=now)
        if not because:
            _run(batch, actor.label, now)
            return Started(batch)
        approval = ask_approval(_ACTION, public_id, {}, reason=reason, actor=actor, now=now)
        batch.mark_awaiting_approval()
        batch.version += 1
        batch.save()
    return Started(batch, approval, because)


def _require_startable(batch: Batch, state: BatchState) -> None:
    if batch.state != state:
        raise NotAllowedNow(f"The upload is {batch.state.replace('_', ' ')}: only a checked one can be started.")
    if not batch.totals:
        raise NotAllowedNow("No row of it is good: there is nothing to start.")


def _run(batch: Batch, label: str, now: datetime) -> None:
    batch.mark_running()
    batch.started_by, batch.started_at = label[:100], now
    batch.next_check_at = now
    batch.version += 1
    batch.save()
    enqueue(RUN_BATCH, batch.pk)


def _money(batch: Batch) -> dict[str, int]:
    return {money.currency: money.amount_minor for _, money in totals_of(batch)}


# --- the second person ------------------------------------------------------------------------------------------------


def _show(subject: str, arguments: Arguments, now: datetime) -> list[Line]:
    batch = Batch.objects.get(public_id=subject)
    if batch.state not in {BatchState.CHECKED, BatchState.AWAITING_APPROVAL}:
        raise NotAllowedNow(f"The upload is {batch.state.replace('_', ' ')}.")
    return [
        ("File", batch.name),
        ("SHA-256", batch.sha256),
        ("Uploaded by", batch.uploaded_by),
        ("Rows that become payments", f"{batch.rows_total - batch.rows_bad} of {batch.rows_total}"),
        *(
            (f"Total in {money.currency}", f"{money} in {count} row{'' if count == 1 else 's'}")
            for count, money in totals_of(batch)
        ),
    ]


def _execute(
    subject: str, arguments: Arguments, *, maker: Actor, checker: Actor, approval: Approval, now: datetime
) -> str:
    batch = locked(subject)
    _require_startable(batch, BatchState.AWAITING_APPROVAL)
    _run(batch, f"{maker.label}, approved by {checker.label}", now)
    return f"Started: {batch.rows_total - batch.rows_bad} rows become payments."


def _ended(subject: str, approval: Approval, now: datetime) -> None:
    """Nobody agreed: the upload can be read, started or discarded again."""
    batch = locked(subject)
    if batch.state == BatchState.AWAITING_APPROVAL:
        batch.mark_not_approved()
        batch.version += 1
        batch.save()


START_BATCH = Approvable(title="Start an upload", right=START, show=_show, execute=_execute, ended=_ended)
