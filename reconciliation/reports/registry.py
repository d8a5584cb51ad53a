"""Which reports are there? One line each, in the order they are offered."""

from __future__ import annotations

from payments.errors import NotFound
from reconciliation.reports import (
    account_statement,
    breaks,
    disputes,
    fees,
    journal,
    open_items,
    payments,
    payouts,
    reconciliation_summary,
    refunds,
    sales_hand_over,
    trial_balance,
)
from reconciliation.reports.base import Report

REPORTS: dict[str, Report] = {
    module.REPORT.name: module.REPORT
    for module in (
        reconciliation_summary, breaks, payouts, fees, payments, refunds, disputes, open_items, account_statement,
        trial_balance, journal, sales_hand_over,
    )
}  # fmt: skip


def report_named(name: str) -> Report:
    """The report. Raises: NotFound naming the reports there are."""
    try:
        return REPORTS[name]
    except KeyError:
        raise NotFound(f"There is no report “{name}”. There are {', '.join(REPORTS)}.") from None
