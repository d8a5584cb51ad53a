"""What did NMI settle? Transactions as its query tells them, one JSON object a line; it knows no fees and no payouts.

Rows are `{"object": "transaction", "transaction_id", "order_id", "condition", "currency", "cc_type", "actions":
[{"action_type", "amount", "date", "success", "batch_id"}]}` with times YYYYMMDDhhmmss in UTC. What was settled is a line of
money (`<id>:charge` or `<id>:refund`, so that the acquirer's statement can name the same line); what was refused or taken
back before is a line that proves a status and no amount; what waits for its batch is no line yet. A window is read by the
last change: what changed since is missing in it, so that absence proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import BinaryIO, Final

from ledger.money import MINOR_DIGITS
from reconciliation.lines import Item, RejectedLine, StatementLine
from reconciliation.sources.amounts import BadAmount, minor_of
from reconciliation.sources.base import Reading, evidence
from reconciliation.sources.json_lines import Row, rows_of
from reconciliation.states import LineKind

_TAKES: Final = frozenset({"sale", "capture"})
_RETURNS: Final = frozenset({"refund", "credit"})
_SETTLED: Final = "complete"
_REFUSED: Final = frozenset({"failed", "canceled", "abandoned"})
_WAITING: Final = frozenset({"pending", "pendingsettlement", "in_progress"})


class BadRow(ValueError):
    """The row lacks or garbles what every transaction has; the message says what."""


class NmiWindow:
    """Reader of NMI's query window."""

    name, words, mapped, tells_all = "nmi_window", "NMI transactions of a window (API)", False, False

    def read(self, content: BinaryIO, reading: Reading) -> Iterator[Item]:
        """The lines of one window. Raises: UnreadableStatement."""
        for read in rows_of(content):
            if not isinstance(read, tuple):
                yield read
                continue
            number, row = read
            try:
                line = _line(number, row, reading.currency)
            except (BadRow, BadAmount) as wrong:
                yield RejectedLine(number, str(wrong), _plain(row))
                continue
            if line is not None:
                yield line


NMI_WINDOW: Final = NmiWindow()


def _line(number: int, row: Row, default_currency: str) -> StatementLine | None:
    """The line of one transaction; None while it waits. Raises: BadRow, BadAmount."""
    actions = [action for action in row.get("actions") or () if isinstance(action, dict)]
    done = [action for action in actions if _succeeded(action)]
    settle = next((action for action in done if _text(action, "action_type") == "settle"), None)
    condition = _text(row, "condition").lower()
    if settle is None and condition in _WAITING:
        return None
    if settle is None and condition != _SETTLED:
        return _status_line(number, row, actions, condition, default_currency)
    returned = any(_text(action, "action_type") in _RETURNS for action in done)
    moved = [action for action in done if _text(action, "action_type") in (_RETURNS if returned else _TAKES)]
    if not moved and settle is None:
        raise BadRow("The transaction is complete, but no action says what it took.")
    currency = _currency(row, default_currency)
    amounts = [settle] if settle is not None else moved
    gross = sum(abs(minor_of(_text(action, "amount"), currency)) for action in amounts)
    kind = LineKind.REFUND if returned else LineKind.CHARGE
    return StatementLine(
        number=number,
        line_key=f"{_id(row)}:{kind.value}",
        kind=kind,
        currency=currency,
        gross_minor=-gross if returned else gross,
        occurred_at=_moment(amounts[-1]),
        raw=_plain(row),
        gateway_id=_id(row),
        reference=_text(row, "order_id"),
        payout_id=_batch(settle, done),
        status="settled",
        method=_text(row, "cc_type").lower(),
    )


def _status_line(number: int, row: Row, actions: list[Row], condition: str, currency: str) -> StatementLine:
    if condition not in _REFUSED:
        raise BadRow(f"Condition {condition[:40]!r} is unknown.")
    if not actions:
        raise BadRow("The transaction has no action.")
    return StatementLine(
        number=number,
        line_key=f"{_id(row)}:status",
        kind=LineKind.DECLINE,
        currency=_currency(row, currency),
        gross_minor=0,
        net_minor=0,
        occurred_at=_moment(actions[-1]),
        raw=_plain(row),
        gateway_id=_id(row),
        reference=_text(row, "order_id"),
        status=condition,
        method=_text(row, "cc_type").lower(),
    )


def _batch(settle: Row | None, done: list[Row]) -> str:
    """The settlement batch: that of the settle action before any other; "0" means none."""
    ordered = [*([settle] if settle is not None else []), *reversed(done)]
    return next((_text(one, "batch_id") for one in ordered if _text(one, "batch_id") not in ("", "0")), "")


def _succeeded(action: Row) -> bool:
    if action.get("success") not in (True, False, "1", "0", 1, 0):
        raise BadRow("An action's success is neither 1 nor 0.")
    return action["success"] in (True, "1", 1)


def _id(row: Row) -> str:
    found = _text(row, "transaction_id")
    if not found:
        raise BadRow("The transaction has no transaction_id.")
    return found


def _currency(row: Row, default: str) -> str:
    code = _text(row, "currency").upper() or default
    if code not in MINOR_DIGITS:
        raise BadRow(f"Currency {code[:10]!r} is in no table." if code else "The transaction names no currency.")
    return code


def _moment(action: Row) -> datetime:
    stamp = _text(action, "date")
    try:
        if len(stamp) == len("YYYYMMDDhhmmss") and stamp.isascii() and stamp.isdigit():
            return datetime.strptime(stamp, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        pass
    raise BadRow(f"Date {stamp[:40]!r} is not YYYYMMDDhhmmss.")


def _text(row: Row, name: str) -> str:
    value = row.get(name)
    return value.strip() if isinstance(value, str) else ""


def _plain(row: Row) -> dict[str, str]:
    shown: dict[str, object] = {name: value for name, value in row.items() if name not in ("object", "actions")}
    for place, action in enumerate(row.get("actions") or (), start=1):
        if isinstance(action, dict):
            shown[f"action {place}"] = " ".join(str(value) for value in action.values() if value not in (None, ""))
    return evidence({name: value for name, value in shown.items() if value not in (None, "")})
