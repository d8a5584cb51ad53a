"""Which movements must a gateway report, and with which identity and worth? One relation, read set-based and row by row.

Signs are ours: positive is money in our favour. Authorisations are no money; what was taken back before it was settled
(a void of captured money) is in nobody's report, and neither is its capture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from django.db import connection

from ledger.queries.receivable import IS_BOOKED

KINDS: Final = {
    "capture": "charge",
    "refund": "refund",
    "void": "refund",
    "refund_return": "refund_return",
    "chargeback": "chargeback",
    "chargeback_return": "chargeback_return",
    "fee": "dispute_fee",
}
"""Kind of a movement to the kind of the line that reports it."""
_KIND: Final = "CASE m.kind " + " ".join(f"WHEN '{ours}' THEN '{theirs}'" for ours, theirs in KINDS.items()) + " END"
_SIGN: Final = "CASE WHEN m.kind IN ('capture', 'refund_return', 'chargeback_return') THEN 1 ELSE -1 END"
_VOIDED: Final = """
    v.gateway_account_id = m.gateway_account_id AND v.gateway_id = m.gateway_id AND v.occurrence = m.occurrence
    AND v.revision = 0 AND {other} AND v.currency = m.currency AND v.amount_minor = m.amount_minor"""
REPORTED: Final = f"""m.kind <> 'authorisation' AND (m.kind <> 'void' OR m.of_captured_money)
  AND NOT (m.kind = 'void' AND EXISTS (SELECT FROM payments_movement AS v
    WHERE {_VOIDED.format(other="v.kind = 'capture'")}))
  AND NOT EXISTS (SELECT FROM payments_movement AS v
    WHERE m.kind = 'capture' AND v.kind = 'void' AND v.occurred_at >= m.occurred_at
      AND {_VOIDED.format(other="true")})"""  # noqa: S608 - made of our own constants
"""Of a row `m` of payments_movement: the gateway has to report it."""
SIGNED: Final = f"({_SIGN} * m.amount_minor)"
LINE_KIND: Final = f"({_KIND})"
MOVEMENTS: Final = "payments_movement"
PAYMENTS: Final = "payments_payment"
PAYOUTS: Final = "payments_payout"
"""The tables by their names, for statements that join them to what others keep."""
MOVED: Final = f"m.kind IN ({', '.join(repr(kind) for kind in KINDS)})"

_ENTRIES: Final = f"""
SELECT m.id, {LINE_KIND}, m.gateway_id, {SIGNED}, m.currency, m.occurred_at, (m.occurred_at AT TIME ZONE %(zone)s)::date,
       m.occurrence, m.settlement_id, m.settlement_minor, m.settlement_currency, m.exchange_rate,
       coalesce(charge.gateway_id, ''),
       coalesce(CASE WHEN m.kind = 'capture' THEN attempt.reference ELSE operation.reference END, attempt.reference, ''),
       m.batch_id, m.payment_id, coalesce(payment.public_id, ''), NOT ({REPORTED})
  FROM payments_movement AS m
  LEFT JOIN payments_operation AS operation ON operation.id = m.operation_id
  LEFT JOIN payments_attempt AS attempt ON attempt.id = m.attempt_id
  LEFT JOIN payments_payment AS payment ON payment.id = m.payment_id
  LEFT JOIN LATERAL (
    SELECT c.gateway_id FROM payments_movement AS c
     WHERE m.kind <> 'capture' AND c.attempt_id = m.attempt_id AND c.kind = 'capture' ORDER BY c.id LIMIT 1) AS charge ON true
 WHERE m.id = ANY(%(ids)s) AND {MOVED}
 ORDER BY m.occurred_at, m.id
"""  # noqa: S608 - made of our own constants
_NEAR: Final = f"""
SELECT m.id FROM payments_movement AS m
 WHERE m.gateway_account_id = %(account)s AND m.gateway_id = ANY(%(gateway_ids)s) AND {MOVED}
UNION
SELECT m.id FROM payments_movement AS m
 WHERE m.gateway_account_id = %(account)s AND m.settlement_id = ANY(%(keys)s) AND m.settlement_id <> '' AND {MOVED}
UNION
SELECT m.id FROM payments_movement AS m JOIN payments_attempt AS a ON a.id = m.attempt_id
 WHERE a.gateway_account_id = %(account)s AND a.reference = ANY(%(references)s)
   AND m.gateway_account_id = %(account)s AND {MOVED}
UNION
SELECT m.id FROM payments_movement AS m JOIN payments_operation AS o ON o.id = m.operation_id
 WHERE o.gateway_account_id = %(account)s AND o.reference = ANY(%(references)s)
   AND m.gateway_account_id = %(account)s AND {MOVED}
UNION
SELECT m.id FROM payments_movement AS m
 WHERE m.gateway_account_id = %(account)s AND m.batch_id = ANY(%(payouts)s) AND m.batch_id <> '' AND {MOVED}
