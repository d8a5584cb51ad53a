"""What was asked for? One report with its parameters and format, by whom and when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from reconciliation.reports.base import Format, Given, Report


@dataclass(frozen=True, slots=True)
class Order:
    """One report as it was asked for. `batch` is the hand-over it is the file of."""

    report: Report
    given: Given
    kind: Format
    made_by: str
    made_at: datetime
    batch: str = ""
