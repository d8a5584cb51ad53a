"""Does verify_ledger find each kind of damage? All of it planted as the owner, with the triggers switched off."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection, transaction

from ledger.queries import Finding, proofs, verify_books
from ledger.services import reverse_entry
from tests import services
from tests.ledger.books import NOON, capture, post, spend, top_up

pytestmark = pytest.mark.django_db(transaction=True)
Owner = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture
def books() -> dict[str, str]:
    """Public ids by name: a capture, a capture that was reversed, its reversal, a wallet's top-up and spend."""
    capture_1, wrong, top, spent = post(capture("mov_1"), capture("mov_2"), top_up("top_1", 500), spend("spend_1", 200))
    with transaction.atomic():
        reversal = reverse_entry(wrong.public_id, source_key="r_1", reason="wrong", actor="olga", now=NOON)
    return {
        "capture": capture_1.public_id,
        "wrong": wrong.public_id,
        "reversal": reversal.public_id,
        "top_up": top.public_id,
        "spend": spent.public_id,
    }


@contextmanager
def triggers_off(owner: Owner) -> Iterator[None]:
    owner.execute("SET session_replication_role = replica")
    yield
    owner.execute("RESET session_replication_role")


@contextmanager
def undone(owner: Owner, change: str, *, undo: str) -> Iterator[None]:
    """Change the schema as the owner for the length of a test."""
    connection.close()
    owner.execute(change)
    try:
        yield
    finally:
        connection.close()
        owner.execute(undo)


def found() -> set[tuple[str, str]]:
    return {(finding.kind, finding.subject) for finding in verify_books()}


def line(entry: str, code: str) -> str:
    """SQL that names one posting of an entry."""
    return (
        f"id = (SELECT p.id FROM ledger_posting p JOIN ledger_journalentry e ON e.id = entry_id "
        f"JOIN ledger_account a ON a.id = account_id WHERE e.public_id = '{entry}' AND a.code = '{code}')"
    )


def report(*arguments: str) -> tuple[int, str]:
    """Run the command; return its exit code and what it printed."""
    output = StringIO()
    try:
        call_command("verify_ledger", *arguments, stdout=output)
    except SystemExit as end:
        return int(str(end.code)), output.getvalue()
    return 0, output.getvalue()


class TestSoundBooks:
    def test_have_no_findings(self, books: dict[str, str]) -> None:
        assert verify_books() == []

    def test_end_the_command_with_0(self, books: dict[str, str]) -> None:
        code, text = report("--json")

        assert code == 0
        assert json.loads(text) == {"ok": True, "kinds": {}, "findings": []}
        assert report() == (0, "The books hold.\n")

    def test_are_read_in_one_moment_while_others_post(self, books: dict[str, str]) -> None:
        seen: list[int] = []

        def other_proof() -> list[Finding]:
            with connection.cursor() as cursor:
                cursor.execute("SHOW transaction_isolation")
                assert cursor.fetchone() == ("repeatable read",)
                cursor.execute("SELECT count(*) FROM ledger_journalentry")
                seen.append(cursor.fetchone()[0])
            return []

        assert verify_books([other_proof, other_proof]) == []
        assert seen == [5, 5]
        assert connection.get_autocommit()


