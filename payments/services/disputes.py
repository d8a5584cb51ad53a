"""How is a dispute kept? Its row, state, clock and case, and what it withholds from refunds; under the payment's lock.

Called while a decision is carried out. It decides nothing, and books only what turns a claim into a loss or back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from ledger.money import Money
from ledger.services import post_entries
from payments.accounting import Booking, entry_for
from payments.decisions import Decision, Posting
from payments.facts import DISPUTE_MONEY, DisputeKnown, Fact, FactKind
from payments.models import Dispute, Movement
from payments.queries.disputes import refund_barred_by, standing_of, withheld
from payments.services.case import Case
from payments.services.cases import settle_review
from payments.states import OPEN_DISPUTE_STATES, DisputeState, MovementKind, PaymentState, ReviewKind

D = DisputeState
ABOUT_DISPUTES = DISPUTE_MONEY | {FactKind.DISPUTE}
TURNS = frozenset({Posting.DISPUTE_LOST, Posting.DISPUTE_REOPENED})
WARNING = timedelta(days=3)  # before the evidence is due, the case is red
_WITHOUT_DATE = timedelta(days=1)  # no due date was told: a day to look at it
_SILENT = timedelta(days=90)  # the issuer has the evidence and says nothing
_MONEY_LATE = timedelta(days=14)  # won or closed, and the money is not back yet
_ASKS = frozenset({D.INQUIRY, D.CHARGEBACK, D.PRE_ARBITRATION})


def find_dispute(case: Case, fact: Fact) -> None:
    """Put the dispute that a fact is about into the case, if it is one and known."""
    if fact.kind in ABOUT_DISPUTES:
        known = Dispute.objects.filter(gateway_account=case.account, gateway_id=dispute_id(fact))
        case.dispute = known.first()


def dispute_id(fact: Fact) -> str:
    """The gateway's own id of the dispute: named, or the one its money bears."""
    return fact.dispute.dispute_id if fact.dispute else fact.gateway_id


def known_of(case: Case, fact: Fact) -> DisputeKnown:
    """What `decide` may know of the dispute."""
    dispute = case.dispute
    elsewhere = _lost_elsewhere(case, dispute)
    if dispute is None:
        return DisputeKnown(lost_elsewhere=elsewhere)
    return DisputeKnown(
        state=D(dispute.state),
        told_at=dispute.told_at,
        decided_before=dispute.closed_at is not None,
        says_more=_says_more(dispute, fact),
        case_open=any(r.kind == ReviewKind.DISPUTE and r.dispute_id == dispute.pk for r in case.reviews),
        standing=standing_of(dispute),
        lost_elsewhere=elsewhere,
    )


def _lost_elsewhere(case: Case, but: Dispute | None) -> Money | None:
    if case.payment is None:
        return None
    others = [dispute for dispute in case.payment.disputes.filter(state=D.LOST) if dispute != but]
    lost = [money for money in map(standing_of, others) if money and money.currency == case.payment.currency]
    return sum(lost, Money(0, case.payment.currency))


def _says_more(dispute: Dispute, fact: Fact) -> bool:
    told = fact.dispute
    if told is None:
        return False
    due = told.evidence_due_at is not None and told.evidence_due_at != dispute.evidence_due_at
    return due or told.money != dispute.money or (bool(told.reason) and told.reason[:60] != dispute.reason)


# --- the row ----------------------------------------------------------------------------------------------------------


def keep_dispute(case: Case, fact: Fact, decision: Decision, now: datetime) -> None:
    """Write the dispute as the decision says, before its money is booked. Money heard of earlier is joined to it."""
    if decision.dispute_to is None:
        return
    dispute = case.dispute
    if dispute is None:
        dispute = case.dispute = _new_dispute(case, fact, decision.dispute_to, now)
    before = D(dispute.state)
    if before != decision.dispute_to:
        _MOVES[decision.dispute_to](dispute)
    _take_over(dispute, fact, before, decision.dispute_to, now)
    dispute.charge_id = dispute.charge_id or fact.original_gateway_id
    dispute.payment = dispute.payment or case.payment
    dispute.attempt = dispute.attempt or case.attempt
    dispute.act_by = dispute.evidence_due_at or dispute.opened_at + _WITHOUT_DATE
    dispute.next_check_at = next_look(dispute, now)
    dispute.save()
    Movement.objects.filter(gateway_account=case.account, gateway_id=dispute.gateway_id, dispute=None).update(
        dispute=dispute
    )
    _keep_cases(case, dispute, now)


def _new_dispute(case: Case, fact: Fact, state: DisputeState, now: datetime) -> Dispute:
    money = fact.dispute.money if fact.dispute else fact.money
    assert money is not None
    return Dispute(
        gateway_account=case.account,
        gateway_id=dispute_id(fact),
        charge_id=fact.original_gateway_id,
        state=state,
        amount_minor=money.amount_minor,
        currency=money.currency,
        opened_at=min(fact.occurred_at, now),
    )


