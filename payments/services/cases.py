"""What does a decision do to the questions of a payment? Opens, lessens and settles reviews, under the payment's lock."""

from __future__ import annotations

from datetime import datetime

from ledger.money import Money
from payments.accounting import HELD_ON, SUSPENSE
from payments.decisions import Decision, Posting
from payments.facts import Fact, FactKind
from payments.models import Operation, Review
from payments.services.case import Case, refunded_transaction, reviews_holding, transaction_of
from payments.services.clocks import review_due
from payments.services.parts import freed_to
from payments.states import MovementKind, ReviewKind, ReviewState

_UNDO_REFUNDS = frozenset({FactKind.VOID, FactKind.REFUND_RETURN})


def answer_reviews(case: Case, operation: Operation, now: datetime) -> None:
    """A question whether an operation happened is answered by its outcome."""
    for review in case.reviews:
        if review.operation_id == operation.pk and review.kind == ReviewKind.LOOKUP_EXHAUSTED:
            settle_review(review, now, f"The operation {operation.state}.")


def settle_review(review: Review, now: datetime, because: str) -> None:
    if review.state != ReviewState.OPEN:
        return
    review.mark_settled()
    review.decision, review.note, review.decided_at = "settled", because, now
    review.next_check_at, review.version = None, review.version + 1
    review.save()


def open_review(case: Case, fact: Fact, decision: Decision, *, now: datetime) -> None:
    assert decision.review is not None
    parts: list[tuple[str, Money | None]] = [*_held_parts(case, fact, decision)] or [("", None)]
    for held_on, money in parts:
        review = Review(
            kind=decision.review,
            gateway_account=case.account,
            payment=case.payment,
            attempt=case.attempt,
            operation=case.operation,
            dispute=case.dispute,
            gateway_id=_asked_about(case, fact, decision),
            held_on=held_on,
            held_minor=money.amount_minor if money is not None else 0,
            currency=money.currency if money is not None else "",
            because=decision.because[:400],
            opened_at=now,
            due_at=review_due(decision.review, now),
            next_check_at=review_due(decision.review, now),
        )
        review.save()
        case.reviews.append(review)


def _asked_about(case: Case, fact: Fact, decision: Decision) -> str:
    """The transaction that the question is about: for money that should have gone back, the one that took it."""
    refund = case.refund_of(case.operation)
    if decision.posting == Posting.REFUND_FREED and refund is not None and case.attempt is not None:
        return transaction_of(refund, case.attempt, case)
    if decision.review in {ReviewKind.REFUND_FAILED, ReviewKind.REFUND_RETURNED} and fact.kind in _UNDO_REFUNDS:
        return refunded_transaction(case, fact.gateway_id)
    return fact.gateway_id or (case.operation.gateway_id if case.operation else "")


def _held_parts(case: Case, fact: Fact, decision: Decision) -> list[tuple[str, Money]]:
    """The money a review holds: signed, what came in is positive."""
    if decision.posting == Posting.REFUND_FREED:
        refund = case.refund_of(case.operation)
        held_on = freed_to(refund)
        return [(held_on, refund.money)] if refund and held_on else []
    if decision.posting == Posting.REFUND and case.operation and fact.money:
        asked = case.operation.money
        if asked.currency != fact.money.currency:
            return [(SUSPENSE, asked), (SUSPENSE, -fact.money)]
        return [(SUSPENSE, asked - fact.money)]
    if decision.posting not in HELD_ON or fact.money is None:
        return []
    sign = -1 if decision.posting == Posting.SUSPENSE_OUT else 1
    if not decision.restates:
        return [(HELD_ON[decision.posting], fact.money if sign > 0 else -fact.money)]
    kind = MovementKind(fact.kind.value)
    last = case.of_transaction(fact.gateway_id, kind)
    parts = last[-2:] if len({m.currency for m in last[-2:]}) > 1 else last[-1:]
    return [(SUSPENSE, m.money if sign > 0 else -m.money) for m in parts]


def give_back(case: Case, fact: Fact, money: Money, now: datetime) -> None:
    """Money under review went back at the gateway: the review holds that much less, and ends when nothing is left."""
    review = reviews_holding(case, fact)[0]
    review.held_minor -= money.amount_minor
    review.version += 1
    if review.held_minor == 0:
        settle_review(review, now, "The money went back at the gateway.")
    else:
        review.save()
