"""Replay: the dry run says what would change and leaves nothing; the replay does it once, for those who may."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from payments.errors import Forbidden, NotFound
from payments.models import GatewayAccount, InboundEvent, Transition
from payments.services.actors import SYSTEM, Actor
from payments.services.inbox import preview_replay, replay_event
from payments.states import PaymentState
from tests.payments.inbox.conftest import SetClock, assert_exactly_once, drained, store, waiting_payment
from tests.payments.inbox.deliveries import WHEN, deliver, sale

pytestmark = pytest.mark.django_db
OPERATOR = Actor(label="olivia", permissions=frozenset({"payments.replay_event"}))


def poisoned(account: GatewayAccount, transaction_id: str = "9001") -> InboundEvent:
    """An event that failed five times for a reason that is mended by now."""
    attempt = waiting_payment(account)
    event = store(sale(transaction_id, attempt.reference))
    InboundEvent.objects.filter(pk=event.pk).update(
        state="poisoned", attempts=5, error="ZeroDivisionError: x", next_check_at=None
    )
    event.refresh_from_db()
    return event


def everything() -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace")
        tables = sorted(row[0] for row in cursor.fetchall())
        found = {}
        for table in tables:
            cursor.execute(f'SELECT t::text FROM "{table}" t ORDER BY 1')
            found[table] = cursor.fetchall()
    return found


class TestPreview:
    def test_it_says_what_would_change(self, account: GatewayAccount) -> None:
        event = poisoned(account)

        preview = preview_replay(event.public_id, now=WHEN)

        assert (preview.event_type, preview.state, preview.error) == ("transaction.sale.success", "applied", "")
        assert preview.changes_anything
        (fact,) = preview.facts
        assert (fact.fact, fact.gateway_id, fact.verdict) == ("capture", "9001", "apply")
        assert fact.because == "The gateway took 12.34 USD."
        assert "payment: pending → captured" in fact.changes
        assert "journal entry: movement:nmi:9001:capture" in fact.changes

    def test_it_leaves_nothing(self, account: GatewayAccount) -> None:
        event = poisoned(account)
        before = everything()

        preview_replay(event.public_id, now=WHEN)

        assert everything() == before

    @pytest.mark.django_db(transaction=True)
    def test_it_leaves_nothing_outside_a_test_transaction_either(
        self, account: GatewayAccount, owner_connection: psycopg.Connection
    ) -> None:
        event = poisoned(account)
        before = everything()

        preview_replay(event.public_id, now=WHEN)

        assert everything() == before
        held = "SELECT count(*) FROM pg_locks JOIN pg_database AS d ON d.oid = database WHERE locktype = 'advisory' AND"
        locks = owner_connection.execute(f"{held} datname = current_database()").fetchone()  # others share the server
        assert locks == (0,)

    def test_of_an_applied_event_nothing_would_change(self, account: GatewayAccount, clock: SetClock) -> None:
        event = store(sale("9001", waiting_payment(account).reference))
        drained(clock)

        preview = preview_replay(event.public_id, now=WHEN)

        assert not preview.changes_anything
        assert (preview.state, preview.facts[0].verdict) == ("ignored", "no_op")

    def test_of_garbage_it_says_that_it_stays_parked(self, account: GatewayAccount) -> None:
        event = store(deliver(b"garbage"))

        preview = preview_replay(event.public_id, now=WHEN)

        assert (preview.state, preview.facts) == ("parked", ())
        assert preview.outcome.startswith("Unreadable: ")

    def test_of_an_event_that_would_fail_it_says_how(self, account: GatewayAccount) -> None:
        event = poisoned(account)
        GatewayAccount.objects.update(provider="gone")

        preview = preview_replay(event.public_id, now=WHEN)

        assert preview.error.startswith("UnknownProvider: ")
        assert not preview.changes_anything

    def test_an_unknown_event_is_named(self, db: None) -> None:
        with pytest.raises(NotFound, match="evt_nobody"):
            preview_replay("evt_nobody", now=WHEN)


class TestReplay:
    def test_a_poisoned_event_is_applied_with_the_person_as_cause(self, account: GatewayAccount) -> None:
        event = poisoned(account)

        result = replay_event(event.public_id, actor=OPERATOR, now=WHEN)

        assert (result.state, result.error) == ("applied", "")
        event.refresh_from_db()
        assert (event.attempts, event.error, event.handled_at) == (0, "", WHEN)
        transition = Transition.objects.get()
        assert (transition.actor, transition.event_id) == ("olivia", event.pk)
        assert_exactly_once()

    def test_replaying_an_applied_event_makes_nothing_twice(self, account: GatewayAccount, clock: SetClock) -> None:
        event = store(sale("9001", waiting_payment(account).reference))
        drained(clock)

        for _ in range(3):
            assert replay_event(event.public_id, actor=OPERATOR, now=WHEN).state == "ignored"

        assert_exactly_once()

    def test_an_event_of_another_content_type_is_read_once_a_person_says_so(self, account: GatewayAccount) -> None:
        attempt = waiting_payment(account)
        event = store(deliver(sale("9001", attempt.reference).body, content_type="text/plain"))
        assert event.state == "parked"

        assert replay_event(event.public_id, actor=OPERATOR, now=WHEN).state == "applied"
        attempt.payment.refresh_from_db()
        assert attempt.payment.state == PaymentState.CAPTURED

    def test_an_event_that_fails_again_keeps_its_error_and_is_tried_again_by_itself(
        self, account: GatewayAccount
    ) -> None:
        event = poisoned(account)
        GatewayAccount.objects.update(provider="gone")

        result = replay_event(event.public_id, actor=OPERATOR, now=WHEN)

        assert result.error.startswith("UnknownProvider: ")
        event.refresh_from_db()
        assert (event.attempts, event.next_check_at is not None) == (1, True)

    def test_without_the_right_nothing_happens(self, account: GatewayAccount) -> None:
        event = poisoned(account)

        with pytest.raises(Forbidden):
            replay_event(event.public_id, actor=Actor(label="sam"), now=WHEN)

        event.refresh_from_db()
        assert (event.state, event.attempts) == ("poisoned", 5)
        assert_exactly_once(movements=0)

    def test_an_unknown_event_is_named(self, db: None) -> None:
        with pytest.raises(NotFound, match="evt_nobody"):
            replay_event("evt_nobody", actor=SYSTEM, now=WHEN)


class TestCommand:
    def run(self, *arguments: str) -> dict[str, Any]:
        out = StringIO()
        call_command("replay_events", *arguments, "--json", stdout=out)
        shown: dict[str, Any] = json.loads(out.getvalue())
        return shown

    def test_it_replays_all_parked_and_poisoned_events(self, account: GatewayAccount) -> None:
        poisoned(account, "9001")
        poisoned(account, "9002")
        store(sale("9003", waiting_payment(account).reference))

        shown = self.run()

        assert [event["state"] for event in shown["events"]] == ["applied", "applied"]
        assert (shown["dry_run"], shown["failed"]) == (False, 0)
        assert_exactly_once(movements=2)

    def test_a_dry_run_shows_and_changes_nothing(self, account: GatewayAccount) -> None:
        event = poisoned(account)
        before = everything()

        shown = self.run("--dry-run", "--event", event.public_id)

        (one,) = shown["events"]
        assert (one["event_id"], one["state"]) == (event.public_id, "applied")
        assert "payment: pending → captured" in one["facts"][0]["changes"]
        assert everything() == before

    def test_one_that_fails_again_exits_1(self, account: GatewayAccount) -> None:
        poisoned(account)
        GatewayAccount.objects.update(provider="gone")

        with pytest.raises(SystemExit) as ended:
            self.run("--state", "poisoned")
        assert ended.value.code == 1

    def test_it_speaks_to_people_too(self, account: GatewayAccount) -> None:
        event = poisoned(account)
        out = StringIO()

        call_command("replay_events", "--dry-run", stdout=out)

        assert event.public_id in out.getvalue()
        assert "payment: pending → captured" in out.getvalue()
        assert "1 events." in out.getvalue()

    @pytest.mark.parametrize(
        ("arguments", "complaint"),
        [
            (["--state", "rotten"], "no event state 'rotten'"),
            (["--state", ""], "no event state ''"),
            (["--event", "evt_nobody"], "There is no event evt_nobody."),
        ],
    )
    def test_wrong_arguments_are_named(self, db: None, arguments: list[str], complaint: str) -> None:
        with pytest.raises(CommandError, match=complaint):
            self.run(*arguments)