"""  # noqa: S608 - made of our own constants
_SIBLINGS: Final = f"""
SELECT m.id FROM payments_movement AS m
 WHERE m.gateway_account_id = %(account)s AND {MOVED} AND m.payment_id IN (
   SELECT payment_id FROM payments_movement WHERE id = ANY(%(ids)s) AND payment_id IS NOT NULL)
"""  # noqa: S608 - made of our own constants
_CALLS: Final = """
SELECT DISTINCT ON (o.id) coalesce(a.reference, o.reference), o.reference, o.gateway_id, o.state, o.payment_id, p.public_id
  FROM payments_operation AS o JOIN payments_payment AS p ON p.id = o.payment_id
  LEFT JOIN payments_attempt AS a ON a.id = o.attempt_id
 WHERE o.gateway_account_id = %(account)s
   AND (o.reference = ANY(%(references)s) OR (o.gateway_id <> '' AND o.gateway_id = ANY(%(gateway_ids)s))
        OR o.attempt_id IN (SELECT id FROM payments_attempt
                             WHERE gateway_account_id = %(account)s AND reference = ANY(%(references)s)))
 ORDER BY o.id
"""


@dataclass(frozen=True, slots=True)
class Reportable:
    """One movement as a gateway should report it. `minor` is signed, in the money the payer saw."""

    id: int
    kind: str
    gateway_id: str
    minor: int
    currency: str
    occurred_at: datetime
    day: date
    occurrence: int
    settlement_id: str
    settlement_minor: int | None
    settlement_currency: str
    rate: Decimal | None
    parent_id: str
    reference: str
    payout_id: str
    payment_id: int | None
    payment_public_id: str
    voided: bool


@dataclass(frozen=True, slots=True)
class CallKnown:
    """A call of ours and what we believe of it. `references` are all that the gateway may echo."""

    references: tuple[str, ...]
    gateway_id: str
    state: str
    payment_id: int
    payment_public_id: str


def reportable(ids: Sequence[int], zone: str) -> list[Reportable]:
    """These movements, by time; `zone` says where their day begins."""
    with connection.cursor() as cursor:
        cursor.execute(_ENTRIES, {"ids": list(ids), "zone": zone})
        return [Reportable(*row) for row in cursor.fetchall()]


def near(
    account_id: int,
    *,
    gateway_ids: Sequence[str],
    keys: Sequence[str],
    references: Sequence[str],
    payouts: Sequence[str],
) -> list[int]:
    """Movements of a gateway account that share an identity with lines, and all others of their payments."""
    named: dict[str, int | list[str]] = {"account": account_id, "gateway_ids": list(gateway_ids), "keys": list(keys)}
    named |= {"references": list(references), "payouts": list(payouts)}
    with connection.cursor() as cursor:
        cursor.execute(_NEAR, named)
        ids = {row[0] for row in cursor.fetchall()}
        cursor.execute(_SIBLINGS, {"account": account_id, "ids": list(ids)})
        return sorted(ids | {row[0] for row in cursor.fetchall()})


def calls(account_id: int, *, references: Sequence[str], gateway_ids: Sequence[str]) -> Iterator[CallKnown]:
    """Calls of ours by what the gateway echoes of them, whatever became of them."""
    named: dict[str, Any] = {"account": account_id, "references": list(references), "gateway_ids": list(gateway_ids)}
    with connection.cursor() as cursor:
        cursor.execute(_CALLS, named)
        for of_attempt, own, gateway_id, state, payment_id, public_id in cursor.fetchall():
            yield CallKnown((of_attempt, own), gateway_id, state, payment_id, public_id)


_UNBOOKED: Final = f"""
SELECT m.id, {SIGNED}, m.currency, (m.occurred_at AT TIME ZONE %(zone)s)::date, m.entry_source_key, m.gateway_id,
       m.payment_id, coalesce(payment.public_id, '')
  FROM payments_movement AS m LEFT JOIN payments_payment AS payment ON payment.id = m.payment_id
 WHERE m.gateway_account_id = %(account)s AND {MOVED}
   AND (m.occurred_at >= %(start)s AND m.occurred_at < %(end)s OR m.id = ANY(%(ids)s))
   AND NOT {IS_BOOKED.format(key="m.entry_source_key")}
 ORDER BY m.id
