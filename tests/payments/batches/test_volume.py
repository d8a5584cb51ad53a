"""Do many rows fit into flat memory, in and out, as CSV and as XLSX? `bench/volume.py` measures the same with 50,000."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.forks import Forks

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

FEW, MANY = 2_000, 5_000  # below two thousand the interpreter's own store still grows
# KiB for 3,000 rows more, of which some 500 are needed; rows kept until the end take 3,300.
MOST_READ = 2 * 1024
MOST_WRITTEN = 1024


def measured(forks: Forks, kind: str, rows: int, folder: Path) -> dict[str, Any]:
    """A process of its own uploads `rows` rows, then writes their results: its peaks in KiB."""
    told = folder / f"told-{rows}"
    with told.open("w") as output:
        code = forks.start("tests.payments.batches.volume_driver", kind, rows, folder, stdout=output.fileno()).wait(300)
    assert code == 0
    found: dict[str, Any] = json.loads(told.read_text().splitlines()[-1])
    return found


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_memory_does_not_grow_with_the_rows(kind: str, forks: Forks, tmp_path: Path) -> None:
    few = measured(forks, kind, FEW, tmp_path)
    many = measured(forks, kind, MANY, tmp_path)

    assert (few["rows"], many["rows"]) == (FEW, MANY)
    assert many["read_peak"] - few["read_peak"] < MOST_READ, (few, many)
    assert many["write_growth"] - few["write_growth"] < MOST_WRITTEN, (few, many)
