"""What does the adapters' correctness rest on that nobody has confirmed? A plugin: it prints that after the contract suite."""

from __future__ import annotations

import pytest

from payments.gateways.registry import ADAPTERS, get_adapter

_SUITE = "payments/gateways/test_contract.py"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Printed only by a run in which the contract suite took part, also when its tests ran in other processes."""
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.stats.get(outcome, [])]
    if not any(_SUITE in str(getattr(report, "nodeid", "")) for report in reports):
        return
    for provider in sorted(ADAPTERS):
        terminalreporter.section(f"gateway {provider}: unconfirmed assumptions", sep="-")
        for assumption in get_adapter(provider).assumptions:
            terminalreporter.write_line(f"* {assumption}")