DAMAGE: dict[str, tuple[Callable[[dict[str, str]], str], set[tuple[str, str]]]] = {
    "an amount was edited": (
        lambda ids: f"UPDATE ledger_posting SET amount_minor = 999 WHERE {line(ids['capture'], '1110')}",
        {("unbalanced_entry", "capture"), ("content_hash_mismatch", "capture"), ("trial_balance_off", "USD")},
    ),
    "both amounts were edited so that the entry still balances": (
        lambda ids: (
            f"""UPDATE ledger_posting SET amount_minor = 2 * amount_minor
                         WHERE {line(ids["capture"], "1110")} OR {line(ids["capture"], "2020")}"""
        ),
        {("content_hash_mismatch", "capture")},
    ),
    "a posting was deleted": (
        lambda ids: f"DELETE FROM ledger_posting WHERE {line(ids['capture'], '2020')}",
        {
            ("unbalanced_entry", "capture"),
            ("single_legged_entry", "capture"),
            ("content_hash_mismatch", "capture"),
            ("trial_balance_off", "USD"),
        },
    ),
    "all postings of an entry were deleted": (
        lambda ids: (
            f"""DELETE FROM ledger_posting WHERE {line(ids["capture"], "1110")} OR {line(ids["capture"], "2020")}"""
        ),
        {("single_legged_entry", "capture")},
    ),
    "a balanced pair was added later": (
        lambda ids: (
            f"""INSERT INTO ledger_posting
                          (entry_id, account_id, currency, amount_minor, match_key, booked_on, posted_at)
                        SELECT p.entry_id, p.account_id, p.currency, side * 77, p.match_key, p.booked_on, p.posted_at
                          FROM ledger_posting p, (VALUES (1), (-1)) AS pair (side)
                         WHERE p.{line(ids["capture"], "1110")}"""
        ),
        {("content_hash_mismatch", "capture")},
    ),
    "a late pair carries its own date": (
        lambda ids: f"UPDATE ledger_posting SET booked_on = '2026-01-01' WHERE {line(ids['capture'], '1110')}",
        {("late_posting", "capture")},
    ),
    "the subject was edited": (
        lambda ids: f"UPDATE ledger_journalentry SET subject = 'pay_9' WHERE public_id = '{ids['capture']}'",
        {("content_hash_mismatch", "capture")},
    ),
    "a posting was moved to an account of another currency": (
        lambda ids: (
            f"""INSERT INTO ledger_account (code, currency, gateway, customer, normal_side, memo, open_item, created_at)
                        VALUES ('2020', 'EUR', '', '', 'credit', false, false, now());
                        UPDATE ledger_posting SET account_id = (SELECT id FROM ledger_account WHERE currency = 'EUR')
                         WHERE {line(ids["capture"], "2020")}"""
        ),
        {
            ("currency_mismatch", "capture"),
            ("content_hash_mismatch", "capture"),
            ("trial_balance_off", "USD"),
            ("trial_balance_off", "EUR"),
        },
    ),
    "a match key was wiped": (
        lambda ids: f"UPDATE ledger_posting SET match_key = '' WHERE {line(ids['capture'], '1110')}",
        {("missing_match_key", "capture"), ("content_hash_mismatch", "capture")},
    ),
    "an entry was deleted that a reversal points to": (
        lambda ids: (
            f"""DELETE FROM ledger_posting WHERE {line(ids["wrong"], "1110")} OR {line(ids["wrong"], "2020")};
                        DELETE FROM ledger_journalentry WHERE public_id = '{ids["wrong"]}'"""
        ),
        {("dangling_reversal", "reversal"), ("content_hash_mismatch", "reversal")},
    ),
    "a wallet was drained": (
        lambda ids: f"DELETE FROM ledger_posting WHERE {line(ids['top_up'], '2010')}",
        {
            ("below_floor", "2010 cus_1 USD"),
            ("unbalanced_entry", "top_up"),
            ("single_legged_entry", "top_up"),
            ("content_hash_mismatch", "top_up"),
            ("trial_balance_off", "USD"),
        },
    ),
    "an account's side was turned": (
        lambda _ids: "UPDATE ledger_account SET normal_side = 'debit' WHERE code = '2020'",
        {("account_off_chart", "2020")},
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_found_and_ends_the_command_with_1(
    damage: str, books: dict[str, str], owner_connection: Owner
) -> None:
    statement, expected = DAMAGE[damage]
    with triggers_off(owner_connection):
        for part in statement(books).split(";\n"):
            owner_connection.execute(part)

    assert found() == {(kind, books.get(subject, subject)) for kind, subject in expected}
    code, text = report("--json")
    assert code == 1
    assert json.loads(text)["ok"] is False
    assert set(json.loads(text)["kinds"]) == {kind for kind, _subject in expected}


def test_an_orphaned_posting_is_found(books: dict[str, str], owner_connection: Owner) -> None:
    with triggers_off(owner_connection):
        owner_connection.execute("DELETE FROM ledger_journalentry WHERE public_id = %s", [books["capture"]])
        owner_connection.execute("DELETE FROM ledger_account WHERE code = '2010'")

    assert {kind for kind, _subject in found()} >= {"posting_without_entry", "posting_without_account"}


def test_a_second_reversal_is_found(books: dict[str, str], owner_connection: Owner) -> None:
    index = "an_entry_is_reversed_once_so_post_a_new_entry_instead"
    undo = f"""SET session_replication_role = replica;
               DELETE FROM ledger_posting; DELETE FROM ledger_journalentry;
               RESET session_replication_role;
               CREATE UNIQUE INDEX {index} ON ledger_journalentry (reverses_id) WHERE reverses_id IS NOT NULL"""
    with undone(owner_connection, f"DROP INDEX {index}", undo=undo):
        with triggers_off(owner_connection):
            owner_connection.execute(
                """UPDATE ledger_journalentry SET reverses_id = (SELECT id FROM ledger_journalentry WHERE public_id = %s)
                    WHERE public_id = %s""",
                [books["wrong"], books["spend"]],
            )

        assert found() == {
            ("double_reversal", books["wrong"]),
            ("content_hash_mismatch", books["spend"]),
            ("missing_constraint", index),
        }


def test_a_disabled_trigger_is_found(owner_connection: Owner) -> None:
    alter = "ALTER TABLE ledger_posting {} TRIGGER postings_are_append_only"
    with undone(owner_connection, alter.format("DISABLE"), undo=alter.format("ENABLE")):
        assert found() == {("disabled_trigger", "postings_are_append_only")}
    assert found() == set()


def test_a_missing_trigger_is_found(owner_connection: Owner) -> None:
    create = """CREATE TRIGGER postings_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_posting
                FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change()"""
    with undone(owner_connection, "DROP TRIGGER postings_are_append_only ON ledger_posting", undo=create):
        assert found() == {("missing_trigger", "postings_are_append_only")}


def test_a_trigger_function_that_lets_everything_pass_is_found(owner_connection: Owner) -> None:
    original = owner_connection.execute("SELECT pg_get_functiondef('ledger_check_entry'::regproc)").fetchone()
    assert original is not None
    harmless = "CREATE OR REPLACE FUNCTION ledger_check_entry() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$"
    with undone(owner_connection, harmless, undo=original[0]):
        assert found() == {("changed_function", "ledger_check_entry")}


def test_a_missing_foreign_key_is_found(owner_connection: Owner) -> None:
    name = "a_posting_uses_an_account_of_its_own_currency"
    create = f"""ALTER TABLE ledger_posting ADD CONSTRAINT {name}
                 FOREIGN KEY (account_id, currency) REFERENCES ledger_account (id, currency)"""
    with undone(owner_connection, f"ALTER TABLE ledger_posting DROP CONSTRAINT {name}", undo=create):
        assert found() == {("missing_constraint", name)}


def test_one_role_for_both_jobs_is_found(live_env: dict[str, str]) -> None:
    owner = {"DATABASE_URL": services.owner_url()}
    command = [sys.executable, "manage.py", "verify_ledger", "--json"]

    ended = subprocess.run(
        command, cwd=services.ROOT, env={**live_env, **owner}, capture_output=True, text=True, check=False
    )

    assert ended.returncode == 1, ended.stderr
    assert [(item["kind"], item["subject"]) for item in json.loads(ended.stdout)["findings"]] == [
        ("table_owned_by_application", "ledger_account"),
        ("table_owned_by_application", "ledger_closedday"),
        ("table_owned_by_application", "ledger_journalentry"),
        ("table_owned_by_application", "ledger_posting"),
    ]


def test_every_trigger_of_the_migrations_is_watched(owner_connection: Owner) -> None:
    rows = owner_connection.execute(
        """SELECT tgname, proname FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid
            WHERE NOT tgisinternal AND tgrelid IN
              ('ledger_account'::regclass, 'ledger_journalentry'::regclass, 'ledger_posting'::regclass,
               'ledger_closedday'::regclass)"""
    ).fetchall()

    assert dict(rows) == proofs._TRIGGERS


def proof_of_another_app() -> list[Finding]:
    return [Finding("suspense_off", "USD", "suspense is 100, open money reviews are 0")]


def test_proofs_of_other_apps_count(books: dict[str, str], settings: Any) -> None:
    settings.LEDGER_PROOFS = ["tests.ledger.test_verify_ledger.proof_of_another_app"]

    assert report() == (1, "suspense_off (1)\n  USD: suspense is 100, open money reviews are 0\n1 findings.\n")


def test_a_flood_of_one_kind_is_cut_off(
    books: dict[str, str], owner_connection: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proofs, "FINDINGS_PER_KIND", 2)
    with triggers_off(owner_connection):
        owner_connection.execute("UPDATE ledger_journalentry SET subject = 'pay_9'")

    assert [finding.kind for finding in verify_books()] == ["content_hash_mismatch"] * 2
