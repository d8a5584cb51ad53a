"""What exactly is in an exported file? Report, parameters, columns, rows, control totals and digest; and does a file fit?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC
from pathlib import Path
from typing import Any, Final

from ledger.money import Money
from reconciliation.reports.base import Report
from reconciliation.reports.parameters import as_text
from reconciliation.services.exporting.order import Order
from reconciliation.services.exporting.sink import BLOCK, Sink

VERSION: Final = 1
Manifest = dict[str, Any]


def totals_of(report: Report, rows: Iterable[tuple[Any, ...]]) -> tuple[int, dict[str, dict[str, str]]]:
    """Rows in all, and by currency the sums of the summed columns in main units. Raises: UnknownCurrency.

    Rows that are about no money, such as a report that did not come, are counted under no currency and have no sums.
    """
    summed = [column.name for column in report.columns if column.summed]
    count, totals = 0, {}
    for currency, rows_of_it, *sums in rows:
        count += rows_of_it
        if summed:
            totals[currency] = {"rows": str(rows_of_it)} | {
                name: Money(int(minor or 0), currency).to_decimal_string()
                for name, minor in zip(summed, sums, strict=True)
                if currency
            }
    return count, totals


def manifest_of(order: Order, sink: Sink, totals: Mapping[str, Mapping[str, str]]) -> Manifest:
    """What is kept with a file and told of it. Times are UTC, amounts plain decimals in main units."""
    return {
        "manifest": VERSION,
        "report": order.report.name,
        "title": order.report.title,
        "format": order.kind.value,
        "parameters": as_text(order.given),
        "columns": [
            {"name": column.name, "kind": column.kind.value, "words": column.words} for column in order.report.columns
        ],
        "rows": sink.rows,
        "totals": totals,
        "size": sink.size,
        "sha256": sink.sha256,
        "made_at": order.made_at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "made_by": order.made_by,
        **({"hand_over": order.batch} if order.batch else {}),
    }


def digest_of(path: Path) -> str:
    """SHA-256 of a file, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def differences(path: Path, manifest: Manifest) -> list[str]:
    """What of a file is not as its manifest says; empty: it is the file that was written."""
    found = []
    if (size := path.stat().st_size) != manifest["size"]:
        found.append(f"It has {size:,} bytes; the manifest says {manifest['size']:,}.")
    if (sha256 := digest_of(path)) != manifest["sha256"]:
        found.append(f"Its SHA-256 is {sha256}; the manifest says {manifest['sha256']}.")
    return found
