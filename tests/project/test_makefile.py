"""Does make refuse what it can not work with, in a sentence, before it touches anything?"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.services import ROOT


def python_that(folder: Path, answers: str) -> Path:
    """A stand-in interpreter: a shell script, as if an old or cut-down Python were installed."""
    script = folder / "python3"
    script.write_text(f"#!/bin/sh\n{answers}\n")
    script.chmod(0o755)
    return script


def make_python(folder: Path, python: Path) -> subprocess.CompletedProcess[str]:
    shutil.copy(ROOT / "Makefile", folder / "Makefile")
    for lock in ("requirements.lock", "requirements-dev.lock"):
        (folder / lock).write_text("")
    command = ["make", "--no-print-directory", "run", f"PYTHON={python}"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ('case "$*" in *--version*) echo "Python 3.9.2"; exit 0;; *) exit 1;; esac', "needs Python 3.11 or newer"),
        ('case "$*" in *ensurepip*) exit 1;; *) exit 0;; esac', "comes without venv or pip"),
    ],
    ids=["too old", "without venv"],
)
def test_an_unfit_python_is_refused_in_one_sentence(answers, sentence, tmp_path):
    refused = make_python(tmp_path, python_that(tmp_path, answers))

    lines = [line for line in refused.stdout.splitlines() if line.strip()]
    assert refused.returncode != 0
    assert len(lines) == 1
    assert sentence in lines[0]
    assert not (tmp_path / ".venv").exists()


def test_help_names_every_target_with_what_it_does():
    told = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True).stdout

    for target in ("run", "test", "check", "bench", "drill", "clean"):
        assert f"make {target}" in told
