"""Which tables are the comparison's? Private to this app; written only by `reconciliation.services`."""

from reconciliation.models.difference import Break, BreakEvidence, BreakNote, Resolution, ResolvedBreak
from reconciliation.models.report import (
    DayClose,
    HandedEntry,
    HandOver,
    OpeningFile,
    OpeningPosition,
    ReportDownload,
    ReportJob,
    ReportSchedule,
)
from reconciliation.models.run import Alert, Booking, Match, Run
from reconciliation.models.statement import Line, LineChange, RejectedRow, Statement
from reconciliation.models.terms import ColumnMapping, ContractRate, StatementAccount

__all__ = [
    "Alert",
    "Booking",
    "Break",
    "BreakEvidence",
    "BreakNote",
    "ColumnMapping",
    "ContractRate",
    "DayClose",
    "HandOver",
    "HandedEntry",
    "Line",
    "LineChange",
    "Match",
    "OpeningFile",
    "OpeningPosition",
    "RejectedRow",
    "ReportDownload",
    "ReportJob",
    "ReportSchedule",
    "Resolution",
    "ResolvedBreak",
    "Run",
    "Statement",
    "StatementAccount",
]
