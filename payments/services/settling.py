"""Which movements are settled, and which payments follow: captured, settled, reconciled, and back? Set-based, in chunks.

Settled and matched are facts of movements; the payment's state is derived from them here and nowhere else. Payments that
were refunded or charged back stay what they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final, TypeVar

from django.db import connection, transaction
from django.db.models import QuerySet

from payments.errors import NotFound
from payments.models import GatewayAccount, Payment, Transition
from payments.queries.settling import Standing, standings
from payments.services.accounts import adapter_of
from payments.states import PaymentState, Source

S = PaymentState
T = TypeVar("T")
_CHUNK: Final = 1_000
_NOTE: Final = """
UPDATE payments_movement AS movement SET batch_id = told.batch_id, settled_at = coalesce(movement.settled_at, told.settled_at)
  FROM unnest(%s::bigint[], %s::text[], %s::timestamptz[]) AS told (id, batch_id, settled_at)
 WHERE movement.id = told.id AND movement.gateway_account_id = %s
   AND (movement.settled_at IS NULL OR movement.batch_id IS DISTINCT FROM told.batch_id AND told.batch_id <> '')
RETURNING movement.id
"""
_MOVE: Final = """
UPDATE payments_payment AS payment SET state = told.state, version = payment.version + 1, updated_at = %s
  FROM unnest(%s::bigint[], %s::text[]) AS told (id, state) WHERE payment.id = told.id
"""


def note_settled(account_id: int, rows: Iterable[tuple[int, str, datetime]]) -> list[int]:
    """This function will note on movements of one gateway account in which payout or batch they are, and since when.

    A row is (movement, batch or payout, settled at). Returns the movements that did not know it.
    Idempotent on: the movement. Writes: the movement's batch and time. Locks: movements, in id order.
    """
    told: list[int] = []
    for chunk in _chunks(sorted(rows)):
        ids, batches, times = zip(*chunk, strict=True)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT id FROM payments_movement WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE", [list(ids)]
            )
            cursor.execute(_NOTE, [list(ids), [batch[:64] for batch in batches], list(times), account_id])
            told += [row[0] for row in cursor.fetchall()]
    return told


def derive(
    payment_ids: Collection[int], *, matched: QuerySet[Any], broken: QuerySet[Any], cause: str, now: datetime
) -> Counter[str]:
    """This function will move payments to the state that their movements say, and log each move with its cause.

    `matched` is asked by `movement_id`, `broken` by `payment_id`. Returns how many moved, by `before -> after`.
    Idempotent on: what is settled and matched. Writes: payments, transitions. Locks: payments, in id order, by the thousand.
    """
    moved: Counter[str] = Counter()
    for chunk in _chunks(sorted(set(payment_ids))):
        differing = [s.payment_id for s in standings(chunk, matched=matched, broken=broken) if s.should_be != s.state]
        if differing:
            moved += _move(differing, matched, broken, cause, now)
    return moved


@transaction.atomic
def _move(
    payment_ids: Sequence[int], matched: QuerySet[Any], broken: QuerySet[Any], cause: str, now: datetime
) -> Counter[str]:
    """Asked again under the lock: a refund may have come meanwhile."""
    locked = Payment.objects.filter(pk__in=payment_ids).select_for_update(of=("self",), no_key=True).order_by("pk")
    payments = {payment.pk: payment for payment in locked}
    moved: Counter[str] = Counter()
    steps: list[Transition] = []
    for standing in standings(payment_ids, matched=matched, broken=broken):
        payment = payments[standing.payment_id]
        while payment.state != standing.should_be:
            steps.append(_step(payment, standing, cause, now))
            moved[f"{steps[-1].before['payment']} -> {payment.state}"] += 1
    changed = {step.payment_id: payments[step.payment_id].state for step in steps if step.payment_id is not None}
    with connection.cursor() as cursor:
        cursor.execute(_MOVE, [now, list(changed), list(changed.values())])
    Transition.objects.bulk_create(steps)
    return moved


def _step(payment: Payment, standing: Standing, cause: str, now: datetime) -> Transition:
    """One move of the machine towards where it should be, and the row that says why."""
    before = S(payment.state)
    if before == S.CAPTURED:
        payment.mark_settled()
    elif before == S.RECONCILED:
        payment.mark_unreconciled()
    else:
        payment.mark_reconciled()
    because = standing.because
    if before == S.CAPTURED and standing.should_be == S.RECONCILED:
        because = f"Every capture ({standing.captures}) stands in a closed payout or batch."
    return Transition(
        payment_id=payment.pk,
        at=now,
        occurred_at=now,
        fact=payment.state,
        source=Source.SERVICE,
        verdict="apply",
        because=because,
        inputs={
            "fact": {"kind": payment.state, "cause": cause},
            "movements": standing.movements,
            "unsettled": standing.unsettled,
            "unmatched": standing.unmatched,
            "open_difference": standing.broken,
        },
        before={"payment": before.value},
        after={"payment": payment.state},
    )


def _chunks(items: Iterable[T]) -> Iterator[list[T]]:
    source = iter(items)
    while chunk := list(islice(source, _CHUNK)):
        yield chunk


def settles_by(slug: str) -> str:
    """How a gateway account settles by its adapter's word: payouts, batches, direct or none. Raises: NotFound."""
    account = GatewayAccount.objects.filter(slug=slug).first()
    if account is None:
        raise NotFound(f"There is no gateway account {slug!r}.")
    return adapter_of(account).capabilities.settlement
