"""Does a gateway account's page tell how it is doing without a secret, and is editing safe against two people?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from payments.models import GatewayAccount, Incident
from payments.queries.account_page import in_units
from payments.services.accounts import EDITABLE
from payments.services.incidents import look_ups_unanswered
from tests.payments.admin import payment_scenes as scenes
from tests.payments.admin.desk import prepare, signed_in, text_of
from tests.payments.factories import nmi_account

pytestmark = pytest.mark.django_db
LIST = "/admin/payments/gatewayaccount/"
PAGE, EDIT = f"{LIST}nmi/", f"{LIST}nmi/edit/"
NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def account(settings: Any, monkeypatch: pytest.MonkeyPatch) -> GatewayAccount:
    settings.DEMO = True
    scenes.set_credentials(monkeypatch)
    return nmi_account()


class TestPage:
    def test_credentials_are_set_or_missing_and_never_shown(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("GATEWAY_NMI_WEBHOOK_SECRET")

        page = signed_in("admin").get(PAGE)

        assert "GATEWAY_NMI_SECURITY_KEY key set" in text_of(page)
        assert "Missing in the environment: GATEWAY_NMI_WEBHOOK_SECRET." in text_of(page)
        assert "key_of_tests" not in page.content.decode()

    def test_says_its_clocks_in_units_what_it_can_and_what_is_not_verified(self) -> None:
        words = text_of(signed_in("auditor").get(PAGE))

        for said in (
            "15 minutes", "First look-up after 30 seconds", "authorise, capture, refund, sale, void",
            "5 answered look-ups without a trace, at the earliest 15 minutes after the call",
            "Webhooks come in any order and more than once.", "http://testserver/webhooks/nmi/",
        ):  # fmt: skip
            assert said in words, said

    def test_shows_trouble_and_outcomes_that_are_being_asked_for(self, account: GatewayAccount) -> None:
        payment = scenes.unknown(NOW - timedelta(minutes=5))
        look_ups_unanswered(account.pk, NOW)
        GatewayAccount.objects.update(refused_signatures=3, refused_signatures_total=9)
        client = signed_in("support")

        words, listed = text_of(client.get(PAGE)), text_of(client.get(LIST))

        for said in ("look-ups get no answer", "3 in a run", "9 in all.", payment.public_id):
            assert said in words, said
        assert "look-ups get no answer" in listed

    @pytest.mark.parametrize(
        ("seconds", "words"), [(0, "at once"), (1, "1 second"), (90, "1 minute 30 seconds"), (172_800, "2 days")]
    )
    def test_seconds_are_written_exactly(self, seconds: int, words: str) -> None:
        assert in_units(seconds) == words


class TestEditing:
    def test_changes_only_what_was_typed_and_says_it_first(self, account: GatewayAccount) -> None:
        client = signed_in("finance")
        before = {name: getattr(account, name) for name in EDITABLE}

        shown, confirmed = prepare(client, EDIT, call_seconds="25", grace_seconds="90000")
        assert "Late money still pays within 1 day 1 day 1 hour" in text_of(shown)
        answer = client.post(EDIT, confirmed)

        account.refresh_from_db()
        after = {name: getattr(account, name) for name in EDITABLE}
        assert (answer.status_code, account.version) == (302, 1)
        assert after == before | {"call_seconds": 25, "grace_seconds": 90000}

    def test_a_switch_can_be_turned_off_and_the_consequence_is_said(self, account: GatewayAccount) -> None:
        client = signed_in("finance")
        form = client.get(EDIT).context["form"]
        answers = {name: str(form[name].value()) for name in form.fields if name not in ("enabled", "shared")}

        shown = client.post(EDIT, {**answers, "step": "preview"})
        confirmed = {**answers, "step": "execute", "preview_seal": shown.context["seal"]}
        client.post(EDIT, confirmed)

        assert "No new attempt goes to this gateway any more." in text_of(shown)
        account.refresh_from_db()
        assert account.enabled is False

    def test_the_second_of_two_people_is_refused_and_nothing_is_overwritten(self, account: GatewayAccount) -> None:
        first, second = signed_in("finance", "fay"), signed_in("admin", "ada")
        _, hers = prepare(first, EDIT, call_seconds="25")
        _, his = prepare(second, EDIT, call_seconds="27")
        first.post(EDIT, hers)

        late = second.post(EDIT, his)
        later = second.post(EDIT, {**his, "step": "preview"})

        assert (late.status_code, later.status_code) == (409, 422)
        assert "Somebody edited the account since you opened this form." in text_of(later)
        account.refresh_from_db()
        assert account.call_seconds == 25

    @pytest.mark.parametrize(
        ("typed", "said"),
        [
            ({"max_in_flight": "-1"}, "greater than or equal to 0"),
            ({"call_seconds": "999"}, "less than or equal to 300"),
            ({"call_seconds": "30"}, "Nothing is changed yet."),
        ],
    )
    def test_a_mistake_is_named_on_the_form(self, typed: dict[str, str], said: str) -> None:
        shown, _ = prepare(signed_in("finance"), EDIT, **typed)

        assert shown.status_code == 422
        assert said in text_of(shown)

    def test_absence_is_never_proven_sooner_than_the_adapter_allows(self, account: GatewayAccount) -> None:
        client = signed_in("finance")
        _, confirmed = prepare(client, EDIT, absence_look_ups="2")

        answer = client.post(EDIT, confirmed)

        assert answer.status_code == 422
        assert "Absence needs at least 5 look-ups at this gateway." in text_of(answer)
        account.refresh_from_db()
        assert account.absence_look_ups == 5

    def test_an_operator_reads_who_could(self) -> None:
        client = signed_in("operator")

        assert "admin, finance could" in text_of(client.get(PAGE))
        assert client.get(EDIT).status_code == 403


def test_an_incident_that_is_over_stays_in_the_account_s_history(account: GatewayAccount) -> None:
    look_ups_unanswered(account.pk, NOW)
    Incident.objects.update(closed_at=NOW)

    assert "look-ups get no answer task_alt over" in text_of(signed_in("operator").get(PAGE))
