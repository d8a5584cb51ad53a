"""What do tests of the case pages start from? The demo's conditions, and a gateway that answers where one is asked for."""

from __future__ import annotations

from typing import Any

import pytest

from tests.payments.admin import payment_scenes as scenes
from tests.payments.factories import Clock
from tests.payments.flows.conftest import simulator

__all__ = ["simulator"]


@pytest.fixture(autouse=True)
def _demo(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DEMO = True
    scenes.set_credentials(monkeypatch)


@pytest.fixture
def clock() -> Clock:
    return Clock()
