"""How did a movement change the gateway's receivable (1110) in the books? One relation in SQL, for sums over many."""

from __future__ import annotations

from typing import Final

WORTH: Final = """
SELECT id, currency,
       amount_minor * CASE kind WHEN 'capture' THEN 1 WHEN 'refund_return' THEN 1 WHEN 'chargeback_return' THEN 1
                                WHEN 'authorisation' THEN 0 WHEN 'void' THEN CASE WHEN of_captured_money THEN -1 ELSE 0 END
                                ELSE -1 END AS minor
  FROM payments_movement
"""
"""Columns id, currency (of the payer's money, as booked), minor (debit positive)."""
