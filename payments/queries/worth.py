"""How did a movement change the gateway's receivable (1110) in the books? One relation in SQL, for sums over many."""

from __future__ import annotations

from typing import Final

from payments.queries.reconciling import MOVED, SIGNED

WORTH: Final = f"SELECT m.id, m.currency, {SIGNED} AS minor FROM payments_movement AS m WHERE {MOVED}"  # noqa: S608 - ours
"""Columns id, currency (of the payer's money, as booked), minor (debit positive)."""
