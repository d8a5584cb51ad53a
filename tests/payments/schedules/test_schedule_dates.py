"""Does a recurring charge fall on the right day, whatever the months are like?"""

from __future__ import annotations

import calendar
from datetime import date, timedelta
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.schedule_dates import INTERVALS, due_between, due_date, due_dates, next_due

DAYS = st.dates(min_value=date(1990, 1, 1), max_value=date(2100, 12, 31))
STEPS = st.integers(min_value=1, max_value=40)


@pytest.mark.parametrize(
    ("anchor", "interval", "every", "expected"),
    [
        (date(2026, 1, 31), "month", 1, ["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31"]),
        (date(2027, 12, 31), "month", 2, ["2027-12-31", "2028-02-29", "2028-04-30", "2028-06-30", "2028-08-31"]),
        (date(2024, 2, 29), "year", 1, ["2024-02-29", "2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29"]),
        (date(2026, 11, 30), "month", 3, ["2026-11-30", "2027-02-28", "2027-05-30", "2027-08-30", "2027-11-30"]),
        (date(2026, 3, 2), "week", 2, ["2026-03-02", "2026-03-16", "2026-03-30", "2026-04-13", "2026-04-27"]),
        (date(2026, 12, 30), "day", 1, ["2026-12-30", "2026-12-31", "2027-01-01", "2027-01-02", "2027-01-03"]),
    ],
)
def test_short_months_move_no_later_date(anchor: date, interval: str, every: int, expected: list[str]) -> None:
    found = islice(due_dates(anchor, interval, every, since=anchor), 5)

    assert [due.isoformat() for due in found] == expected


@given(anchor=DAYS, interval=st.sampled_from(["month", "year"]), every=STEPS, number=st.integers(0, 150))
def test_a_month_has_the_first_date_s_day_or_its_own_last(anchor: date, interval: str, every: int, number: int) -> None:
    due = due_date(anchor, interval, every, number)

    assert due.day == min(anchor.day, calendar.monthrange(due.year, due.month)[1])


@given(anchor=DAYS, interval=st.sampled_from(INTERVALS), every=STEPS)
def test_dates_go_forward_and_never_meet_twice(anchor: date, interval: str, every: int) -> None:
    found = list(islice(due_dates(anchor, interval, every, since=anchor), 30))

    assert found[0] == anchor
    assert found == sorted(set(found))


@given(anchor=DAYS, interval=st.sampled_from(INTERVALS), every=STEPS, gone=st.integers(-50, 5000))
def test_starting_later_leaves_out_exactly_what_is_past(anchor: date, interval: str, every: int, gone: int) -> None:
    since = anchor + timedelta(days=gone)
    all_of_them = due_between(anchor, interval, every, since=anchor, until=since + timedelta(days=4000))

    assert due_between(anchor, interval, every, since=since, until=since + timedelta(days=4000)) == [
        due for due in all_of_them if due >= since
    ]


def test_nothing_is_due_past_the_end() -> None:
    january = date(2026, 1, 31)

    assert next_due(january, "month", 1, since=date(2026, 2, 1), ends_on=date(2026, 2, 28)) == date(2026, 2, 28)
    assert next_due(january, "month", 1, since=date(2026, 3, 1), ends_on=date(2026, 3, 30)) is None
    assert next_due(date.max, "year", 1, since=date.max, ends_on=None) == date.max
    assert list(islice(due_dates(date.max, "year", 1, since=date.max), 3)) == [date.max]


@pytest.mark.parametrize(("interval", "every", "number"), [("fortnight", 1, 0), ("month", 0, 1), ("day", 1, -1)])
def test_what_goes_nowhere_is_refused(interval: str, every: int, number: int) -> None:
    with pytest.raises(ValueError, match=r"forward|no interval"):
        due_date(date(2026, 1, 1), interval, every, number)
