"""Do the pages of recurring charges say what is so, and can a person do with them what their role allows?"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from payments.models import Approval, DueDate, Payment, Schedule
from payments.services.methods import record_block
from payments.services.schedules.running import run_due
from tests.payments.admin.desk import prepare, signed_in, text_of
from tests.payments.factories import Clock
from tests.payments.schedules.scenes import allow_alone, fresh, schedule, stored_method, work
from tests.simulator_fixture import SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)
LIST = "/admin/payments/schedule/"


@pytest.fixture
def clock() -> Clock:
    """The real time, which the pages read too."""
    return Clock()


@pytest.fixture(autouse=True)
def _demo(settings: Any) -> None:
    settings.DEMO = True


@pytest.fixture
def olga() -> Client:
    return signed_in("operator")


def page_of(row: Schedule) -> str:
    return f"{LIST}{row.public_id}/"


def words(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return text_of(answer)


def do(client: Client, path: str, **typed: str) -> Any:
    shown, confirmed = prepare(client, path, **typed)
    assert shown.status_code == 200, shown.context["form"].errors
    return client.post(path, confirmed, follow=True)


def test_the_list_says_what_can_be_searched_for(olga: Client, clock: Clock) -> None:
    schedule(clock, stored_method())

    page = olga.get(LIST).content.decode()

    assert "A charge&#x27;s id, its reference, or the id of its payment method. Compared exactly." in page


def test_the_list_says_what_is_due_next(olga: Client, clock: Clock) -> None:
    row = schedule(clock, stored_method(brand="visa", last_four="4242"), amount_minor=129_900, every=3)

    said = words(olga, LIST)

    assert f"{row.name} {row.reference}" in said
    assert "1,299.00 USD" in said
    assert f"every 3 months on day {row.anchor.day}" in said
    assert f"{row.anchor:%d %b %Y}" in said and "visa •••• 4242" in said
    assert "Set up a recurring charge" in said


def test_the_page_shows_dates_payments_reasons_and_what_comes(olga: Client, clock: Clock) -> None:
    row = schedule(clock, interval="day")
    run_due(clock)
    clock.pass_(days=3)
    run_due(clock)

    said = words(olga, page_of(row))

    for payment in Payment.objects.filter(due_date__isnull=False):
        assert payment.public_id in said
    assert "It was due while nothing could be charged" in said
    coming = fresh(row).next_due_on
    assert coming is not None
    for step in range(5):
        assert f"{coming + timedelta(days=step):%d %b %Y}" in said
    assert "Charge a skipped date" in said
    assert "Signed on paper on 3 May" in said


def test_the_page_costs_the_same_with_more_dates(olga: Client, clock: Clock) -> None:
    row = schedule(clock, interval="day")

    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            olga.get(page_of(row))
        return len(found)

    run_due(clock)
    few = queries()
    clock.pass_(days=30)
    run_due(clock)

    assert queries() == few
    assert DueDate.objects.count() > 20


def test_a_person_sets_one_up_from_the_method_s_page(olga: Client, clock: Clock) -> None:
    allow_alone()
    method = stored_method(brand="visa", last_four="4242")
    path = f"/admin/payments/paymentmethod/{method.public_id}/"
    assert "Set up a recurring charge" in words(olga, path)

    answer = do(
        olga, f"{path}schedule/", name="Gold", reference="gold-1", amount="12.50", currency="USD", anchor="2100-01-31",
        mandate="by telephone",
    )  # fmt: skip

    row = Schedule.objects.get()
    assert (row.amount_minor, row.method, row.created_by) == (1250, method, "operator")
    assert answer.redirect_chain == [(page_of(row), 302)]
    said = text_of(answer)
    assert "Set up. The first charge is due on 31 Jan 2100." in said
    assert "28 Feb 2100" in said and "31 Mar 2100" in said
    assert "Gold" in words(olga, path)


def test_the_preview_names_the_first_dates_and_warns_of_a_consent_taken_back(
    simulator: SimulatorProcess, olga: Client, clock: Clock
) -> None:
    allow_alone()
    method = stored_method()
    simulator.fault("decline:262", "sale", times=1)
    schedule(clock, method)
    work(clock)
    shown, _ = prepare(
        olga, f"{LIST}make/", name="Gold", reference="gold-1", payment_method=method.public_id, amount="12.50",
        currency="USD", anchor="2100-01-31", mandate="by telephone", ends_on="2100-03-15",
    )  # fmt: skip

    said = text_of(shown)
    assert "31 Jan 2100, 28 Feb 2100" in said and "31 Mar 2100" not in said
    assert "NMI answered 262" in said and "Make sure that the payer has agreed anew since then." in said
    assert Schedule.objects.filter(reference="gold-1").count() == 0


def test_above_the_limit_the_form_asks_for_a_reason_and_a_second_person_is_asked(olga: Client, clock: Clock) -> None:
    row = schedule(clock)
    path = f"{page_of(row)}edit/"
    refused, _ = prepare(olga, path, amount="99.00")
    assert refused.status_code == 422
    assert "A second person has to agree" in text_of(refused)

    answer = do(olga, path, amount="99.00", reason="a larger flat")

    assert "Asked. Another person has to agree." in text_of(answer)
    assert fresh(row).amount_minor == 1000
    asked = Approval.objects.get()
    assert f"{asked.asked_by} asked for a second person" in words(olga, page_of(row))
    approve = do(signed_in("finance"), f"/admin/payments/approval/{asked.public_id}/approve/", note="checked")
    assert "Changed: the next charge is 99.00 USD." in text_of(approve)
    assert fresh(row).amount_minor == 9900


def test_somebody_else_s_change_is_a_conflict(olga: Client, clock: Clock) -> None:
    row = schedule(clock)
    path = f"{page_of(row)}pause/"
    _, confirmed = prepare(olga, path, because="moving house")
    do(signed_in("finance"), path, because="a complaint")

    answer = olga.post(path, confirmed)

    assert answer.status_code == 409
    assert "Finance:" in text_of(answer) and "Paused: a complaint" in text_of(answer)


def test_pause_resume_and_stop_leave_their_reasons(olga: Client, clock: Clock) -> None:
    row = schedule(clock)
    do(olga, f"{page_of(row)}pause/", because="moving house")
    assert "operator paused it: moving house" in words(olga, page_of(row))
    do(olga, f"{page_of(row)}resume/", because="moved in")
    done = do(olga, f"{page_of(row)}stop/", because="left the club")

    said = text_of(done)
    assert "operator stopped it: left the club" in said
    assert "None: it charges nothing any more." in said
    assert "Change it" not in said and "Resume it" not in said


def test_one_that_paused_itself_waits_on_the_home_page(olga: Client, clock: Clock) -> None:
    method = stored_method()
    row = schedule(clock, method)
    by_hand = schedule(clock, method, anchor=clock().date() + timedelta(days=9))
    do(olga, f"{page_of(by_hand)}pause/", because="moving house")
    assert "Recurring charges that paused themselves" not in words(olga, "/admin/")
    record_block(method, because="stolen", by="", now=clock())
    run_due(clock)

    said = words(olga, "/admin/")

    assert "Recurring charges that paused themselves" in said
    assert row.name in said and by_hand.name not in said
    assert "paused by itself" in words(olga, LIST)


def test_its_payment_leads_back_to_it(olga: Client, clock: Clock) -> None:
    row = schedule(clock)
    run_due(clock)
    answer = olga.get(f"/admin/payments/payment/{Payment.objects.get().public_id}/")

    assert f'href="{page_of(row)}"' in answer.content.decode()


def test_who_only_looks_is_told_who_could(clock: Clock) -> None:
    row = schedule(clock)
    susi = signed_in("support")

    assert "Set up a recurring charge" not in words(susi, LIST)
    assert "finance, operator could" in words(susi, page_of(row))
    assert susi.get(f"{page_of(row)}stop/").status_code == 403
    assert fresh(row).state == "active"


def test_card_numbers_are_neither_kept_nor_repeated(olga: Client, clock: Clock) -> None:
    row = schedule(clock)

    shown, _ = prepare(olga, f"{page_of(row)}edit/", mandate="card 4111 1111 1111 1111")

    assert shown.status_code == 422
    assert "4111 1111" not in shown.content.decode()
