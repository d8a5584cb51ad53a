"""Does PostgreSQL refuse every way around the services, with advice? All of it as the application's role, in raw SQL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, IntegrityError, ProgrammingError, connection, transaction

import ledger
from ledger.models import Account, JournalEntry, Posting
from ledger.services import reverse_entry
from tests.ledger.books import NOON, capture, post

ENTRY = """
INSERT INTO ledger_journalentry
  (public_id, source_key, content_hash, subject, description, actor, occurred_at, posted_at, booked_on{columns})
VALUES (%s, %s, 'hash', 'pay_1', '', '', '2026-03-10 12:00Z', '2026-03-10 12:00Z', '2026-03-10'{values}) RETURNING id
"""
LINES = """
INSERT INTO ledger_posting (entry_id, account_id, currency, amount_minor, match_key, booked_on, posted_at)
SELECT %s, account.id, line.currency, line.amount, 'p', %s::date, '2026-03-10 12:00Z'
  FROM unnest(%s::text[], %s::text[], %s::bigint[]) AS line (code, currency, amount)
  JOIN LATERAL (
    SELECT id FROM ledger_account WHERE code = line.code ORDER BY currency = line.currency DESC LIMIT 1
  ) AS account ON true
"""
commit = transaction.atomic  # its end is where deferred checks run
DEBIT, CREDIT = ("1110", "USD", 500), ("2020", "USD", -500)


def run(statement: str, *parameters: Any) -> list[tuple[object, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []


def insert_entry(key: str = "raw_1", columns: str = "", values: str = "") -> int:
    ((entry_id,),) = run(ENTRY.format(columns=columns, values=values), f"je_{key}", key)
    assert isinstance(entry_id, int)
    return entry_id


def insert_lines(entry_id: int, *lines: tuple[str, str, int], day: str = "2026-03-10") -> None:
    run(LINES, entry_id, day, *[list(column) for column in zip(*lines, strict=True)])


def advice(error: BaseException) -> str:
    cause = error.__cause__
    assert isinstance(cause, psycopg.Error)
    return cause.diag.message_hint or ""


@pytest.fixture
def books(transactional_db: None) -> str:
    """One posted capture; returns its public id."""
    return post(capture("mov_1"))[0].public_id


def test_the_role_of_these_tests_owns_nothing_and_is_no_superuser(books: str) -> None:
    ((super_user, owned),) = run(
        """SELECT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
                  (SELECT count(*) FROM pg_class WHERE pg_has_role(current_user, relowner, 'USAGE')
                      AND relnamespace = 'public'::regnamespace)"""
    )

    assert (super_user, owned) == (False, 0)


@pytest.mark.parametrize("table", ["ledger_journalentry", "ledger_posting"])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {table} SET booked_on = '2020-01-01'",
        "UPDATE {table} SET booked_on = '2020-01-01' WHERE false",
        "DELETE FROM {table}",
        "TRUNCATE {table} CASCADE",
        "MERGE INTO {table} AS t USING (SELECT 1) AS s ON false WHEN MATCHED THEN DELETE",
    ],
)
def test_changing_the_books_is_refused_with_advice(books: str, table: str, statement: str) -> None:
    with pytest.raises(IntegrityError, match="the books are append-only") as refusal:
        run(statement.format(table=table))

    assert advice(refusal.value) == (
        "Reverse the entry (ledger.services.reverse_entry) and post the right one under a new source key."
    )
    assert (JournalEntry.objects.count(), Posting.objects.count()) == (1, 2)


def test_upserting_over_an_entry_is_refused(books: str) -> None:
    statement = ENTRY.format(columns="", values="").replace(
        "RETURNING id", "ON CONFLICT (source_key) DO UPDATE SET subject = 'pay_2'"
    )

    with pytest.raises(IntegrityError, match="append-only"):
        run(statement, "je_raw", "mov_1")


def test_the_orm_is_refused_too(books: str) -> None:
    entry = JournalEntry.objects.get()
    entry.description = "better words"

    for change in (entry.save, entry.postings.all().delete, lambda: Posting.objects.update(amount_minor=1)):
        with pytest.raises(IntegrityError, match="append-only"):
            change()


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE ledger_posting DISABLE TRIGGER ALL",
        "ALTER TABLE ledger_journalentry DISABLE TRIGGER entries_have_postings",
        "DROP TRIGGER postings_are_append_only ON ledger_posting",
        "ALTER TABLE ledger_posting DROP CONSTRAINT a_posting_uses_an_account_of_its_own_currency",
        "CREATE OR REPLACE FUNCTION ledger_refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "DROP TABLE ledger_posting CASCADE",
        "SET session_replication_role = replica",
        "CREATE TABLE ledger_posting_2 (id int)",
        "SET ROLE counterfoil_owner",
    ],
)
def test_taking_the_protection_away_is_refused(books: str, statement: str) -> None:
    with pytest.raises(ProgrammingError, match=r"must be owner|permission denied"):
        run(statement)


class TestBalance:
    def test_an_unbalanced_entry_is_refused(self, books: str) -> None:
        with (
            pytest.raises(IntegrityError, match="does not balance: debits less credits are USD 1") as refusal,
            commit(),
        ):
            insert_lines(insert_entry(), ("1110", "USD", 501), CREDIT)

        assert "equal in every currency" in advice(refusal.value)
        assert JournalEntry.objects.count() == 1

    def test_an_entry_balanced_only_across_currencies_is_refused(self, books: str) -> None:
        post(capture("eur", currency="EUR"))

        with pytest.raises(IntegrityError, match=r"debits less credits are (EUR 500|USD -500)"), commit():
            insert_lines(insert_entry(), ("2020", "EUR", 500), ("2020", "USD", -500))

    def test_an_entry_without_lines_is_refused(self, books: str) -> None:
        with pytest.raises(IntegrityError, match="je_raw_1 has fewer than two") as refusal, commit():
            insert_entry()

        assert "at least two postings" in advice(refusal.value)

    def test_an_entry_of_one_line_is_refused(self, books: str) -> None:
        with pytest.raises(IntegrityError, match="does not balance"), commit():
            insert_lines(insert_entry(), DEBIT)

    def test_a_line_of_zero_is_refused(self, books: str) -> None:
        with (
            pytest.raises(IntegrityError, match="a_posting_of_zero_says_nothing_so_leave_it_out"),
            transaction.atomic(),
        ):
            insert_lines(insert_entry(), ("1110", "USD", 0), ("2020", "USD", 0))

    def test_asking_for_the_check_early_does_not_open_the_entry_again(self, books: str) -> None:
        with transaction.atomic():
            entry_id = insert_entry()
            insert_lines(entry_id, DEBIT, CREDIT)
            run("SET CONSTRAINTS ALL IMMEDIATE")

            with (
                pytest.raises(
                    IntegrityError, match="je_raw_1 does not balance: debits less credits are USD 1"
                ) as refusal,
                commit(),
            ):
                insert_lines(entry_id, DEBIT, ("2020", "USD", -499))

        assert "all lines of an entry in one INSERT" in advice(refusal.value)

    def test_a_temporary_table_cannot_stand_in_for_the_books(self, books: str) -> None:
        run("CREATE TEMP TABLE ledger_posting (LIKE public.ledger_posting INCLUDING ALL)")
        try:
            with pytest.raises(IntegrityError, match="fewer than two postings"), commit():
                insert_lines(insert_entry(), DEBIT, CREDIT)
        finally:
            run("DROP TABLE pg_temp.ledger_posting")

    def test_a_well_made_raw_entry_passes(self, books: str) -> None:
        with commit():
            insert_lines(insert_entry(), DEBIT, CREDIT)

        assert JournalEntry.objects.count() == 2


class TestLatePosting:
    def test_to_an_entry_of_an_earlier_transaction_is_refused(self, books: str) -> None:
        entry_id = JournalEntry.objects.get().pk

        with pytest.raises(
            IntegrityError, match=f"late posting: entry {books} was not made by this transaction"
        ) as refusal:
            insert_lines(entry_id, DEBIT, CREDIT)

        assert "Post a new entry for what is missing" in advice(refusal.value)

    def test_from_a_nested_savepoint_is_refused(self, books: str) -> None:
        entry_id = JournalEntry.objects.get().pk

        with transaction.atomic():
            for _attempt in range(2):
                with pytest.raises(IntegrityError, match="late posting"), transaction.atomic(), transaction.atomic():
                    insert_lines(entry_id, DEBIT, CREDIT)

        assert Posting.objects.count() == 2

    def test_within_its_transaction_is_fine_also_across_savepoints(self, books: str) -> None:
        with transaction.atomic():
            with transaction.atomic():
                entry_id = insert_entry()
            with transaction.atomic():
                insert_lines(entry_id, DEBIT, CREDIT)

        assert Posting.objects.filter(entry_id=entry_id).count() == 2

    def test_with_dates_of_its_own_is_refused(self, books: str) -> None:
        with pytest.raises(IntegrityError, match="another booked_on or posted_at") as refusal, commit():
            insert_lines(insert_entry(), DEBIT, CREDIT, day="2026-03-11")

        assert "Copy both from the entry" in advice(refusal.value)

    def test_cannot_be_prepared_by_a_forged_transaction_id(self, books: str) -> None:
        with pytest.raises(IntegrityError, match="names transaction 987654321, but ") as refusal, commit():
            insert_entry(columns=", xact_id", values=", '987654321'")

        assert advice(refusal.value) == "Leave xact_id out: the database fills it in."


def test_a_posting_in_another_currency_than_its_account_is_refused(books: str) -> None:
    with pytest.raises(IntegrityError, match="a_posting_uses_an_account_of_its_own_currency"), transaction.atomic():
        insert_lines(insert_entry(), ("1110", "EUR", 500), ("2020", "EUR", -500))


def test_a_second_reversal_is_refused(books: str) -> None:
    with transaction.atomic():
        reverse_entry(books, source_key="reversal:1", reason="wrong", actor="olga", now=NOON)
    original = JournalEntry.objects.get(public_id=books)

    with (
        pytest.raises(IntegrityError, match="an_entry_is_reversed_once_so_post_a_new_entry_instead"),
        transaction.atomic(),
    ):
        insert_lines(insert_entry(columns=", reverses_id", values=f", {original.pk}"), DEBIT, CREDIT)


def test_a_source_key_is_booked_once(books: str) -> None:
    with pytest.raises(IntegrityError, match="a_source_key_is_booked_once"), transaction.atomic():
        insert_lines(insert_entry("mov_1"), DEBIT, CREDIT)


class TestAccounts:
    @pytest.mark.parametrize(
        "change",
        [
            "code = '2040'",
            "currency = 'EUR'",
            "gateway = 'other'",
            "customer = 'c'",
            "memo = true",
            "normal_side = 'debit'",
        ],
    )
    def test_keep_their_nature(self, books: str, change: str) -> None:
        with pytest.raises(IntegrityError, match="keeps its code, currency, dimensions and nature") as refusal:
            run(f"UPDATE ledger_account SET {change} WHERE code = '2020'")

        assert "Post to another account" in advice(refusal.value)

    @pytest.mark.parametrize("statement", ["DELETE FROM ledger_account", "TRUNCATE ledger_account CASCADE"])
    def test_are_never_removed(self, books: str, statement: str) -> None:
        with pytest.raises(DatabaseError, match=r"accounts are kept for ever|append-only") as refusal:
            run(statement)

        assert advice(refusal.value)
        assert Account.objects.count() == 2

    def test_may_be_given_another_floor(self, books: str) -> None:
        run("UPDATE ledger_account SET min_balance = -5000 WHERE code = '2020'")

        assert Account.objects.get(code="2020").min_balance == -5000


def test_enforcement_can_be_taken_back_and_put_in_again_on_filled_books(
    books: str, owner_connection: psycopg.Connection[tuple[object, ...]]
) -> None:
    folder = Path(ledger.__file__).parent / "migrations" / "sql"
    connection.close()
    with owner_connection.transaction():
        owner_connection.execute((folder / "0002_rules_undo.sql").read_bytes())
        owner_connection.execute((folder / "0002_rules.sql").read_bytes())

    with pytest.raises(IntegrityError, match="append-only"):
        run("TRUNCATE ledger_posting CASCADE")
