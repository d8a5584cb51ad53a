"""Is every combination of novelty, subject, money and state decided, and decided as agreed?"""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from django_fsm import can_proceed

from ledger.money import Money
from payments.decisions import DUPLICATE_OF_OTHER, NOT_PENDING_SETTLEMENT, Posting, Verdict, decide
from payments.facts import OUTCOME_KINDS, Fact, FactKind, Snapshot
from payments.models import Attempt, Operation, Payment
from payments.states import (
    AttemptState,
    OperationKind,
    OperationState,
    PaymentState,
    RefundState,
    ReviewKind,
    Source,
)
from tests.payments.decision_cases import AT, DUE, Combination, combinations

TABLE = Path(__file__).with_name("decision_table.txt")
ALL = list(combinations())


def payment_moves(state: PaymentState) -> set[str]:
    return {t.target for t in Payment(state=state).get_available_state_transitions()}


class TestTable:
    def test_every_combination_is_decided_as_the_agreed_table_says(self):
        """Change the table on purpose only: DECISIONS=write rewrites it, the diff is the review."""
        rows = [point.row for point in ALL]
        if os.environ.get("DECISIONS") == "write":
            TABLE.write_text("\n".join(rows) + "\n")

        assert rows == TABLE.read_text().splitlines()

    def test_the_product_has_no_hole(self):
        kinds, sources, novelty, subjects_with_state, states, money = 4, 2, 3, 3, len(PaymentState), 4

        whole = kinds * sources * novelty * money * (subjects_with_state * states + 1)
        parts = 2 * sources * money * subjects_with_state * (states - 1)

        assert len(ALL) == whole + parts
        assert len({replace(point) for point in ALL}) == len(ALL)


class TestMoneyIsNeverWithheld:
    @pytest.mark.parametrize("source", [Source.WEBHOOK, Source.LOOK_UP])
    def test_new_money_is_booked_or_the_gateway_is_asked_or_it_is_parked(self, source):
        for point in ALL:
            if point.novelty != "new" or point.source != source:
                continue
            decision = point.decision
            waits = decision.verdict in {Verdict.ASK, Verdict.PARK}
            assert waits or decision.posting != Posting.NONE, point

    def test_a_look_up_is_never_answered_by_asking_again(self):
        asked = [p for p in ALL if p.source == Source.LOOK_UP and p.decision.verdict == Verdict.ASK]

        assert asked == []

    def test_a_known_movement_changes_nothing_whatever_the_state(self):
        assert {p.decision.verdict for p in ALL if p.novelty == "known"} == {Verdict.NO_OP}

    def test_a_restated_amount_is_believed_from_a_look_up_only(self):
        by_webhook = {p.decision.verdict for p in ALL if p.novelty == "restated" and p.source == Source.WEBHOOK}

        assert by_webhook == {Verdict.ASK}

    def test_every_review_of_money_names_its_kind_and_its_account(self):
        for point in ALL:
            decision = point.decision
            assert (decision.verdict == Verdict.REVIEW) == (decision.review is not None), point
            if decision.posting in {Posting.SUSPENSE, Posting.OVERPAYMENT, Posting.SUSPENSE_OUT}:
                assert decision.review is not None, point


class TestMachinesAllowWhatIsDecided:
    def test_each_payment_move_is_legal_from_its_state(self):
        for point in ALL:
            target = point.decision.payment_to
            if target is not None and target != point.state:
                assert target in payment_moves(point.state), point

    def test_each_attempt_move_is_legal_from_its_state(self):
        for point in ALL:
            target, state = point.decision.attempt_to, point.snapshot.attempt_state
            if target is None or state is None or target == state:
                continue
            targets = {t.target for t in Attempt(state=state).get_available_state_transitions()}
            assert target in targets, point

    def test_no_money_fact_moves_a_payment_backwards(self):
        rank = {
            PaymentState.FAILED: 0,
            PaymentState.PENDING: 1,
            PaymentState.AUTHORISED: 2,
            PaymentState.CAPTURED: 3,
            PaymentState.SETTLED: 4,
            PaymentState.RECONCILED: 5,
        }
        for point in ALL:
            target = point.decision.payment_to
            if target in rank and point.state in rank:
                assert rank[target] >= rank[point.state], point


