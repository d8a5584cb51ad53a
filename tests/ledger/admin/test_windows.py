"""Do the windows on the books show the right columns, and does each number open to the rows it is made of?"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from config.services import make_staff
from ledger import chart
from ledger.chart import AccountRef
from ledger.drafts import EntryDraft, PostingDraft
from ledger.models import Account, JournalEntry
from ledger.services import post_entries

pytestmark = pytest.mark.django_db
ACCOUNTS, ENTRIES = "/admin/ledger/account/", "/admin/ledger/journalentry/"
TRIAL = f"{ACCOUNTS}trial-balance/"
BANK, SALES = AccountRef(chart.BANK.code, "USD"), AccountRef(chart.SALES_CLEARING.code, "USD")
DAY = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _demo(settings: Any) -> None:
    settings.DEMO = True


@pytest.fixture
def client() -> Client:
    client = Client()
    client.force_login(make_staff("finance", "finance", "pw"))
    return client


def book(
    minor: int, at: datetime = DAY, *, debit: AccountRef = BANK, credit: AccountRef = SALES, subject: str = "pay_x"
) -> None:
    number = JournalEntry.objects.count()
    draft = EntryDraft(
        source_key=f"test:{number}", subject=subject, occurred_at=at, description=f"entry {number}",
        postings=(
            PostingDraft(debit, minor, "open" if debit.spec.open_item else ""),
            PostingDraft(credit, -minor, "open" if credit.spec.open_item else ""),
        ),
    )  # fmt: skip
    with transaction.atomic():
        post_entries([draft], now=at)


def statement(client: Client, code: str = "1010", query: str = "") -> Any:
    return client.get(f"{ACCOUNTS}{Account.objects.get(code=code).pk}/{query}")


class TestStatement:
    def test_has_opening_and_closing_balance_of_the_period_and_a_running_one(self, client: Client) -> None:
        book(1000, DAY - timedelta(days=40))
        book(250)
        book(70, DAY + timedelta(days=1), debit=SALES, credit=BANK)
        book(5, DAY + timedelta(days=30))

        page = statement(client, query="?booked_from=2026-03-01&booked_to=2026-03-31")

        shown = page.context["statement"]
        assert (shown.opening_minor, shown.closing_minor) == (1000, 1180)
        assert [(line.amount_minor, line.balance_minor) for line in shown.lines] == [(250, 1250), (-70, 1180)]
        assert page.context["closing_side"] == (1180, "Dr")

    def test_each_line_opens_its_entry_and_the_opening_balance_the_month_before(self, client: Client) -> None:
        book(250, DAY - timedelta(days=40))
        book(1)

        page = statement(client, query="?booked_from=2026-03-01&booked_to=2026-03-31")
        before = client.get(page.wsgi_request.path + page.context["earlier_url"])

        entry = JournalEntry.objects.order_by("-id")[0]
        assert f'href="{ENTRIES}{entry.public_id}/"' in page.content.decode()
        assert page.context["earlier_url"] == "?booked_from=2026-02-01&booked_to=2026-02-28"
        assert before.context["statement"].closing_minor == 250

    def test_a_long_one_goes_on_by_key_with_the_balance_carried(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("ledger.admin.STATEMENT_PAGE", 2)
        for minor in (1, 2, 3, 4, 5):
            book(minor)
        query, pages = "?booked_from=2026-03-01&booked_to=2026-03-31", []
        while query:
            page = statement(client, query=query)
            pages.append([line.balance_minor for line in page.context["statement"].lines])
            query = page.context["next_url"]

        assert pages == [[1, 3], [6, 10], [15]]

    @pytest.mark.parametrize(
        "query",
        ["?booked_from=yesterday", "?booked_from=2026-03-02&booked_to=2026-03-01", "?after=x", "?after=2026-99-01.1"],
    )
    def test_a_period_that_is_none_is_named_and_the_usual_one_shown(self, client: Client, query: str) -> None:
        book(1)

        page = statement(client, query=query)

        assert page.status_code == 200
        assert "The usual period is shown instead." in page.content.decode()

    def test_a_period_in_the_future_is_empty_and_keeps_the_balance(self, client: Client) -> None:
        book(900)

        page = statement(client, query="?booked_from=2300-01-01")

        assert (page.context["statement"].opening_minor, page.context["statement"].closing_minor) == (900, 900)


class TestTrialBalance:
    def test_columns_are_equal_per_currency_and_memo_stands_apart(self, client: Client) -> None:
        book(1000)
        book(300, debit=AccountRef("1010", "EUR"), credit=AccountRef("2020", "EUR"))
        book(70, debit=AccountRef("9010", "USD", gateway="nmi"), credit=AccountRef("9020", "USD", gateway="nmi"))

        page = client.get(TRIAL)

        totals = {block["currency"]: block["total"] for block in page.context["currencies"]}
        assert {code: (total.debit_minor, total.credit_minor) for code, total in totals.items()} == {
            "EUR": (300, 300), "USD": (1000, 1000),
        }  # fmt: skip
        (memo,) = page.context["memo"]
        assert memo["total"].debit_minor == 70
        assert page.context["head_chip"].text == "balances"

    def test_is_drawn_as_of_a_day_and_its_numbers_open_to_that_day(self, client: Client) -> None:
        book(1000)
        book(9, DAY + timedelta(days=1))

        page = client.get(f"{TRIAL}?booked_to=2026-03-10")

        (block,) = page.context["currencies"]
        address, row = block["lines"][0]
        opened = client.get(address).context["statement"]
        assert (row.debit_minor, opened.closing_minor, opened.booked_to) == (1000, 1000, date(2026, 3, 10))

    def test_wallets_are_one_number_that_opens_to_the_list_of_customers(self, client: Client) -> None:
        for customer in ("ada", "bob"):
            book(50, credit=AccountRef("2010", "USD", customer=customer))

        page = client.get(TRIAL)

        address = next(url for url, row in page.context["currencies"][0]["lines"] if row.spec.code == "2010")
        assert [row.customer for row in client.get(address).context["cl"].result_list] == ["ada", "bob"]

    def test_empty_books_say_so(self, client: Client) -> None:
        assert "Nothing was booked yet" in client.get(TRIAL).content.decode()


class TestLists:
    def test_accounts_stand_in_the_order_of_the_chart_with_balances_in_columns(self, client: Client) -> None:
        book(1000, debit=AccountRef("5040", "USD"))
        book(300)

        page = client.get(ACCOUNTS)

        rows = [(row.code, row.balance) for row in page.context["cl"].result_list]
        assert rows == [("1010", 300), ("2020", -1300), ("5040", 1000)]
        assert [client.get(f"{ACCOUNTS}?code=2020").context["cl"].result_list[0].code] == ["2020"]

    def test_entries_are_found_by_id_subject_and_source_and_link_what_they_are_about(self, client: Client) -> None:
        book(1000, subject="pay_abc")
        book(300)
        first = JournalEntry.objects.order_by("id")[0]

        found = [client.get(ENTRIES, {"q": term}) for term in (first.public_id, "pay_abc", "test:0", "pay_ab")]

        assert [[row.pk for row in page.context["cl"].result_list] for page in found] == [[first.pk]] * 3 + [[]]
        assert 'href="/admin/payments/payment/pay_abc/"' in found[0].content.decode()

    @pytest.mark.parametrize("place", [ACCOUNTS, ENTRIES])
    def test_cost_the_same_for_few_rows_and_many_and_never_count(self, client: Client, place: str) -> None:
        book(1)
        book(2)
        client.get(place)
        with CaptureQueriesContext(connection) as few:
            client.get(place)
        for number in range(20):
            book(5, credit=AccountRef("2010", "USD", customer=f"c{number}"))
        with CaptureQueriesContext(connection) as many:
            client.get(place)

        assert len(few) == len(many)
        assert not [query["sql"] for query in many if "COUNT(" in query["sql"].upper() or "OFFSET" in query["sql"]]


class TestEntry:
    def test_shows_its_lines_in_columns_debits_first_each_leading_to_its_account(self, client: Client) -> None:
        book(1234)
        entry = JournalEntry.objects.get()

        page = client.get(f"{ENTRIES}{entry.public_id}/")

        account = Account.objects.get(code="1010")
        assert [row[0].text for row in page.context["rows"]] == ["1010 Bank", "2020 Sales clearing"]
        assert page.context["rows"][0][0].url == f"{ACCOUNTS}{account.pk}/"
        assert "12.34" in page.content.decode()

    def test_one_that_is_none_is_not_found(self, client: Client) -> None:
        assert [client.get(f"{place}none/").status_code for place in (ENTRIES, ACCOUNTS)] == [404, 404]


@pytest.mark.parametrize("place", [ACCOUNTS, ENTRIES, TRIAL])
def test_support_sees_no_books(place: str) -> None:
    client = Client()
    client.force_login(make_staff("support", "support", "pw"))

    assert client.get(place).status_code == 403
