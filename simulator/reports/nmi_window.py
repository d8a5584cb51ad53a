"""What does NMI's own API say of a day? Its transactions, one JSON object a line, beside the acquirer's file of the same day.

It names the payer's money alone: what the acquirer settles in another currency stands only in the acquirer's file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from simulator.reports.contract import text_of
from simulator.reports.values import Row

_SOLD = {"charge": "sale", "refund": "refund"}


def window(rows: Iterable[Row]) -> bytes:
    """The settled transactions of the rows, and the row that counts them."""
    told = [_transaction(row) for row in rows if _is_told(row)]
    lines = [*told, {"object": "report", "rows": len(told), "pages": 1, "final": True}]
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def _is_told(row: Row) -> bool:
    of_transaction = row.kind in _SOLD and row.key == f"{row.gateway_id}:{row.kind}"
    return of_transaction and row.status == "settled" and not row.presented_in


def _transaction(row: Row) -> dict[str, object]:
    amount, when = text_of(abs(row.gross), row.currency), row.at.strftime("%Y%m%d%H%M%S")
    actions = [
        {"action_type": kind, "amount": amount, "date": when, "success": "1", "batch_id": row.payout_id}
        for kind in (_SOLD[row.kind], "settle")
    ]
    return {
        "object": "transaction", "transaction_id": row.gateway_id, "order_id": row.reference, "condition": "complete",
        "currency": row.currency, "cc_type": row.method, "actions": actions,
    }  # fmt: skip
