"""Do opening positions come over exactly, once, against 3010, with every wrong row named and two people?"""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from ledger import chart
from ledger.chart import AccountRef
from ledger.queries import balance, entry_by_source_key, open_items
from payments.errors import Forbidden, InvalidInput, NotAllowedNow
from payments.models import Approval
from payments.services.actors import Actor
from payments.services.approvals import approve
from reconciliation import opening
from reconciliation.models import OpeningFile
from reconciliation.services import go_live
from tests.payments.approvals.people import person

START = date(2026, 4, 1)
NOW = datetime(2026, 4, 2, 9, tzinfo=UTC)
HEAD = "account,gateway,customer,currency,debit,credit,item,date,text\n"
GOOD = HEAD + "1110,nmi,,USD,120.50,,old-17,2026-03-30,order 17\n2010,,cus_1,USD,,20.00,wallet-1,2026-03-31,\n"


@pytest.fixture
def people(db: None) -> tuple[Actor, Actor]:
    """Two people of finance."""
    return person("fay"), person("carl")


def ask(person: Actor, text: str = GOOD, start: date = START) -> Approval:
    return go_live.ask_opening(
        "opening.csv", text.encode(), books_start_on=start, reason="go-live", actor=person, now=NOW
    )


def agree(request: Approval, person: Actor) -> Approval:
    return approve(request.public_id, digest=request.digest, note="", actor=person, clock=lambda: NOW)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("1110,nmi,,USD,1,,i,2026-04-01,", "is not before 2026-04-01"),
        ("1110,nmi,,USD,1,1,i,2026-03-01,", "One of debit and credit"),
        ("1110,nmi,,USD,,,i,2026-03-01,", "One of debit and credit"),
        ("1110,nmi,,USD,-1,,i,2026-03-01,", "not above zero"),
        ("1110,nmi,,USD,0,,i,2026-03-01,", "not above zero"),
        ("1110,nmi,,USD,1.005,,i,2026-03-01,", "has 3 decimals, but USD has 2"),
        ("1110,nmi,,JPY,1.5,,i,2026-03-01,", "JPY has none"),
        ('1110,nmi,,USD,"1,000.00",,i,2026-03-01,', "is not an amount"),
        ("1110,nmi,,ZZZ,1,,i,2026-03-01,", "Unknown currency"),
        ("1110,,,USD,1,,i,2026-03-01,", "is kept per gateway"),
        ("9999,,,USD,1,,i,2026-03-01,", "no account"),
        ("3010,,,USD,1,,i,2026-03-01,", "the other side of every position"),
        ("2050,nmi,,USD,,1,i,2026-03-01,", "sum of open reviews"),
        ("9010,nmi,,USD,1,,i,2026-03-01,", "is a memo"),
        ("1110,nmi,,USD,1,,,2026-03-01,", "item is empty"),
        ("1110,nmi,,USD,1,,i,1.3.2026,", "is no day"),
        ("1110,nmi,,USD,1,,i,2026-03-01,4111 1111 1111 1111", "card number"),
        ("1110,nmi,,USD", "It has 4 cells"),
    ],
)
def test_a_wrong_row_is_named_and_nothing_is_guessed(row: str, says: str) -> None:
    good, wrong = opening.read(GOOD + row + "\n", before=START)
    assert len(good) == 2
    assert (wrong[0].number, says in wrong[0].reason) == (4, True), wrong


def test_the_same_item_twice_and_foreign_headings_are_named() -> None:
    _, wrong = opening.read(GOOD + "1110,nmi,,USD,1,,old-17,2026-03-30,\n", before=START)
    assert "stands in row 2 already" in wrong[0].reason
    assert "headings" in opening.read("a,b\n1,2\n", before=START)[1][0].reason


@pytest.mark.django_db(transaction=True)
class TestBooking:
    def test_two_people_book_it_once_against_3010(self, people: tuple[Actor, Actor]) -> None:
        request = ask(people[0])
        assert balance(AccountRef("3010", "USD")).amount_minor == 0

        agree(request, people[1])

        receivable = AccountRef(chart.GATEWAY_RECEIVABLE.code, "USD", gateway="nmi")
        assert balance(receivable).amount_minor == 12050
        assert balance(AccountRef("3010", "USD")).amount_minor == -10050
        assert [item.match_key for item in open_items("1110")] == ["old-17"]
        entry = entry_by_source_key("opening/1110 nmi USD/old-17")
        assert entry is not None
        assert entry.booked_on == date(2026, 3, 30)
        kept = OpeningFile.objects.get()
        assert (kept.agreed_by, kept.positions.count()) == ("carl", 2)

    def test_the_same_file_again_and_the_same_item_in_another_file_are_refused(
        self, people: tuple[Actor, Actor]
    ) -> None:
        agree(ask(people[0]), people[1])
        with pytest.raises(NotAllowedNow, match="was booked on 2026-04-02"):
            ask(people[0])
        second = ask(people[0], GOOD + "1110,nmi,,USD,1,,old-18,2026-03-30,\n")
        done = agree(second, people[1])
        assert (done.state, "came with another file" in done.outcome) == ("outdated", True)
        assert balance(AccountRef("1110", "USD", gateway="nmi")).amount_minor == 12050

    def test_a_wrong_row_keeps_the_whole_file_out(self, people: tuple[Actor, Actor]) -> None:
        with pytest.raises(InvalidInput, match=r"Row 4: .* Nothing was kept"):
            ask(people[0], GOOD + "1110,nmi,,USD,x,,i,2026-03-01,\n")
        assert not OpeningFile.objects.exists()

    @pytest.mark.parametrize(("content", "says"), [(b"\xff\xfe", "not UTF-8"), (HEAD.encode(), "no position")])
    def test_files_that_are_none(self, content: bytes, says: str, people: tuple[Actor, Actor]) -> None:
        with pytest.raises(InvalidInput, match=says):
            go_live.ask_opening("x", content, books_start_on=START, reason="go-live", actor=people[0], now=NOW)

    def test_it_takes_the_right(self, db: None) -> None:
        with pytest.raises(Forbidden):
            ask(Actor("sue"))
