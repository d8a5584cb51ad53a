"""Do switches and pauses say who stopped what and why, refuse whoever may not, and hold against two people at once?"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError

from payments.errors import CardNumberRefused, Conflict, Forbidden, InvalidInput, NotAllowedNow, NotFound
from payments.models import GatewayAccount, HealthEvent, Switch
from payments.services.actors import Actor
from payments.services.health import why_not
from payments.services.switches import (
    lift_switch,
    pause_account,
    resume_account,
    stopped_charges,
    stopped_everything,
    throw_switch,
)
from tests.payments.health.scenes import at_once

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=7)
RIGHT = frozenset({"payments.throw_switch"})
OLGA, KATE = Actor("olga", permissions=RIGHT), Actor("kate", permissions=RIGHT)
NOBODY = Actor("sam")

pytestmark = pytest.mark.django_db(transaction=True)


def throw(kind: str = "charges", reason: str = "fraud wave", actor: Actor = OLGA) -> Switch:
    return throw_switch(kind, reason=reason, actor=actor, now=NOW)


def lift(kind: str = "charges", reason: str = "it is over", actor: Actor = KATE, seen: int | None = None) -> Switch:
    return lift_switch(kind, reason=reason, actor=actor, now=LATER, seen=seen)


class TestStopping:
    def test_stopping_charges_stops_nothing_else(self) -> None:
        assert (stopped_charges(), stopped_everything()) == ("", "")
        throw()

        assert stopped_charges() == "New charges are stopped by olga: fraud wave"
        assert stopped_everything() == ""

    def test_stopping_everything_stops_charges_as_well(self) -> None:
        throw()
        throw("everything", "bank incident", KATE)

        assert stopped_everything() == "All sending is stopped by kate: bank incident"
        assert stopped_charges() == stopped_everything()

    def test_twice_by_the_same_person_is_once(self) -> None:
        assert throw().pk == throw(reason=" fraud  wave ").pk
        assert Switch.objects.count() == HealthEvent.objects.count() == 1

    def test_somebody_else_is_told_who_was_first(self) -> None:
        throw()
        with pytest.raises(Conflict, match="olga stopped it at 12:00 UTC: fraud wave"):
            throw(actor=KATE)

    def test_of_eight_people_at_once_one_stops_it(self) -> None:
        def one(number: int) -> str:
            try:
                return throw(actor=Actor(f"person {number}", permissions=RIGHT)).thrown_by
            except Conflict as conflict:
                return str(conflict)

        told = at_once(8, one)
        winner = Switch.objects.get().thrown_by
        assert told.count(winner) == 1
        assert sum(winner in words for words in told) == 8
        assert HealthEvent.objects.count() == 1

    @pytest.mark.parametrize("reason", ["", "   "])
    def test_needs_a_reason(self, reason: str) -> None:
        with pytest.raises(InvalidInput):
            throw(reason=reason)

    def test_refuses_what_can_not_be_kept(self) -> None:
        with pytest.raises(InvalidInput, match="301 characters"):
            throw(reason="x" * 301)
        with pytest.raises(CardNumberRefused):
            throw(reason="card 4111 1111 1111 1111 again")
        with pytest.raises(InvalidInput, match="no switch"):
            throw("refunds")
        assert not Switch.objects.exists()


class TestLifting:
    def test_says_who_and_why_and_keeps_both(self) -> None:
        throw()
        lift()

        assert stopped_charges() == ""
        switch = Switch.objects.get()
        assert (switch.lifted_by, switch.lifted_because, switch.lifted_at) == ("kate", "it is over", LATER)
        events = [(e.what, e.because, e.actor) for e in HealthEvent.objects.order_by("id")]
        assert events == [
            ("stopped new charges", "fraud wave", "olga"),
            ("resumed new charges", "it is over", "kate"),
        ]

    def test_twice_by_the_same_person_is_once(self) -> None:
        throw()
        assert lift().pk == lift().pk
        assert HealthEvent.objects.count() == 2

    def test_somebody_else_is_told_who_was_first(self) -> None:
        throw()
        lift()
        with pytest.raises(Conflict, match="kate lifted it at 12:07 UTC: it is over"):
            lift(actor=OLGA)

    def test_a_switch_thrown_anew_meanwhile_is_not_lifted(self) -> None:
        seen = throw().pk
        lift()
        throw(reason="it is back")

        with pytest.raises(Conflict, match="olga stopped it anew"):
            lift(actor=KATE, seen=seen)
        assert stopped_charges()

    def test_what_was_never_stopped_can_not_be_lifted(self) -> None:
        with pytest.raises(NotAllowedNow):
            lift()

    def test_needs_a_reason(self) -> None:
        throw()
        with pytest.raises(InvalidInput):
            lift(reason="")
        assert stopped_charges()


class TestPausing:
    def pause(self, reason: str = "maintenance", actor: Actor = OLGA) -> GatewayAccount:
        return pause_account("nmi", reason=reason, actor=actor, now=NOW)

    def resume(self, reason: str = "done", actor: Actor = KATE) -> GatewayAccount:
        return resume_account("nmi", reason=reason, actor=actor, now=LATER)

    def test_bars_new_payments_until_resumed(self, account: GatewayAccount) -> None:
        paused = self.pause()
        assert why_not(paused, payment_id=1, now=NOW) == "paused by olga: maintenance"

        assert why_not(self.resume(), payment_id=1, now=NOW) == ""
        assert [e.what for e in account.health_events.order_by("id")] == ["paused", "resumed"]

    def test_twice_is_once_and_somebody_else_is_told(self, account: GatewayAccount) -> None:
        self.pause()
        self.pause()
        with pytest.raises(Conflict, match="olga paused it at 12:00 UTC already: maintenance"):
            self.pause(actor=KATE)
        self.resume()
        self.resume()
        with pytest.raises(Conflict, match="kate resumed it at 12:07 UTC already: done"):
            self.resume(actor=OLGA)
        assert account.health_events.count() == 2

    def test_what_is_not_paused_can_not_be_resumed(self, account: GatewayAccount) -> None:
        with pytest.raises(NotAllowedNow):
            self.resume()

    def test_names_an_account_that_is_not_there(self) -> None:
        with pytest.raises(NotFound):
            pause_account("nowhere", reason="x", actor=OLGA, now=NOW)


@pytest.mark.parametrize(
    "command",
    [
        lambda: throw(actor=NOBODY),
        lambda: lift(actor=NOBODY),
        lambda: pause_account("nmi", reason="x", actor=NOBODY, now=NOW),
        lambda: resume_account("nmi", reason="x", actor=NOBODY, now=NOW),
    ],
    ids=["throw", "lift", "pause", "resume"],
)
def test_whoever_may_not_is_refused(account: GatewayAccount, command: Callable[[], object]) -> None:
    with pytest.raises(Forbidden):
        command()
    assert not HealthEvent.objects.exists()


def test_what_was_said_stays_said() -> None:
    throw()
    with pytest.raises(DatabaseError, match="append-only"):
        HealthEvent.objects.update(because="something else")
