"""What do the tests of declines stand on? The demo's tokens and credentials; nobody listens at the address."""

from __future__ import annotations

from typing import Any

import pytest

from tests.payments.admin.payment_scenes import set_credentials


@pytest.fixture(autouse=True)
def _demo(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DEMO = True
    set_credentials(monkeypatch)
