"""What does a demo's folder keep of secrets? What it has stays, what it lacks is made, and nobody else reads it."""

from __future__ import annotations

import stat
from pathlib import Path

from config.management.commands.up import GENERATED, _secrets


def test_are_made_once_and_kept(tmp_path: Path) -> None:
    first, second = _secrets(tmp_path, demo=True), _secrets(tmp_path, demo=True)

    assert set(first) == set(GENERATED)
    assert first == second
    assert len(set(first.values())) == len(GENERATED)
    assert stat.S_IMODE((tmp_path / "secrets.env").stat().st_mode) == 0o600


def test_a_folder_of_an_earlier_version_gets_what_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "secrets.env").write_text("SECRET_KEY=old\nGATEWAY_NMI_SECURITY_KEY=also old\n")

    made = _secrets(tmp_path, demo=True)

    assert (made["SECRET_KEY"], made["GATEWAY_NMI_SECURITY_KEY"]) == ("old", "also old")
    assert set(made) == set(GENERATED)
    assert _secrets(tmp_path, demo=True) == made


def test_keys_that_must_be_hexadecimal_are(tmp_path: Path) -> None:
    assert bytes.fromhex(_secrets(tmp_path, demo=True)["GATEWAY_CONVESIOPAY_WEBHOOK_SECRET"])


def test_those_of_gateways_serve_a_demo_only(tmp_path: Path) -> None:
    assert set(_secrets(tmp_path, demo=False)) == {"SECRET_KEY"}
