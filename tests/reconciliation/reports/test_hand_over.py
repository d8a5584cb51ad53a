"""Does every sale reach the merchant's books once? Batches by day, what comes late, and who may make one."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from payments.errors import Forbidden, InvalidInput
from payments.services.actors import Actor
from reconciliation.models import HandedEntry, HandOver
from reconciliation.services.handing_over import hand_over
from tests.ledger.books import capture, post
from tests.reconciliation.reports.books import FIRST, NOW, SECOND, books, exported, rows_of

pytestmark = pytest.mark.django_db(transaction=True)
AUDITOR = Actor("audrey", 1, frozenset({"reconciliation.export_reports"}))


def keys(day: str) -> list[str]:
    return [row["source_key"] for row in rows_of("sales_hand_over", day=day)]


def test_each_entry_goes_once_and_refunds_name_the_original_payment() -> None:
    books()

    first, second = rows_of("sales_hand_over", day="2026-03-10"), rows_of("sales_hand_over", day="2026-03-11")

    assert sorted(row["source_key"] for row in first) == ["mov_1", "mov_2", "mov_3", "mov_4"]
    assert [(row["kind"], row["payment"], row["debit"], row["credit"]) for row in second] == [
        ("refund", "pay_1", "23.45", "")
    ]
    assert len({row["batch"] for row in first + second}) == 2


def test_asked_again_it_is_the_same_file_whatever_was_booked_meanwhile() -> None:
    books()
    before, told = exported("sales_hand_over", day="2026-03-11")
    post(capture("mov_late", 100, at=FIRST), now=NOW)

    after, told_again = exported("sales_hand_over", day="2026-03-11", now=NOW + timedelta(days=3))

    assert (after, told_again["sha256"], told_again["hand_over"]) == (before, told["sha256"], told["hand_over"])
    assert keys("2026-03-12") == ["mov_late"]
    assert HandedEntry.objects.count() == 6


def test_the_batch_keeps_its_count_and_sums() -> None:
    books()

    batch = hand_over(date(2026, 3, 11), actor=Actor("olga", is_system=True), now=NOW)

    assert (batch.entries_count, batch.made_by) == (5, "olga")
    assert batch.totals["USD"] == {"debit": 2345, "credit": 12345}


def test_it_is_made_of_yesterday_if_no_day_is_named() -> None:
    books()

    _, manifest = exported("sales_hand_over")

    assert manifest["parameters"] == {"day": "2026-03-19"}


def test_a_day_that_is_not_over_is_not_handed_over() -> None:
    with pytest.raises(InvalidInput, match="not over"):
        exported("sales_hand_over", day="2026-03-20")


def test_a_day_that_went_with_a_later_batch_says_so() -> None:
    books()
    later = hand_over(date(2026, 3, 12), actor=Actor("olga", is_system=True), now=NOW)

    with pytest.raises(InvalidInput, match=later.public_id):
        exported("sales_hand_over", day="2026-03-11")


def test_the_day_ends_by_the_businesss_clock(settings: object) -> None:
    settings.BUSINESS_TIME_ZONE = "Pacific/Auckland"  # where 09:30 UTC is 22:30 of the same day
    with pytest.raises(InvalidInput, match="not over"):
        exported("sales_hand_over", day="2026-03-20")
    settings.BUSINESS_TIME_ZONE = "Pacific/Kiritimati"  # and 23:30 here; two hours later it is the 21st

    _, manifest = exported("sales_hand_over", day="2026-03-20", now=NOW + timedelta(hours=2))

    assert manifest["hand_over"].startswith("hov_")


def test_an_auditor_gets_what_was_handed_over_and_makes_no_batch() -> None:
    books()
    with pytest.raises(Forbidden):
        exported("sales_hand_over", day="2026-03-11", actor=AUDITOR)
    assert not HandOver.objects.exists()

    exported("sales_hand_over", day="2026-03-11")
    _, manifest = exported("sales_hand_over", day="2026-03-11", actor=AUDITOR, now=SECOND + timedelta(days=9))

    assert manifest["rows"] == 5
