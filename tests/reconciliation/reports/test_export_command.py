"""Does `export` write what the pages would? Standard output, files with manifests, and a check of a file that was changed."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from tests.reconciliation.reports.books import books

pytestmark = pytest.mark.django_db(transaction=True)


def run(*args: str) -> str:
    out = io.StringIO()
    call_command("export", *args, stdout=out, stderr=io.StringIO())
    return out.getvalue()


def test_csv_goes_to_standard_output() -> None:
    books()

    lines = run("trial_balance", "--currency", "JPY", "--day", "2026-03-10").splitlines()

    assert lines == [
        "code,name,gateway,currency,memo,debit_turnover,credit_turnover,debit,credit",
        '1110,Gateway receivable,"nmi",JPY,no,1200,0,1200,0',
        '2020,Sales clearing,"",JPY,no,0,1200,0,1200',
    ]


def test_json_prints_the_manifest_of_a_file_that_verifies(settings: object, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    books()

    manifest = json.loads(run("journal", "--format", "xlsx", "--json"))
    path = Path(manifest["file"])

    assert manifest["rows"] == 14
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(run("verify", str(path), "--json")) == {"file": str(path), "intact": True, "differences": []}


def test_a_file_that_was_changed_does_not_verify(tmp_path: Path) -> None:
    books()
    target = tmp_path / "journal.csv"
    run("journal", "--out", str(target))
    target.write_bytes(target.read_bytes().replace(b"123.45", b"123.46"))

    with pytest.raises(SystemExit) as ended:
        run("verify", str(target))

    assert ended.value.code == 1


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("profit",), "There is no report"),
        (("journal", "--claim"), "no parameter “claim”"),
        (("journal", "--out", "/no/such/folder/journal.csv"), "No such file"),
        (("verify",), "Name the file"),
    ],
)
def test_a_refusal_is_a_sentence(args: tuple[str, ...], says: str) -> None:
    with pytest.raises(CommandError, match=says):
        run(*args)
