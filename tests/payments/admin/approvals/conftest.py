"""People sign in as in a demo, where no second factor is asked for."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _without_second_factor(settings: object) -> None:
    settings.DEMO = True  # type: ignore[attr-defined]
