"""Can people read every decline code, give a new one its class with one click, and change the others only together?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from payments.errors import Forbidden
from payments.facts import Fact, FactKind
from payments.gateways.registry import ADAPTERS, get_adapter
from payments.models import Approval, DeclineRule, DeclineRuleChange, NetworkCeiling, UnmappedCode
from payments.queries.decline_page import handled_otherwise, seen_lately
from payments.services.actors import Actor
from payments.services.approvals import approve
from payments.services.declining import ceiling_reached, classified, note_unmapped
from payments.states import Certainty, FailureClass, Source
from tests.payments.admin.desk import prepare, signed_in, text_of
from tests.payments.admin.payment_scenes import set_credentials
from tests.payments.declines.rows import card, refused
from tests.plans import plan_with

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC)
SHEET = "/admin/payments/declinerule/"
CODE, EDIT = f"{SHEET}nmi:202/", f"{SHEET}nmi:202/edit/"
HEAP = "/admin/payments/unmappedcode/"
CEILINGS = "/admin/payments/networkceiling/"


@pytest.fixture(autouse=True)
def _demo(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DEMO = True
    set_credentials(monkeypatch)


def met(code: str = "299") -> UnmappedCode:
    """A code that nobody knows, come with a refusal of 10.00 USD."""
    operation = refused(card(), NOW - timedelta(hours=1), code=code, failure_class="unknown")
    fact = Fact(
        FactKind.DECLINED, Source.ANSWER, NOW, certainty=Certainty.REFUSED, failure_class=FailureClass.UNKNOWN,
        code=code, message="Something <new>",
    )  # fmt: skip
    note_unmapped(operation, fact, NOW)
    return UnmappedCode.objects.get(code=code)


def agree(name: str = "carla") -> Approval:
    """A second person of finance agrees to the one open request."""
    signed_in("finance", name)
    asked = Approval.objects.get(state="pending")
    return approve(
        asked.public_id, digest=asked.digest, note="", actor=Actor.for_user(User.objects.get(username=name)),
        clock=lambda: NOW + timedelta(minutes=5),
    )  # fmt: skip


class TestSheet:
    def test_shows_every_code_of_every_gateway(self) -> None:
        words = text_of(signed_in("auditor").get(SHEET))

        codes = [(name, code) for name in ADAPTERS for code in get_adapter(name).codes]
        assert f"{len(codes)} of {len(codes)} codes" in words
        assert len(codes) >= 34
        for name in ADAPTERS:
            for code, meaning in get_adapter(name).codes.items():
                assert f"{code} · {meaning.text}" in words if meaning.text else code in words, (name, code)

    @pytest.mark.parametrize(
        ("query", "there", "gone"),
        [
            ("provider=nmi&failure_class=fraud", "251 · lost card", "202 · insufficient funds"),
            ("q=INSUFFICIENT", "202 · insufficient funds", "251 · lost card"),
            ("q=nothing+like+it", "No code fits all of this.", "202 · insufficient funds"),
        ],
    )
    def test_is_narrowed_by_gateway_class_and_words(self, query: str, there: str, gone: str) -> None:
        words = text_of(signed_in("support").get(f"{SHEET}?{query}"))

        assert there in words and gone not in words

    def test_counts_what_came_in_thirty_days_by_a_fixed_number_of_queries(self) -> None:
        client = signed_in("operator")
        client.get(SHEET)
        with CaptureQueriesContext(connection) as few:
            client.get(SHEET)
        for _ in range(7):
            refused(card(), NOW - timedelta(days=2), code="202", failure_class="insufficient_funds")
        refused(card(), NOW - timedelta(days=40), code="202", failure_class="insufficient_funds")
        with CaptureQueriesContext(connection) as many:
            page = client.get(f"{SHEET}?q=202")

        assert "Please use another card. 7" in text_of(page)
        assert len(few) == len(many)

    def test_counting_does_not_visit_the_calls_themselves(self) -> None:
        with CaptureQueriesContext(connection) as asked:
            seen_lately(NOW)
            handled_otherwise("nmi", "202", "soft_decline", NOW)

        plans = [plan_with("operation_codes", query["sql"]) for query in asked.captured_queries]
        assert len(plans) == 2
        assert [plan for plan in plans if "Index Only Scan using operation_codes" not in plan] == []

    def test_a_code_nobody_knows_has_no_page(self) -> None:
        client = signed_in("operator")

        assert client.get(f"{SHEET}nmi:777/").status_code == 404
        assert client.get(f"{SHEET}nobody:202/").status_code == 404

    def test_a_code_with_any_sign_in_it_has_one(self) -> None:
        DeclineRule.objects.create(provider="nmi", code="a/b?c:d e", failure_class="soft_decline", version=1)
        client = signed_in("operator")

        page = client.get(SHEET)

        address = next(part for part in page.content.decode().split('"') if part.startswith(SHEET) and "nmi:a" in part)
        assert client.get(address).status_code == 200


class TestChanging:
    def test_asks_a_second_person_and_counts_only_then(self) -> None:
        for _ in range(3):
            refused(card(), NOW - timedelta(days=1), code="202", failure_class="insufficient_funds")
        client = signed_in("operator", "olga")

        shown, confirmed = prepare(
            client, EDIT, failure_class="soft_decline", payer_wording="Please call us.", reason="paid on Fridays"
        )
        assert "3 refusals of the last 30 days came with this code; 3 would have counted as soft decline." in text_of(
            shown
        )
        assert client.post(EDIT, confirmed).status_code == 302
        assert not DeclineRule.objects.exists()
        assert "olga has asked for a change" in text_of(client.get(CODE))

        assert agree().state == "executed"

        rule = DeclineRule.objects.get()
        assert (rule.failure_class, rule.payer_wording, rule.version) == ("soft_decline", "Please call us.", 1)
        words = text_of(client.get(CODE))
        assert "no rule of ours → soft decline" in words
        assert "By olga, agreed to by carla." in words and "paid on Fridays" in words

    def test_can_be_taken_back_to_the_sheet_with_its_history_kept(self) -> None:
        client = signed_in("operator", "olga")
        for failure_class in ("soft_decline", ""):
            _, confirmed = prepare(client, EDIT, reason="we try something")
            confirmed = prepare(client, EDIT, failure_class=failure_class, reason="we try something")[1]
            client.post(EDIT, confirmed)
            assert agree().state == "executed"

        assert not DeclineRule.objects.exists()
        assert DeclineRuleChange.objects.count() == 2

    def test_history_is_never_rewritten(self) -> None:
        met()
        client = signed_in("operator")
        client.post(f"{HEAP}{UnmappedCode.objects.get().pk}/classify/", {"failure_class": "fraud"})

        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            DeclineRuleChange.objects.update(actor="nobody")
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            DeclineRuleChange.objects.all().delete()

    def test_nobody_agrees_to_their_own_change(self) -> None:
        client = signed_in("finance", "carla")
        client.post(EDIT, prepare(client, EDIT, failure_class="soft_decline", reason="paid on Fridays")[1])

        with pytest.raises(Forbidden, match="another person"):
            agree("carla")
        assert not DeclineRule.objects.exists()

    @pytest.mark.parametrize(
        ("typed", "said"),
        [
            ({"failure_class": "fraud", "next_step": "retry_later"}, "Fraud allows: never again."),
            ({"failure_class": "hard_decline", "next_step": "other_gateway"}, "Hard decline allows:"),
            ({"failure_class": "soft_decline", "payer_wording": "no full stop"}, "end it with a full stop"),
            ({"failure_class": "soft_decline", "retry_after_seconds": "99999999"}, "At most 30 days."),
            (
                {"failure_class": "soft_decline", "payer_wording": "Not 4111 1111 1111 1111."},
                "looks like a card number",
            ),
            ({"next_step": "ask_payer"}, "As the sheet says: then without"),
            ({}, "Nothing is changed yet."),
        ],
    )
    def test_a_mistake_is_named_on_the_form(self, typed: dict[str, str], said: str) -> None:
        shown, _ = prepare(signed_in("operator"), EDIT, **{"reason": "because of it", **typed})

        assert (shown.status_code, said in text_of(shown)) == (422, True), text_of(shown)

    def test_a_code_whose_outcome_is_unknown_keeps_being_looked_up(self) -> None:
        client = signed_in("operator")

        shown, _ = prepare(client, f"{SHEET}nmi:420/edit/", failure_class="soft_decline", reason="because of it")

        assert "it is always looked up, whatever its class" in text_of(shown)
        assert "the gateway is always asked what happened" in text_of(client.get(f"{SHEET}nmi:420/"))

    def test_the_seal_of_one_code_does_not_open_another(self) -> None:
        client = signed_in("operator")
        _, confirmed = prepare(client, EDIT, failure_class="soft_decline", reason="because of it")

        answer = client.post(f"{SHEET}nmi:251/edit/", confirmed)

        assert (answer.status_code, Approval.objects.count()) == (422, 0)

    def test_a_change_in_between_is_a_conflict(self) -> None:
        first, second = signed_in("operator", "olga"), signed_in("operator", "oskar")
        _, hers = prepare(first, EDIT, failure_class="soft_decline", reason="because of it")
        _, his = prepare(second, EDIT, failure_class="hard_decline", reason="because of it")
        first.post(EDIT, hers)

        assert second.post(EDIT, his).status_code == 409
        agree()
        assert second.post(EDIT, his).status_code == 409
        assert DeclineRule.objects.get().failure_class == "soft_decline"


class TestUnmapped:
    def test_shows_count_money_sample_and_a_button_for_every_class(self) -> None:
        row = met()
        client = signed_in("operator")

        page = client.get(HEAP)

        words = text_of(page)
        for said in ("299", "once", "10.00 USD", "Something <new>", row.sample.payment.public_id):  # type: ignore[union-attr]
            assert said in words, said
        assert page.content.decode().count('name="failure_class"') == 12
        home = text_of(client.get("/admin/"))
        assert "Decline codes nobody knows" in home and "NMI 299" in home

    def test_one_click_counts_from_the_next_refusal_on(self) -> None:
        row = met()
        client = signed_in("operator", "olga")

        answer = client.post(f"{HEAP}{row.pk}/classify/", {"failure_class": "insufficient_funds"}, follow=True)

        assert "nmi 299 counts as insufficient funds from the next refusal on." in text_of(answer)
        fact = Fact(
            FactKind.DECLINED, Source.ANSWER, NOW, certainty=Certainty.REFUSED, failure_class=FailureClass.UNKNOWN,
            code="299",
        )  # fmt: skip
        assert classified(fact, "nmi").failure_class == FailureClass.INSUFFICIENT_FUNDS
        assert "Every code is known" in text_of(client.get(HEAP))
        assert "Decline codes nobody knows" not in text_of(client.get("/admin/"))
        words = text_of(client.get(f"{SHEET}nmi:299/"))
        assert "no rule of ours → insufficient funds" in words and "By olga." in words

    def test_pressed_twice_changes_nothing_and_another_class_is_refused(self) -> None:
        row = met()
        client = signed_in("operator")
        address = f"{HEAP}{row.pk}/classify/"
        client.post(address, {"failure_class": "soft_decline"})

        again = client.post(address, {"failure_class": "soft_decline"}, follow=True)
        other = client.post(address, {"failure_class": "fraud"}, follow=True)

        assert "nmi 299 counts as soft decline" in text_of(again)
        assert "nmi 299 means soft decline already. Change it on its own page." in text_of(other)
        assert DeclineRule.objects.get().failure_class == "soft_decline"
        assert DeclineRuleChange.objects.count() == 1

    @pytest.mark.parametrize("typed", ["", "unknown", "duplicate", "nonsense"])
    def test_only_a_class_that_people_can_give_is_taken(self, typed: str) -> None:
        row = met()

        answer = signed_in("operator").post(f"{HEAP}{row.pk}/classify/", {"failure_class": typed}, follow=True)

        assert "is no class that people can give" in text_of(answer)
        assert not DeclineRule.objects.exists()

    def test_looking_is_no_right_to_classify(self) -> None:
        row = met()
        client = signed_in("support")

        assert "finance, operator could classify it" in text_of(client.get(HEAP))
        assert client.post(f"{HEAP}{row.pk}/classify/", {"failure_class": "fraud"}).status_code == 403
        assert signed_in("operator").get(f"{HEAP}{row.pk}/classify/").status_code == 405

    def test_the_heap_costs_the_same_however_high_it_is(self) -> None:
        client = signed_in("operator")
        met("299")
        client.get(HEAP)
        with CaptureQueriesContext(connection) as few:
            client.get(HEAP)
        for code in range(280, 290):
            met(str(code))
        with CaptureQueriesContext(connection) as many:
            client.get(HEAP)

        assert len(few) == len(many)


class TestCeilings:
    def test_are_changed_by_two_people_and_hold_from_then_on(self) -> None:
        NetworkCeiling.objects.all().delete()
        row = NetworkCeiling.objects.create(network="visa", declines=15, window_hours=720)
        payment = card("visa")
        refused(payment, NOW - timedelta(hours=2))
        client, edit = signed_in("operator", "olga"), f"{CEILINGS}{row.pk}/edit/"

        shown, confirmed = prepare(client, edit, declines="1", enabled="on", reason="the acquirer asks for it")
        assert "visa: at most 1 decline within 30 days" in text_of(shown)
        client.post(edit, confirmed)
        assert ceiling_reached(payment.method, payment.money, NOW) == ""
        assert agree().state == "executed"

        assert "Visa allows no more than 1" in ceiling_reached(payment.method, payment.money, NOW)
        words = text_of(client.get(f"{CEILINGS}{row.pk}/"))
        assert "By olga, agreed to by carla." in words and "Before: visa: at most 15 declines within 30 days." in words

    def test_a_network_gets_one_of_its_own(self) -> None:
        client, add = signed_in("finance", "fay"), f"{CEILINGS}add/"

        client.post(add, prepare(client, add, network="amex", declines="5", reason="the acquirer asks for it")[1])
        assert agree().state == "executed"

        assert NetworkCeiling.objects.get(network="amex").declines == 5
        assert "Amex 5 declines within 30 days" in text_of(client.get(CEILINGS))

    @pytest.mark.parametrize(
        ("typed", "said"),
        [
            ({"network": "Visa Electron"}, "Name it in small letters"), ({"declines": "0"}, "Between 1 and 1,000."),
            ({"window_hours": "99999"}, "Between one hour and 90 days."),
            ({"calendar_day": "on", "window_hours": "48"}, "A business day has 24 hours."),
        ],
    )  # fmt: skip
    def test_a_mistake_is_named_on_the_form(self, typed: dict[str, str], said: str) -> None:
        answers = {"network": "amex", "declines": "5", "reason": "because of it", **typed}

        shown, _ = prepare(signed_in("operator"), f"{CEILINGS}add/", **answers)

        assert (shown.status_code, said in text_of(shown)) == (422, True)