"""  # noqa: S608 - made of our own constants
_GIVEN_TWICE: Final = f"""
SELECT sums.payment_id, payment.public_id, sums.currency, sums.taken, sums.refunded, sums.charged_back, sums.last_id,
       (sums.last_at AT TIME ZONE %(zone)s)::date
  FROM (SELECT m.payment_id, m.currency,
               coalesce(sum(m.amount_minor) FILTER (WHERE m.kind = 'capture'), 0)::bigint AS taken,
               coalesce(-sum({SIGNED}) FILTER (WHERE m.kind IN ('refund', 'refund_return', 'void')), 0)::bigint AS refunded,
               coalesce(-sum({SIGNED}) FILTER (WHERE m.kind LIKE 'chargeback%%'), 0)::bigint AS charged_back,
               max(m.id) FILTER (WHERE m.kind <> 'capture') AS last_id,
               max(m.occurred_at) FILTER (WHERE m.kind <> 'capture') AS last_at
          FROM payments_movement AS m
         WHERE {MOVED} AND m.kind <> 'fee' AND (m.kind <> 'void' OR m.of_captured_money) AND m.payment_id IN (
                 SELECT back.payment_id FROM payments_movement AS back
                  WHERE back.gateway_account_id = %(account)s AND back.kind IN ('refund', 'chargeback')
                    AND (back.occurred_at >= %(start)s AND back.occurred_at < %(end)s
                         OR back.payment_id = ANY(%(payments)s)))
         GROUP BY m.payment_id, m.currency) AS sums
  JOIN payments_payment AS payment ON payment.id = sums.payment_id
 WHERE sums.refunded + sums.charged_back > sums.taken AND sums.taken > 0
 ORDER BY sums.payment_id, sums.currency
"""  # noqa: S608 - made of our own constants
_PAYOUTS: Final = """
SELECT id, gateway_account_id, gateway_id, public_id, state, amount_minor, currency, made_at,
       coalesce(arrives_on, (made_at AT TIME ZONE 'UTC')::date), bank_ref, in_bank_on, entry_source_key, itemised
  FROM payments_payout
"""
_KEYS: Final = """
SELECT m.entry_source_key, m.occurred_at FROM payments_movement AS m WHERE m.entry_source_key = ANY(%s)
"""


@dataclass(frozen=True, slots=True)
class Unbooked:
    """A movement without its entry."""

    id: int
    minor: int
    currency: str
    day: date
    source_key: str
    gateway_id: str
    payment_id: int | None
    payment_public_id: str


@dataclass(frozen=True, slots=True)
class GivenTwice:
    """A payment of which more went back than came in, in minor units of one currency."""

    payment_id: int
    payment_public_id: str
    currency: str
    taken_minor: int
    refunded_minor: int
    charged_back_minor: int
    movement_id: int
    day: date


@dataclass(frozen=True, slots=True)
class PayoutKnown:
    """A payout as comparing needs it. `arrives_on` is the day it was made where no gateway says more."""

    id: int
    gateway_account_id: int
    gateway_id: str
    public_id: str
    state: str
    amount_minor: int
    currency: str
    made_at: datetime
    arrives_on: date
    bank_ref: str
    in_bank_on: date | None
    entry_source_key: str
    itemised: bool


def unbooked(account_id: int, *, start: datetime, end: datetime, ids: Sequence[int], zone: str) -> list[Unbooked]:
    """Movements of a window, and these, that nothing was posted for."""
    named = {"account": account_id, "start": start, "end": end, "ids": list(ids), "zone": zone}
    return [Unbooked(*row) for row in _rows(_UNBOOKED, named)]


def given_twice(
    account_id: int, *, start: datetime, end: datetime, payments: Sequence[int], zone: str
) -> list[GivenTwice]:
    """Payments with money going back in a window, and these, of which more went back than was taken."""
    named = {"account": account_id, "start": start, "end": end, "payments": list(payments), "zone": zone}
    return [GivenTwice(*row) for row in _rows(_GIVEN_TWICE, named)]


def payouts_named(account_id: int, gateway_ids: Sequence[str]) -> list[PayoutKnown]:
    """Payouts of a gateway account by the gateway's own ids."""
    sql = f"{_PAYOUTS} WHERE gateway_account_id = %(account)s AND gateway_id = ANY(%(ids)s) ORDER BY id"
    return [PayoutKnown(*row) for row in _rows(sql, {"account": account_id, "ids": list(gateway_ids)})]


def payouts_not_in_bank(account_id: int | None = None) -> list[PayoutKnown]:
    """Payouts that left a gateway and are not seen at the bank, of one account or of all, oldest first."""
    sql = f"""{_PAYOUTS} WHERE state IN ('expected', 'in_transit', 'paid') AND in_bank_on IS NULL
       AND (%(account)s::bigint IS NULL OR gateway_account_id = %(account)s) ORDER BY arrives_on NULLS FIRST, id"""
    return [PayoutKnown(*row) for row in _rows(sql, {"account": account_id})]


def times_of_entries(source_keys: Sequence[str]) -> dict[str, datetime]:
    """When the movements happened that entries were posted for; keys of other entries are left out."""
    return dict(_rows(_KEYS, [list(source_keys)]))


def _rows(sql: str, named: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, named)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def payouts_in_bank(currency: str, amount_minor: int) -> list[PayoutKnown]:
    """Payouts of an amount that the bank has shown, whatever became of them."""
    sql = (
        f"{_PAYOUTS} WHERE currency = %(currency)s AND amount_minor = %(amount)s AND in_bank_on IS NOT NULL ORDER BY id"
    )
    return [PayoutKnown(*row) for row in _rows(sql, {"currency": currency, "amount": amount_minor})]
