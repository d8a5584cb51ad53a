"""Which movements do matched lines prove to be settled, and which payments follow? One step of a run, and of resolutions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from payments.queries.settling import payments_moved, payments_of, payouts_gone
from payments.services.settling import derive, note_settled, settles_by
from reconciliation.models import Run
from reconciliation.queries.scope import BEYOND_CAP
from reconciliation.queries.settlement import live_matches, named_by_breaks, open_differences, told_settled
from reconciliation.services.booking import days_of


@dataclass(frozen=True, slots=True)
class Settled:
    """Movements that learned of their payout or batch, and payments that moved, by `before -> after`."""

    movements: int = 0
    payments: Counter[str] = field(default_factory=Counter)


def settle(run: Run, now: datetime) -> Settled:
    """This function will note what a run's matched lines say of settlement, then move the payments that follow from it.

    Where the gateway pays out, a movement is settled once its payout has left; elsewhere its line is the proof. Payments
    looked at: those with money in the run's reach, and those that breaks name which are open or ended since.
    Idempotent on: matches, payouts and breaks as they are. Writes: movements, payments, transitions.
    """
    account = run.account
    if account.gateway_account_id is None:
        return Settled()
    noted = _note(run)
    start, end = _reach(run)
    payments, movements = named_by_breaks(account, start)
    payments |= set(payments_moved(account.gateway_account_id, start, end))
    payments |= payments_of(movements | set(noted))
    return Settled(len(noted), _derive(payments, f"run {run.public_id}", now))


def settle_payments(
    *, movement_ids: Collection[int] = (), payment_ids: Collection[int] = (), cause: str, now: datetime
) -> Counter[str]:
    """This function will move just these payments, and those of these movements, to where matches and breaks put them.

    For whoever makes or undoes a match by hand, in the same transaction. Idempotent on: matches and breaks as they are.
    Writes: payments, transitions. Locks: payments, in id order.
    """
    return _derive(set(payment_ids) | payments_of(movement_ids), cause, now)


def _derive(payments: Collection[int], cause: str, now: datetime) -> Counter[str]:
    return derive(payments, matched=live_matches(), broken=open_differences(), cause=cause, now=now)


def _note(run: Run) -> list[int]:
    account = run.account
    assert account.gateway_account_id is not None
    told = list(told_settled(account, days_of(run)))
    if settles_by(account.slug) != "payouts":
        return note_settled(account.gateway_account_id, [(t.movement_id, t.payout_id, t.occurred_at) for t in told])
    gone = payouts_gone(account.gateway_account_id, {t.payout_id for t in told if t.payout_id})
    rows = [(t.movement_id, t.payout_id, gone[t.payout_id]) for t in told if t.payout_id in gone]
    return note_settled(account.gateway_account_id, rows)


def _reach(run: Run) -> tuple[datetime, datetime]:
    """From the first day a run looks at to the end of its last, in the account's zone."""
    zone = ZoneInfo(run.account.time_zone)
    first = run.day - timedelta(days=run.account.lag_cap_days + BEYOND_CAP)
    return datetime.combine(first, time(), zone), datetime.combine(run.day + timedelta(days=1), time(), zone)
