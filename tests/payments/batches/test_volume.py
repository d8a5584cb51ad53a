"""Do 50,000 rows fit into flat memory and a sane time, in and out, as CSV and as XLSX?"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.services import ROOT

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

FEW, MANY = 5_000, 50_000
MOST_GROWTH = 24 * 1024  # KiB from 5,000 rows to 50,000: the references of one file, and a workbook's table of strings
MOST_OUT = 16 * 1024
SANE_SECONDS = 240  # on a machine with nothing else to do it is a tenth of that


def measured(kind: str, rows: int, live_env: dict[str, str], tmp_path: Path) -> dict[str, Any]:
    """A process of its own uploads `rows` rows, then writes their results: its peaks in KiB, its seconds."""
    command = [sys.executable, "-m", "tests.payments.batches.volume_driver", kind, str(rows), str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=live_env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_memory_does_not_grow_with_the_rows(kind: str, live_env: dict[str, str], tmp_path: Path) -> None:
    few = measured(kind, FEW, live_env, tmp_path)
    many = measured(kind, MANY, live_env, tmp_path)

    assert (few["rows"], many["rows"]) == (FEW, MANY)
    assert many["read_peak"] - few["read_peak"] < MOST_GROWTH, (few, many)
    assert many["write_growth"] < MOST_OUT, (few, many)
    assert many["read_seconds"] < SANE_SECONDS, many
