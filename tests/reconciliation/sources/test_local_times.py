"""Days of 23 and of 25 hours are read by a rule."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from reconciliation.sources.local_times import BadTime, LocalTimes

BERLIN = ZoneInfo("Europe/Berlin")
FORM = "%Y-%m-%d %H:%M:%S"


def _read(*texts: str, form: str = FORM, zone: ZoneInfo = BERLIN) -> list[str]:
    times = LocalTimes(zone, form)
    return [times.read(text).strftime("%d %H:%M") for text in texts]


def test_a_time_without_zone_is_of_the_accounts_zone():
    assert _read("2026-11-20 00:30:00") == ["19 23:30"]
    assert _read("2026-11-20 00:30:00", zone=ZoneInfo("America/New_York")) == ["20 05:30"]


def test_a_time_with_a_zone_needs_no_other():
    assert _read("2026-11-20T00:30:00+02:00", form="%Y-%m-%dT%H:%M:%S%z") == ["19 22:30"]


def test_an_hour_that_was_skipped_never_was():
    with pytest.raises(BadTime, match="never was in Europe/Berlin"):
        _read("2026-03-29 02:30:00")
    assert _read("2026-03-29 01:59:59", "2026-03-29 03:00:00") == ["29 00:59", "29 01:00"]


def test_an_hour_that_was_twice_follows_the_order_of_the_file():
    forward = [
        "2026-10-25 01:50:00",
        "2026-10-25 02:10:00",
        "2026-10-25 02:50:00",
        "2026-10-25 02:20:00",
        "2026-10-25 03:10:00",
    ]
    assert _read(*forward) == ["24 23:50", "25 00:10", "25 00:50", "25 01:20", "25 02:10"]
    backward = [
        "2026-10-25 03:10:00",
        "2026-10-25 02:20:00",
        "2026-10-25 02:50:00",
        "2026-10-25 02:10:00",
        "2026-10-25 01:50:00",
    ]
    assert _read(*backward) == ["25 02:10", "25 01:20", "25 00:50", "25 00:10", "24 23:50"]
    assert _read("2026-10-25 02:10:00") == ["25 00:10"]


def test_a_day_begins_with_its_first_moment_even_where_midnight_is_skipped():
    assert _read("2026-03-08", form="%Y-%m-%d", zone=ZoneInfo("America/Havana")) == ["08 05:00"]
    assert _read("2026-11-20", "2026-11-20", form="%Y-%m-%d") == ["19 23:00", "19 23:00"]


@pytest.mark.parametrize(
    "text", ["", "2026-11-20", "2026-13-01 00:00:00", "20261120 00:00:00", "2026-11-20 24:00:00", "1970-01-01 00:00:00"]
)
def test_what_is_no_time_is_refused(text):
    with pytest.raises(BadTime):
        LocalTimes(BERLIN, FORM).read(text)


def test_other_forms_are_read_by_their_format():
    assert LocalTimes(BERLIN, "%d.%m.%y %H:%M").read("20.11.26 14:00") == datetime(2026, 11, 20, 13, tzinfo=UTC)
