"""Is the gateway asked for no more than it charged too much, and once?"""

from __future__ import annotations

import pytest

from payments.errors import NotAllowedNow
from tests.reconciliation.attacks.ends import booked, end
from tests.reconciliation.running.night import LATER, Night


def test_a_fee_below_the_contract_is_not_claimed(night: Night) -> None:
    night.rate()
    night.taken(10_000, fee_minor=100)  # 320 by contract
    night.compare(LATER)
    broken = night.open_breaks()[0]
    assert broken.kind == "fee_mismatch"
    with pytest.raises(NotAllowedNow):
        end(broken, "post_fee", treatment="claim")
    assert booked("1160") == 0


def test_a_fee_that_was_claimed_is_not_claimed_again_with_the_next_line_of_its_day(night: Night) -> None:
    night.rate()
    night.taken(10_000, fee_minor=420)
    night.compare(LATER)
    end(night.open_breaks()[0], "post_fee", treatment="claim")
    assert booked("1160") == 100
    night.taken(10_000, fee_minor=420)
    night.compare(LATER)
    end(night.open_breaks()[0], "post_fee", treatment="claim")
    assert booked("1160") == 200
    assert booked("5015") == 0
