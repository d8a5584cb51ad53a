"""What does Stripe's balance say? Balance transactions as the API tells them, one JSON object a line.

Rows are `{"object": "balance_transaction", "id": "txn_…", "amount", "fee", "net", "currency", "type", "created", "source",
"fee_details": […], …}` with `source` expanded or as an id; amounts in the smallest unit as Stripe counts them. A withdrawal
for a dispute carries Stripe's fee with it: it becomes two lines, the chargeback and its fee, for these are two movements.
Rows of payouts (`"object": "payout"`) are counted and say nothing here: the balance has a transaction for each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import BinaryIO, Final

from ledger.money import BIGINT_MAX, MINOR_DIGITS
from reconciliation.lines import Item, RejectedLine, StatementLine
from reconciliation.sources.base import Reading, evidence
from reconciliation.sources.json_lines import Row, rows_of
from reconciliation.states import LineKind

_KINDS: Final = {
    "charge": LineKind.CHARGE,
    "payment": LineKind.CHARGE,
    "refund": LineKind.REFUND,
    "payment_refund": LineKind.REFUND,
    "refund_failure": LineKind.REFUND_RETURN,
    "payment_failure_refund": LineKind.REFUND_RETURN,
    "stripe_fee": LineKind.FEE,
    "stripe_fx_fee": LineKind.FEE,
    "tax_fee": LineKind.FEE,
    "application_fee": LineKind.FEE,
    "payout": LineKind.PAYOUT,
    "payout_failure": LineKind.PAYOUT_RETURN,
    "payout_cancel": LineKind.PAYOUT_RETURN,
}
_RESERVES: Final = frozenset(
    {
        "reserve_transaction",
        "reserve_hold",
        "reserve_release",
        "reserved_funds",
        "payout_minimum_balance_hold",
        "payout_minimum_balance_release",
        "payment_network_reserve_hold",
        "payment_network_reserve_release",
    }
)
_UNCONFIRMED: Final = frozenset({"ISK", "UGX"})  # Stripe counts decimals in them that they do not have
_PAYOUTS: Final = frozenset({LineKind.PAYOUT, LineKind.PAYOUT_RETURN})
_LAST_SECOND: Final = 253_402_300_799  # of the year 9999


class BadRow(ValueError):
    """The row lacks or garbles what every balance transaction has; the message says what."""


class StripeBalance:
    """Reader of Stripe's balance."""

    name, words, mapped, tells_all = "stripe_balance", "Stripe balance transactions (API)", False, True

    def read(self, content: BinaryIO, reading: Reading) -> Iterator[Item]:
        """The lines of one window or payout. Raises: UnreadableStatement."""
        for read in rows_of(content):
            if not isinstance(read, tuple):
                yield read
                continue
            number, row = read
            if row.get("object") == "payout":
                continue
            try:
                yield from _lines(number, row)
            except BadRow as wrong:
                yield RejectedLine(number, str(wrong), evidence(_plain(row)))


STRIPE_BALANCE: Final = StripeBalance()


def _lines(number: int, row: Row) -> Iterator[StatementLine]:
    if row.get("object") != "balance_transaction":
        raise BadRow(f"A row of the kind {str(row.get('object'))[:40]!r} is no balance transaction.")
    source = row["source"] if isinstance(row.get("source"), dict) else {"id": row.get("source") or ""}
    kind = _kind(row, source)
    line = _line(number, row, source, kind)
    fee_minor, tax_minor = line.fee_minor or 0, line.tax_minor or 0
    if line.net_minor != line.gross_minor - fee_minor - tax_minor:
        raise BadRow(f"Net {line.net_minor} is not gross {line.gross_minor} less fee {fee_minor + tax_minor}.")
    if kind not in (LineKind.CHARGEBACK, LineKind.CHARGEBACK_RETURN) or not fee_minor + tax_minor:
        yield line
        return
    cost = fee_minor + tax_minor
    yield replace(line, fee_minor=0, tax_minor=0, net_minor=line.gross_minor)
    yield replace(
        line,
        line_key=f"{line.line_key}:fee",
        kind=LineKind.DISPUTE_FEE,
        gross_minor=-cost,
        fee_minor=0,
        tax_minor=0,
        net_minor=-cost,
        presentment_minor=None,
        presentment_currency="",
        rate=None,
    )


