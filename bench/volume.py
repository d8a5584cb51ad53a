"""How much more memory and time do 50,000 rows of an upload take than 5,000? Prints JSON.

    python -m bench.volume [--few 5000] [--many 50000]

Each file is read and its results are written by a process of its own, whose peak the kernel tells; few and many take turns,
CSV and XLSX. Rows of ten times the number that took ten times the memory would show as `growth_a_row` of a whole row in objects.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from tests import services  # before Django: it decides the database
from tests.payments.batches.volume_driver import measured


def main() -> None:
    options = _arguments()
    services.make_database()
    try:
        with tempfile.TemporaryDirectory(prefix="counterfoil-volume-") as folder:
            print(json.dumps({kind: _compare(kind, options, Path(folder)) for kind in ("csv", "xlsx")}, indent=2))
    finally:
        services.drop_database()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--few", type=int, default=5_000)
    parser.add_argument("--many", type=int, default=50_000)
    return parser.parse_args()


def _compare(kind: str, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    few = measured(kind, options.few, os.environ, folder)
    many = measured(kind, options.many, os.environ, folder)
    growth = many["read_peak"] - few["read_peak"]
    return {
        "rows": [few["rows"], many["rows"]],
        "peak_mib": [round(found["read_peak"] / 1024, 1) for found in (few, many)],
        "peak_of_many_to_few": round(many["read_peak"] / few["read_peak"], 3),
        "growth_a_row_bytes": round(1024 * growth / (options.many - options.few)),
        "growth_while_writing_mib": [round(found["write_growth"] / 1024, 1) for found in (few, many)],
        "read_seconds": [few["read_seconds"], many["read_seconds"]],
        "write_seconds": [few["write_seconds"], many["write_seconds"]],
        "read_seconds_a_row_of_many_to_few": round(
            many["read_seconds"] / options.many / (few["read_seconds"] / options.few), 2
        ),
    }


if __name__ == "__main__":
    main()
