"""Can a person upload, read the dry run, start and follow it, and do the pages say what they should and cost what they may?"""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from payments.models import Approval, Batch, Payment
from payments.services.batches.files import MAX_BYTES
from payments.states import BatchState
from tests.payments.admin.desk import prepare, signed_in, text_of
from tests.payments.batches.sheets import CARD, csv_file, order, xlsx_file
from tests.payments.batches.uploads import allow_alone, run_rounds, started, uploaded
from tests.payments.factories import Clock, nmi_account

pytestmark = pytest.mark.django_db(transaction=True)
UPLOAD = "/admin/payments/batch/upload/"


@pytest.fixture(autouse=True)
def account(settings: Any) -> None:
    settings.DEMO = True
    nmi_account()


@pytest.fixture
def olga() -> Client:
    client = signed_in("operator")
    allow_alone()
    return client


def page_of(batch: Batch) -> str:
    return f"/admin/payments/batch/{batch.public_id}/"


def send(client: Client, file: io.BytesIO, name: str = "dues.csv") -> Any:
    return client.post(UPLOAD, {"file": SimpleUploadedFile(name, file.getvalue())}, follow=True)


class TestUploading:
    @pytest.mark.parametrize(("make", "name"), [(csv_file, "dues.csv"), (xlsx_file, "dues.xlsx")])
    def test_leads_to_the_dry_run_with_every_problem(self, olga: Client, make: Any, name: str) -> None:
        answer = send(olga, make(order("a"), order("b", "x"), order("c", "5.00", "EUR")), name)

        words = text_of(answer)
        assert answer.redirect_chain
        assert f"{name} is read: 3 rows. Nothing is started yet." in words
        assert "EUR · 1 payment " in words
        assert "'x' is not an amount" in words
        assert Payment.objects.count() == 0

    def test_says_in_one_sentence_why_a_file_cannot_be_read(self, olga: Client) -> None:
        words = text_of(send(olga, io.BytesIO(b"hello")))

        assert "The first line holds no headings. Expected are reference, amount, currency" in words
        assert Batch.objects.get().state == BatchState.REFUSED

    def test_never_repeats_a_card_number(self, olga: Client) -> None:
        words = text_of(send(olga, csv_file(order("a", token=CARD))))

        assert "token: This looks like a card number." in words
        assert CARD not in words

    def test_says_that_the_same_file_was_there_before(self, olga: Client) -> None:
        send(olga, csv_file(order("a")))

        assert "The same file was uploaded before, by operator" in text_of(send(olga, csv_file(order("a"))))

    def test_without_a_file_or_with_one_that_is_too_large_it_stays_on_the_form(self, olga: Client) -> None:
        nothing = olga.post(UPLOAD, {})
        large = send(olga, io.BytesIO(b"x" * (MAX_BYTES + 1)))

        assert (nothing.status_code, large.status_code) == (422, 422)
        assert "Choose a file first." in text_of(nothing)
        assert "The file is larger than 20 MB. Split it." in text_of(large)
        assert Batch.objects.count() == 0


class TestCommands:
    def test_start_pause_resume_cancel_and_what_each_shows_before(self, olga: Client, clock: Clock) -> None:
        batch = uploaded(clock, "a", "b")

        def done(command: str, **typed: str) -> str:
            shown, confirm = prepare(olga, f"{page_of(batch)}{command}/", **typed)
            assert shown.status_code == 200, text_of(shown)
            answer = olga.post(f"{page_of(batch)}{command}/", confirm, follow=True)
            batch.refresh_from_db()
            return text_of(answer)

        assert "Started. This page follows it." in done("start")
        assert batch.state == BatchState.RUNNING
        assert "Paused: bank calls (operator" in done("pause", because="bank calls")
        assert "It goes on." in done("resume")
        assert "Cancelled: 2 rows." in done("cancel_rest")

    def test_above_the_limit_the_form_asks_for_a_reason_and_then_a_second_person(self, clock: Clock) -> None:
        olga = signed_in("operator")
        batch = uploaded(clock, "a")

        refused, _ = prepare(olga, f"{page_of(batch)}start/")
        assert "A second person has to agree." in text_of(refused)

        shown, confirm = prepare(olga, f"{page_of(batch)}start/", reason="monthly dues")
        answer = olga.post(f"{page_of(batch)}start/", confirm, follow=True)
        assert "A second person is asked to let 1 payment begin." in text_of(shown)
        assert Approval.objects.get().public_id in text_of(answer)

    def test_two_people_at_once_the_second_is_told(self, olga: Client, clock: Clock) -> None:
        batch = uploaded(clock, "a")
        finn = signed_in("finance")
        allow_alone("finance")
        path = f"{page_of(batch)}start/"
        _, first = prepare(olga, path)
        _, second = prepare(finn, path)
        _, third = prepare(finn, f"{page_of(batch)}discard/")

        assert olga.post(path, first).status_code == 302
        assert finn.post(f"{page_of(batch)}discard/", third).status_code == 409
        assert finn.post(path, second).status_code == 302, "started is started"
        batch.refresh_from_db()
        assert batch.started_by == "operator"

    def test_a_retry_shows_what_is_barred_and_refuses_where_nothing_is_left(self, olga: Client, clock: Clock) -> None:
        batch = run_rounds(started(clock, "a"), clock)

        shown, _ = prepare(olga, f"{page_of(batch)}retry/")

        assert "No declined row may be tried again." in text_of(shown)