def _kind(row: Row, source: Row) -> LineKind:
    type_, category, amount = _text(row, "type"), _text(row, "reporting_category"), _number(row, "amount")
    if (
        category == "partial_capture_reversal"
    ):  # a part that was not captured: it takes from the charge, it is no refund
        return LineKind.CHARGE
    if type_ in _RESERVES:
        return LineKind.RESERVE_HOLD if amount < 0 else LineKind.RESERVE_RELEASE
    if type_ == "adjustment" and (source.get("object") == "dispute" or category.startswith("dispute")):
        return LineKind.CHARGEBACK if amount < 0 else LineKind.CHARGEBACK_RETURN
    return _KINDS.get(type_, LineKind.ADJUSTMENT)  # a type that is new to us moves money all the same


def _line(number: int, row: Row, source: Row, kind: LineKind) -> StatementLine:
    currency, gross = _currency(row, "currency"), _number(row, "amount")
    tax = sum(_number(part, "amount") for part in row.get("fee_details") or () if part.get("type") == "tax")
    presented, presented_in = _presented(row, source, gross, currency)
    gateway_id, charge = _text(source, "id"), _text(source, "charge")
    reversal = kind == LineKind.CHARGE and bool(charge)
    return StatementLine(
        number=number,
        line_key=_text(row, "id") or _missing("id"),
        kind=kind,
        currency=currency,
        gross_minor=gross,
        occurred_at=_moment(row, "created"),
        raw=evidence(_plain(row)),
        fee_minor=_number(row, "fee") - tax,
        tax_minor=tax,
        net_minor=_number(row, "net"),
        presentment_minor=presented,
        presentment_currency=presented_in,
        rate=_rate(row),
        gateway_id=charge if reversal else gateway_id,
        parent_id=charge,
        reference=_text(source, "our_ref"),
        payout_id=gateway_id if kind in _PAYOUTS else _text(row, "payout"),
        method=_text(source, "brand"),
        text=_text(row, "description") or _text(row, "type"),
        available_on=_day(row),
    )


def _presented(row: Row, source: Row, gross: int, currency: str) -> tuple[int | None, str]:
    """What the payer saw, where it was in another currency."""
    seen_in = _text(source, "currency").upper()
    if not seen_in or seen_in == currency:
        return None, ""
    amount = source.get("amount_captured") or source.get("amount")
    if isinstance(amount, bool) or not isinstance(amount, int) or seen_in not in MINOR_DIGITS:
        return None, ""
    return (-abs(amount) if gross < 0 else abs(amount)), seen_in


def _plain(row: Row) -> dict[str, object]:
    source = row.get("source")
    named = {"source": source.get("id", "") if isinstance(source, dict) else source}
    shown = {name: value for name, value in row.items() if name not in ("object", "source", "fee_details")}
    return {name: value for name, value in (shown | named).items() if value not in (None, "")}


def _missing(name: str) -> str:
    raise BadRow(f"The balance transaction has no {name}.")


def _text(row: Row, name: str) -> str:
    value = row.get(name)
    return value if isinstance(value, str) else ""


def _number(row: Row, name: str) -> int:
    value = row.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > BIGINT_MAX:
        raise BadRow(f"The balance transaction's {name} is {str(value)[:40]!r}, no whole number.")
    return value


def _currency(row: Row, name: str) -> str:
    code = _text(row, name).upper()
    if code not in MINOR_DIGITS:
        raise BadRow(f"Currency {code[:10]!r} is in no table.")
    if code in _UNCONFIRMED:
        raise BadRow(f"How many decimals Stripe counts in {code} is not known for certain.")
    return code


def _moment(row: Row, name: str) -> datetime:
    seconds = _number(row, name)
    if not 0 < seconds <= _LAST_SECOND:
        raise BadRow(f"The balance transaction's {name} is {seconds}, no time.")
    return datetime.fromtimestamp(seconds, UTC)


def _day(row: Row) -> date | None:
    return _moment(row, "available_on").date() if row.get("available_on") else None


def _rate(row: Row) -> Decimal | None:
    rate = row.get("exchange_rate")
    if rate is None or isinstance(rate, bool):
        return None
    try:
        found = Decimal(str(rate))
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite() or not 0 < found < Decimal(10) ** 10:
        raise BadRow(f"Exchange rate {str(rate)[:40]!r} is no rate.")
    return found
