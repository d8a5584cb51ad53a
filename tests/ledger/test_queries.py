"""Do balances, statements and the trial balance say what was booked, as of any day and as known at any moment?"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import transaction

from ledger import chart
from ledger.chart import AccountRef
from ledger.drafts import credit, debit
from ledger.models import Account
from ledger.money import Money
from ledger.queries import (
    AccountStatement,
    StatementCursor,
    account_statement,
    balance,
    balances,
    entries_by_ids,
    entries_for_subject,
    entry_by_public_id,
    entry_by_source_key,
    missing_source_keys,
    open_items,
    source_keys_starting_with,
    trial_balance,
)
from ledger.reports import statement_rows, trial_balance_lines
from ledger.services import reverse_entry
from tests.ledger.books import NOON, capture, entry, post, receivable, sales, spend, top_up, wallet
from tests.plans import plan_with

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def account_id(ref: AccountRef) -> int:
    return Account.objects.get(code=ref.code, currency=ref.currency, gateway=ref.gateway, customer=ref.customer).pk


def hold(key: str, minor: int) -> None:
    money = Money(minor, "USD")
    post(
        entry(
            key,
            debit(AccountRef(chart.HOLDS.code, "USD", gateway="nmi"), money, "pay_1"),
            credit(AccountRef(chart.HOLDS_CONTRA.code, "USD", gateway="nmi"), money),
        )
    )


@pytest.fixture
def three_days() -> None:
    """100 on the 10th, 20 on the 11th; on the 13th we learn of 3 that happened on the 10th."""
    post(capture("mov_1", 100))
    post(capture("mov_2", 20, at=NOON + DAY), now=NOON + DAY)
    post(capture("mov_late", 3), now=NOON + 3 * DAY)


@pytest.mark.usefixtures("three_days")
class TestBalance:
    @pytest.mark.parametrize(
        ("booked_to", "known_at", "minor"),
        [
            (None, None, 123),
            (date(2026, 3, 9), None, 0),
            (date(2026, 3, 10), None, 103),
            (date(2026, 3, 11), None, 123),
            (None, NOON, 100),
            (None, NOON + DAY, 120),
            (date(2026, 3, 10), NOON + 2 * DAY, 100),
            (date(2026, 3, 10), NOON + 3 * DAY, 103),
            (None, NOON - timedelta(microseconds=1), 0),
        ],
    )
    def test_answers_as_of_a_day_and_as_known_at_a_moment(
        self, booked_to: date | None, known_at: datetime | None, minor: int
    ) -> None:
        assert balance(receivable(), booked_to=booked_to, known_at=known_at).amount_minor == minor
        assert balance(sales(), booked_to=booked_to, known_at=known_at).natural_minor == minor

    def test_of_an_account_never_used_is_zero(self) -> None:
        nothing = balance(receivable("EUR"))

        assert (nothing.account_id, nothing.debit_minor, nothing.credit_minor) == (None, 0, 0)

    def test_keeps_debits_and_credits_apart(self) -> None:
        money = Money(40, "USD")
        post(entry("back", debit(sales(), money), credit(receivable(), money, "pay_1")))

        found = balance(receivable())

        assert (found.debit_minor, found.credit_minor, found.amount_minor) == (123, 40, 83)

    def test_of_several_accounts_come_in_order_and_by_filter(self) -> None:
        post(capture("eur", 7, currency="EUR"), top_up("top_1", 50, "cus_1"), top_up("top_2", 60, "cus_2"))

        assert [(str(found.ref), found.natural_minor) for found in balances(["2010", "2020"])] == [
            ("2010 cus_1 USD", 50),
            ("2010 cus_2 USD", 60),
            ("2020 EUR", 7),
            ("2020 USD", 123),
        ]
        assert [found.natural_minor for found in balances(customer="cus_2")] == [60]
        assert [str(found.ref) for found in balances(currency="EUR", gateway="nmi")] == ["1110 nmi EUR"]
        assert [str(found.ref) for found in balances(account_ids=[account_id(sales())])] == ["2020 USD"]
        assert balances(codes=[]) == []

    def test_reads_the_covering_index_alone(self) -> None:
        plan = plan_with(
            "postings_of_an_account_by_day",
            """SELECT sum(amount_minor) FROM ledger_posting
                WHERE account_id = 1 AND booked_on <= '2026-03-10' AND posted_at <= now()""",
        )

        assert "Index Only Scan using postings_of_an_account_by_day" in plan


@pytest.mark.usefixtures("three_days")
class TestStatement:
    def test_runs_from_opening_to_closing_balance(self) -> None:
        statement = account_statement(account_id(receivable()), date(2026, 3, 11), date(2026, 3, 31))

        assert statement is not None
        assert (statement.opening_minor, statement.closing_minor) == (103, 123)
        assert [(line.booked_on, line.amount_minor, line.balance_minor) for line in statement.lines] == [
            (date(2026, 3, 11), 20, 123)
        ]
        assert statement.next_page is None

    def test_orders_by_accounting_date_not_by_arrival(self) -> None:
        statement = account_statement(account_id(receivable()), date(2026, 3, 10), date(2026, 3, 11))

        assert statement is not None
        assert [(line.amount_minor, line.balance_minor) for line in statement.lines] == [
            (100, 100),
            (3, 103),
            (20, 123),
        ]

    def test_as_known_earlier_leaves_out_what_came_later(self) -> None:
        statement = account_statement(account_id(receivable()), date(2026, 3, 10), date(2026, 3, 11), NOON + DAY)

        assert statement is not None
        assert [line.balance_minor for line in statement.lines] == [100, 120]
        assert statement.closing_minor == 120

    def test_pages_without_losing_or_repeating_a_line_and_keeps_the_running_balance(self) -> None:
        post(*[capture(f"more_{number}", 1) for number in range(7)])
        whole = account_statement(account_id(receivable()), date(2026, 3, 10), date(2026, 3, 11))
        assert whole is not None

        pages: list[AccountStatement] = []
        cursor: StatementCursor | None = None
        while not pages or cursor:
            page = account_statement(
                account_id(receivable()), date(2026, 3, 10), date(2026, 3, 11), limit=3, after=cursor
            )
            assert page is not None
            pages.append(page)
            cursor = page.next_page

        assert [len(page.lines) for page in pages] == [3, 3, 3, 1]
        assert tuple(line for page in pages for line in page.lines) == whole.lines
        assert {(page.opening_minor, page.closing_minor) for page in pages} == {(0, 130)}

    def test_of_an_empty_period_has_equal_balances(self) -> None:
        statement = account_statement(account_id(receivable()), date(2026, 4, 1), date(2026, 4, 30))

        assert statement is not None
        assert (statement.opening_minor, statement.closing_minor, statement.lines) == (123, 123, ())

    def test_of_no_account_is_none(self) -> None:
        assert account_statement(10**9, date(2026, 3, 10), date(2026, 3, 11)) is None

    def test_shows_debit_credit_and_side(self) -> None:
        statement = account_statement(account_id(sales()), date(2026, 3, 11), date(2026, 3, 11))
        assert statement is not None

        rows = [(row.description, row.debit, row.credit, row.balance) for row in statement_rows(statement)]

        assert rows == [
            ("Opening balance", "", "", "1.03 Cr"),
            ("", "", "0.20", "1.23 Cr"),
            ("Closing balance", "", "", "1.23 Cr"),
        ]

    def test_a_middle_page_shows_no_opening_and_no_closing_balance(self) -> None:
        first = account_statement(account_id(receivable()), date(2026, 3, 10), date(2026, 3, 11), limit=1)
        assert first is not None
        assert isinstance(first.next_page, StatementCursor)
        middle = account_statement(
            account_id(receivable()), date(2026, 3, 10), date(2026, 3, 11), limit=1, after=first.next_page
        )
        assert middle is not None

        assert [row.balance for row in statement_rows(first)] == ["0.00", "1.00 Dr"]
        assert [row.balance for row in statement_rows(middle)] == ["1.03 Dr"]


class TestTrialBalance:
    def test_has_equal_columns_in_each_currency_and_memo_apart(self) -> None:
        post(capture("mov_1", 1000), capture("mov_2", 7, currency="JPY"), top_up("top_1", 300, "cus_1"))
        post(top_up("top_2", 200, "cus_2"), spend("spend_1", 100, "cus_1"))
        hold("hold_1", 5000)

        trial = trial_balance()

        assert trial.balances
        assert [(total.currency, total.debit_minor, total.credit_minor) for total in trial.totals] == [
            ("JPY", 7, 7),
            ("USD", 1500, 1500),
        ]
        assert [(row.spec.code, row.debit_minor, row.credit_minor) for row in trial.rows if row.currency == "USD"] == [
            ("1110", 1500, 0),
            ("2010", 0, 400),
            ("2020", 0, 1100),
        ]
        assert [(row.spec.code, row.debit_minor, row.credit_minor) for row in trial.memo_rows] == [
            ("9010", 5000, 0),
            ("9020", 0, 5000),
        ]

    def test_sums_customers_up_and_opens_single_accounts(self) -> None:
        post(top_up("top_1", 300, "cus_1"), top_up("top_2", 200, "cus_2"))

        rows = {row.spec.code: row for row in trial_balance().rows}

        assert rows["2010"].account_id is None
        assert rows["1110"].account_id == account_id(receivable())

    def test_answers_as_of_a_day_and_as_known_at_a_moment(self, three_days: None) -> None:
        def total(booked_to: date | None, known_at: datetime | None) -> int:
            (only,) = trial_balance(booked_to, known_at).totals
            return only.debit_minor

        assert total(date(2026, 3, 10), None) == 103
        assert total(date(2026, 3, 10), NOON + 2 * DAY) == 100
        assert total(None, None) == 123

    def test_keeps_an_account_that_came_back_to_zero(self) -> None:
        (wrong,) = post(capture("mov_1"))
        with transaction.atomic():
            reverse_entry(wrong.public_id, source_key="r", reason="r", actor="olga", now=NOON)

        assert [(row.spec.code, row.debit_minor, row.credit_minor) for row in trial_balance().rows] == [
            ("1110", 0, 0),
            ("2020", 0, 0),
        ]

    def test_of_empty_books_balances(self) -> None:
        assert trial_balance().rows == ()
        assert trial_balance().balances

    def test_reads_like_a_trial_balance(self) -> None:
        post(capture("mov_1", 1000))
        hold("hold_1", 250)

        lines = [
            (line.code, line.name, line.gateway, line.debit, line.credit)
            for line in trial_balance_lines(trial_balance())
        ]

        assert lines == [
            ("1110", "Gateway receivable", "nmi", "10.00", ""),
            ("2020", "Sales clearing", "", "", "10.00"),
            ("", "Total", "", "10.00", "10.00"),
            ("9010", "Authorised holds", "nmi", "2.50", ""),
            ("9020", "Authorised holds, contra", "nmi", "", "2.50"),
            ("", "Total, memo", "", "2.50", "2.50"),
        ]


class TestEntries:
    def test_of_a_subject_come_in_the_order_of_posting(self) -> None:
        post(capture("mov_1", subject="pay_1"))
        post(capture("mov_2", subject="pay_2"))
        post(capture("mov_3", subject="pay_1", at=NOON - DAY))

        assert [view.source_key for view in entries_for_subject("pay_1")] == ["mov_1", "mov_3"]
        assert entries_for_subject("pay_9") == []

    def test_are_found_by_id_key_and_public_id(self) -> None:
        (posted,) = post(capture("mov_1"))

        by_key = entry_by_source_key("mov_1")

        assert by_key is not None
        assert [by_key] == entries_by_ids([posted.id, 10**9])
        assert by_key == entry_by_public_id(posted.public_id)
        assert entry_by_source_key("mov_9") is None
        assert entry_by_public_id("je_9") is None

    def test_cost_the_same_number_of_queries_however_many(self, django_assert_max_num_queries: object) -> None:
        post(*[capture(f"mov_{number}") for number in range(30)])

        with django_assert_max_num_queries(4):  # type: ignore[operator]
            assert len(entries_for_subject("pay_1")) == 30

    def test_missing_keys_are_named(self) -> None:
        post(capture("mov_1"), capture("mov_2"))

        assert missing_source_keys(["mov_3", "mov_1", "mov_0"]) == ["mov_0", "mov_3"]
        assert missing_source_keys([]) == []

    def test_keys_are_walked_by_prefix(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("ledger.queries.entries._CHUNK", 2)
        post(*[capture(f"movement:{number}") for number in range(5)], capture("refund:1"), capture("movement%:1"))

        assert list(source_keys_starting_with("movement:")) == [f"movement:{number}" for number in range(5)]


def test_open_items_are_the_keys_that_do_not_come_to_zero() -> None:
    money = Money(100, "USD")
    suspense = AccountRef(chart.SUSPENSE.code, "USD", gateway="nmi")
    post(
        entry("in_1", debit(receivable(), money, "mov_1"), credit(suspense, money, "mov_1")),
        entry("in_2", debit(receivable(), money, "mov_2"), credit(suspense, money, "mov_2"), at=NOON - DAY),
        entry("out_1", debit(suspense, money, "mov_1"), credit(sales(), money)),
    )

    (item,) = open_items("2050")

    assert (item.match_key, item.amount_minor, item.open_since) == ("mov_2", -100, date(2026, 3, 9))
    assert open_items("2050", currency="EUR") == open_items("2050", gateway="other") == []
    assert sum(found.amount_minor for found in open_items("1110")) == balance(receivable()).amount_minor


def test_the_business_day_survives_the_clock_change(settings: object) -> None:
    settings.BUSINESS_TIME_ZONE = "Europe/Berlin"  # type: ignore[attr-defined]
    midnight_in_summer = datetime(2026, 3, 29, 22, 0, tzinfo=UTC)

    (before,) = post(capture("mov_1", at=midnight_in_summer - timedelta(microseconds=1)))
    (after,) = post(capture("mov_2", at=midnight_in_summer))

    assert (before.booked_on, after.booked_on) == (date(2026, 3, 29), date(2026, 3, 30))


def test_a_wallet_reads_positive_from_its_own_side() -> None:
    post(top_up("top_1", 500))

    assert (balance(wallet()).amount_minor, balance(wallet()).natural_minor) == (-500, 500)
