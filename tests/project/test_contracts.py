"""Do the imports go only where the contracts allow, and do models, migrations and timetable agree?"""

import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import call_command

from config.celery import BEAT, app

ROOT = Path(__file__).resolve().parents[2]


def test_every_import_contract_is_kept() -> None:
    linted = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--config", "import-contracts.toml", "--no-cache"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert linted.returncode == 0, linted.stdout[-4000:] + linted.stderr[-2000:]


@pytest.mark.django_db
def test_no_model_has_changes_without_a_migration() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_every_line_of_the_timetable_names_a_registered_task() -> None:
    app.loader.import_default_modules()

    assert [line["task"] for line in BEAT.values() if line["task"] not in app.tasks] == []
