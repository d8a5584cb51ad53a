"""How do an acquirer, a gateway and a bank write their CSV files? Each in a layout of its own, with its control totals."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from simulator.reports.contract import text_of
from simulator.reports.values import BankLine, Row

_WORDS = {
    "charge": "Sale", "refund": "Refund", "refund_return": "Refund reversal", "chargeback": "Chargeback",
    "chargeback_return": "Chargeback reversal", "dispute_fee": "Dispute fee", "fee": "Service fee", "payout": "Funding",
    "reserve_hold": "Reserve withheld", "reserve_release": "Reserve released", "adjustment": "Correction",
}  # fmt: skip
_NEW_YORK = timezone(timedelta(hours=-5))
_ACQUIRER = (
    "Line", "Type", "Transaction", "Order", "Original", "Time", "Currency", "Gross", "Fee", "Net", "Payer currency",
    "Payer amount", "Rate", "Card", "Status", "Payout", "Funding date", "Trace", "Count",
)  # fmt: skip
_CONVESIOPAY = (
    "Id", "Type", "PSP reference", "Merchant reference", "Original", "Booked", "Currency", "Gross", "Fee", "VAT", "Net",
    "Shopper currency", "Shopper amount", "Rate", "Method", "Status", "Payout", "Arrives", "Bank reference", "Rows",
)  # fmt: skip
_BANK = ("Booked", "Value", "Text", "Reference", "Debit", "Credit", "Bank reference")


def acquirer(
    rows: Sequence[Row], zone: ZoneInfo, written: str, *, junk: int, counted: int, whole: Sequence[Row]
) -> bytes:
    """NMI's acquirer: commas, points, one total a currency and one of rows. `whole`: the rows the totals are of."""
    times = _times(written, zone, "%Y-%m-%d %H:%M:%S")
    table: list[Sequence[str]] = [_ACQUIRER]
    for row in rows:
        money = [text_of(minor, row.currency) for minor in (row.gross, row.fee, row.net)]
        table.append((
            row.key, _WORDS[row.kind], row.gateway_id, row.reference, row.parent_id, times(row.at), row.currency, *money,
            row.presented_in, _presented(row, "."), _rate(row, "."), row.method, row.status, row.payout_id,
            row.arrives.isoformat() if row.arrives else "", row.bank_ref, "",
        ))  # fmt: skip
    blank = [""] * len(_ACQUIRER)
    table += [("", "Card check", *blank[2:]) for _ in range(junk)]
    for currency in sorted({row.currency for row in whole}):
        of = [row for row in whole if row.currency == currency]
        sums = (sum(row.gross for row in of), sum(row.fee for row in of), sum(row.net for row in of))
        total = ["TOTAL", *[""] * 5, currency, *(text_of(one, currency) for one in sums)]
        table.append(tuple(total + blank[len(total) :]))
    table.append(("TOTAL", *blank[2:], str(counted + junk)))
    return _file(table, ",")


def convesiopay(rows: Sequence[Row], zone: ZoneInfo, written: str, *, junk: int, counted: int, cut: bool) -> bytes:
    """Semicolons, decimal commas, fees with a minus, VAT apart; its last row says how many there are."""
    times = _times(written, zone, "%d.%m.%Y %H:%M:%S")
    table: list[Sequence[str]] = [_CONVESIOPAY]
    for row in rows:
        taken = [
            text_of(-minor, row.currency, ",") if minor else text_of(0, row.currency, ",")
            for minor in (row.fee, row.tax)
        ]
        table.append((
            row.key, _WORDS[row.kind], row.gateway_id, row.reference, row.parent_id, times(row.at), row.currency,
            text_of(row.gross, row.currency, ","), *taken, text_of(row.net, row.currency, ","), row.presented_in,
            _presented(row, ","), _rate(row, ","), row.method, row.status, row.payout_id,
            row.arrives.strftime("%d.%m.%Y") if row.arrives else "", row.bank_ref, "",
        ))  # fmt: skip
    table += [("note", "Information", *[""] * (len(_CONVESIOPAY) - 2)) for _ in range(junk)]
    if not cut:
        table.append(("Rows in all", *[""] * (len(_CONVESIOPAY) - 2), str(counted + junk)))
    return _file(table, ";")


def bank(lines: Iterable[BankLine]) -> bytes:
    """A bank without balances: debit and credit apart."""
    table: list[Sequence[str]] = [_BANK]
    for line in lines:
        money = text_of(abs(line.amount), line.currency)
        sides = (money, "") if line.amount < 0 else ("", money)
        day = line.on.isoformat()
        table.append((day, day, line.text, line.reference, *sides, line.ref))
    return _file(table, ",")


def _presented(row: Row, mark: str) -> str:
    return text_of(row.presented, row.presented_in, mark) if row.presented_in else ""


def _rate(row: Row, mark: str) -> str:
    return f"{row.rate:.10f}".replace(".", mark) if row.rate is not None else ""


def _times(written: str, zone: ZoneInfo, form: str) -> Callable[[datetime], str]:
    if written == "offset":
        return lambda at: at.astimezone(_NEW_YORK).strftime(f"{form}%z")
    return lambda at: at.astimezone(UTC if written == "utc" else zone).strftime(form)


def _file(table: Iterable[Sequence[str]], delimiter: str) -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\r\n").writerows(table)
    return text.getvalue().encode()
