"""Does a second person decide, and only on what both saw? Every refusal leaves the tables as they were."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest
from django.contrib.auth.models import User

from payments.errors import Conflict, Forbidden, InvalidInput, NotFound
from payments.models import Approval, PaymentMethod
from payments.services.actors import Actor
from payments.services.approvals import approve, ask_approval, expire_due, prepare, refusal_of, reject, withdraw
from payments.services.sweep import sweep
from payments.states import ApprovalState
from tests.payments.approvals.people import REASON, Lamp, agree, at_once, method, person
from tests.payments.factories import Clock

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lamp(monkeypatch: pytest.MonkeyPatch) -> Lamp:
    return Lamp(monkeypatch)


@pytest.fixture
def maker() -> Actor:
    return person("mia", "operator")


@pytest.fixture
def checker() -> Actor:
    return person("carl")


@pytest.fixture
def row() -> PaymentMethod:
    return method()


@pytest.fixture
def asked(lamp: Lamp, maker: Actor, row: PaymentMethod, clock: Clock) -> Approval:
    return lamp.ask(maker, row, clock)


def brand(row: PaymentMethod) -> str:
    row.refresh_from_db()
    return row.brand


def state(approval: Approval) -> str:
    approval.refresh_from_db()
    return approval.state


class TestAsking:
    def test_says_what_is_asked_by_whom_why_and_until_when(self, asked: Approval, clock: Clock) -> None:
        assert asked.shown == [["Brand", "visa"], ["Digits", "4242"], ["Becomes", "green"]]
        assert (asked.asked_by, asked.reason, asked.state) == ("mia", REASON, "pending")
        assert asked.due_at == asked.expires_at == asked.asked_at + timedelta(hours=2)

    def test_the_same_again_is_the_same_request(
        self, asked: Approval, lamp: Lamp, maker: Actor, row: PaymentMethod, clock: Clock
    ) -> None:
        assert lamp.ask(maker, row, clock) == asked
        assert Approval.objects.count() == 1

    def test_something_else_while_one_stands_is_a_conflict_that_names_who(
        self, asked: Approval, lamp: Lamp, maker: Actor, checker: Actor, row: PaymentMethod, clock: Clock
    ) -> None:
        with pytest.raises(Conflict, match=f"mia has asked for something else here already .{asked.public_id}"):
            lamp.ask(maker, row, clock, "red")
        with pytest.raises(Conflict, match="mia has asked for this already"):
            lamp.ask(checker, row, clock)
        assert Approval.objects.count() == 1

    def test_a_request_that_would_be_void_makes_room(
        self, asked: Approval, lamp: Lamp, maker: Actor, row: PaymentMethod, clock: Clock
    ) -> None:
        PaymentMethod.objects.update(brand="amex")
        again = lamp.ask(maker, row, clock)
        assert again != asked
        assert state(asked) == ApprovalState.OUTDATED
        assert asked.outcome == "Asked for anew. Brand was visa, is amex."
        assert lamp.heard == [f"{row.public_id} outdated"]

    @pytest.mark.parametrize("reason", ["", "    ", "why"])
    def test_needs_a_reason(self, lamp: Lamp, maker: Actor, row: PaymentMethod, clock: Clock, reason: str) -> None:
        with pytest.raises(InvalidInput, match="reason"):
            ask_approval(lamp.name, row.public_id, {"brand": "red"}, reason=reason, actor=maker, now=clock())
        assert not Approval.objects.exists()

    def test_needs_the_right_of_the_command(self, lamp: Lamp, row: PaymentMethod, clock: Clock) -> None:
        with pytest.raises(Forbidden, match="block method"):
            lamp.ask(person("sue", "support"), row, clock)
        assert not Approval.objects.exists()

    def test_an_unknown_command_is_refused(self, maker: Actor, clock: Clock) -> None:
        with pytest.raises(InvalidInput, match="sell_the_shop"):
            ask_approval("sell_the_shop", "x", {}, reason=REASON, actor=maker, now=clock())

    def test_of_twelve_at_once_there_is_one(self, lamp: Lamp, maker: Actor, row: PaymentMethod, clock: Clock) -> None:
        answers = at_once([lambda: lamp.ask(maker, row, clock).public_id] * 12)
        assert len(set(answers)) == 1
        assert Approval.objects.count() == 1


class TestAgreeing:
    def test_carries_out_as_both_people(
        self, asked: Approval, lamp: Lamp, row: PaymentMethod, checker: Actor, clock: Clock
    ) -> None:
        done = agree(asked, checker, clock)
        assert brand(row) == "green"
        assert (done.state, done.decided_by) == ("executed", "carl")
        assert done.outcome == "Painted for mia, agreed by carl."
        assert lamp.asked == [row.public_id]
        assert lamp.heard == []

    def test_pressing_twice_carries_out_once(
        self, asked: Approval, row: PaymentMethod, checker: Actor, clock: Clock
    ) -> None:
        first = agree(asked, checker, clock)
        PaymentMethod.objects.update(brand="amex")
        assert agree(asked, checker, clock).decided_at == first.decided_at
        assert brand(row) == "amex"

    def test_a_second_checker_is_told_who_was_first(self, asked: Approval, checker: Actor, clock: Clock) -> None:
        agree(asked, checker, clock)
        with pytest.raises(Conflict, match=r"executed already, by carl\. Painted for mia"):
            agree(asked, person("dora"), clock)

    def test_what_was_not_shown_is_not_agreed_to(
        self, asked: Approval, row: PaymentMethod, checker: Actor, clock: Clock
    ) -> None:
        with pytest.raises(Conflict, match="not what is asked for"):
            agree(asked, checker, clock, digest="0" * 64)
        assert (brand(row), state(asked)) == ("visa", "pending")

    def test_a_changed_subject_voids_the_request_and_says_what_differs(
        self, asked: Approval, lamp: Lamp, row: PaymentMethod, checker: Actor, clock: Clock
    ) -> None:
        PaymentMethod.objects.update(last_four="1111")
        done = agree(asked, checker, clock)
        assert (done.state, brand(row)) == ("outdated", "visa")
        assert done.outcome == "Not carried out: Digits was 4242, is 1111."
        assert lamp.heard == [f"{row.public_id} outdated"]

    def test_tampered_arguments_void_the_request(
        self, asked: Approval, row: PaymentMethod, checker: Actor, clock: Clock
    ) -> None:
        Approval.objects.update(arguments={"brand": "gold"})
        assert agree(asked, checker, clock).state == "outdated"
        assert brand(row) == "visa"

    def test_a_refusal_of_the_command_takes_back_what_it_wrote(
        self, asked: Approval, lamp: Lamp, row: PaymentMethod, checker: Actor, clock: Clock
    ) -> None:
        lamp.refuses = "The paint has dried."
        done = agree(asked, checker, clock)
        assert (done.state, done.outcome) == ("outdated", "Not carried out: The paint has dried.")
        assert brand(row) == "visa"

    def test_an_error_of_the_command_leaves_everything_as_it_was(
        self, asked: Approval, lamp: Lamp, row: PaymentMethod, checker: Actor, clock: Clock
    ) -> None:
        lamp.breaks = ZeroDivisionError()
        with pytest.raises(ZeroDivisionError):
            agree(asked, checker, clock)
        assert (brand(row), state(asked), lamp.heard) == ("visa", "pending", [])

    def test_after_its_time_nobody_can(
        self, asked: Approval, lamp: Lamp, row: PaymentMethod, checker: Actor, clock: Clock
    ) -> None:
        clock.pass_(hours=2, seconds=1)
        assert agree(asked, checker, clock).state == "expired"
        assert (brand(row), lamp.asked, lamp.heard) == ("visa", [], [f"{row.public_id} expired"])

    def test_a_maker_who_left_or_lost_the_right_is_not_acted_for(
        self, asked: Approval, row: PaymentMethod, checker: Actor, clock: Clock
    ) -> None:
        User.objects.filter(username="mia").update(is_active=False)
        done = agree(asked, checker, clock)
        assert (done.state, brand(row)) == ("outdated", "visa")
        assert "mia, who asked for this, no longer works here" in done.outcome

    def test_a_maker_moved_to_support_is_not_acted_for(
        self, asked: Approval, row: PaymentMethod, checker: Actor, clock: Clock
    ) -> None:
        person("mia", "support")
        assert agree(asked, checker, clock).state == "outdated"
        assert brand(row) == "visa"

    def test_two_checkers_at_once_carry_out_once(
        self, asked: Approval, row: PaymentMethod, checker: Actor, clock: Clock
    ) -> None:

        def decide(who: Actor) -> str:
            return agree(asked, who, clock).state

        answers = at_once([partial(decide, person(f"checker-{n}")) for n in range(6)])
        assert answers.count("executed") == 1
        assert (
            sum(answer.startswith("Conflict: The request is executed already, by checker-") for answer in answers) == 5
        )

    def test_agreeing_and_withdrawing_at_once_end_one_way(
        self, asked: Approval, row: PaymentMethod, maker: Actor, checker: Actor, clock: Clock
    ) -> None:
        at_once(
            [
                lambda: agree(asked, checker, clock).state,
                lambda: withdraw(asked.public_id, actor=maker, now=clock()).state,
            ]
        )
        assert (state(asked), brand(row)) in {("executed", "green"), ("rejected", "visa")}


MAKER_AGAIN = {
    "the same user": lambda mia: mia,
    "the same user under another name": lambda mia: Actor("m.", mia.user_id, mia.permissions),
    "another user of the same name": lambda mia: Actor("Mia ", (mia.user_id or 0) + 999, mia.permissions),
}


class TestPreparing:
    def test_asks_anew_and_decides_nothing(
        self, asked: Approval, lamp: Lamp, row: PaymentMethod, checker: Actor, clock: Clock
    ) -> None:
        prepared = prepare(asked.public_id, actor=checker, clock=clock)
        assert (prepared.digest, prepared.changed) == (asked.digest, "")
        assert ("Becomes", "green") in prepared.lines
        assert lamp.asked == [row.public_id]
        assert (brand(row), state(asked)) == ("visa", "pending")

    def test_says_what_is_no_longer_so(self, asked: Approval, checker: Actor, clock: Clock) -> None:
        PaymentMethod.objects.update(brand="amex")
        assert prepare(asked.public_id, actor=checker, clock=clock).changed == "Brand was visa, is amex."

    def test_is_for_nobody_who_could_not_decide(
        self, asked: Approval, lamp: Lamp, maker: Actor, checker: Actor, clock: Clock
    ) -> None:
        with pytest.raises(Forbidden):
            prepare(asked.public_id, actor=maker, clock=clock)
        clock.pass_(hours=3)
        with pytest.raises(Conflict, match="expired"):
            prepare(asked.public_id, actor=checker, clock=clock)
        assert lamp.asked == []


class TestWhoMayDecide:
    @pytest.mark.parametrize("who", MAKER_AGAIN)
    def test_the_maker_never(self, asked: Approval, row: PaymentMethod, clock: Clock, who: str) -> None:
        both = person("mia", "finance")
        actor = MAKER_AGAIN[who](both)
        for decide in (
            lambda: agree(asked, actor, clock),
            lambda: reject(asked.public_id, note="no, never", actor=actor, now=clock()),
        ):
            with pytest.raises(Forbidden, match="another person"):
                decide()
        assert (brand(row), state(asked)) == ("visa", "pending")
        assert "another person" in refusal_of(asked, actor, clock())

    def test_a_person_whose_token_asked_is_the_maker(
        self, lamp: Lamp, row: PaymentMethod, checker: Actor, clock: Clock
    ) -> None:
        token = Actor("API carl", permissions=frozenset({"payments.block_method"}))
        asked = lamp.ask(token, row, clock)
        with pytest.raises(Forbidden, match="another person"):
            agree(asked, checker, clock)
        assert agree(asked, person("dora"), clock).state == "executed"

    def test_a_program_never(self, asked: Approval, row: PaymentMethod, checker: Actor, clock: Clock) -> None:
        token = Actor("API robot", permissions=checker.permissions)
        with pytest.raises(Forbidden, match="a person, signed in"):
            agree(asked, token, clock)
        assert (brand(row), state(asked)) == ("visa", "pending")

    @pytest.mark.parametrize("missing", ["payments.approve", "payments.block_method"])
    def test_nobody_without_both_rights(
        self, asked: Approval, row: PaymentMethod, checker: Actor, clock: Clock, missing: str
    ) -> None:
        without = Actor("carl", checker.user_id, checker.permissions - {missing})
        for decide in (
            lambda: agree(asked, without, clock),
            lambda: reject(asked.public_id, note="no, never", actor=without, now=clock()),
        ):
            with pytest.raises(Forbidden):
                decide()
        assert (brand(row), state(asked)) == ("visa", "pending")
        assert refusal_of(asked, without, clock()).startswith("This needs the right")

    def test_anybody_else_who_holds_them(self, asked: Approval, checker: Actor, clock: Clock) -> None:
        assert refusal_of(asked, checker, clock()) == ""

    def test_a_superuser_holds_nothing_by_that(self, asked: Approval, clock: Clock) -> None:
        root = User.objects.create_superuser("root")
        with pytest.raises(Forbidden):
            agree(asked, Actor.for_user(root), clock)


class TestSayingNo:
    def test_keeps_the_note_and_tells_the_command(
        self, asked: Approval, lamp: Lamp, row: PaymentMethod, checker: Actor, clock: Clock
    ) -> None:
        said = reject(asked.public_id, note="not without the payer", actor=checker, now=clock())
        assert (said.state, said.note, said.decided_by) == ("rejected", "not without the payer", "carl")
        assert (brand(row), lamp.heard) == ("visa", [f"{row.public_id} rejected"])
        assert reject(asked.public_id, note="not without the payer", actor=checker, now=clock()) == said
        assert len(lamp.heard) == 1

    def test_needs_a_note(self, asked: Approval, checker: Actor, clock: Clock) -> None:
        with pytest.raises(InvalidInput):
            reject(asked.public_id, note=" no ", actor=checker, now=clock())
        assert state(asked) == "pending"

    def test_the_maker_takes_it_back(self, asked: Approval, lamp: Lamp, maker: Actor, clock: Clock) -> None:
        for _ in range(2):
            taken = withdraw(asked.public_id, actor=maker, now=clock())
            assert (taken.state, taken.outcome) == ("rejected", "Withdrawn by the person who asked.")
        assert len(lamp.heard) == 1

    def test_nobody_else_takes_it_back(self, asked: Approval, checker: Actor, clock: Clock) -> None:
        with pytest.raises(Forbidden, match="Only mia"):
            withdraw(asked.public_id, actor=checker, now=clock())
        assert state(asked) == "pending"

    def test_after_an_end_there_is_a_new_request(
        self, asked: Approval, lamp: Lamp, maker: Actor, checker: Actor, row: PaymentMethod, clock: Clock
    ) -> None:
        reject(asked.public_id, note="not today", actor=checker, now=clock())
        again = lamp.ask(maker, row, clock)
        assert again != asked
        assert agree(again, checker, clock).state == "executed"
        with pytest.raises(Conflict, match="rejected already, by carl"):
            agree(asked, person("dora"), clock)

    def test_unknown_ids_are_not_found(self, checker: Actor, clock: Clock) -> None:
        for decide in (
            lambda: approve("apr_nobody", digest="", note="", actor=checker, clock=clock),
            lambda: reject("apr_nobody", note="no, never", actor=checker, now=clock()),
            lambda: withdraw("apr_nobody", actor=checker, now=clock()),
        ):
            with pytest.raises(NotFound):
                decide()


class TestTime:
    def test_the_sweep_ends_what_nobody_decided(
        self, asked: Approval, lamp: Lamp, row: PaymentMethod, clock: Clock
    ) -> None:
        assert expire_due(clock()) == 0
        clock.pass_(hours=2)
        assert sweep(clock).approvals == 1
        assert (state(asked), asked.outcome, asked.decided_by) == ("expired", "Nobody decided in time.", "")
        assert lamp.heard == [f"{row.public_id} expired"]
        assert expire_due(clock()) == 0

    def test_a_command_that_is_no_longer_offered_runs_out(self, asked: Approval, checker: Actor, clock: Clock) -> None:
        Approval.objects.update(command="gone_since_spring")
        asked.refresh_from_db()
        assert refusal_of(asked, checker, clock()).startswith("This is no longer offered")
        clock.pass_(hours=2)
        assert expire_due(clock()) == 1
        assert state(asked) == "expired"

    def test_asking_anew_ends_what_ran_out(
        self, asked: Approval, lamp: Lamp, maker: Actor, row: PaymentMethod, clock: Clock
    ) -> None:
        clock.pass_(hours=3)
        assert lamp.ask(maker, row, clock) != asked
        assert state(asked) == "expired"
