"""Does a difference that was ended or marked hide a later one that bears the same name?"""

from __future__ import annotations

from datetime import timedelta

from tests.reconciliation.attacks.ends import MORNING, end, residual
from tests.reconciliation.running.night import DAY, LATER, Night


def test_a_drift_of_the_same_sum_is_a_new_one(night: Night) -> None:
    night.taken()
    night.reported(DAY, LATER, balances=[{"opening": False, "currency": "USD", "amount_minor": 1100}])
    night.compare(LATER)
    assert night.kinds() == ["balance_drift"]
    end(
        night.open_breaks()[0],
        "post_journal",
        lines=[{"code": "5015", "currency": "USD", "amount_minor": -100, "gateway": night.account.slug}],
    )
    assert residual(night) == 0
    night.compare(LATER)
    assert night.kinds() == []
    night.statement.balances = [{"opening": False, "currency": "USD", "amount_minor": 1200}]
    night.statement.save()
    night.compare(LATER)
    assert residual(night) == 100
    assert night.kinds() == ["balance_drift"]


def test_a_timing_mark_hides_no_other_sum(night: Night) -> None:
    night.taken()
    night.reported(DAY, LATER, balances=[{"opening": False, "currency": "USD", "amount_minor": 1100}])
    night.compare(LATER)
    end(night.open_breaks()[0], "mark_timing", until=(MORNING + timedelta(days=30)).date().isoformat())
    night.statement.balances = [{"opening": False, "currency": "USD", "amount_minor": 100_000}]
    night.statement.save()
    night.compare(LATER)
    assert night.kinds() == ["balance_drift"]
