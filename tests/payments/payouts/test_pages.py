"""Does a payout's page say where it stands, what it is made of, what it booked and who said so?"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from ledger.money import Money
from payments.facts import PayoutTold
from payments.models import Movement, Payout
from payments.services.accounts import ensure_gateway_account
from payments.services.payouts import confirm_in_bank, tell_payout
from payments.states import PayoutState
from tests.payments.admin.desk import signed_in, text_of

pytestmark = pytest.mark.django_db
MADE = datetime(2026, 3, 2, 8, tzinfo=UTC)
NOW = datetime(2026, 3, 9, tzinfo=UTC)
LIST = "/admin/payments/payout/"


@pytest.fixture(autouse=True)
def _demo(settings: Any) -> None:
    settings.DEMO = True


@pytest.fixture
def payout() -> Payout:
    account = ensure_gateway_account("stripe", "stripe", "Stripe")
    told = PayoutTold("po_17", PayoutState.PAID, Money(123_456, "USD"), MADE, MADE, date(2026, 3, 4), "TRACE17")
    found = tell_payout("stripe", told, now=NOW)
    for number, kind in enumerate(("capture", "capture", "refund")):
        Movement.objects.create(
            gateway_account=account, gateway_id=f"ch_{number}", kind=kind, amount_minor=5_000, currency="USD",
            occurred_at=MADE, posted_at=MADE, entry_source_key=f"m{number}", batch_id="po_17",
        )  # fmt: skip
    return found


def test_the_list_names_amount_and_state(payout):
    words = text_of(signed_in("finance").get(LIST))

    assert "po_17" in words and "1,234.56 USD" in words
    assert "past its day" in words  # expected on the fourth, and no bank statement shows it


def test_the_page_tells_all_of_it(payout):
    words = text_of(signed_in("finance").get(f"{LIST}{payout.public_id}/"))

    for part in (
        "3 movements of ours are known to be in it.",
        "TRACE17",
        "04 Mar 2026",
        "By the gateway",
        "Capture 2 100.00",
        "Refund 1 \u221250.00",
        "Payout of 1,234.56 USD",
    ):
        assert part in words
    assert "Payout po_17 left stripe" in words


def test_support_sees_no_books(payout):
    words = text_of(signed_in("support").get(f"{LIST}{payout.public_id}/"))

    assert "In the books" not in words and "po_17" in words


def test_it_ends_in_the_bank(payout):
    confirm_in_bank(payout.pk, on=date(2026, 3, 5), bank_line_key="b1", now=NOW)
    words = text_of(signed_in("auditor").get(f"{LIST}{payout.public_id}/"))

    assert "in the bank" in words and "05 Mar 2026" in words and "bank line b1" in words


def test_nobody_writes_here(payout):
    client = signed_in("finance")

    assert client.post(f"{LIST}{payout.public_id}/", {"state": "in_bank"}).status_code == 405
    assert client.get(f"{LIST}po_nothing/").status_code == 404


def test_a_constant_number_of_queries(payout, django_assert_max_num_queries):
    client = signed_in("finance")
    with django_assert_max_num_queries(30):
        client.get(f"{LIST}{payout.public_id}/")
