"""Does the home page tell finance how the night went, and say nothing after a good one?"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.test import RequestFactory
from django.urls import reverse

from config.services import make_staff
from reconciliation.models import Run, StatementAccount
from reconciliation.queries.night_queue import nights_in_trouble
from reconciliation.states import RunState

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 11, 9, 0, tzinfo=UTC)
NIGHT = date(2026, 3, 10)


def account(slug: str, **fields: Any) -> StatementAccount:
    return StatementAccount.objects.create(slug=slug, name=slug.upper(), kind="gateway", source="csv_mapped", **fields)


def ran(of: StatementAccount, state: RunState = RunState.DONE, days_before: int = 0, **fields: Any) -> Run:
    day = NIGHT - timedelta(days=days_before)
    return Run.objects.create(account=of, day=day, state=state, **{"balanced": state == RunState.DONE, **fields})


@pytest.fixture
def fay() -> User:
    return make_staff("fay", "finance", "pw")


def queue(person: User | AnonymousUser, now: datetime = NOW) -> Any:
    request = RequestFactory().get("/")
    request.user = person
    return nights_in_trouble(request, now)


def test_a_good_night_costs_no_attention(fay: User) -> None:
    assert queue(fay) is None
    ran(account("a"))
    ran(account("b"))
    account("files", nightly=False)
    account("later", books_start_on=NIGHT + timedelta(days=1))
    assert queue(fay) is None


def test_what_waits_failed_or_does_not_add_up_is_a_row_an_account(fay: User) -> None:
    ran(account("good"))
    late, failed, lost = account("late"), account("failed"), account("lost")
    oldest = ran(late, RunState.WAITING, 2, because="No report has come.")
    ran(late, RunState.DONE, 1)
    ran(late, RunState.WAITING, because="No report has come.")
    broke = ran(failed, RunState.FAILED, because="It broke off: KeyError")
    off = ran(lost, balanced=False)
    shown = queue(fay)
    assert (shown.title, shown.count) == ("Last night: 1 of 4 accounts compared", "3")
    rows = {row.title.text: (row.title.url, row.why, row.chip.text) for row in shown.rows}
    assert rows == {
        "LATE": (_page(oldest), "2026-03-08 and 1 later. No report has come.", "waits for its report"),
        "FAILED": (_page(broke), "2026-03-10. It broke off: KeyError", "failed"),
        "LOST": (_page(off), "2026-03-10. An equation does not hold: run it again", "does not add up"),
    }
    assert shown.rows[0].title.text == "LATE", "the oldest first"


def test_a_night_nobody_began_or_finished_is_told_after_an_hour(fay: User) -> None:
    account("nobody", nightly_hour=9)
    ran(account("slow", nightly_hour=9), RunState.RUNNING)
    assert queue(fay) is None
    shown = queue(fay, NOW + timedelta(hours=1))
    assert {row.title.text: row.chip.text for row in shown.rows} == {"NOBODY": "not compared", "SLOW": "running"}
    assert "do the workers run?" in next(row.why for row in shown.rows if row.title.text == "NOBODY")


def test_a_day_compared_before_its_time_waits_for_nothing_that_is_late(fay: User) -> None:
    early = account("early")
    ran(early)
    ran(early, RunState.WAITING, -1, because="The day was not over.")
    assert queue(fay) is None
    assert queue(fay, NOW + timedelta(hours=22)).rows[0].chip.text == "waits for its report"


def test_it_costs_the_same_however_many_there_are(
    fay: User, django_assert_max_num_queries: Callable[..., AbstractContextManager[object]]
) -> None:
    fay.has_perm("reconciliation.view_run")  # kept by the person
    for number in range(9):
        of = account(f"a{number}")
        for days in range(5):
            ran(of, RunState.WAITING, days)
    with django_assert_max_num_queries(2):
        shown = queue(fay)
    assert (len(shown.rows), shown.more, shown.count) == (6, True, "9")


def test_it_is_for_those_who_may_see_comparisons() -> None:
    ran(account("a"), RunState.FAILED)
    assert queue(AnonymousUser()) is None


def test_it_stands_on_the_home_page(fay: User, client: Any, settings: Any) -> None:
    settings.DEMO = True  # no second factor
    account("a")
    client.force_login(fay)
    page = client.get("/admin/").content.decode()
    assert "Last night: 0 of 1 accounts compared" in page
    assert reverse("admin:reconciliation_run_changelist") in page


def _page(run: Run) -> str:
    return reverse("admin:reconciliation_run_change", args=(run.public_id,))
