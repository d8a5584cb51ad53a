"""Can finance close a day, check its certificate and take opening positions over in the browser?"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from console.values import Amount
from ledger.queries import closed_through
from payments.models import Approval
from reconciliation.models import DayClose, OpeningFile, StatementAccount
from reconciliation.queries.close_page import close_page
from reconciliation.queries.verification import objections_to
from tests.ledger.books import capture, post
from tests.payments.admin.desk import prepare, signed_in, text_of
from tests.reconciliation.closing.test_closing import broken, compared
from tests.reconciliation.closing.test_opening import GOOD

pytestmark = pytest.mark.django_db(transaction=True)


def yesterday() -> date:
    return (datetime.now(UTC) - timedelta(days=1)).date()


YESTERDAY = yesterday()  # or the day before: midnight may come between reading this and the test
CLOSE, LEAVE_OUT = (reverse(f"admin:reconciliation_dayclose_{name}") for name in ("close", "leave_out"))
UPLOAD = reverse("admin:reconciliation_openingfile_upload")
IMPORT = reverse("admin:reconciliation_statement_upload")


@pytest.fixture(autouse=True)
def _demo(settings: object) -> None:
    settings.DEMO = True  # type: ignore[attr-defined]  # no second factor


@pytest.fixture
def fay() -> Client:
    return signed_in("finance", "fay")


@pytest.fixture
def carl() -> Client:
    return signed_in("finance", "carl")


@pytest.fixture
def nmi(db: None) -> StatementAccount:
    return StatementAccount.objects.create(slug="nmi", name="NMI", kind="gateway", source="csv")


def agree(person: Client) -> Approval:
    request = Approval.objects.get()
    path = reverse("admin:payments_approval_approve", args=(request.public_id,))
    _, confirmed = prepare(person, path, note="seen")
    person.post(path, confirmed)
    request.refresh_from_db()
    return request


class TestClosing:
    def test_the_form_offers_yesterday_and_the_preview_says_what_it_rests_on(
        self, fay: Client, nmi: StatementAccount
    ) -> None:
        compared(nmi, YESTERDAY)
        before, offered = yesterday(), fay.get(CLOSE).content.decode()
        assert before.isoformat() in offered or yesterday().isoformat() in offered
        shown, confirmed = prepare(fay, CLOSE, day=YESTERDAY.isoformat())
        words = text_of(shown)
        assert "Proofs of the books all hold" in words
        assert "NMI check_circle holds" in words
        assert closed_through() is None

        done = fay.post(CLOSE, confirmed)

        close = DayClose.objects.get()
        assert done.url == reverse("admin:reconciliation_dayclose_change", args=(close.public_id,))
        assert (close.day, close.closed_by) == (YESTERDAY, "fay")

    def test_what_stops_it_is_named_on_the_form(self, fay: Client, nmi: StatementAccount) -> None:
        shown = fay.post(CLOSE, {"day": YESTERDAY.isoformat(), "step": "preview"})
        assert (shown.status_code, "NMI was not compared" in text_of(shown)) == (422, True)

    def test_each_objection_stands_alone_and_leads_to_the_page_that_mends_it(
        self, fay: Client, nmi: StatementAccount
    ) -> None:
        run = compared(nmi, YESTERDAY, balanced=False)
        late = StatementAccount.objects.create(slug="late", name="Late", kind="gateway", source="csv")
        asked = StatementAccount.objects.create(slug="asked", name="Asked", kind="gateway", source="csv", fetched=True)
        shown = fay.post(CLOSE, {"day": YESTERDAY.isoformat(), "step": "preview"})
        found = {text: way.url for text, way in shown.context["objections"]}
        assert found == {
            f"{asked.name} was not compared for {YESTERDAY}.": reverse("admin:reconciliation_run_compare"),
            f"{late.name} was not compared for {YESTERDAY}.": f"{IMPORT}?account=late",
            f"The equations of NMI for {YESTERDAY} do not hold: run it again.": reverse(
                "admin:reconciliation_run_change", args=(run.public_id,)
            ),
        }
        page = shown.content.decode()
        assert all(f'href="{address}"' in page for address in found.values())
        assert "preview_seal" not in page, "nothing can be confirmed"
        assert all(fay.get(address).status_code == 200 for address in found.values())

    def test_an_account_is_left_out_by_two_people(self, fay: Client, carl: Client, nmi: StatementAccount) -> None:
        answers = {"day": YESTERDAY.isoformat(), "accounts": ["nmi"], "why": "its file comes on Monday"}
        shown, confirmed = prepare(fay, LEAVE_OUT, **answers)
        assert "NMI was not compared" in text_of(shown)
        fay.post(LEAVE_OUT, confirmed)
        assert closed_through() is None

        assert agree(carl).state == "executed"

        assert DayClose.objects.get().certificate["exceptions"] == {"nmi": "its file comes on Monday"}

    def test_its_page_speaks_of_accounts_by_name_and_totals_each_currency(
        self, fay: Client, nmi: StatementAccount
    ) -> None:
        post(capture("walk/1"))
        compared(nmi, YESTERDAY)
        broken(nmi)
        _, confirmed = prepare(fay, CLOSE, day=YESTERDAY.isoformat())
        fay.post(CLOSE, confirmed)
        close = DayClose.objects.get()
        close.certificate["books"]["trial_balance"] += [
            {"account": code, "gateway": "", "currency": currency, "debit_minor": debit, "credit_minor": credit}
            for code, currency, debit, credit in (
                ("1110", "EUR", 700, 0), ("5010", "EUR", 0, 700), ("9010", "USD", 50, 0), ("9020", "USD", 0, 50),
            )
        ]  # fmt: skip

        page = close_page(close)

        assert (page.runs[0][0].text, page.proofs[0][0], page.breaks[0][1]) == ("NMI", "NMI", "NMI")
        totals = [row for row in page.balances if str(row[0]).startswith("Total")]
        assert totals == [
            ("Total EUR", "", Amount(700, "EUR"), Amount(700, "EUR")),
            ("Total USD", "", Amount(1000, "USD"), Amount(1000, "USD")),
            ("Total USD, memo", "", Amount(50, "USD"), Amount(50, "USD")),
        ]
        assert page.balances[-1] == totals[-1]
        assert [row[1] for row in page.balances if row[1]] == ["NMI"]
        shown = text_of(fay.get(reverse("admin:reconciliation_dayclose_change", args=(close.public_id,))))
        assert "Total USD – 10.00 USD 10.00 USD" in shown

    def test_the_certificate_is_downloaded_and_verified_and_the_day_reopened_by_two(
        self, fay: Client, carl: Client
    ) -> None:
        post(capture("walk/1"))
        _, confirmed = prepare(fay, CLOSE, day=YESTERDAY.isoformat())
        fay.post(CLOSE, confirmed)
        close = DayClose.objects.get()
        address = {name: reverse(f"admin:reconciliation_dayclose_{name}", args=(close.public_id,))
                   for name in ("change", "certificate", "verify", "reopen")}  # fmt: skip

        file = fay.get(address["certificate"])
        assert file["Content-Disposition"].startswith('attachment; filename="close-')
        assert objections_to(json.loads(file.content)) == []
        assert "The certificate is true" in text_of(fay.get(address["verify"], follow=True))

        _, confirmed = prepare(fay, address["reopen"], reason="booked on the wrong day")
        fay.post(address["reopen"], confirmed)
        assert agree(carl).state == "executed"
        assert "reopened by fay and carl" in text_of(fay.get(address["verify"], follow=True))
        assert "Open the day again" not in text_of(fay.get(address["change"]))


class TestOpening:
    def answers(self, text: str = GOOD) -> dict[str, object]:
        file = SimpleUploadedFile("opening.csv", text.encode(), "text/csv")
        return {"file": file, "books_start_on": "2026-04-01", "reason": "go-live"}

    def test_a_dry_run_then_two_people(self, fay: Client, carl: Client) -> None:
        shown = fay.post(UPLOAD, {**self.answers(), "check": "1"})
        words = text_of(shown)
        assert "every row is good" in words
        assert "old-17 2026-03-30 120.50 USD" in words
        assert not OpeningFile.objects.exists()

        kept = shown.context["kept"]
        fay.post(UPLOAD, {**kept, "books_start_on": "2026-04-01", "reason": "go-live", "ask": "1"})
        assert agree(carl).state == "executed"

        page = text_of(
            fay.get(reverse("admin:reconciliation_openingfile_change", args=(OpeningFile.objects.get().public_id,)))
        )
        assert "booked" in page
        assert "old-17" in page

    def test_wrong_rows_are_listed_and_nothing_can_be_asked(self, fay: Client) -> None:
        shown = fay.post(UPLOAD, {**self.answers(GOOD + "1110,nmi,,USD,x,,i,2026-03-01,\n"), "check": "1"})
        assert "4 'x' is not an amount" in text_of(shown)
        assert "Ask a second person" not in text_of(shown)

    def test_no_file_is_said(self, fay: Client) -> None:
        shown = fay.post(UPLOAD, {"books_start_on": "2026-04-01", "reason": "go-live", "check": "1"})
        assert (shown.status_code, "Choose a file first" in text_of(shown)) == (422, True)
