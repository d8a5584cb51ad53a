"""How is one report written? Totals and rows of one moment, into a stream, in the format that was asked for."""

from __future__ import annotations

from typing import IO

from reconciliation.errors import ExportBroken
from reconciliation.reports.base import Format
from reconciliation.reports.rendering import totals_select
from reconciliation.services.exporting.beancount import write_beancount
from reconciliation.services.exporting.comma_file import write_csv
from reconciliation.services.exporting.manifest import Manifest, manifest_of, totals_of
from reconciliation.services.exporting.order import Order
from reconciliation.services.exporting.sink import Progress, Sink, no_progress
from reconciliation.services.exporting.snapshot import all_rows, snapshot
from reconciliation.services.exporting.workbook import write_xlsx


def write_report(order: Order, file: IO[bytes], progress: Progress = no_progress) -> Manifest:
    """This function will write the report into `file` in constant memory and return its manifest.

    Raises: ExportBroken if the rows written are not the rows counted; whatever `progress` raises. Reads only.
    """
    report, query = order.report, order.report.query(order.given)
    with snapshot() as own:
        rows, totals = totals_of(report, all_rows(own, totals_select(report, query), query.args))
        sink = Sink(file, progress, total=rows)
        if order.kind == Format.CSV:
            write_csv(own, report, query, sink)
        elif order.kind == Format.XLSX:
            write_xlsx(own, report, query, sink)
        else:
            write_beancount(own, query, order.given, sink)
    sink.flush()
    if sink.rows != rows:
        raise ExportBroken(f"{sink.rows:,} rows were written, and {rows:,} counted. Ask for the report again.")
    return manifest_of(order, sink, totals)
