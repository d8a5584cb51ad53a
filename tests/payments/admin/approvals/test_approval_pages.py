"""Can two people decide in the browser what one may not? The queue, the page, agree, reject, withdraw; limits on the way."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from payments.models import Approval, Limit
from payments.services.actors import Actor
from payments.services.limits import Wanted, ask_limit
from tests.payments.admin.desk import prepare, signed_in, text_of

pytestmark = pytest.mark.django_db
ASK = {"action": "start_batch", "role": "operator", "currency": "USD", "per_item": "100.00", "per_day": "500.00",
       "reason": "uploads of the shop"}  # fmt: skip
QUEUE = reverse("admin:payments_approval_changelist")


@pytest.fixture
def olga() -> Client:
    return signed_in("operator", "olga")


@pytest.fixture
def carl() -> Client:
    return signed_in("finance", "carl")


@pytest.fixture
def asked(olga: Client) -> Approval:
    """What `ASK` asks for on the page."""
    wanted = Wanted("start_batch", "USD", "operator", 10_000, 50_000)
    actor = Actor.for_user(User.objects.get(username="olga"))
    return ask_limit(wanted, reason=ASK["reason"], actor=actor, now=datetime.now(UTC))


def address(approval: Approval, command: str = "change") -> str:
    return reverse(f"admin:payments_approval_{command}", args=(approval.public_id,))


class TestAsking:
    def test_shows_what_a_second_person_will_see_and_changes_nothing(self, olga: Client) -> None:
        shown, _ = prepare(olga, reverse("admin:payments_limit_ask"), **ASK)
        words = text_of(shown)
        assert "Now always a second person" in words
        assert "Then alone up to 100.00 USD at a time and 500.00 USD a day" in words
        assert not Approval.objects.exists()

    def test_the_form_offers_only_roles_that_could_use_it_and_chooses_none(self, olga: Client) -> None:
        form = olga.get(reverse("admin:payments_limit_ask")).context["form"]

        assert [value for value, _ in form.fields["role"].choices] == ["", "finance", "operator"]
        assert [form.fields[name].choices[0] for name in ("action", "role")] == [("", "Choose…")] * 2
        shown, _ = prepare(olga, reverse("admin:payments_limit_ask"), **{**ASK, "role": ""})
        assert "role" in shown.context["form"].errors

    def test_sums_are_written_in_thousands_to_both_people_and_the_seal_is_not_touched(
        self, olga: Client, carl: Client
    ) -> None:
        _, confirmed = prepare(
            olga, reverse("admin:payments_limit_ask"), **{**ASK, "per_item": "1234567.00", "per_day": "2000000.50"}
        )
        olga.post(reverse("admin:payments_limit_ask"), confirmed)
        approval = Approval.objects.get()

        wanted = "alone up to 1,234,567.00 USD at a time and 2,000,000.50 USD a day"
        assert wanted in text_of(carl.get(address(approval)))
        shown, confirmed = prepare(carl, address(approval, "approve"))
        assert wanted in text_of(shown)
        assert ["Then", "alone up to 1234567.00 USD at a time and 2000000.50 USD a day"] in approval.shown
        assert carl.post(address(approval, "approve"), confirmed).status_code == 302
        assert Limit.objects.get().per_item_minor == 123_456_700

    def test_the_limit_stands_only_after_a_second_person(self, olga: Client) -> None:
        _, confirmed = prepare(olga, reverse("admin:payments_limit_ask"), **ASK)
        done = olga.post(reverse("admin:payments_limit_ask"), confirmed)

        approval = Approval.objects.get()
        assert done.url == address(approval)
        assert (approval.asked_by, approval.reason) == ("olga", ASK["reason"])
        assert not Limit.objects.exists()

    def test_what_makes_no_sense_stays_on_the_form(self, olga: Client) -> None:
        complaints: list[tuple[dict[str, str], str]] = [
            ({"per_item": "1.234"}, "USD"),
            ({"per_item": "-1"}, "not negative"),
            ({"per_day": "1.00"}, "at least one item"),
            ({"per_day": ""}, "needs both sums"),
            ({"reason": "4111 1111 1111 1111"}, "looks like a card number"),
        ]
        for typed, words in complaints:
            shown = olga.post(reverse("admin:payments_limit_ask"), {**ASK, **typed, "step": "preview"})
            assert (typed, shown.status_code) == (typed, 422)
            assert words in text_of(shown)

    def test_pressing_twice_asks_once(self, olga: Client) -> None:
        path = reverse("admin:payments_limit_ask")
        _, confirmed = prepare(olga, path, **ASK)
        assert {olga.post(path, confirmed).status_code for _ in range(2)} == {302}
        assert Approval.objects.count() == 1

    def test_another_person_asking_is_told_who_was_first(self, asked: Approval, carl: Client) -> None:
        path = reverse("admin:payments_limit_ask")
        _, confirmed = prepare(carl, path, **ASK)
        told = carl.post(path, confirmed)
        assert told.status_code == 409
        assert "olga has asked for this already" in text_of(told)

    def test_an_existing_limit_is_changed_and_removed_from_its_own_page(self, olga: Client, carl: Client) -> None:
        row = Limit.objects.create(
            action="start_batch", currency="JPY", role="operator", per_item_minor=500, per_day_minor=900
        )
        path = reverse("admin:payments_limit_change", args=(row.pk,))
        assert "500 JPY" in text_of(olga.get(path))
        change = reverse("admin:payments_limit_edit", args=(row.pk,))
        form = olga.get(change).context["form"]
        assert (form["per_item"].value(), form["per_day"].value()) == ("500", "900")
        shown = olga.post(change, {"per_item": "", "per_day": "", "reason": "too risky", "step": "preview"})
        answers = {"per_item": "", "per_day": "", "reason": "too risky", "step": "execute"}
        assert olga.post(change, {**answers, "preview_seal": shown.context["seal"]}).status_code == 302
        assert "too risky" in text_of(olga.get(path))
        assert "change waits" in text_of(olga.get(reverse("admin:payments_limit_changelist")))
        agree(carl, Approval.objects.get())
        assert not Limit.objects.exists()


def agree(client: Client, approval: Approval) -> str:
    _, confirmed = prepare(client, address(approval, "approve"))
    done = client.post(address(approval, "approve"), confirmed)
    assert done.status_code == 302, text_of(done)
    return text_of(client.get(done.url))


class TestTheQueue:
    def test_says_who_asked_what_and_why(self, asked: Approval, carl: Client) -> None:
        words = text_of(carl.get(QUEUE))
        for word in (
            "Change a limit",
            "Start an upload, operator",
            "olga",
            "uploads of the shop",
            "waits for a second",
        ):
            assert word in words

    def test_marks_one_s_own_as_waiting_for_somebody_else(self, asked: Approval, olga: Client) -> None:
        words = text_of(olga.get(QUEUE))
        assert "olga (you)" in words
        assert "waits for another person" in words

    def test_shows_what_is_over_under_its_state(self, asked: Approval, carl: Client) -> None:
        agree(carl, asked)
        assert "Nothing waits for a second person" in text_of(carl.get(QUEUE))
        assert "carried out" in text_of(carl.get(f"{QUEUE}?state=executed"))

    def test_stands_on_the_home_page(self, asked: Approval, olga: Client, carl: Client) -> None:
        assert "olga: uploads of the shop" in text_of(carl.get(reverse("admin:index")))
        assert "waits for another person" in text_of(olga.get(reverse("admin:index")))

    def test_reads_a_constant_number_of_rows_queries(
        self, asked: Approval, carl: Client, django_assert_max_num_queries: object
    ) -> None:
        carl.get(QUEUE)
        rows = [Approval(**{**values(asked), "public_id": f"apr_{n}", "subject": f"s/{n}/x"}) for n in range(40)]
        Approval.objects.bulk_create(rows)
        with django_assert_max_num_queries(12):  # type: ignore[operator]
            carl.get(QUEUE)


def values(approval: Approval) -> dict[str, object]:
    return {f.attname: getattr(approval, f.attname) for f in Approval._meta.concrete_fields if f.attname != "id"}


class TestDeciding:
    def test_the_page_shows_exactly_what_is_agreed_to_and_who_could(self, asked: Approval, carl: Client) -> None:
        words = text_of(carl.get(address(asked)))
        for _, value in asked.shown:
            assert value in words
        assert "Can decide it: carl." in words
        assert "Asked by olga" in words

    def test_agreeing_carries_it_out_in_both_names(self, asked: Approval, carl: Client) -> None:
        assert "In force: alone up to 100.00 USD" in agree(carl, asked)
        assert Limit.objects.get().per_item_minor == 10_000
        assert Approval.objects.get().decided_by == "carl"

    def test_one_s_own_request_has_no_button_and_its_address_refuses(self, asked: Approval, olga: Client) -> None:
        page = olga.get(address(asked))
        assert "You asked for this yourself" in text_of(page)
        assert address(asked, "approve") not in page.content.decode()
        refused = olga.post(address(asked, "approve"), {"step": "preview"})
        assert refused.status_code == 422
        assert "another person has to agree" in text_of(refused)
        assert not Limit.objects.exists()

    def test_with_nobody_else_the_page_says_so(self, asked: Approval, olga: Client) -> None:
        assert "Nobody else holds the rights" in text_of(olga.get(address(asked)))

    def test_a_seal_of_one_person_is_none_of_another(self, asked: Approval, carl: Client) -> None:
        _, confirmed = prepare(carl, address(asked, "approve"))
        dora = signed_in("finance", "dora")
        assert dora.post(address(asked, "approve"), confirmed).status_code == 422
        assert not Limit.objects.exists()

    def test_what_changed_meanwhile_can_not_be_agreed_to(self, asked: Approval, carl: Client) -> None:
        _, confirmed = prepare(carl, address(asked, "approve"))
        Limit.objects.create(action="start_batch", currency="USD", role="operator", per_item_minor=1, per_day_minor=1)
        shown = carl.post(address(asked, "approve"), {"step": "preview"})
        assert "Now was always a second person, is alone up to 0.01 USD" in text_of(shown)
        done = carl.post(address(asked, "approve"), confirmed)
        assert done.status_code == 302
        assert "Not carried out: Now was always a second person" in text_of(carl.get(done.url))
        assert Limit.objects.get().per_item_minor == 1

    def test_who_comes_second_is_told_who_was_first(self, asked: Approval, carl: Client) -> None:
        dora = signed_in("finance", "dora")
        _, confirmed = prepare(dora, address(asked, "approve"))
        agree(carl, asked)
        told = dora.post(address(asked, "approve"), confirmed)
        assert told.status_code == 409
        assert "Carl: In force" in text_of(told)

    def test_pressing_twice_is_harmless(self, asked: Approval, carl: Client) -> None:
        _, confirmed = prepare(carl, address(asked, "approve"))
        assert {carl.post(address(asked, "approve"), confirmed).status_code for _ in range(2)} == {302}
        assert Limit.objects.get().version == 1

    def test_rejecting_needs_a_note_that_the_maker_reads(self, asked: Approval, olga: Client, carl: Client) -> None:
        assert carl.post(address(asked, "reject"), {"note": "", "step": "preview"}).status_code == 422
        _, confirmed = prepare(carl, address(asked, "reject"), note="far too much for one person")
        carl.post(address(asked, "reject"), confirmed)
        words = text_of(olga.get(address(asked)))
        assert "far too much for one person" in words
        assert "rejected" in words

    def test_the_maker_withdraws_by_post_only(self, asked: Approval, olga: Client, carl: Client) -> None:
        assert olga.get(address(asked, "withdraw")).status_code == 405
        assert "Only olga can withdraw" in text_of(carl.post(address(asked, "withdraw"), follow=True))
        assert Approval.objects.get().state == "pending"
        assert "Withdrawn by the person who asked" in text_of(olga.post(address(asked, "withdraw"), follow=True))

    def test_support_and_audit_look_and_decide_nothing(self, asked: Approval) -> None:
        for role in ("support", "auditor"):
            client = signed_in(role)
            assert "This needs the right approve" in text_of(client.get(address(asked)))
            for command in ("approve", "reject"):
                assert client.post(address(asked, command), {"note": "yes please"}).status_code == 403

    def test_one_who_always_agrees_with_the_same_person_is_warned(
        self, asked: Approval, olga: Client, carl: Client
    ) -> None:
        agree(carl, asked)
        rows = [Approval(**{**values(Approval.objects.get()), "public_id": f"apr_{n}"}) for n in range(3)]
        Approval.objects.bulk_create(rows)
        _, confirmed = prepare(olga, reverse("admin:payments_limit_ask"), **{**ASK, "per_item": "7.00"})
        olga.post(reverse("admin:payments_limit_ask"), confirmed)
        shown, _ = prepare(carl, address(Approval.objects.get(state="pending"), "approve"))
        assert "You agreed to olga's requests 4 times in the last 30 days." in text_of(shown)