def capture(money: Money = DUE, source: Source = Source.WEBHOOK) -> Fact:
    return Fact(FactKind.CAPTURE, source, AT, gateway_id="9001", money=money)


def snapshot(state: PaymentState, **fields: object) -> Snapshot:
    base = Combination(FactKind.CAPTURE, Source.WEBHOOK, "new", "current", state, "equal").snapshot
    return replace(base, **fields)  # type: ignore[arg-type]


class TestEachCaseOfTheLifecycle:
    def test_captured_after_captured_is_a_no_op(self):
        assert decide(snapshot(PaymentState.CAPTURED, known_money=DUE), capture()).verdict == Verdict.NO_OP

    def test_failed_becomes_captured_when_the_gateway_confirms_later_and_is_flagged_late(self):
        decision = decide(snapshot(PaymentState.FAILED), capture())

        assert (decision.verdict, decision.payment_to, decision.late) == (Verdict.APPLY, PaymentState.CAPTURED, True)
        assert decision.posting == Posting.CAPTURE

    def test_failed_with_a_living_sibling_is_booked_and_reviewed(self):
        decision = decide(snapshot(PaymentState.FAILED, sibling_active=True), capture())

        assert decision.review == ReviewKind.LATE_SUCCESS_SIBLING_PAID
        assert decision.posting == Posting.SUSPENSE

    @pytest.mark.parametrize(
        ("state", "kind"),
        [
            (PaymentState.CANCELLED, ReviewKind.CAPTURED_AFTER_CANCEL),
            (PaymentState.REFUNDED, ReviewKind.CAPTURED_AFTER_REFUND),
        ],
    )
    def test_money_after_the_end_is_booked_and_reviewed(self, state, kind):
        decision = decide(snapshot(state), capture())

        assert (decision.verdict, decision.review, decision.posting) == (Verdict.REVIEW, kind, Posting.SUSPENSE)
        assert decision.payment_to is None

    def test_expired_inside_grace_is_captured_and_beyond_it_reviewed(self):
        inside = decide(snapshot(PaymentState.EXPIRED), capture())
        beyond = decide(snapshot(PaymentState.EXPIRED, inside_grace=False), capture())

        assert inside.payment_to == PaymentState.CAPTURED
        assert (beyond.review, beyond.posting) == (ReviewKind.CAPTURED_AFTER_EXPIRY, Posting.SUSPENSE)

    def test_a_second_capture_is_owed_to_the_payer(self):
        decision = decide(snapshot(PaymentState.CAPTURED), capture())

        assert (decision.review, decision.posting) == (ReviewKind.SECOND_CAPTURE, Posting.OVERPAYMENT)

    def test_another_currency_is_booked_in_its_own_and_reviewed(self):
        decision = decide(snapshot(PaymentState.PENDING), capture(Money(1000, "EUR")))

        assert (decision.review, decision.posting) == (ReviewKind.CURRENCY_MISMATCH, Posting.SUSPENSE)

    def test_a_webhook_for_an_unknown_payment_is_parked_then_an_orphan_or_foreign(self):
        assert decide(Snapshot(), capture()).verdict == Verdict.PARK
        orphan = decide(Snapshot(orphan_due=True), capture())
        assert (orphan.review, orphan.posting) == (ReviewKind.ORPHAN, Posting.SUSPENSE)
        assert decide(Snapshot(orphan_due=True, account_shared=True), capture()).verdict == Verdict.NO_OP

    def test_test_mode_money_in_a_live_account_is_never_booked(self):
        decision = decide(snapshot(PaymentState.PENDING, account_live=True), replace(capture(), test_mode=True))

        assert (decision.review, decision.posting) == (ReviewKind.TEST_MODE_MONEY, Posting.NONE)

    def test_a_refund_without_our_echo_waits_while_one_of_ours_is_open(self):
        fact = Fact(FactKind.REFUND, Source.WEBHOOK, AT, gateway_id="9002", money=Money(100, "USD"))
        settled = snapshot(PaymentState.SETTLED, operation_kind=None, operation_state=None, asked=None)

        assert decide(replace(settled, refund_open=True), fact).verdict == Verdict.PARK
        assert decide(settled, fact).posting == Posting.REFUND_EXTERNAL

    def test_a_refund_beyond_what_was_captured_is_booked_and_opens_a_case(self):
        fact = Fact(FactKind.REFUND, Source.WEBHOOK, AT, gateway_id="9002", money=Money(1100, "USD"))
        settled = snapshot(PaymentState.SETTLED, operation_kind=None, operation_state=None, asked=None)

        decision = decide(settled, fact)

        assert (decision.review, decision.posting) == (ReviewKind.REFUND_BEYOND_CAP, Posting.SUSPENSE_OUT)


