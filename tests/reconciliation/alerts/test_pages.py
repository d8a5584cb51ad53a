"""Does whoever has to know see what rings, above every page and on its own, and does nobody else?"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from config.services import make_staff
from reconciliation.models import Alert, StatementAccount

NOON = datetime(2026, 3, 11, 12, 0, tzinfo=UTC)
SAID = "12 open breaks: 12 missing in payments"


@pytest.fixture(autouse=True)
def no_second_factor(settings: Settings) -> None:
    settings.DEMO = True


@pytest.fixture
def alert(db: None) -> Alert:
    account = StatementAccount.objects.create(slug="nmi", name="NMI", kind="gateway", source="csv_mapped")
    return Alert.objects.create(account=account, kind="count", level=12, detail=SAID, raised_at=NOON, told_at=NOON)


def seen_by(role: str, name: str, *args: object, **query: str) -> str:
    make_staff("kim", role, "pw")
    client = Client()
    client.force_login(User.objects.get(username="kim"))
    answer = client.get(reverse(name, args=args), query)
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.mark.parametrize(("role", "sees"), [("finance", True), ("operator", True), ("support", False)])
def test_what_rings_stands_above_every_page_of_those_who_may_see_it(alert: Alert, role: str, sees: bool) -> None:
    assert (f"NMI: {SAID}" in seen_by(role, "admin:index")) == sees


def test_the_page_of_one_says_that_its_mail_did_not_leave(alert: Alert) -> None:
    Alert.objects.update(failed_because="SMTPServerDisconnected: nobody there", next_check_at=NOON)

    page = seen_by("finance", "admin:reconciliation_alert_change", alert.pk)

    assert "SMTPServerDisconnected: nobody there. Tried again then." in page
    assert "not sent" in page


def test_the_list_shows_what_rings_and_keeps_what_is_over(alert: Alert) -> None:
    Alert.objects.update(ended_at=NOON)
    assert "No alarm rings" in seen_by("finance", "admin:reconciliation_alert_changelist")


def test_what_is_over_stays_under_its_filter(alert: Alert) -> None:
    Alert.objects.update(ended_at=NOON)
    assert SAID in seen_by("finance", "admin:reconciliation_alert_changelist", state="over")
