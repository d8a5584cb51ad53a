"""Two readings at once and long files: nothing is doubled, and memory stays flat."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import pytest
from django.db import connection

from payments.services.actors import SYSTEM
from reconciliation.models import Line, Statement
from reconciliation.services.ingestion import ingest
from tests.reconciliation.ingestion.reports import HEADING, NOW, adds_up, csv_file, gateway, sale

_LINES = 15_000


@pytest.mark.django_db(transaction=True)
def test_two_readings_at_once_take_every_line_once():
    gateway()
    files = [csv_file(*map(sale, numbers)) for numbers in (range(300), range(150, 450), range(300))]

    def read(content: bytes) -> int:
        try:
            return ingest("acme", BytesIO(content), name="x", actor=SYSTEM, now=NOW).pk
        finally:
            connection.close()

    with ThreadPoolExecutor(3) as pool:
        first, _, again = pool.map(read, files)
    assert first == again
    assert Line.objects.count() == 450
    assert Statement.objects.count() == 2
    assert all(map(adds_up, Statement.objects.all()))


@pytest.mark.django_db
def test_memory_does_not_grow_with_the_lines_of_a_file():
    gateway()
    with tempfile.TemporaryFile() as content:
        content.write(f"{HEADING}\n".encode())
        for number in range(_LINES):
            content.write(f"{sale(number)}\n".encode())
        before = _private_mib()
        statement = ingest("acme", content, name="long.csv", actor=SYSTEM, now=NOW)
        grown = _private_mib() - before
    assert statement.lines_new == _LINES
    assert grown < 6, f"{grown:.1f} MiB for {_LINES} lines: kept whole they take {_LINES // 1000} MiB and more"


def _private_mib() -> float:
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in status if line.startswith("RssAnon"))
