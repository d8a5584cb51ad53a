"""Do many rows fit into flat memory, in and out, as CSV and as XLSX? `bench/volume.py` measures the same with 50,000."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.payments.batches.volume_driver import measured

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

FEW, MANY = 2_000, 8_000
# KiB for 6,000 rows more. Kept as objects they take three times as much.
MOST_READ = 4 * 1024
MOST_WRITTEN = 2 * 1024


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_memory_does_not_grow_with_the_rows(kind: str, live_env: dict[str, str], tmp_path: Path) -> None:
    few = measured(kind, FEW, live_env, tmp_path)
    many = measured(kind, MANY, live_env, tmp_path)

    assert (few["rows"], many["rows"]) == (FEW, MANY)
    assert many["read_peak"] - few["read_peak"] < MOST_READ, (few, many)
    assert many["write_growth"] - few["write_growth"] < MOST_WRITTEN, (few, many)
