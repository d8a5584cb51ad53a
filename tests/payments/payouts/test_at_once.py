"""Is a payout that two tell of at the same moment one payout, posted once?"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier

import pytest
from django.db import connections

from ledger import queries as ledger
from ledger.chart import AccountRef
from ledger.money import Money
from payments.facts import PayoutTold
from payments.models import Payout, PayoutWord
from payments.services.accounts import ensure_gateway_account
from payments.services.payouts import tell_payout
from payments.states import PayoutState

MADE = datetime(2026, 3, 2, 8, tzinfo=UTC)


@pytest.mark.django_db(transaction=True)
def test_two_words_at_once():
    ensure_gateway_account("stripe", "stripe", "Stripe")
    together = Barrier(4, timeout=60)
    told = PayoutTold("po_1", PayoutState.PAID, Money(5_000, "USD"), MADE, MADE)

    def tell(_: int) -> int:
        try:
            together.wait()
            return tell_payout("stripe", told, now=MADE).pk
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(tell, range(4)))

    assert found == {Payout.objects.get().pk}
    assert PayoutWord.objects.count() == 2  # told of, and paid
    assert ledger.balance(AccountRef("1020", "USD", gateway="stripe")).amount_minor == 5_000
