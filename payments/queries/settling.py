"""Which state should a paid payment be in, by what is settled and matched? Asked for many payments at once.

A capture that was taken back before it was settled expects no line and no batch. Money under review counts as well: it is at
the gateway like any other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connection
from django.db.models import Exists, OuterRef, QuerySet

from payments.models import Movement, Payment, Payout
from payments.queries.reconciling import MOVED, REPORTED
from payments.states import PAID_STATES, PaymentState

S = PaymentState
_PAID: Final = [state.value for state in PAID_STATES]
_TO_REPORT: Final = f"""
SELECT m.id, m.payment_id, m.kind, m.settled_at IS NOT NULL FROM payments_movement AS m
 WHERE m.payment_id = ANY(%(payments)s) AND {MOVED} AND {REPORTED}
"""  # noqa: S608 - made of our own constants
_IN_WINDOW: Final = f"""
SELECT DISTINCT m.payment_id FROM payments_movement AS m JOIN payments_payment AS payment ON payment.id = m.payment_id
 WHERE m.gateway_account_id = %(account)s AND m.occurred_at >= %(start)s AND m.occurred_at < %(end)s AND {MOVED}
   AND payment.state = ANY(%(states)s)
 ORDER BY m.payment_id
"""  # noqa: S608 - made of our own constants
SETTLED: Final = "SELECT m.id, m.settled_at, m.batch_id FROM payments_movement AS m"
"""What movements know of their settlement, for joins."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a paid payment's money at gateways: movements to be reported, those settled, those matched."""

    payment_id: int
    state: PaymentState
    movements: int
    captures: int
    unsettled: int
    unmatched: int
    broken: bool

    @property
    def should_be(self) -> PaymentState:
        """Settled when every capture is; reconciled when every movement has met a line too, and nothing is left open."""
        if not self.captures or self.unsettled:
            return S.CAPTURED if self.state == S.CAPTURED else S.SETTLED
        return S.RECONCILED if not self.unmatched and not self.broken else S.SETTLED

    @property
    def because(self) -> str:
        """Why it should be there, in a sentence."""
        if self.should_be == S.RECONCILED:
            all_of_them = "Its one movement has" if self.movements == 1 else f"All {self.movements} movements have"
            return f"{all_of_them} met a line of the gateway's statements, and nothing is left open."
        if self.state == S.CAPTURED:
            return f"Every capture ({self.captures}) stands in a closed payout or batch."
        if self.broken:
            return "A difference of its money is open."
        return f"{self.unmatched or self.unsettled} of {self.movements} movements have no line of a statement."


def standings(payment_ids: Collection[int], *, matched: QuerySet[Any], broken: QuerySet[Any]) -> Iterator[Standing]:
    """How these payments stand; those that are not paid are left out.

    `matched` and `broken` are asked by `movement_id` and `payment_id`: what comparing knows, which this app does not.
    """
    states: Mapping[int, str] = dict(
        Payment.objects.filter(pk__in=payment_ids, state__in=_PAID).values_list("pk", "state")
    )
    with connection.cursor() as cursor:
        cursor.execute(_TO_REPORT, {"payments": list(states)})
        rows = cursor.fetchall()
    ids = [row[0] for row in rows]
    met = Movement.objects.filter(Exists(matched.filter(movement_id=OuterRef("pk"))), pk__in=ids)
    known = set(met.values_list("pk", flat=True))
    open_ones = set(broken.filter(payment_id__in=list(states)).values_list("payment_id", flat=True))
    by_payment: dict[int, list[tuple[int, str, bool]]] = {pk: [] for pk in states}
    for pk, payment_id, kind, settled in rows:
        by_payment[payment_id].append((pk, kind, settled))
    for payment_id in sorted(states):
        money = by_payment[payment_id]
        captures = [settled for _, kind, settled in money if kind == "capture"]
        yield Standing(
            payment_id=payment_id,
            state=S(states[payment_id]),
            movements=len(money),
            captures=len(captures),
            unsettled=captures.count(False),
            unmatched=sum(1 for pk, _, _ in money if pk not in known),
            broken=payment_id in open_ones,
        )


def payments_moved(account_id: int, start: datetime, end: datetime) -> list[int]:
    """Paid payments whose money moved at a gateway account in a window, by id."""
    with connection.cursor() as cursor:
        cursor.execute(_IN_WINDOW, {"account": account_id, "start": start, "end": end, "states": _PAID})
        return [row[0] for row in cursor.fetchall()]


def payouts_gone(account_id: int, gateway_ids: Collection[str]) -> dict[str, datetime]:
    """Those of these payouts that have left the gateway, and when each was made."""
    left = Payout.objects.filter(gateway_account_id=account_id, gateway_id__in=gateway_ids).exclude(entry_source_key="")
    return dict(left.values_list("gateway_id", "made_at"))


def payments_of(movement_ids: Collection[int]) -> set[int]:
    """Payments that these movements belong to."""
    rows = Movement.objects.filter(pk__in=movement_ids, payment__isnull=False)
    return set(rows.values_list("payment_id", flat=True))
