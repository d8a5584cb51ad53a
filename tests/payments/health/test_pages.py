"""Can a person stop sending, pause a gateway and ask for another route in the browser, and does every page say so?"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from config.services import make_staff
from payments.models import Approval, GatewayAccount, GatewayHealth, GatewayMonth, HealthEvent, Route, Switch
from payments.services.actors import SYSTEM, Actor
from payments.services.approvals import approve
from payments.services.health import note_outcome
from payments.services.switches import pause_account, throw_switch
from payments.states import Certainty
from tests.payments.admin.desk import prepare, signed_in, text_of
from tests.payments.factories import Clock

NOW = datetime.now(UTC)
STOP, ROUTES, ACCOUNT = "/admin/payments/switch/", "/admin/payments/route/", "/admin/payments/gatewayaccount/nmi/"
HOME = "/admin/"


@pytest.fixture(autouse=True)
def _demo(settings: Any, account: GatewayAccount) -> None:
    settings.DEMO = True


def done(client: Client, path: str, **typed: str) -> Any:
    """Filled in, looked at, confirmed."""
    _, confirmed = prepare(client, path, **typed)
    return client.post(path, confirmed, follow=True)


class TestStopping:
    @pytest.mark.parametrize(
        ("kind", "words", "tone"),
        [
            ("charges", "New charges are stopped since", "cf-tone--warn"),
            ("everything", "All sending is stopped since", "cf-tone--bad"),
        ],
    )
    def test_everybody_reads_who_stopped_what_and_why_on_every_page(self, kind: str, words: str, tone: str) -> None:
        answer = done(signed_in("operator", "olga"), f"{STOP}stop_{kind}/", reason="bank incident")

        assert Switch.objects.get().because == "bank incident"
        assert "“bank incident”" in text_of(answer)
        for path in (HOME, "/admin/payments/payment/", ROUTES):
            page = signed_in("support").get(path)
            assert words in text_of(page)
            assert "by olga: bank incident" in text_of(page)
            assert tone in page.content.decode()

    def test_the_preview_says_what_goes_on_and_stops_nothing(self) -> None:
        shown, _ = prepare(signed_in("operator"), f"{STOP}stop_charges/", reason="fraud wave")

        assert "Captures, voids, refunds and look-ups go on" in text_of(shown)
        assert not Switch.objects.exists()

    def test_resuming_names_who_stopped_it_and_keeps_both_reasons(self) -> None:
        throw_switch("charges", reason="fraud wave", actor=SYSTEM, now=NOW)
        Switch.objects.update(thrown_by="kate")
        client = signed_in("operator", "olga")

        shown, confirmed = prepare(client, f"{STOP}resume_charges/", reason="filters are set")
        assert "kate" in text_of(shown)
        page = text_of(client.post(f"{STOP}resume_charges/", confirmed, follow=True))

        assert "fraud wave" in page and "filters are set" in page
        assert "New charges are stopped since" not in page

    def test_two_people_at_once_the_second_reads_who_was_first(self) -> None:
        olga, kate = signed_in("operator", "olga"), signed_in("finance", "kate")
        path = f"{STOP}stop_everything/"
        _, of_olga = prepare(olga, path, reason="incident")
        _, of_kate = prepare(kate, path, reason="me too")
        olga.post(path, of_olga)

        answer = kate.post(path, of_kate)

        assert answer.status_code == 409
        assert "olga stopped it at" in text_of(answer)
        assert Switch.objects.count() == 1

    def test_a_switch_thrown_anew_behind_a_preview_is_not_lifted(self) -> None:
        throw_switch("charges", reason="first", actor=SYSTEM, now=NOW)
        client = signed_in("operator")
        _, confirmed = prepare(client, f"{STOP}resume_charges/", reason="over")
        Switch.objects.update(lifted_at=NOW)
        throw_switch("charges", reason="second", actor=SYSTEM, now=NOW)

        assert client.post(f"{STOP}resume_charges/", confirmed).status_code == 409
        assert Switch.objects.filter(lifted_at=None).exists()

    def test_whoever_may_not_reads_who_could(self) -> None:
        page = signed_in("support").get(STOP)

        assert "Stop new charges: admin, finance, operator could" in text_of(page)
        assert signed_in("auditor").get(f"{STOP}stop_charges/").status_code == 403

    def test_a_reason_that_holds_a_card_number_is_refused_and_not_repeated(self) -> None:
        shown, _ = prepare(signed_in("operator"), f"{STOP}stop_charges/", reason="4111 1111 1111 1111")

        assert shown.status_code == 422
        assert "4111" not in shown.content.decode()


class TestPausing:
    def test_pause_and_resume_stand_on_the_accounts_page(self, account: GatewayAccount) -> None:
        client = signed_in("operator", "olga")
        page = text_of(done(client, f"{ACCOUNT}pause/", reason="maintenance window"))

        assert "NMI is paused since" in page
        assert "By olga: maintenance window" in page
        assert "Resume" in page

        page = text_of(done(client, f"{ACCOUNT}resume/", reason="they are back"))
        assert "is paused since" not in page
        assert "they are back" in page and "maintenance window" in page

    def test_warns_where_nobody_is_left_to_ask(self) -> None:
        shown, _ = prepare(signed_in("operator"), f"{ACCOUNT}pause/", reason="maintenance")

        assert "No other gateway account takes payments: new ones wait" in text_of(shown)

    def test_the_second_person_reads_who_was_first(self) -> None:
        client = signed_in("operator", "olga")
        _, confirmed = prepare(client, f"{ACCOUNT}pause/", reason="maintenance")
        pause_account("nmi", reason="other", actor=SYSTEM, now=NOW)

        answer = client.post(f"{ACCOUNT}pause/", confirmed)
        assert answer.status_code == 409
        assert "already: other" in text_of(answer)


class TestAccountPage:
    def test_an_open_breaker_says_since_when_why_and_when_it_asks_again(
        self, account: GatewayAccount, clock: Clock
    ) -> None:
        for _ in range(3):
            note_outcome(account.pk, certainty=Certainty.NOT_SENT, message="no connection could be made", now=clock())

        page = text_of(signed_in("auditor").get(ACCOUNT))

        for said in ("breaker open", "3 in a row", "No connection could be made.", "Asked again", "breaker opened"):
            assert said in page, said
        assert "breaker open" in text_of(signed_in("support").get("/admin/payments/gatewayaccount/"))

    def test_gauges_show_the_number_the_counts_and_the_alarm(self, account: GatewayAccount) -> None:
        GatewayMonth.objects.create(
            gateway_account=account, month=date(2026, 3, 1), answered=50, declined=30, captured=400, disputed=1,
            counted_at=NOW,
        )  # fmt: skip

        page = signed_in("finance").get(ACCOUNT)

        for said in ("60.00 %", "30 of 50", "above the line", "0.25 %", "1 of 400"):
            assert said in text_of(page), said
        assert 'title="Declines in March 2026: 30 of 50; the line is at 50.00 %."' in page.content.decode()

    def test_asks_the_same_number_of_questions_however_long_its_history(self, account: GatewayAccount) -> None:
        client = signed_in("finance")
        GatewayHealth.objects.create(gateway_account=account)
        client.get(ACCOUNT)

        def count() -> int:
            with CaptureQueriesContext(connection) as queries:
                assert client.get(ACCOUNT).status_code == 200
            return len(queries)

        before = count()
        for number in range(12):
            HealthEvent.objects.create(gateway_account=account, at=NOW, what="breaker opened", because=str(number))
            GatewayMonth.objects.create(
                gateway_account=account, month=date(2025, number + 1, 1), counted_at=NOW - timedelta(days=number)
            )
        assert count() == before

    def test_caps_and_lines_are_edited_with_their_names(self, account: GatewayAccount) -> None:
        client = signed_in("admin")
        shown, confirmed = prepare(client, f"{ACCOUNT}edit/", max_in_flight="4", decline_alarm_percent="35.5")

        assert "Calls at once 0 4" in text_of(shown)
        client.post(f"{ACCOUNT}edit/", confirmed)
        account.refresh_from_db()
        assert (account.max_in_flight, str(account.decline_alarm_percent)) == (4, "35.50")

    def test_an_alarm_line_beyond_all_answers_is_refused(self) -> None:
        client = signed_in("admin")
        _, confirmed = prepare(client, f"{ACCOUNT}edit/", dispute_alarm_percent="101")

        assert "between 0 and 100" in text_of(client.post(f"{ACCOUNT}edit/", confirmed))


class TestRoutes:
    def test_the_list_is_in_the_order_they_are_asked(self, account: GatewayAccount) -> None:
        Route.objects.create(name="Yen first", gateway_account=account, priority=1, currency="JPY", min_minor=500)
        page = text_of(signed_in("support").get(ROUTES))

        assert page.index("Yen first") < page.index("Everything to NMI")
        assert "from 500 JPY" in page

    def test_asking_shows_what_would_change_and_leaves_it_to_a_second_person(self) -> None:
        route = Route.objects.get()
        client = signed_in("finance", "fran")
        path = f"{ROUTES}{route.pk}/edit/"
        shown, confirmed = prepare(client, path, currency="USD", lowest="10.50", reason="small ones go elsewhere")
        assert "every amount from 10.50 USD" in text_of(shown)

        page = text_of(client.post(path, confirmed, follow=True))

        approval = Approval.objects.get()
        assert (approval.subject, approval.asked_by, approval.arguments["min_minor"]) == (str(route.pk), "fran", 1050)
        assert "change waits" in page and "waits for a second person" in page
        route.refresh_from_db()
        assert route.min_minor is None

    def test_a_new_route_and_a_new_order_can_be_asked_for(self, account: GatewayAccount) -> None:
        client = signed_in("operator")
        done(client, f"{ROUTES}new/", name="Euro", account="nmi", enabled="on", currency="EUR", reason="a new market")
        other = Route.objects.create(name="Second", gateway_account=account, priority=300)
        shown, confirmed = prepare(client, f"{ROUTES}order/", reason="cheaper", **{f"route_{other.pk}": "5"})

        words = text_of(shown)
        assert words.index("Second NMI 300 5") < words.index("Everything to NMI NMI 100 100")
        client.post(f"{ROUTES}order/", confirmed)
        assert set(Approval.objects.values_list("subject", flat=True)) == {"new/Euro", "order"}

    def test_an_amount_needs_a_currency(self) -> None:
        path = f"{ROUTES}{Route.objects.get().pk}/edit/"
        shown, _ = prepare(signed_in("finance"), path, lowest="10", reason="small ones")

        assert "An amount needs a currency above." in text_of(shown)

    def test_somebody_elses_request_is_a_conflict_that_names_them(self) -> None:
        path = f"{ROUTES}{Route.objects.get().pk}/edit/"
        done(signed_in("finance", "fran"), path, priority="5", reason="fees went up")
        olga = signed_in("operator", "olga")
        _, confirmed = prepare(olga, path, priority="7", reason="fees went down")

        answer = olga.post(path, confirmed)
        assert answer.status_code == 409
        assert "fran" in text_of(answer)

    def test_its_page_keeps_who_asked_and_who_agreed(self) -> None:
        route = Route.objects.get()
        done(signed_in("finance", "fran"), f"{ROUTES}{route.pk}/edit/", priority="5", reason="fees went up")
        approval = Approval.objects.get()
        olga = Actor.for_user(make_staff("olga", "operator", "pw"))
        approve(approval.public_id, digest=approval.digest, note="", actor=olga, clock=lambda: datetime.now(UTC))
        done(signed_in("finance", "fran"), f"{ROUTES}order/", reason="again", **{f"route_{route.pk}": "9"})

        page = signed_in("auditor").get(f"{ROUTES}{route.pk}/")

        assert "fran Priority: 100, then 5 check_circle in force olga" in text_of(page)
        assert "fran priority 5, then 9 hourglass_top waits for a second person" in text_of(page)
        assert f"/admin/payments/approval/{approval.public_id}/" in page.content.decode()

    def test_whoever_may_not_sees_them_and_changes_nothing(self) -> None:
        route = Route.objects.get()
        client = signed_in("support")

        assert "Change it: admin, finance, operator could" in text_of(client.get(f"{ROUTES}{route.pk}/"))
        assert client.get(f"{ROUTES}{route.pk}/edit/").status_code == 403


class TestMetrics:
    def test_a_monitor_sees_breakers_pauses_and_switches(self, account: GatewayAccount, client: Client) -> None:
        GatewayHealth.objects.create(gateway_account=account, state="half_open", failures=3)
        throw_switch("everything", reason="drill", actor=SYSTEM, now=NOW)

        lines = client.get("/metrics").content.decode().splitlines()

        assert 'counterfoil_breaker_open{account="nmi"} 1.0' in lines
        assert 'counterfoil_gateway_paused{account="nmi"} 0.0' in lines
        assert 'counterfoil_sending_stopped{kind="everything"} 1.0' in lines
        assert 'counterfoil_sending_stopped{kind="charges"} 0.0' in lines
