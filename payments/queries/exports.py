"""Which rows do payments give to reports? SQL with named arguments; whoever runs it decides about order, decimals and file.

Amounts are minor units of the row's currency. What came in and went out are sums of movements, as everywhere; money that a
review holds is not in them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

Sql = tuple[str, dict[str, Any]]

_IN_PERIOD: Final = """
   AND (%(start)s::timestamptz IS NULL OR {0} >= %(start)s) AND (%(end)s::timestamptz IS NULL OR {0} < %(end)s)
   AND (%(currency)s::text IS NULL OR {1} = %(currency)s) AND (%(account)s::text IS NULL OR gateway.slug = %(account)s)"""
_LAST_ATTEMPT: Final = """
  LEFT JOIN LATERAL (SELECT gateway_account_id, gateway_id, failure_class FROM payments_attempt
                      WHERE payment_id = payment.id ORDER BY number DESC LIMIT 1) AS attempt ON true
  LEFT JOIN payments_gatewayaccount AS gateway ON gateway.id = attempt.gateway_account_id"""
_PAYMENTS: Final = f"""
SELECT payment.id AS payment_row, payment.public_id AS payment, payment.reference, payment.state,
       coalesce(gateway.slug, payment.wanted_gateway) AS account, coalesce(attempt.gateway_id, '') AS gateway_id,
       method.brand, method.last_four, payment.currency, payment.amount_minor AS amount, moved.captured,
       moved.refunded, moved.charged_back, moved.captured - moved.refunded - moved.charged_back AS kept,
       coalesce(attempt.failure_class, '') AS failure_class, payment.created_at, moved.captured_at, moved.settled_at
  FROM payments_payment AS payment JOIN payments_paymentmethod AS method ON method.id = payment.method_id
{_LAST_ATTEMPT}
  CROSS JOIN LATERAL (
    SELECT coalesce(sum(amount_minor) FILTER (WHERE kind = 'capture'), 0) AS captured,
           coalesce(sum(amount_minor) FILTER (WHERE kind = 'refund' OR of_captured_money), 0)
             - coalesce(sum(amount_minor) FILTER (WHERE kind = 'refund_return'), 0) AS refunded,
           coalesce(sum(amount_minor) FILTER (WHERE kind = 'chargeback'), 0)
             - coalesce(sum(amount_minor) FILTER (WHERE kind = 'chargeback_return'), 0) AS charged_back,
           min(occurred_at) FILTER (WHERE kind = 'capture') AS captured_at,
           max(movement.settled_at) FILTER (WHERE kind = 'capture') AS settled_at
      FROM payments_movement AS movement
     WHERE movement.payment_id = payment.id AND movement.counts AND movement.currency = payment.currency) AS moved
 WHERE (%(state)s::text IS NULL OR payment.state = %(state)s)
{_IN_PERIOD.format("payment.created_at", "payment.currency")}"""  # noqa: S608 - made of our own constants
_REFUNDS: Final = f"""
SELECT refund.id AS refund_row, refund.public_id AS refund, payment.public_id AS payment, payment.reference,
       gateway.slug AS account, attempt.gateway_id AS charge_id, coalesce(moved.gateway_id, '') AS gateway_id, refund.state,
       refund.origin, refund.currency, refund.amount_minor AS amount, moved.went_back,
       refund.reason, refund.requested_by, refund.created_at, moved.went_back_at
  FROM payments_refund AS refund JOIN payments_payment AS payment ON payment.id = refund.payment_id
  JOIN payments_attempt AS attempt ON attempt.id = refund.attempt_id
  JOIN payments_gatewayaccount AS gateway ON gateway.id = attempt.gateway_account_id
  LEFT JOIN LATERAL (
    SELECT min(movement.gateway_id) FILTER (WHERE kind <> 'refund_return') AS gateway_id,
           min(occurred_at) FILTER (WHERE kind <> 'refund_return') AS went_back_at,
           sum(CASE WHEN kind = 'refund_return' THEN -amount_minor ELSE amount_minor END) AS went_back
      FROM payments_movement AS movement WHERE movement.payment_id = refund.payment_id AND movement.refund_id = refund.id
       AND movement.currency = refund.currency) AS moved ON true
 WHERE (%(state)s::text IS NULL OR refund.state = %(state)s)
{_IN_PERIOD.format("refund.created_at", "refund.currency")}"""  # noqa: S608 - made of our own constants
_DISPUTES: Final = f"""
SELECT dispute.id AS dispute_row, dispute.public_id AS dispute, coalesce(payment.public_id, '') AS payment,
       coalesce(payment.reference, '') AS reference, gateway.slug AS account, dispute.gateway_id, dispute.charge_id,
       dispute.state, dispute.reason, dispute.currency, dispute.amount_minor AS amount, moved.taken, moved.given_back,
       moved.fee, coalesce(moved.fee_currency, '') AS fee_currency, dispute.opened_at, dispute.evidence_due_at,
       dispute.closed_at
  FROM payments_dispute AS dispute JOIN payments_gatewayaccount AS gateway ON gateway.id = dispute.gateway_account_id
  LEFT JOIN payments_payment AS payment ON payment.id = dispute.payment_id
  LEFT JOIN LATERAL (
    SELECT sum(amount_minor) FILTER (WHERE kind = 'chargeback' AND movement.currency = dispute.currency) AS taken,
           sum(amount_minor) FILTER (WHERE kind = 'chargeback_return' AND movement.currency = dispute.currency)
             AS given_back,
           sum(amount_minor) FILTER (WHERE kind = 'fee') AS fee, min(movement.currency) FILTER (WHERE kind = 'fee') AS fee_currency
      FROM payments_movement AS movement WHERE movement.dispute_id = dispute.id) AS moved ON true
 WHERE (%(state)s::text IS NULL OR dispute.state = %(state)s)
{_IN_PERIOD.format("dispute.opened_at", "dispute.currency")}"""  # noqa: S608 - made of our own constants
_PAYOUTS: Final = f"""
SELECT payout.id AS payout_row, payout.public_id AS payout, gateway.slug AS account, payout.gateway_id, payout.state,
       payout.currency, payout.amount_minor AS amount, payout.made_at, payout.arrives_on, payout.in_bank_on,
       payout.bank_ref, payout.failure, payout.itemised
  FROM payments_payout AS payout JOIN payments_gatewayaccount AS gateway ON gateway.id = payout.gateway_account_id
 WHERE (%(state)s::text IS NULL OR payout.state = %(state)s)
{_IN_PERIOD.format("payout.made_at", "payout.currency")}"""  # noqa: S608 - made of our own constants
_REFERENCES: Final = "SELECT public_id AS payment, reference FROM payments_payment"


def _args(
    start: datetime | None, end: datetime | None, state: str | None, account: str | None, currency: str | None
) -> dict[str, Any]:
    return {"start": start, "end": end, "state": state, "account": account, "currency": currency}


def payments_sql(
    start: datetime | None, end: datetime | None, *, state: str | None, account: str | None, currency: str | None
) -> Sql:
    """One row a payment created in [start, end); order by payment_row."""
    return _PAYMENTS, _args(start, end, state, account, currency)


def refunds_sql(
    start: datetime | None, end: datetime | None, *, state: str | None, account: str | None, currency: str | None
) -> Sql:
    """One row a refund asked for in [start, end), always with the payment it belongs to; order by refund_row."""
    return _REFUNDS, _args(start, end, state, account, currency)


def disputes_sql(
    start: datetime | None, end: datetime | None, *, state: str | None, account: str | None, currency: str | None
) -> Sql:
    """One row a dispute opened in [start, end); order by dispute_row."""
    return _DISPUTES, _args(start, end, state, account, currency)


def payouts_sql(
    start: datetime | None, end: datetime | None, *, state: str | None, account: str | None, currency: str | None
) -> Sql:
    """One row a payout made in [start, end); order by payout_row."""
    return _PAYOUTS, _args(start, end, state, account, currency)


def references_sql() -> str:
    """Every payment with the merchant's own reference: to be joined."""
    return _REFERENCES
