"""Do commands find the system that runs beside them?"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from config.running import adopt, note_of, noted

ENVIRONMENT = {"DATABASE_URL": "postgresql:///x", "GATEWAY_NMI_SECURITY_KEY": "k", "HOME": "/somewhere", "DEMO": "1"}


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "run").mkdir()
    for name in ("DATABASE_URL", "GATEWAY_NMI_SECURITY_KEY", "DEMO"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return tmp_path


def test_while_it_runs_its_stores_and_credentials_are_adopted(data_dir: Path):
    with noted(data_dir, ENVIRONMENT):
        adopt(data_dir)

        assert os.environ["DATABASE_URL"] == "postgresql:///x"
        assert os.environ["GATEWAY_NMI_SECURITY_KEY"] == "k"
        assert stat.S_IMODE(note_of(data_dir).stat().st_mode) == 0o600
    assert not note_of(data_dir).exists()


def test_a_database_that_is_named_wins(data_dir: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql:///other")
    with noted(data_dir, ENVIRONMENT):
        adopt(data_dir)

    assert os.environ["DATABASE_URL"] == "postgresql:///other"
    assert "GATEWAY_NMI_SECURITY_KEY" not in os.environ


def test_without_a_running_system_nothing_is_set(data_dir: Path):
    adopt(data_dir)

    assert "DATABASE_URL" not in os.environ


def test_a_note_left_behind_by_a_kill_is_replaced(data_dir: Path):
    note_of(data_dir).write_text("{}")

    with noted(data_dir, ENVIRONMENT):
        assert "postgresql:///x" in note_of(data_dir).read_text()
