"""The pages of reconciliation and finance: doors, each making one service call. Importing a module registers its pages."""

from reconciliation.admin import (
    alarms,
    breaks,
    closing,
    contract_rate,
    line,
    opening,
    report,
    report_schedule,
    resolutions,
    run,
)

__all__ = [
    "alarms",
    "breaks",
    "closing",
    "contract_rate",
    "line",
    "opening",
    "report",
    "report_schedule",
    "resolutions",
    "run",
]