def _take_over(dispute: Dispute, fact: Fact, before: DisputeState, after: DisputeState, now: datetime) -> None:
    """What the gateway's word says beside the state, if it is the one that the state rests on from now."""
    told = fact.dispute if fact.kind == FactKind.DISPUTE else None
    if told is None:
        return
    if told.state in {D.WON, D.LOST}:  # also an older word: it was decided once
        dispute.closed_at = max(filter(None, (dispute.closed_at, min(fact.occurred_at, now))))
    dispute.opened_at = min(dispute.opened_at, fact.occurred_at)
    older = dispute.told_at is not None and fact.occurred_at < dispute.told_at and before != D.INQUIRY
    if older or (told.state == D.INQUIRY and after != D.INQUIRY):
        return
    dispute.told_at = fact.occurred_at
    dispute.amount_minor, dispute.currency = told.money.amount_minor, told.money.currency
    dispute.reason = told.reason[:60] or dispute.reason
    dispute.evidence_due_at = told.evidence_due_at or dispute.evidence_due_at


def next_look(dispute: Dispute, now: datetime) -> datetime | None:
    """When somebody should look at it again, if the gateway says nothing until then."""
    state = D(dispute.state)
    if state in _ASKS:
        times = [dispute.act_by - WARNING, dispute.act_by]
        return next((time for time in times if time > now), now + timedelta(days=1))
    if state == D.UNDER_REVIEW:
        return now + _SILENT
    return now + _MONEY_LATE if state in {D.WON, D.CLOSED} else None


def case_due(dispute: Dispute, now: datetime) -> datetime:
    """The time by which somebody should have decided: the case is red from three days before the evidence is due."""
    return max(dispute.act_by - WARNING, now) if dispute.evidence_due_at else now + _WITHOUT_DATE


def _keep_cases(case: Case, dispute: Dispute, now: datetime) -> None:
    """A question that the gateway's word has answered is settled."""
    wanted = ReviewKind.DISPUTE if dispute.state in _ASKS else None
    wanted = ReviewKind.DISPUTE_LOST if dispute.state == D.LOST else wanted
    for review in case.reviews:
        if review.dispute_id != dispute.pk or review.kind not in {ReviewKind.DISPUTE, ReviewKind.DISPUTE_LOST}:
            continue
        if review.kind != wanted:
            settle_review(review, now, f"The dispute is {str(dispute.state).replace('_', ' ')} by the gateway's word.")


_MOVES: dict[DisputeState, Callable[[Dispute], None]] = {
    D.CHARGEBACK: Dispute.mark_chargeback,
    D.UNDER_REVIEW: Dispute.mark_under_review,
    D.PRE_ARBITRATION: Dispute.mark_pre_arbitration,
    D.WON: Dispute.mark_won,
    D.LOST: Dispute.mark_lost,
    D.CLOSED: Dispute.mark_closed,
}


# --- books and payment ------------------------------------------------------------------------------------------------


def book_turn(case: Case, fact: Fact, decision: Decision, booking: Booking, now: datetime) -> str:
    """The claim becomes a loss, or the loss a claim again. No money moves, so there is no movement; returns the source key."""
    dispute = case.dispute
    assert dispute is not None
    standing = standing_of(dispute)
    assert standing is not None
    turn = "lost" if decision.posting == Posting.DISPUTE_LOST else "reopened"
    key = f"dispute:{dispute.public_id}:{turn}:{int(fact.occurred_at.timestamp())}"
    described = replace(booking, source_key=key, description=f"dispute {dispute.gateway_id} {turn}")
    draft = entry_for(decision.posting, standing, described)
    assert draft is not None
    post_entries([draft], now=now)
    return key


def end_dispute_step(case: Case, now: datetime) -> None:
    """Date the open case by the evidence, and say on the payment whether its money is in doubt. The caller saves that."""
    dispute = case.dispute
    if dispute is None:
        return
    for review in case.reviews:
        asks = review.kind == ReviewKind.DISPUTE and review.dispute_id == dispute.pk
        if asks and dispute.evidence_due_at is not None and review.due_at != case_due(dispute, now):
            review.due_at = review.next_check_at = case_due(dispute, now)
            review.version += 1
            review.save()
    if case.payment is not None:
        states = case.payment.disputes.values_list("state", flat=True)
        case.payment.money_in_doubt = any(state in OPEN_DISPUTE_STATES for state in states)


def reopen_payment(case: Case) -> None:
    """A payment that a lost dispute had ended is paid again: settled, if all its captures were."""
    payment = case.payment
    assert payment is not None
    payment.mark_reopened()
    captures = [m for m in case.movements if m.kind == MovementKind.CAPTURE and m.counts]
    if captures and all(m.settled_at for m in captures):
        payment.mark_settled()


def withheld_money(case: Case) -> Money:
    """Captured money that can not be refunded: in doubt, or charged back. In the payment's currency."""
    assert case.payment is not None
    currency = case.payment.currency
    parts = (withheld(dispute, standing_of(dispute)) for dispute in case.payment.disputes.filter(currency=currency))
    return sum(parts, Money(0, currency))


def why_no_refund(case: Case) -> str:
    """Why nothing of this payment may be refunded now; empty if no dispute stands in the way."""
    assert case.payment is not None
    if not case.payment.money_in_doubt:
        return ""
    return refund_barred_by(case.payment.disputes.order_by("id"))


def payment_reopens(case: Case, target: PaymentState | None) -> bool:
    """Does the decision take a charged-back payment up again?"""
    return (
        case.payment is not None and case.payment.state == PaymentState.CHARGED_BACK and target == PaymentState.CAPTURED
    )
