"""Does the home page show what needs a person, the most urgent first, capped, and only to those who may see it?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from payments.models import InboundEvent, Review
from payments.services.incidents import look_ups_unanswered
from payments.states import EventState, ReviewKind
from tests.payments.admin import payment_scenes as scenes
from tests.payments.admin.desk import signed_in, text_of
from tests.payments.factories import nmi_account

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def _demo(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DEMO = True
    scenes.set_credentials(monkeypatch)


def heaps(role: str = "operator") -> dict[str, Any]:
    return {queue.title: queue for queue in signed_in(role).get("/admin/").context["queues"]}


def event(number: int, state: EventState) -> InboundEvent:
    return InboundEvent.objects.create(
        gateway_account=nmi_account(), event_key=f"k{number}", body=b"{}", received_at=NOW, state=state,
        outcome="Not understood: unknown event type",
    )  # fmt: skip


def test_nothing_to_do_says_so_heap_by_heap() -> None:
    words = text_of(signed_in("operator").get("/admin/"))

    assert "No case is open." in words
    assert "Every payment moves on within half an hour." in words
    assert "Gateways in trouble" not in words


def test_cases_come_by_due_time_with_their_money_and_the_overdue_marked() -> None:
    scenes.captured_after_cancel(NOW - timedelta(hours=3), reference="late-one")
    Review.objects.update(due_at=NOW - timedelta(minutes=1))

    (row,) = heaps()["Reviews to decide"].rows

    assert (row.title.text, row.suggestion, row.amount.amount_minor) == (
        "Money after cancelling",
        "Payment late-one",
        12500,
    )
    assert row.chip.text == "overdue"


def test_counts_stop_at_fifty() -> None:
    account = nmi_account()
    Review.objects.bulk_create(
        Review(
            kind=ReviewKind.ORPHAN, gateway_account=account, because="x", opened_at=NOW,
            due_at=NOW + timedelta(minutes=number), public_id=f"rev_{number}",
        )
        for number in range(60)
    )  # fmt: skip

    heap = heaps()["Reviews to decide"]

    assert (heap.count, len(heap.rows), heap.more) == ("50+", 6, True)
    assert [row.title.url for row in heap.rows][:2] == [
        "/admin/payments/review/rev_0/",
        "/admin/payments/review/rev_1/",
    ]


def test_events_that_only_a_person_moves_are_shown_and_those_that_wait_by_themselves_are_not() -> None:
    event(1, EventState.PARKED)
    poisoned = event(2, EventState.POISONED)
    waits = event(3, EventState.PARKED)
    InboundEvent.objects.filter(pk=waits.pk).update(next_check_at=NOW)

    heap = heaps()["Events nobody could apply"]

    assert heap.rows[0].title.text == poisoned.public_id
    assert (len(heap.rows), heap.count) == (2, "2")


def test_a_payment_that_should_have_ended_by_now_is_shown() -> None:
    scenes.unknown(NOW - timedelta(hours=2), reference="stuck")
    scenes.unknown(NOW - timedelta(minutes=1), reference="young")

    heap = heaps()["Payments that take unusually long"]
    (row,) = heap.rows

    assert (row.title.text, row.why) == ("stuck", "The gateway has not said yet what became of it.")
    assert signed_in("operator").get(heap.url).context["cl"].result_list[-1].reference == "stuck"


def test_an_open_incident_stands_above_every_page() -> None:
    look_ups_unanswered(nmi_account().pk, NOW)
    client = signed_in("support")

    for place in ("/admin/", "/admin/payments/review/", "/admin/payments/gatewayaccount/nmi/"):
        assert f"NMI: look-ups get no answer since {NOW:%d %b %H:%M} UTC." in text_of(client.get(place))
    assert [queue.title for queue in client.get("/admin/").context["queues"]][1] == "Gateways in trouble"


def test_a_person_without_a_role_sees_no_heap_and_no_banner() -> None:
    from django.contrib.auth.models import User
    from django.test import Client

    look_ups_unanswered(nmi_account().pk, NOW)
    client = Client()
    client.force_login(User.objects.create_user("bare", is_staff=True))

    page = client.get("/admin/")

    assert page.context["queues"] == []
    assert "look-ups get no answer" not in text_of(page)
