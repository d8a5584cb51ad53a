"""How is a report written as CSV? PostgreSQL writes it: UTF-8, commas, headings, empty cells for what is not there.

Text is always quoted, so that a semicolon in it starts no cell where a spreadsheet separates by semicolons.
"""

from __future__ import annotations

from django.db.backends.base.base import BaseDatabaseWrapper

from reconciliation.reports.base import Kind, Query, Report
from reconciliation.reports.rendering import text_select
from reconciliation.services.exporting.sink import Sink


def write_csv(own: BaseDatabaseWrapper, report: Report, query: Query, sink: Sink) -> None:
    """Stream COPY into the sink, a row a piece."""
    quoted = ", ".join(f'"{column.name}"' for column in report.columns if column.kind == Kind.TEXT)
    options = f"FORMAT csv{f', FORCE_QUOTE ({quoted})' if quoted else ''}"
    sink.write((",".join(column.name for column in report.columns) + "\n").encode())
    with (
        own.cursor() as cursor,
        cursor.copy(f"COPY ({text_select(report, query)}) TO STDOUT ({options})", query.args) as rows,
    ):
        write = sink.write_row
        for row in rows:
            write(row)
