"""Does the handbook name every column and parameter of every report? Others load the files by these names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reconciliation.reports.registry import REPORTS

HANDBOOK = (Path(__file__).resolve().parents[3] / "docs" / "finance.md").read_text()


@pytest.mark.parametrize("name", REPORTS)
def test_columns_and_parameters_stand_in_the_handbook(name: str) -> None:
    report = REPORTS[name]
    section = HANDBOOK.split(f"**{report.title}** (`{name}`).", 1)[1].split("\n**", 1)[0].split("\n## ", 1)[0]

    assert re.findall(r"^\| `(\w+)` \| (.*) \|$", section, re.MULTILINE) == [
        (column.name, column.words) for column in report.columns
    ]
    assert re.findall(r"`--(\w+)`", section) == [parameter.name for parameter in report.parameters]


@pytest.mark.parametrize("name", REPORTS)
def test_every_amount_has_a_column_with_its_currency(name: str) -> None:
    names = {column.name for column in REPORTS[name].columns}

    assert {column.currency for column in REPORTS[name].columns if column.kind == "amount"} <= names
