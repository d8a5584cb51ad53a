"""Does the page of a payment answer in every situation, at a constant price, and say the same as the services?"""

from __future__ import annotations

import pytest
from django.test import Client
from django.utils import timezone

from config.services import make_staff
from tests.payments.admin.payment_scenes import SCENES, set_credentials

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _demo(settings: object, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DEMO = True  # type: ignore[attr-defined]
    set_credentials(monkeypatch)


def signed_in(role: str) -> Client:
    client = Client()
    client.force_login(make_staff(role, role, "pw"))
    return client


@pytest.mark.parametrize("scene", SCENES)
def test_the_page_renders_in_every_situation(scene: str) -> None:
    payment = SCENES[scene](timezone.now())

    answer = signed_in("operator").get(f"/admin/payments/payment/{payment.public_id}/")

    assert answer.status_code == 200
    text = answer.content.decode()
    assert "Waiting for" in text
    assert payment.reference in text
