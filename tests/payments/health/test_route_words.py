"""Can a person read on the payment's page why this gateway was asked?"""

from __future__ import annotations

from typing import Any

import pytest

from payments.models import GatewayAccount, Route
from payments.queries.route_words import route_words
from payments.services.accounts import ensure_gateway_account
from payments.services.actors import SYSTEM
from payments.services.switches import pause_account
from tests.payments.admin.desk import signed_in, text_of
from tests.payments.factories import Clock, paid


@pytest.mark.parametrize(
    ("why", "words"),
    [
        ([], ""),
        (["NMI: first that can take it."], "NMI is the first that can take it."),
        (
            ["NMI: no answer 3 times in a row.", "ConvesioPay: next that can take it."],
            "NMI first: no answer 3 times in a row. ConvesioPay is the next that can take it.",
        ),
        (
            ["NMI: asked already.", "Stripe: takes no JPY.", "ConvesioPay: next that can take it."],
            "NMI first: asked already. Then Stripe: takes no JPY. ConvesioPay is the next that can take it.",
        ),
        (["NMI: its route “A: B” is for EUR.", "Other: next that can take it."],
         "NMI first: its route “A: B” is for EUR. Other is the next that can take it."),
    ],
)  # fmt: skip
def test_reads_as_sentences(why: list[str], words: str) -> None:
    assert route_words({"why": why}) == words


def test_an_attempt_older_than_the_reasons_says_nothing() -> None:
    assert route_words({}) == ""


def test_stands_with_the_attempt_on_the_payments_page(
    account: GatewayAccount, clock: Clock, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DEMO = True
    for field in ("BASE_URL", "SECURITY_KEY", "WEBHOOK_SECRET"):
        monkeypatch.setenv(f"GATEWAY_NMI_TWO_{field}", "http://127.0.0.1:9/nmi" if field == "BASE_URL" else "secret")
    ensure_gateway_account("nmi-two", "nmi", "NMI two")
    Route.objects.filter(gateway_account__slug="nmi-two").update(priority=200)
    pause_account("nmi", reason="maintenance", actor=SYSTEM, now=clock())
    payment = paid(clock)

    page = text_of(signed_in("support").get(f"/admin/payments/payment/{payment.public_id}/"))

    assert "NMI first: paused by" in page
    assert "maintenance. NMI two is the next that can take it." in page
