"""Who looks into a break, what may be laid beside it, and what rises when nobody does?"""

from __future__ import annotations

from datetime import timedelta

import pytest

from payments.errors import CardNumberRefused, Conflict, Forbidden, InvalidInput, NotAllowedNow
from payments.services.approvals import approve
from reconciliation.models import Break, BreakEvidence
from reconciliation.services import desk
from reconciliation.services.journals import Journal, ask_journal, preview_journal
from reconciliation.states import BreakState, BreakType, LineKind
from tests.reconciliation.factories import a_break, person
from tests.reconciliation.resolutions.scene import LATER, Scene

pytestmark = pytest.mark.django_db
CARD = "4111 1111 1111 1111"


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
def broken(scene: Scene) -> Break:
    line = scene.line(LineKind.ADJUSTMENT, -500)
    return a_break(scene.account, BreakType.GATEWAY_ADJUSTMENT, line=line)


def test_a_break_has_one_owner_who_hands_it_on(scene: Scene, broken: Break) -> None:
    frank = person("frank")
    taken = desk.take(broken.public_id, version=0, actor=scene.fiona, now=LATER)
    assert (taken.state, taken.owner_id, taken.version) == (BreakState.INVESTIGATING, scene.fiona.user_id, 1)
    assert desk.take(broken.public_id, version=0, actor=scene.fiona, now=LATER).version == 1, "once"
    with pytest.raises(Conflict, match=r"changed since you looked at it\. fiona"):
        desk.take(broken.public_id, version=0, actor=frank, now=LATER)
    with pytest.raises(Conflict, match="fiona is looking into it"):
        desk.take(broken.public_id, version=1, actor=frank, now=LATER)
    with pytest.raises(InvalidInput, match="nobody who may resolve"):
        desk.give(broken.public_id, to=person("arthur", "auditor").label, version=1, actor=scene.fiona, now=LATER)
    assert desk.give(broken.public_id, to="frank", version=1, actor=scene.fiona, now=LATER).owner_id == frank.user_id
    freed = desk.release(broken.public_id, version=2, actor=frank, now=LATER)
    assert (freed.state, freed.owner_id) == (BreakState.OPEN, None)
    said = list(broken.notes.order_by("id").values_list("text", flat=True))
    assert said == ["fiona looks into it.", "fiona gave it to frank.", "frank gave it back to everybody."]
    with pytest.raises(Forbidden):
        desk.take(broken.public_id, version=3, actor=person("arthur", "auditor"), now=LATER)


def test_a_snooze_needs_a_reason_and_an_end(scene: Scene, broken: Break) -> None:
    until = LATER + timedelta(days=2)
    with pytest.raises(InvalidInput, match="next 30 days"):
        desk.snooze(
            broken.public_id, until=LATER + timedelta(days=31), because="later", version=0, actor=scene.fiona, now=LATER
        )
    with pytest.raises(InvalidInput, match="few words"):
        desk.snooze(broken.public_id, until=until, because=" ", version=0, actor=scene.fiona, now=LATER)
    put_off = desk.snooze(
        broken.public_id, until=until, because="the gateway answers on Friday", version=0, actor=scene.fiona, now=LATER
    )
    assert (put_off.snoozed_until, put_off.due_at) == (until, broken.due_at)


def test_what_is_overdue_rises_once_a_day_and_is_never_resolved(scene: Scene, broken: Break) -> None:
    late = broken.due_at + timedelta(minutes=1)
    assert desk.escalate_due(lambda: broken.due_at - timedelta(minutes=1)) == 0
    assert desk.escalate_due(lambda: late) == 1
    assert desk.escalate_due(lambda: late + timedelta(hours=1)) == 0
    assert desk.escalate_due(lambda: late + timedelta(days=1, hours=1)) == 1
    broken.refresh_from_db()
    assert broken.state == BreakState.OPEN
    assert broken.notes.get().text.startswith("Past its time")


@pytest.mark.parametrize(
    ("name", "content", "because"),
    [
        ("empty.txt", b"", "is empty"),
        ("run.exe", b"MZ", "Evidence is one of"),
        ("page.html", b"<script>", "Evidence is one of"),
        ("not.pdf", b"<html>", "no .pdf file"),
        ("big.txt", b"x" * (desk.MOST_BYTES + 1), "larger than 5 MB"),
    ],
)
def test_evidence_is_small_and_what_it_says_it_is(
    scene: Scene, broken: Break, name: str, content: bytes, because: str
) -> None:
    with pytest.raises(InvalidInput, match=because):
        desk.lay_evidence(broken.public_id, name=name, content=content, actor=scene.fiona, now=LATER)
    assert not BreakEvidence.objects.exists()


def test_evidence_is_kept_once_with_its_digest_and_without_card_numbers(scene: Scene, broken: Break) -> None:
    for text in (f"paid with {CARD}".encode(), CARD.encode()):
        with pytest.raises(CardNumberRefused):
            desk.lay_evidence(broken.public_id, name="mail.txt", content=text, actor=scene.fiona, now=LATER)
    with pytest.raises(CardNumberRefused):
        desk.add_note(broken.public_id, f"card {CARD}", actor=scene.fiona, now=LATER)
    first = desk.lay_evidence(broken.public_id, name="../../mail.txt", content=b"hello", actor=scene.fiona, now=LATER)
    again = desk.lay_evidence(broken.public_id, name="copy.txt", content=b"hello", actor=scene.fiona, now=LATER)
    assert first == again
    assert (first.name, first.content_type, first.size) == ("mail.txt", "text/plain", 5)
    assert first.sha256 == "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"


def test_notes_go_on_after_the_end_and_taking_does_not(scene: Scene, broken: Break) -> None:
    scene.resolve(broken, "post_fee", treatment="fee")
    desk.add_note(broken.public_id, "the gateway has confirmed it", actor=scene.fiona, now=LATER)
    with pytest.raises(NotAllowedNow, match="resolved already, by fiona"):
        desk.take(broken.public_id, version=1, actor=scene.fiona, now=LATER)


def _journal(*lines: tuple[str, int], request_id: str = "j1") -> Journal:
    rows = [{"code": code, "currency": "USD", "amount_minor": minor, "gateway": "stripe"} for code, minor in lines]
    return Journal(rows, "fee claimed back in March", LATER.date(), request_id)


def test_a_journal_of_its_own_takes_two_people_and_flagged_accounts(scene: Scene) -> None:
    good = _journal(("1160", 500), ("5010", -500))
    assert len(preview_journal(good, actor=scene.fiona, now=LATER).postings) == 2
    for bad, because in (
        (_journal(("1110", 500), ("5010", -500)), "1110 is not open"),
        (_journal(("1160", 500), ("5010", -400)), "debits exceed credits by 100"),
        (_journal(("1160", 500)), "two"),
    ):
        with pytest.raises(InvalidInput, match=because):
            ask_journal(bad, actor=scene.fiona, now=LATER)
    with pytest.raises(Forbidden):
        ask_journal(good, actor=person("oscar", "operator"), now=LATER)
    asked = ask_journal(good, actor=scene.fiona, now=LATER)
    assert ask_journal(good, actor=scene.fiona, now=LATER) == asked
    with pytest.raises(Forbidden, match="asked for this yourself"):
        approve(asked.public_id, digest=asked.digest, note="", actor=scene.fiona, clock=lambda: LATER)
    done = approve(asked.public_id, digest=asked.digest, note="", actor=person("frank"), clock=lambda: LATER)
    assert done.state == "executed", done.outcome
    assert scene.balance("1160") == 500
