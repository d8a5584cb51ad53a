"""`import_statement` says what it read, as text or JSON, and by its exit status."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from reconciliation.models import Statement
from tests.reconciliation.ingestion.reports import csv_file, gateway, sale

pytestmark = pytest.mark.django_db


def _import(*arguments: str) -> tuple[object, str, str]:
    out, err = StringIO(), StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("import_statement", *arguments, stdout=out, stderr=err)
    return ended.value.code, out.getvalue(), err.getvalue()


def test_a_file_is_read_and_said(tmp_path):
    gateway()
    path = tmp_path / "day.csv"
    path.write_bytes(csv_file(sale(1), sale(2)))
    status, out, _ = _import("acme", str(path))
    assert (status, "2 lines read: 2 new" in out, "covers 2026-11-20 to 2026-11-20; complete" in out) == (0, True, True)
    status, out, _ = _import("acme", str(path), "--json")
    told = json.loads(out)
    assert (status, told["again"], told["lines"]["new"], told["totals"]["USD"]["net"]) == (0, True, 2, 1940)


def test_rejected_lines_end_with_one_and_refusals_with_two(tmp_path):
    gateway()
    path = tmp_path / "day.csv"
    path.write_bytes(csv_file(sale(1), sale(2, gross="1x")))
    status, out, _ = _import("acme", str(path), "--from", "2026-11-20", "--to", "2026-11-21")
    assert (status, "2 lines read: 1 new, 1 rejected" in out) == (1, True)
    assert str(Statement.objects.get().ends_on) == "2026-11-21"
    for arguments in (
        ("nobody", str(path)),
        ("acme", str(tmp_path / "none.csv")),
        ("acme", str(path), "--source", "camt053"),
    ):
        status, _, err = _import(*arguments)
        assert status == 2
        assert err.strip()


def test_a_day_that_is_none_is_said(tmp_path):
    with pytest.raises(CommandError, match="no day as 2026-11-20"):
        call_command("import_statement", "acme", str(tmp_path), "--from", "yesterday")