class TestThePage:
    def test_asks_again_while_anything_moves_and_then_stops(self, olga: Client, clock: Clock) -> None:
        batch = run_rounds(started(clock, "a"), clock)
        assert b"every 2s" in olga.get(page_of(batch)).content
        assert b"every 2s" in olga.get(f"{page_of(batch)}progress/").content

        Payment.objects.update(state="captured", waits_for="", next_check_at=None)

        assert b"every 2s" not in olga.get(f"{page_of(batch)}progress/").content

    def test_rows_are_walked_and_narrowed_by_outcome(self, olga: Client, clock: Clock) -> None:
        batch = uploaded(clock, file=csv_file(*[order(f"o-{n}") for n in range(60)], order("bad", "x")))

        everything = olga.get(page_of(batch))
        bad = olga.get(page_of(batch), {"outcome": "bad"})
        rest = olga.get(page_of(batch), {"after": "51"})
        nonsense = olga.get(page_of(batch), {"after": "x", "outcome": "nothing"})

        assert "o-49" in text_of(everything)
        assert "o-50" not in text_of(everything)
        assert "o-1 " not in text_of(bad)
        assert "bad x USD" in text_of(bad)
        assert "o-50" in text_of(rest)
        assert nonsense.status_code == 200

    def test_costs_a_constant_number_of_queries(self, olga: Client, clock: Clock, settings: Any) -> None:
        settings.UPLOAD_WINDOW = 500
        few = run_rounds(started(clock, "x"), clock)
        many = run_rounds(started(clock, *[f"o-{n}" for n in range(120)]), clock)
        counts = []
        for batch in (few, many):
            with CaptureQueriesContext(
                connection,
            ) as caught:
                olga.get(f"{page_of(batch)}progress/")
            counts.append(len(caught))

        assert counts[0] == counts[1]
        assert counts[0] < 20

    def test_tokens_and_credentials_are_on_no_page_and_in_no_file(self, olga: Client, clock: Clock) -> None:
        heads = ("reference", "amount", "currency", "nmi")
        batch = uploaded(clock, file=csv_file(("a", "1.00", "USD", "secret-vault-id"), headings=heads))

        for path in ("", "progress/", "results/csv/"):
            answer = olga.get(page_of(batch) + path)
            assert b"secret-vault-id" not in (answer.getvalue() if answer.streaming else answer.content)

    def test_support_sees_it_and_who_could_act(self, clock: Clock) -> None:
        batch = uploaded(clock, "a")
        answer = signed_in("support").get(page_of(batch))

        assert "finance, operator could" in text_of(answer)

    def test_the_list_shows_uploads_with_rows_and_money(self, olga: Client, clock: Clock) -> None:
        uploaded(clock, file=csv_file(order("a"), order("b", "x")), name="march.csv")

        words = text_of(olga.get("/admin/payments/batch/"))

        assert "march.csv" in words
        assert "2, 1 with problems" in words
        assert "12.34 USD" in words

    @pytest.mark.parametrize("path", ["results/pdf/", "nothing/"])
    def test_what_is_not_there_is_not_found(self, olga: Client, clock: Clock, path: str) -> None:
        assert olga.get(page_of(uploaded(clock, "a")) + path).status_code == 404


@pytest.mark.parametrize("role", ["support", "auditor", "admin"])
def test_nobody_without_the_right_uploads_by_posting_a_file(role: str) -> None:
    answer = signed_in(role).post(UPLOAD, {"file": SimpleUploadedFile("a.csv", csv_file(order("a")).getvalue())})

    assert (answer.status_code, Batch.objects.count()) == (403, 0)


def test_a_payments_page_leads_back_to_its_line(olga: Client, clock: Clock) -> None:
    batch = run_rounds(started(clock, "a"), clock)

    answer = olga.get(f"/admin/payments/payment/{Payment.objects.get().public_id}/")

    assert "a.csv line 2" in text_of(answer)
    assert page_of(batch).encode() in answer.content
