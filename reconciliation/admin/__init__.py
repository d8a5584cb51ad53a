"""The pages of reconciliation and finance: doors, each making one service call. Importing a module registers its pages."""

from reconciliation.admin import (
    alarms,
    breaks,
    closing,
    contract_rate,
    line,
    mapping,
    opening,
    report,
    report_schedule,
    resolutions,
    run,
    statement,
    terms,
)

__all__ = [
    "alarms",
    "breaks",
    "closing",
    "contract_rate",
    "line",
    "mapping",
    "opening",
    "report",
    "report_schedule",
    "resolutions",
    "run",
    "statement",
    "terms",
]
