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
      AND {_VOIDED.format(other="true")})"""
"""Of a row `m` of payments_movement: the gateway has to report it."""
SIGNED: Final = f"({_SIGN} * m.amount_minor)"
LINE_KIND: Final = f"({_KIND})"
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
"""
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
"""
_SIBLINGS: Final = f"""
SELECT m.id FROM payments_movement AS m
 WHERE m.gateway_account_id = %(account)s AND {MOVED} AND m.payment_id IN (
   SELECT payment_id FROM payments_movement WHERE id = ANY(%(ids)s) AND payment_id IS NOT NULL)
"""
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
    named = {"account": account_id, "gateway_ids": list(gateway_ids), "keys": list(keys)}
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
