"""Does the gateway's own record end breaks: messages that never came, refunds made in its dashboard? And by itself?"""

from __future__ import annotations

from typing import Any

import pytest

from payments.errors import NotAllowedNow
from payments.models import GatewayAccount, Limit, Movement, Payment, Review
from payments.queries.proofs import completeness_findings, suspense_findings
from payments.services.approvals import approve
from payments.services.execution import advance_payment
from reconciliation.models import Break, Line, Match, Resolution, Run, Statement, StatementAccount
from reconciliation.services.resolutions import automatic
from reconciliation.services.resolutions.automatic import resolve_automatically
from reconciliation.services.resolutions.bulk import BulkWish, resolve_bulk
from reconciliation.services.resolutions.commanding import preview, resolve
from reconciliation.services.resolutions.second_look import look_again
from reconciliation.services.resolutions.undoing import undo
from reconciliation.states import BreakState, BreakType, LineKind
from tests.payments.factories import Clock, new_payment, paid
from tests.payments.flows.conftest import account, clock, simulator
from tests.reconciliation.factories import NOTE, a_break, may_alone, person, wish
from tests.simulator_fixture import SimulatorProcess

__all__ = ["account", "clock", "simulator"]
pytestmark = pytest.mark.django_db(transaction=True)
B = BreakType


class Desk:
    """The demo's NMI account with one run, and lines as its report would have them."""

    def __init__(self, simulator: SimulatorProcess, clock: Clock) -> None:
        self.simulator, self.clock = simulator, clock
        self.account = StatementAccount.objects.create(
            slug="nmi", name="NMI", kind="gateway", source="csv", gateway_account=GatewayAccount.objects.get(slug="nmi"),
            sample_percent=100,
        )  # fmt: skip
        self.statement = Statement.objects.create(
            account=self.account, source="csv", name="today.csv", sha256="0" * 64, state="read", received_at=clock()
        )
        self.run = Run.objects.create(account=self.account, day=clock().date())
        self.fiona = person()
        may_alone()

    def theirs(self, kind: str) -> list[dict[str, Any]]:
        return [one for one in self.simulator.movements() if one["kind"] == kind]

    def line(self, kind: LineKind, minor: int, gateway_id: str, **fields: Any) -> Line:
        fee = fields.get("fee_minor", 0)
        return Line.objects.create(
            account=self.account, statement=self.statement, number=1, kind=kind, day=self.clock().date(),
            occurred_at=self.clock(), currency="USD", gross_minor=minor, net_minor=minor - fee, gateway_id=gateway_id,
            line_key=f"{gateway_id}:{kind}", **fields,
        )  # fmt: skip

    def broken(self, kind: BreakType, line: Line) -> Break:
        return a_break(self.account, kind, line=line, day=line.day, now=self.clock(), run=self.run)

    def end(self, broken: Break, command: str) -> Resolution:
        done = resolve(broken.public_id, wish(command, broken), actor=self.fiona, clock=self.clock)
        assert done.resolution is not None
        broken.refresh_from_db()
        return done.resolution


@pytest.fixture
def desk(simulator: SimulatorProcess, clock: Clock) -> Desk:
    return Desk(simulator, clock)


def refunded_elsewhere(desk: Desk) -> tuple[Payment, Break]:
    payment = paid(desk.clock)
    desk.simulator.act("batch_settle")
    desk.simulator.act("refund", transaction_id=payment.attempts.get().gateway_id, amount_minor=400)
    refund = desk.theirs("refund")[0]
    return payment, desk.broken(B.REFUND_UNMATCHED, desk.line(LineKind.REFUND, -400, refund["gateway_id"]))


def never_heard(desk: Desk) -> tuple[Payment, Break]:
    """Taken at the gateway, and neither the answer nor a webhook came."""
    desk.simulator.fault("lost_response", "sale", times=1)
    payment = new_payment(desk.clock)
    advance_payment(payment.pk, desk.clock)
    sale = desk.theirs("capture")[0]
    line = desk.line(LineKind.CHARGE, 1000, sale["gateway_id"], fee_minor=59)
    return payment, desk.broken(B.MISSING_IN_PAYMENTS, line)


def sound() -> bool:
    return not completeness_findings() and not suspense_findings()


def test_a_dashboard_refund_is_recorded_from_the_gateways_own_record(desk: Desk) -> None:
    payment, broken = refunded_elsewhere(desk)
    shown = preview(broken.public_id, wish("record_refund", broken), actor=desk.fiona, clock=desk.clock)
    assert not Movement.objects.filter(kind="refund").exists()
    assert not any(shown.residual.values())
    assert {line.ref.code for entry in shown.entries for line in entry.lines} == {"1110", "2020"}
    resolution = desk.end(broken, "record_refund")
    movement = Movement.objects.get(kind="refund")
    assert (movement.amount_minor, movement.payment_id) == (400, payment.pk)
    assert (broken.state, Match.objects.get().movement_id) == (BreakState.RESOLVED, movement.pk)
    assert broken.evidence.get().name == "gateway record.json"
    assert sound()
    undo(resolution.public_id, reason="look again", actor=desk.fiona, now=desk.clock())
    broken.refresh_from_db()
    assert (broken.state, broken.difference_minor) == (BreakState.OPEN, -400)
    assert Match.objects.get().undone_at is not None
    assert Movement.objects.filter(kind="refund").count() == 1, "what the gateway said stays true"
    desk.end(broken, "record_refund")
    assert Movement.objects.filter(kind="refund").count() == 1
    assert sound()


