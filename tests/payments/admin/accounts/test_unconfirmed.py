"""Do people see, wherever a gateway is named, that its contract is not confirmed?"""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from payments.errors import InvalidInput
from payments.models import Attempt
from payments.services.accounts import ensure_gateway_account
from payments.services.actors import SYSTEM
from payments.services.inbox import back_fill
from tests.payments.admin import payment_scenes as scenes
from tests.payments.admin.desk import signed_in, text_of
from tests.payments.factories import nmi_account

pytestmark = pytest.mark.django_db
LIST = "/admin/payments/gatewayaccount/"
CHIP = "contract unconfirmed"


@pytest.fixture(autouse=True)
def accounts(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DEMO = True
    scenes.set_credentials(monkeypatch)
    nmi_account()
    ensure_gateway_account("convesiopay", "convesiopay", "ConvesioPay", priority=200)


def test_on_the_account_with_every_assumption_and_nowhere_on_a_confirmed_one() -> None:
    client = signed_in("auditor")

    doubtful, sure = text_of(client.get(f"{LIST}convesiopay/")), text_of(client.get(f"{LIST}nmi/"))

    for said in (
        CHIP, "never: only presence can be proven", "no: nothing can be back-filled",
        "A refund is asked for at /v1/payments/{id}/refunds.", "GATEWAY_CONVESIOPAY_INTEGRATION",
    ):  # fmt: skip
        assert said in doubtful, said
    assert CHIP not in sure


def test_in_the_list_once() -> None:
    assert text_of(signed_in("support").get(LIST)).count(CHIP) == 1


def test_at_an_attempt_of_a_payment() -> None:
    payment = scenes.unknown(timezone.now())
    client, url = signed_in("support"), f"/admin/payments/payment/{payment.public_id}/"
    before = text_of(client.get(url))

    Attempt.objects.update(gateway_account=ensure_gateway_account("convesiopay", "convesiopay", "ConvesioPay"))

    assert CHIP not in before
    assert CHIP in text_of(client.get(url))


def test_no_window_of_it_is_back_filled() -> None:
    now = timezone.now()

    with pytest.raises(InvalidInput, match="ConvesioPay can not list"):
        back_fill("convesiopay", now, now, lambda: now, actor=SYSTEM)
