"""Is everything that can be said of a dispute decided, as agreed, and only by moves that the machines allow?"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ledger.money import Money
from payments.decisions import Posting, Verdict, decide
from payments.facts import DisputeKnown, Fact, FactKind, Snapshot
from payments.models import Dispute, Payment
from payments.states import DisputeState, PaymentState, ReviewKind, Source
from tests.payments.disputes.cases import AT, DUE, MONEY, points

TABLE = Path(__file__).with_name("dispute_table.txt")
ALL = list(points())
D = DisputeState


def test_every_point_is_decided_as_the_agreed_table_says():
    """Change the table on purpose only: DECISIONS=write rewrites it, the diff is the review."""
    rows = [point.row for point in ALL]
    if os.environ.get("DECISIONS") == "write":
        TABLE.write_text("\n".join(rows) + "\n")

    assert rows == TABLE.read_text().splitlines()


def test_each_move_is_legal_from_its_state():
    for point in ALL:
        d = point.decision
        if d.dispute_to is not None and point.known is not None and d.dispute_to != point.known:
            allowed = {t.target for t in Dispute(state=point.known).get_available_state_transitions()}
            assert d.dispute_to in allowed, point
        if d.payment_to is not None:
            allowed = {t.target for t in Payment(state=point.payment).get_available_state_transitions()}
            assert d.payment_to in allowed, point


def test_money_is_booked_whatever_was_known_or_waits_for_an_owner():
    for point in ALL:
        if point.is_money:
            decision = point.decision
            parked = decision.verdict == Verdict.PARK and point.payment == "none" and point.known is None
            assert parked or decision.posting != Posting.NONE, point


def test_a_claim_becomes_a_loss_exactly_when_the_dispute_becomes_lost():
    for point in ALL:
        if point.is_money:
            continue
        d = point.decision
        turns = d.dispute_to is not None and (point.known == D.LOST) != (d.dispute_to == D.LOST)
        with_money = turns and point.standing == "all taken"
        lost, again = Posting.DISPUTE_LOST, Posting.DISPUTE_REOPENED
        expected = (lost if d.dispute_to == D.LOST else again) if with_money else Posting.NONE
        assert d.posting == expected, point


def test_what_was_decided_is_never_open_again_but_as_pre_arbitration():
    for point in ALL:
        if point.known in {D.WON, D.LOST} and not point.is_money:
            assert point.decision.dispute_to in {None, D.WON, D.LOST, D.CLOSED, D.PRE_ARBITRATION}, point


def test_what_took_money_is_no_inquiry_any_more():
    for point in ALL:
        if point.known not in {None, D.INQUIRY}:
            assert point.decision.dispute_to != D.INQUIRY, point


def test_an_older_word_moves_nothing_but_what_it_proves():
    for point in ALL:
        if point.when != "older" or point.is_money or point.known in {None, D.INQUIRY}:
            continue
        second_round = point.said in {D.WON, D.LOST} and point.known in {D.CHARGEBACK, D.UNDER_REVIEW}
        assert point.decision.dispute_to in {None, point.known} or second_round, point


class TestRestated:
    def fact(self, source: Source, kind: FactKind = FactKind.CHARGEBACK) -> Fact:
        return Fact(kind, source, AT, gateway_id="du_1", money=Money(900, "USD"))

    def snapshot(self, **fields: object) -> Snapshot:
        known = DisputeKnown(state=D.CHARGEBACK, standing=DUE)
        return Snapshot(
            payment_state=PaymentState.CAPTURED,
            captured=DUE,
            refunded=Money(0, "USD"),
            known_money=DUE,
            dispute=known,
            **fields,  # type: ignore[arg-type]
        )

    def test_a_webhook_is_asked_about_first_and_taken_when_no_look_up_could_tell(self):
        webhook = self.fact(Source.WEBHOOK)

        assert decide(self.snapshot(), webhook).verdict == Verdict.ASK
        late = decide(self.snapshot(orphan_due=True), webhook)
        assert (late.verdict, late.posting, late.restates) == (Verdict.APPLY, Posting.CHARGEBACK, True)

    @pytest.mark.parametrize("kind", MONEY)
    def test_a_look_up_is_believed_and_only_the_difference_booked(self, kind):
        decision = decide(self.snapshot(), self.fact(Source.LOOK_UP, kind))

        assert (decision.verdict, decision.restates) == (Verdict.APPLY, True)


def test_money_of_a_shared_account_that_is_not_ours_is_foreign():
    fact = Fact(FactKind.CHARGEBACK, Source.WEBHOOK, AT, gateway_id="du_1", money=DUE)

    assert decide(Snapshot(), fact).verdict == Verdict.PARK
    assert decide(Snapshot(orphan_due=True, account_shared=True), fact).verdict == Verdict.NO_OP
    assert decide(Snapshot(orphan_due=True), fact).review == ReviewKind.ORPHAN


def test_test_mode_in_a_live_account_is_never_booked():
    fact = Fact(FactKind.CHARGEBACK, Source.WEBHOOK, AT, gateway_id="du_1", money=DUE, test_mode=True)

    decision = decide(Snapshot(account_live=True), fact)

    assert (decision.review, decision.posting) == (ReviewKind.TEST_MODE_MONEY, Posting.NONE)