def test_a_message_that_never_came_is_replayed_and_the_payment_moves(desk: Desk) -> None:
    payment, broken = never_heard(desk)
    payment.refresh_from_db()
    assert payment.state == "pending"
    resolution = desk.end(broken, "replay_fact")
    payment.refresh_from_db()
    assert (payment.state, broken.state) == ("captured", BreakState.RESOLVED)
    assert resolution.effects["residual"] == {}
    assert sound()


def test_nothing_is_recorded_that_the_gateway_does_not_say(desk: Desk) -> None:
    broken = desk.broken(B.MISSING_IN_PAYMENTS, desk.line(LineKind.CHARGE, 1000, "8123456789"))
    with pytest.raises(NotAllowedNow, match="own record does not show 8123456789"):
        desk.end(broken, "replay_fact")
    _, broken = never_heard(desk)
    Line.objects.filter(breaks=broken).update(gross_minor=1200, net_minor=1141)
    Break.objects.filter(pk=broken.pk).update(difference_minor=1141)
    with pytest.raises(NotAllowedNow, match=r"It would leave 2\.00 USD"):
        desk.end(broken, "replay_fact")
    desk.simulator.fault("lookup_down", "query", rate=1)
    with pytest.raises(NotAllowedNow, match="no usable answer"):
        desk.end(broken, "replay_fact")
    assert not Movement.objects.exists()


def test_money_that_nobody_asked_for_is_recorded_and_waits_in_a_case(desk: Desk) -> None:
    desk.simulator.act("sale", reference="someone-else", amount_minor=700)
    sale = desk.theirs("capture")[0]
    broken = desk.broken(B.MISSING_IN_PAYMENTS, desk.line(LineKind.CHARGE, 700, sale["gateway_id"]))
    desk.end(broken, "replay_fact")
    review = Review.objects.get()
    assert (review.kind, broken.review_public_id) == ("orphan", review.public_id)
    assert sound()


def test_two_people_agree_to_what_the_gateway_says_when_they_decide(desk: Desk) -> None:
    Limit.objects.all().delete()
    payment, broken = refunded_elsewhere(desk)
    done = resolve(broken.public_id, wish("record_refund", broken), actor=desk.fiona, clock=desk.clock)
    assert done.approval is not None
    approval = approve(
        done.approval.public_id, digest=done.approval.digest, note="", actor=person("frank"), clock=desk.clock
    )
    assert approval.state == "executed", approval.outcome
    assert Resolution.objects.get().approved_by == "frank"
    assert payment.movements.filter(kind="refund").count() == 1


def test_rules_end_what_the_gateway_confirms_and_keep_what_they_decided_on(desk: Desk) -> None:
    _, refund = refunded_elsewhere(desk)
    _, sale = never_heard(desk)
    strange = desk.broken(B.MISSING_IN_PAYMENTS, desk.line(LineKind.CHARGE, 1000, "8123456789"))
    taken = desk.broken(B.MISSING_IN_PAYMENTS, desk.line(LineKind.CHARGE, 1000, "8123456788"))
    Break.objects.filter(pk=taken.pk).update(owner_id=desk.fiona.user_id)
    assert resolve_automatically(desk.run.pk, desk.clock) == 2
    assert resolve_automatically(desk.run.pk, desk.clock) == 0
    for broken, state in ((refund, "auto_resolved"), (sale, "auto_resolved"), (strange, "open"), (taken, "open")):
        broken.refresh_from_db()
        assert broken.state == state
    made = Resolution.objects.order_by("id")
    assert [(one.rule, one.rule_version, one.by) for one in made] == [
        ("missed_message", 1, ""), ("dashboard_refund", 1, "")
    ]  # fmt: skip
    assert all(one.sampled and one.inputs["record_sha256"] for one in made)
    agreed = look_again(made[0].public_id, agrees=True, verdict="", actor=desk.fiona, now=desk.clock())
    assert (agreed.looked_by, agreed.undone_at) == ("fiona", None)
    look_again(made[1].public_id, agrees=False, verdict="this was ours", actor=desk.fiona, now=desk.clock())
    refund.refresh_from_db()
    assert refund.state == "open"
    assert resolve_automatically(desk.run.pk, desk.clock) == 0, "what a person took back no rule ends again"


def test_samples_are_drawn_by_their_own_id() -> None:
    drawn = [automatic.is_sampled(f"res_{number}", 5) for number in range(2000)]
    assert 50 < sum(drawn) < 160
    assert drawn == [automatic.is_sampled(f"res_{number}", 5) for number in range(2000)]
    assert not automatic.is_sampled("res_1", 0)
    assert automatic.is_sampled("res_1", 100)


def test_a_bulk_fix_ends_those_it_fits_and_says_of_the_others_why_not(desk: Desk) -> None:
    _, good = never_heard(desk)
    bad = desk.broken(B.MISSING_IN_PAYMENTS, desk.line(LineKind.CHARGE, 1000, "8123456789"))
    versions = {one.public_id: one.version for one in (good, bad)}
    asked = BulkWish("replay_fact", {}, "missed_message", NOTE, versions, "bulk1")
    done = resolve_bulk(good.public_id, asked, actor=desk.fiona, clock=desk.clock)
    assert done.header is not None
    outcomes = {public_id: ended for public_id, ended, _ in done.header.effects["outcomes"]}
    assert outcomes == {good.public_id: True, bad.public_id: False}
    bad.refresh_from_db()
    assert (bad.state, "refused here" in bad.notes.get().text) == ("open", True)
    assert resolve_bulk(good.public_id, asked, actor=desk.fiona, clock=desk.clock).header == done.header