class TestOutcomesWithoutMoney:
    @pytest.mark.parametrize("kind", sorted(OUTCOME_KINDS))
    @pytest.mark.parametrize("operation", list(OperationKind))
    def test_every_outcome_of_every_call_is_decided_legally(self, kind, operation):
        for state, payment_state, has_refund in product(OperationState, PaymentState, (False, True)):
            point = snapshot(
                payment_state, operation_kind=operation, operation_state=state, operation_has_refund=has_refund
            )
            self.check(point, decide(point, Fact(kind, Source.ANSWER, AT)))

    def check(self, point, decision):
        target = decision.operation_to
        if target is not None and target != point.operation_state:
            operation = Operation(state=point.operation_state)
            assert target in {t.target for t in operation.get_available_state_transitions()}, (point, decision)
        if decision.payment_to is not None:
            assert decision.payment_to in payment_moves(point.payment_state), (point, decision)
        assert decision.posting in {Posting.NONE, Posting.REFUND_FREED}

    @pytest.mark.parametrize("operation", list(OperationKind))
    @pytest.mark.parametrize("message", ["Your card was declined.", "Declined", "No such order. "])
    def test_a_gateway_s_full_stop_is_not_doubled(self, operation, message):
        point = snapshot(PaymentState.PENDING, operation_kind=operation, operation_state=OperationState.SENT)

        told = decide(point, Fact(FactKind.DECLINED, Source.ANSWER, AT, message=message)).because

        assert message.strip(". ") in told
        assert ".." not in told and ". ." not in told

    def test_unknown_is_never_a_failure(self):
        decision = decide(
            snapshot(PaymentState.PENDING, operation_state=OperationState.SENT),
            Fact(FactKind.UNKNOWN, Source.ANSWER, AT),
        )

        assert (decision.operation_to, decision.payment_to) == (OperationState.UNKNOWN, None)

    def test_a_refusal_that_contradicts_a_success_is_asked_about(self):
        done = snapshot(PaymentState.CAPTURED, operation_state=OperationState.SUCCEEDED)

        assert decide(done, Fact(FactKind.DECLINED, Source.WEBHOOK, AT)).verdict == Verdict.ASK

    def test_a_duplicate_is_looked_up_before_anything_else(self):
        sent = snapshot(PaymentState.PENDING, operation_state=OperationState.SENT)
        refused = Fact(FactKind.DECLINED, Source.LOOK_UP, AT, code=DUPLICATE_OF_OTHER)

        assert decide(sent, Fact(FactKind.DUPLICATE, Source.ANSWER, AT)).verdict == Verdict.ASK
        assert decide(sent, refused).review == ReviewKind.DUPLICATE_OF_OTHER_PAYMENT

    def test_a_void_that_came_after_settlement_lets_the_refund_try_again(self):
        late = snapshot(
            PaymentState.CAPTURED,
            operation_kind=OperationKind.VOID,
            operation_state=OperationState.SENT,
            operation_has_refund=True,
        )

        decision = decide(late, Fact(FactKind.DECLINED, Source.ANSWER, AT, code=NOT_PENDING_SETTLEMENT))

        assert (decision.verdict, decision.refund_to) == (Verdict.APPLY, RefundState.WAITING)

    def test_a_cancelled_payment_whose_call_never_happened_ends_cancelled(self):
        asked = snapshot(PaymentState.PENDING, operation_state=OperationState.UNKNOWN, cancel_requested=True)

        decision = decide(asked, Fact(FactKind.ABSENT, Source.LOOK_UP, AT))

        assert (decision.payment_to, decision.attempt_to) == (PaymentState.CANCELLED, AttemptState.FAILED)


def test_can_proceed_is_what_the_machines_answer_by():
    assert can_proceed(Payment(state=PaymentState.PENDING).mark_captured)
    assert not can_proceed(Payment(state=PaymentState.SETTLED).mark_captured)
