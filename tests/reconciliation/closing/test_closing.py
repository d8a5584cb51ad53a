"""Is a day closed only when everything holds, does its certificate tell the truth, and does opening it again take two?"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from io import StringIO
from pathlib import Path

import psycopg
import pytest
from django.core.management import CommandError, call_command

from ledger.queries import closed_through
from payments.errors import Forbidden, InvalidInput, NotAllowedNow
from payments.models import Approval
from payments.services.actors import Actor
from payments.services.approvals import approve
from reconciliation.models import Break, DayClose, Run, StatementAccount
from reconciliation.queries.verification import objections_to
from reconciliation.services import closing
from reconciliation.states import BreakType
from tests import services
from tests.ledger.books import NOON, capture, post
from tests.payments.approvals.people import person

DAY, NEXT = date(2026, 3, 10), date(2026, 3, 11)
LATER = datetime(2026, 3, 13, 9, 0, tzinfo=UTC)


@pytest.fixture
def people(db: None) -> tuple[Actor, Actor]:
    """Two people of finance."""
    return person("fay"), person("carl")


@pytest.fixture
def nmi(db: None) -> StatementAccount:
    return StatementAccount.objects.create(slug="nmi", name="NMI", kind="gateway", source="csv")


def compared(account: StatementAccount, day: date = DAY, *, balanced: bool = True) -> Run:
    run = Run(account=account, day=day, balanced=balanced, rules_version="1", lines={"read": 0}, movements={"open": 0})
    run.mark_running()
    run.mark_done()
    run.save()
    return run


def broken(account: StatementAccount) -> Break:
    return Break.objects.create(
        account=account, kind=BreakType.MISSING_AT_GATEWAY, key="l1", currency="USD", difference_minor=-1000,
        value_minor=1000, day=DAY, cause="c", because="b", opened_at=NOON, last_seen_at=NOON, due_at=LATER,
    )  # fmt: skip


def agreed(request: Approval, checker: Actor) -> Approval:
    return approve(request.public_id, digest=request.digest, note="", actor=checker, clock=lambda: LATER)


@pytest.mark.django_db(transaction=True)
class TestClosing:
    def test_a_compared_day_is_closed_by_one_person_with_everything_in_the_certificate(
        self, people: tuple[Actor, Actor], nmi: StatementAccount
    ) -> None:
        post(capture("day/1"))
        run, difference = compared(nmi), broken(nmi)

        close = closing.close_day(DAY, actor=people[0], now=LATER)

        said = close.certificate
        assert (said["day"], said["first_day"], said["closed_by"]) == ("2026-03-10", "", "fay")
        assert (said["books"]["entries"], said["books"]["debits_minor"]) == (1, {"USD": 1000})
        assert [one["run"] for one in said["runs"]] == [run.public_id]
        assert [one["break"] for one in said["open_breaks"]] == [difference.public_id]
        assert [(one["books_minor"], one["breaks_minor"], one["residual_minor"]) for one in said["proofs"]] == [
            (1000, -1000, 0)
        ]
        assert closed_through() == DAY
        assert objections_to(said) == []

    def test_a_difference_that_nothing_explains_stops_it(
        self, people: tuple[Actor, Actor], nmi: StatementAccount
    ) -> None:
        post(capture("day/1"))
        compared(nmi)
        with pytest.raises(NotAllowedNow, match=r"-10\.00 USD of the difference between NMI and our books"):
            closing.close_day(DAY, actor=people[0], now=LATER)

    def test_closing_again_answers_with_the_same_close(self, people: tuple[Actor, Actor]) -> None:
        first = closing.close_day(DAY, actor=people[0], now=LATER)
        assert closing.close_day(DAY, actor=people[1], now=LATER) == first

    def test_each_certificate_names_the_one_before(self, people: tuple[Actor, Actor]) -> None:
        first = closing.close_day(DAY, actor=people[0], now=LATER)
        second = closing.close_day(NEXT, actor=people[0], now=LATER)
        assert second.certificate["previous"] == {"day": "2026-03-10", "digest": first.digest}
        assert second.certificate["first_day"] == "2026-03-11"
        assert objections_to(second.certificate) == []

    def test_a_day_not_compared_is_refused_and_named(self, people: tuple[Actor, Actor], nmi: StatementAccount) -> None:
        with pytest.raises(NotAllowedNow, match="NMI was not compared for 2026-03-10"):
            closing.close_day(DAY, actor=people[0], now=LATER)
        assert closed_through() is None

    def test_equations_that_do_not_hold_are_excepted_by_nobody(
        self, people: tuple[Actor, Actor], nmi: StatementAccount
    ) -> None:
        compared(nmi, balanced=False)
        with pytest.raises(NotAllowedNow, match="equations of NMI"):
            closing.close_day(DAY, actor=people[0], now=LATER)
        with pytest.raises(InvalidInput, match="nothing to except"):
            closing.ask_close(DAY, exceptions={"nmi": "no time today"}, reason="month end", actor=people[0], now=LATER)

    def test_books_that_do_not_hold_stop_it(self, people: tuple[Actor, Actor]) -> None:
        post(capture("day/1"))
        with psycopg.connect(services.owner_url()) as owner:
            owner.execute("SET session_replication_role = replica")
            owner.execute("UPDATE ledger_posting SET amount_minor = amount_minor + 1 WHERE amount_minor > 0")
        with pytest.raises(NotAllowedNow, match="The books do not hold: unbalanced_entry"):
            closing.close_day(DAY, actor=people[0], now=LATER)

    def test_a_day_that_is_not_over_is_refused(self, people: tuple[Actor, Actor]) -> None:
        with pytest.raises(NotAllowedNow, match="is not over yet"):
            closing.close_day(LATER.date(), actor=people[0], now=LATER)

    def test_it_takes_the_right(self) -> None:
        with pytest.raises(Forbidden):
            closing.close_day(DAY, actor=Actor("sue"), now=LATER)

    def test_an_account_left_out_takes_two_people_and_its_reason_is_certified(
        self, people: tuple[Actor, Actor], nmi: StatementAccount
    ) -> None:
        wanted = {"nmi": "the acquirer sends its file tomorrow"}
        request = closing.ask_close(DAY, exceptions=wanted, reason="month end", actor=people[0], now=LATER)
        assert closed_through() is None

        done = agreed(request, people[1])

        close = DayClose.objects.get()
        assert done.state == "executed"
        assert (close.closed_by, close.approved_by) == ("fay", "carl")
        assert close.certificate["exceptions"] == wanted

    def test_an_exception_needs_a_reason_and_a_need(self, people: tuple[Actor, Actor]) -> None:
        for exceptions, says in (({"nmi": "no"}, "Why may nmi be left out"), ({}, "Nothing is left out")):
            with pytest.raises(InvalidInput, match=says):
                closing.ask_close(DAY, exceptions=exceptions, reason="month end", actor=people[0], now=LATER)


@pytest.mark.django_db(transaction=True)
class TestReopening:
    def test_takes_two_people_and_ends_the_certificate(self, people: tuple[Actor, Actor]) -> None:
        close = closing.close_day(DAY, actor=people[0], now=LATER)
        request = closing.ask_reopen(DAY, reason="a payout was booked on the wrong day", actor=people[0], now=LATER)
        assert closed_through() == DAY

        agreed(request, people[1])

        assert closed_through() is None
        (said,) = objections_to(close.certificate)
        assert "reopened by fay and carl" in said
        again = closing.close_day(DAY, actor=people[0], now=LATER)
        assert again.certificate["previous"] is None

    def test_only_the_last_closed_day(self, people: tuple[Actor, Actor]) -> None:
        closing.close_day(DAY, actor=people[0], now=LATER)
        closing.close_day(NEXT, actor=people[0], now=LATER)
        with pytest.raises(NotAllowedNow, match="2026-03-11 was closed after it"):
            closing.ask_reopen(DAY, reason="a mistake", actor=people[0], now=LATER)
        with pytest.raises(NotAllowedNow, match="is not closed"):
            closing.ask_reopen(date(2026, 3, 9), reason="a mistake", actor=people[0], now=LATER)


@pytest.mark.django_db(transaction=True)
class TestCommands:
    def run(self, *arguments: str) -> tuple[int, str]:
        output = StringIO()
        try:
            call_command(*arguments, stdout=output)
        except SystemExit as end:
            return int(str(end.code)), output.getvalue()
        return 0, output.getvalue()

    @pytest.fixture
    def certificate(self, tmp_path: Path) -> Path:
        post(capture("day/1"))
        file = tmp_path / "close.json"
        code, text = self.run("close_day", "--date", "2026-03-10", "--out", str(file))
        assert (code, "is closed" in text) == (0, True)
        return file

    def test_close_and_verify(self, certificate: Path) -> None:
        assert self.run("verify_close", str(certificate)) == (0, "The certificate of 2026-03-10 is true.\n")

    def test_a_changed_certificate_is_found(self, certificate: Path) -> None:
        said = json.loads(certificate.read_text())
        said["books"]["entries"] = 7
        certificate.write_text(json.dumps(said))
        code, text = self.run("verify_close", str(certificate), "--json")
        assert (code, json.loads(text)["ok"]) == (1, False)
        assert "changed after it was made" in text

    def test_damage_to_the_books_is_found(self, certificate: Path) -> None:
        with psycopg.connect(services.owner_url()) as owner:
            owner.execute("SET session_replication_role = replica")
            owner.execute("UPDATE ledger_posting SET amount_minor = amount_minor * 2")
        code, text = self.run("verify_close", str(certificate))
        assert code == 1
        assert "not the ones it was closed with" in text
        assert "trial balance" in text

    def test_a_changed_link_of_the_chain_is_found(self, certificate: Path, tmp_path: Path) -> None:
        second = tmp_path / "second.json"
        self.run("close_day", "--date", "2026-03-11", "--out", str(second))
        first = DayClose.objects.get(day=DAY)
        DayClose.objects.filter(pk=first.pk).update(certificate={**first.certificate, "closed_by": "mallory"})
        code, text = self.run("verify_close", str(second))
        assert (code, "The stored certificate of 2026-03-10 was changed" in text) == (1, True)

    @pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": "other"}', "\x00"])
    def test_what_is_no_certificate_is_said_to_be_none(self, content: str, tmp_path: Path, db: None) -> None:
        file = tmp_path / "other.json"
        file.write_text(content)
        code, _ = self.run("verify_close", str(file))
        assert code in (1, 2)

    def test_refusals_are_sentences(self, nmi: StatementAccount) -> None:
        with pytest.raises(CommandError, match="NMI was not compared"):
            call_command("close_day", "--date", "2026-03-10", stdout=StringIO())
        with pytest.raises(CommandError, match="write it as"):
            call_command("close_day", "--date", "yesterday", stdout=StringIO())
