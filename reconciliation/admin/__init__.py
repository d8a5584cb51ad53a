"""The pages of reconciliation and finance: doors, each making one service call. Importing a module registers its pages."""

from reconciliation.admin import (
    alarms,
    closing,
    contract_rate,
    opening,
    report,
    report_schedule,
)

__all__ = [
    "alarms",
    "closing",
    "contract_rate",
    "opening",
    "report",
    "report_schedule",
]
