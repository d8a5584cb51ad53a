"""Does a closed day take nothing any more, from anybody, also from a posting that races the close?"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest
from django.db import IntegrityError, connection, transaction
from django.db.utils import OperationalError

from ledger.errors import DayNotClosable, NotInTransaction
from ledger.models import ClosedDay, JournalEntry
from ledger.queries import closed_through, day_digest, entry_by_source_key, verify_books
from ledger.services import Closed, close_book, reopen_book, reverse_entry
from ledger.services.book_lock import take_alone
from tests import services
from tests.ledger.books import NOON, capture, post

TENTH, ELEVENTH = date(2026, 3, 10), date(2026, 3, 11)
LATER = datetime(2026, 3, 13, 9, 0, tzinfo=UTC)


def close(day: date = TENTH, now: datetime = LATER) -> Closed:
    with transaction.atomic():
        return close_book(day, actor="fay", now=now)


def booked(key: str) -> date:
    found = entry_by_source_key(key)
    assert found is not None
    return found.booked_on


@pytest.mark.django_db
class TestClosing:
    def test_covers_everything_up_to_the_day_and_is_said_by_the_books(self) -> None:
        post(capture("mov_1"), capture("mov_2", at=NOON - timedelta(days=40)))
        post(capture("mov_3", at=NOON + timedelta(days=1)))

        closed = close()

        assert (closed.first_day, closed.day, closed.entries.entries_count) == (None, TENTH, 2)
        assert closed_through() == TENTH
        assert closed.entries.debits_minor == {"USD": 2000}

    def test_later_facts_of_it_are_booked_on_the_first_open_day_and_keep_their_own_time(self) -> None:
        close()
        late = post(capture("mov_late", at=NOON), now=LATER)[0]

        assert late.booked_on == ELEVENTH
        assert JournalEntry.objects.get(source_key="mov_late").occurred_at == NOON

    def test_two_days_later_they_go_behind_both(self) -> None:
        close()
        close(ELEVENTH)
        assert post(capture("mov_late"), now=LATER)[0].booked_on == date(2026, 3, 12)

    def test_a_reversal_of_a_closed_entry_is_booked_when_it_is_made(self) -> None:
        (entry,) = post(capture("mov_1"))
        close()
        with transaction.atomic():
            mirror = reverse_entry(entry.public_id, source_key="undo", reason="wrong", actor="fay", now=LATER)
        assert mirror.booked_on == LATER.date()

    def test_posting_the_same_again_returns_the_closed_entry(self) -> None:
        post(capture("mov_1"))
        close()
        again = post(capture("mov_1"), now=LATER)[0]
        assert (again.is_new, again.booked_on) == (False, TENTH)

    @pytest.mark.parametrize(
        ("day", "now", "says"),
        [
            (LATER.date(), LATER, "is not over yet"),
            (TENTH, LATER, "is closed already"),
            (date(2026, 3, 9), LATER, "is closed already"),
            (date(2026, 3, 12), LATER, "close 2026-03-11 first"),
        ],
    )
    def test_refuses_days_out_of_order(self, day: date, now: datetime, says: str) -> None:
        close()
        with pytest.raises(DayNotClosable, match=says):
            close(day, now)

    def test_is_part_of_a_transaction(self) -> None:
        connection.in_atomic_block, before = False, connection.in_atomic_block
        try:
            for call in (close_book, reopen_book):
                with pytest.raises(NotInTransaction):
                    call(TENTH, actor="fay", now=LATER)
        finally:
            connection.in_atomic_block = before


@pytest.mark.django_db
class TestReopening:
    def test_takes_the_last_day_only_and_lets_it_be_closed_anew(self) -> None:
        post(capture("mov_1"))
        close()
        close(ELEVENTH)
        with transaction.atomic(), pytest.raises(DayNotClosable, match="not the last closed day; that is 2026-03-11"):
            reopen_book(TENTH, actor="fay", now=LATER)

        with transaction.atomic():
            reopen_book(ELEVENTH, actor="fay", now=LATER)
        assert closed_through() == TENTH
        assert post(capture("mov_2", at=NOON + timedelta(days=1)), now=LATER)[0].booked_on == ELEVENTH
        assert close(ELEVENTH).entries.entries_count == 1
        assert ClosedDay.objects.filter(day=ELEVENTH).count() == 2


@pytest.mark.django_db
class TestTheDatabaseItself:
    def test_refuses_an_entry_on_a_closed_day_with_advice(self) -> None:
        close()
        with pytest.raises(IntegrityError, match="closed through 2026-03-10") as refusal, transaction.atomic():
            _raw_entry("raw_1", "2026-03-10")
        assert "first open day" in refusal.value.__cause__.diag.message_hint

    @pytest.mark.parametrize(
        ("statement", "says"),
        [
            ("DELETE FROM ledger_closedday", "kept for ever"),
            ("TRUNCATE ledger_closedday", "kept for ever"),
            ("UPDATE ledger_closedday SET day = day - 1", "keeps what it says"),
            ("UPDATE ledger_closedday SET entries_digest = 'x'", "keeps what it says"),
        ],
    )
    def test_keeps_closes_as_they_are(self, statement: str, says: str) -> None:
        close()
        with pytest.raises(IntegrityError, match=says), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)

    def test_lets_a_reopening_be_noted_once(self) -> None:
        close()
        with transaction.atomic():
            reopen_book(TENTH, actor="fay", now=LATER)
        again = "UPDATE ledger_closedday SET reopened_at = NULL"
        with pytest.raises(IntegrityError, match="noted once"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(again)


@pytest.mark.django_db(transaction=True)
class TestRaces:
    """Two connections: whoever posts holds the book open, whoever closes waits and is alone."""

    @pytest.fixture
    def other(self) -> Iterator[psycopg.Connection]:
        with psycopg.connect(services.owner_url()) as held:
            yield held

    def test_a_posting_under_way_is_waited_for_and_counted(self, other: psycopg.Connection) -> None:
        post(capture("mov_0"))
        other.execute("SELECT pg_advisory_xact_lock_shared(4710002)")
        closed: list[Closed] = []

        def closing_there() -> None:
            closed.append(close())
            connection.close()

        closing = threading.Thread(target=closing_there)
        closing.start()
        _wait_until_blocked()
        _raw_entry_by(other, "mov_raw", "2026-03-10")
        other.commit()
        closing.join(60)

        assert closed[0].entries.entries_count == 2

    def test_a_posting_that_comes_while_a_close_is_under_way_lands_on_the_next_day(
        self, other: psycopg.Connection
    ) -> None:
        other.execute("SELECT pg_advisory_xact_lock(4710002)")

        def posting_there() -> None:
            post(capture("mov_1"), now=LATER)
            connection.close()

        posting = threading.Thread(target=posting_there)
        posting.start()
        _wait_until_blocked()
        other.execute(
            """INSERT INTO ledger_closedday (day, closed_at, closed_by, entries_count, entries_digest, reopened_by)
               VALUES ('2026-03-10', now(), 'fay', 0, 'x', '')"""
        )
        other.commit()
        posting.join(60)

        assert booked("mov_1") == ELEVENTH

    def test_a_raw_posting_that_comes_while_a_close_is_under_way_is_refused(self, other: psycopg.Connection) -> None:
        refused: list[Exception] = []

        def posting() -> None:
            try:
                _raw_entry("raw_1", "2026-03-10")
            except IntegrityError as error:
                refused.append(error)
            connection.close()

        with transaction.atomic():
            take_alone(wait_seconds=60)
            thread = threading.Thread(target=posting)
            thread.start()
            _wait_until_blocked()
            close_book(TENTH, actor="fay", now=LATER)
        thread.join(60)

        assert "closed through 2026-03-10" in str(refused[0])

    def test_a_close_does_not_wait_for_ever(self, other: psycopg.Connection) -> None:
        other.execute("SELECT pg_advisory_xact_lock_shared(4710002)")
        with pytest.raises(OperationalError, match="lock timeout"), transaction.atomic():
            take_alone(wait_seconds=1)


@pytest.mark.django_db(transaction=True)
def test_damage_to_a_closed_day_is_found_whoever_did_it() -> None:
    post(capture("mov_1"), capture("mov_2"))
    close()
    assert verify_books() == []
    with psycopg.connect(services.owner_url()) as owner:
        owner.execute("SET session_replication_role = replica")
        owner.execute(
            "UPDATE ledger_journalentry SET occurred_at = occurred_at - interval '1 day' WHERE source_key = 'mov_1'"
        )
    assert [(finding.kind, finding.subject) for finding in verify_books()] == [("closed_day_changed", "2026-03-10")]


@pytest.mark.django_db
def test_the_digest_tells_every_column_apart() -> None:
    post(capture("mov_1"))
    first = day_digest(None, TENTH)
    post(capture("mov_2"))
    assert day_digest(None, TENTH).digest != first.digest
    assert day_digest(ELEVENTH, ELEVENTH).entries_count == 0


_ENTRY = """
WITH header AS (
  INSERT INTO ledger_journalentry (public_id, source_key, content_hash, subject, description, actor, occurred_at,
                                   posted_at, booked_on)
  VALUES ('je_' || %(key)s, %(key)s, 'h', 'pay_1', '', '', now(), '2026-03-13 09:00Z', %(day)s)
  RETURNING id, booked_on, posted_at)
INSERT INTO ledger_posting (entry_id, account_id, currency, amount_minor, match_key, booked_on, posted_at)
SELECT header.id, account.id, 'USD', CASE account.code WHEN '1110' THEN 5 ELSE -5 END, 'p', header.booked_on, header.posted_at
  FROM header, ledger_account AS account WHERE account.currency = 'USD' AND account.code IN ('1110', '2020')
"""


def _raw_entry(key: str, day: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_ENTRY, {"key": key, "day": day})


def _raw_entry_by(other: psycopg.Connection, key: str, day: str) -> None:
    other.execute(_ENTRY, {"key": key, "day": day})


def _wait_until_blocked() -> None:
    """Until somebody waits for the book: `pg_locks` says so."""
    with psycopg.connect(services.owner_url(), autocommit=True) as looking:
        for _ in range(3000):
            waiting = looking.execute(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = 4710002"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            ).fetchone()
            if waiting and waiting[0]:
                return
            threading.Event().wait(0.02)
    raise AssertionError("nobody waits for the book")
