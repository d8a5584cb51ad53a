"""How does a cell of a report look in a file? SQL around a report's query: exact decimals, safe text, ISO dates, totals.

Amounts become decimals by multiplication with an exact power of ten, never by division and never in binary. Text that a
spreadsheet would run as a formula gets an apostrophe in front; numbers, ids and dates stay what they are.
"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

from ledger.money import MINOR_DIGITS
from reconciliation.reports.base import Column, Kind, Query, Report

FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""A cell that begins with one of them is run, or hides one that is."""
_SIGNS = "(" + ", ".join(f"chr({ord(sign)})" for sign in FORMULA_SIGNS) + ")"


def _codes_by_digits() -> dict[int, list[str]]:
    codes: defaultdict[int, list[str]] = defaultdict(list)
    for code, digits in MINOR_DIGITS.items():
        codes[digits].append(code)
    return dict(sorted(codes.items(), key=lambda item: -len(item[1])))  # the commonest first: most rows end there


def _main_unit() -> str:
    """A currency's smallest unit in main units, as an exact decimal; no currency of the table gives no number."""
    whens = (
        f"WHEN {{0}} IN ({', '.join(repr(code) for code in codes)}) THEN {Decimal(1).scaleb(-digits):f}::numeric"
        for digits, codes in _codes_by_digits().items()
    )
    return f"(CASE {' '.join(whens)} END)"


_MAIN_UNIT = _main_unit()


def decimal_sql(minor: str, currency: str) -> str:
    """Minor units in main units with exactly the currency's decimals: 12.34, JPY 1200, KWD 1.234."""
    return f"{minor} * {_MAIN_UNIT.format(currency)}"


def safe_sql(text: str) -> str:
    """The text so that no spreadsheet runs it as a formula."""
    return f"CASE WHEN left({text}, 1) IN {_SIGNS} THEN '''' || {text} ELSE {text} END"


def text_select(report: Report, query: Query) -> str:
    """The report's rows as they stand in a CSV file, in order."""
    return _select(", ".join(f'{_as_text(column)} AS "{column.name}"' for column in report.columns), query)


def typed_select(report: Report, query: Query) -> str:
    """The report's rows for a workbook, in order: decimals, dates and moments stay what they are."""
    return _select(", ".join(f'{_typed(column)} AS "{column.name}"' for column in report.columns), query)


def totals_select(report: Report, query: Query) -> str:
    """One row a currency: it, its rows, and the sums of the summed columns in minor units. The first currency column counts."""
    summed = [column for column in report.columns if column.summed]
    sums = "".join(f', sum(row."{column.name}")' for column in summed)
    currency = f'row."{summed[0].currency}"' if summed else "''"
    return f"SELECT {currency}, count(*){sums} FROM ({query.sql}) AS row GROUP BY 1 ORDER BY 1"  # noqa: S608 - names and SQL of ours


def _select(cells: str, query: Query) -> str:
    order = ", ".join(f'row."{name}"' for name in query.order_by)
    return f"SELECT {cells} FROM ({query.sql}) AS row ORDER BY {order}"  # noqa: S608 - names and SQL of ours


def _as_text(column: Column) -> str:
    if column.kind == Kind.MOMENT:
        return f"""to_char(row."{column.name}" AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')"""
    return _typed(column)


def _typed(column: Column) -> str:
    cell = f'row."{column.name}"'
    if column.kind == Kind.AMOUNT:
        return decimal_sql(cell, f'row."{column.currency}"')
    if column.kind == Kind.TEXT:
        return safe_sql(cell)
    if column.kind == Kind.FLAG:
        return f"CASE WHEN {cell} THEN 'yes' ELSE 'no' END"
    return cell
