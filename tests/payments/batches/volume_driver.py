"""A web process for measuring: uploads a file of many rows and writes its results, and says how much memory that took.

`python -m tests.payments.batches.volume_driver csv|xlsx ROWS FOLDER` with DATABASE_URL set; prints one line of JSON.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]

HEADINGS = ("reference", "amount", "currency", "token", "payer_email", "payer_name", "description")


def measured(kind: str, rows: int, env: Mapping[str, str], folder: Path) -> dict[str, Any]:
    """A process of its own uploads `rows` rows, then writes their results: its peaks in KiB, its seconds."""
    command = [sys.executable, "-m", "tests.payments.batches.volume_driver", kind, str(rows), str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def write(kind: str, rows: int, path: Path) -> None:
    """A realistic file: every reference, address and description is another."""
    lines = (
        (
            f"order-{n:07d}",
            f"{n % 900 + 1}.{n % 100:02d}",
            "USD",
            "tok_ok",
            f"p{n}@example.com",
            f"Payer {n}",
            f"dues {n}",
        )
        for n in range(rows)
    )
    if kind == "csv":
        path.write_text("\n".join(",".join(line) for line in (HEADINGS, *lines)) + "\n")
        return
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    sheet = book.create_sheet("Payments")
    for line in (HEADINGS, *lines):
        sheet.append(line)
    book.save(path)


def peak() -> int:
    """The most memory this process has held, in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def measure(kind: str, path: Path) -> dict[str, object]:
    from django.utils import timezone

    from payments.services.actors import SYSTEM
    from payments.services.batches.results import results_file
    from payments.services.batches.upload import upload_batch
    from tests.payments.factories import nmi_account

    nmi_account()
    begun = time.monotonic()
    with path.open("rb") as file:
        batch = upload_batch(path.name, file, actor=SYSTEM, now=timezone.now())
    read_seconds, read_peak = time.monotonic() - begun, peak()
    begun = time.monotonic()
    size = sum(len(piece) for piece in results_file(batch.public_id, kind))
    return {
        "rows": batch.rows_total, "read_seconds": round(read_seconds, 1), "read_peak": read_peak,
        "write_seconds": round(time.monotonic() - begun, 1), "write_growth": peak() - read_peak, "bytes": size,
    }  # fmt: skip


def main() -> None:
    kind, rows, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    path = folder / f"rows-{rows}.{kind}"
    if not path.exists():  # written by another process, so that writing does not count
        if os.fork() == 0:
            write(kind, rows, path)
            os._exit(0)
        os.wait()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django

    django.setup()
    sys.stdout.write(json.dumps(measure(kind, path)) + "\n")


if __name__ == "__main__":
    main()
