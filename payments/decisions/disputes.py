"""What follows from a dispute: where it stands, the money it takes and gives back, and its fee? Pure.

The gateway's latest word wins by the gateway's own time, so any order of arrival ends in the same state and the same books.
Money is booked at once: as a claim (1130) while the dispute is argued about, as a loss (5020) once it is lost.
"""

from __future__ import annotations

from datetime import datetime

from ledger.money import Money
from payments.decisions.verdict import Decision, Posting, Verdict, ask, no_op
from payments.facts import DisputeKnown, Fact, FactKind, Snapshot
from payments.states import PAID_STATES, DisputeState, PaymentState, ReviewKind, Source

D = DisputeState
_DECIDED = frozenset({D.WON, D.LOST})
_ARGUED = frozenset({D.CHARGEBACK, D.UNDER_REVIEW})  # what an older decision turns into pre-arbitration
_ASKS_EVIDENCE = frozenset({D.INQUIRY, D.CHARGEBACK, D.PRE_ARBITRATION})
# Of two words of the same second the later in life counts.
_RANK = {state: rank for rank, state in enumerate([*DisputeState][:4])} | {D.CLOSED: 4, D.LOST: 5, D.WON: 6}
_WORDS = {
    D.INQUIRY: "The issuer asks about {money}; no money has moved.",
    D.CHARGEBACK: "The payer disputes {money}; evidence is asked for.",
    D.UNDER_REVIEW: "The evidence about {money} is with the issuer.",
    D.PRE_ARBITRATION: "The dispute over {money} is argued about again.",
    D.WON: "The dispute over {money} is won.",
    D.LOST: "The dispute over {money} is lost.",
    D.CLOSED: "The dispute over {money} was closed; it came to nothing.",
}


def decide_dispute(s: Snapshot, fact: Fact) -> Decision:
    """The gateway's word on where a dispute stands. No money moves by it; a claim may become a loss, or again a claim."""
    known, told = s.dispute or DisputeKnown(), fact.dispute
    if told is None or (fact.test_mode and s.account_live):
        return no_op("It says nothing of a dispute over money of ours.")
    if s.payment_state is None and known.state is None:
        waits = _nobodys(s)
        if waits is not None:
            return waits
    target = state_after(known, told.state, fact.occurred_at)
    news = target != known.state or remembers_decision(known, told.state)
    if not news and not (known.says_more and is_newer(known, told.state, fact.occurred_at)):
        return no_op(_known_already(known, told.state))
    review = _case_wanted(known, target)
    return Decision(
        Verdict.REVIEW if review else Verdict.APPLY,
        _WORDS[target].format(money=told.money),
        payment_to=_payment_after(s, target, known.standing),
        dispute_to=target,
        posting=_turned(known, target),
        review=review,
    )


def state_after(known: DisputeKnown, told: DisputeState, at: datetime) -> DisputeState:
    """The state that follows from all that was said, this included: the same whichever came first.

    What has taken money is no inquiry any more; what has been won or lost is open again only as pre-arbitration.
    """
    if known.state is None:
        return told
    if is_newer(known, told, at):
        again = told in _ARGUED and (known.decided_before or known.state in _DECIDED)
        return D.PRE_ARBITRATION if again else told
    return D.PRE_ARBITRATION if told in _DECIDED and known.state in _ARGUED else known.state


def is_newer(known: DisputeKnown, told: DisputeState, at: datetime) -> bool:
    """Was it said after what we rest on, by the gateway's own time? An inquiry is older than whatever followed it."""
    if known.state is None or known.told_at is None:
        return told != D.INQUIRY or known.state in {None, D.INQUIRY}
    if (known.state == D.INQUIRY) != (told == D.INQUIRY):
        return told != D.INQUIRY
    return (at, _RANK[told]) > (known.told_at, _RANK[known.state])


def remembers_decision(known: DisputeKnown, told: DisputeState) -> bool:
    """A word from before: it was won or lost once, which makes whatever is open now a second round."""
    return told in _DECIDED and not known.decided_before


def _known_already(known: DisputeKnown, told: DisputeState) -> str:
    if known.state == told:
        return "The dispute is known to stand there."
    return f"The dispute is {str(known.state).replace('_', ' ')} by a later word of the gateway."


def _nobodys(s: Snapshot) -> Decision | None:
    """About a charge that no payment of ours is known for; None: it is ours to keep all the same."""
    if not s.orphan_due:
        return Decision(Verdict.PARK, "No payment of ours is known for the charge yet.")
    return no_op("Foreign: another system shares this gateway account.") if s.account_shared else None


def _case_wanted(known: DisputeKnown, target: DisputeState) -> ReviewKind | None:
    first_word = known.told_at is None or target != known.state
    if target == D.LOST and target != known.state:
        return ReviewKind.DISPUTE_LOST
    return ReviewKind.DISPUTE if target in _ASKS_EVIDENCE and first_word and not known.case_open else None


def _turned(known: DisputeKnown, target: DisputeState) -> Posting:
    if known.standing is None or known.standing.is_zero or (known.state == D.LOST) == (target == D.LOST):
        return Posting.NONE
    return Posting.DISPUTE_LOST if target == D.LOST else Posting.DISPUTE_REOPENED


def _payment_after(s: Snapshot, state: DisputeState | None, standing: Money | None) -> PaymentState | None:
    """Charged back when what was lost covers all that was captured and not refunded; paid again when it does not any more."""
    if s.payment_state is None or s.captured is None or s.refunded is None:
        return None
    lost, left = _lost(s, state, standing), _left(s).amount_minor
    if s.payment_state == PaymentState.PARTIALLY_PAID:
        return PaymentState.PENDING if lost >= left > 0 else None
    if lost >= left > 0 and s.payment_state in PAID_STATES:
        return PaymentState.CHARGED_BACK
    reopens = s.payment_state == PaymentState.CHARGED_BACK and lost < max(left, 1)
    return PaymentState.CAPTURED if reopens else None


def _left(s: Snapshot) -> Money:
    assert s.captured is not None and s.refunded is not None
    return s.captured - s.refunded


def _lost(s: Snapshot, state: DisputeState | None, standing: Money | None) -> int:
    """Minor units of the payment's currency that disputes have finally taken."""
    assert s.captured is not None
    elsewhere = s.dispute.lost_elsewhere if s.dispute else None
    lost = elsewhere.amount_minor if elsewhere is not None else 0
    if state == D.LOST and standing is not None and standing.currency == s.captured.currency:
        lost += standing.amount_minor
    return lost


def decide_disputed_money(s: Snapshot, fact: Fact) -> Decision:
    """Money that a dispute took, gave back or cost: always booked, once an owner is known or will not come."""
    assert fact.money is not None
    known = s.dispute or DisputeKnown()
    if s.payment_state is None and known.state is None:
        waits = _nobodys(s)
        if waits is not None:
            return waits
    if fact.kind == FactKind.FEE:
        return _fee(fact.money)
    if fact.kind == FactKind.CHARGEBACK:
        return _taken(s, known, fact.money)
    return _given_back(s, known, fact.money)


def _fee(money: Money) -> Decision:
    if money.is_zero:
        return no_op("The dispute cost nothing.")
    because = (
        f"The gateway charges {money} for the dispute." if money.is_positive else f"{-money} of its fee came back."
    )
    return Decision(Verdict.APPLY, because, posting=Posting.DISPUTE_FEE)


def _taken(s: Snapshot, known: DisputeKnown, money: Money) -> Decision:
    standing = _sum(known, money)
    review, why = _taken_review(s, known, money, standing)
    return Decision(
        Verdict.REVIEW if review else Verdict.APPLY,
        f"A dispute took {money}." + why,
        payment_to=_payment_after(s, known.state, standing),
        dispute_to=_at_least_chargeback(known),
        posting=Posting.CHARGEBACK_LOST if known.state == D.LOST else Posting.CHARGEBACK,
        review=review,
    )


def _taken_review(
    s: Snapshot, known: DisputeKnown, money: Money, standing: Money | None
) -> tuple[ReviewKind | None, str]:
    if s.payment_state is None:
        return ReviewKind.ORPHAN, " No payment of ours is known for the charge."
    if s.captured is None or money.currency != s.captured.currency:
        return ReviewKind.CURRENCY_MISMATCH, f" The payment is in {s.captured.currency if s.captured else 'another'}."
    if standing is not None and _lost(s, None, None) + standing.amount_minor > _left(s).amount_minor:
        return ReviewKind.REFUND_BEYOND_CAP, f" That is more than the {_left(s)} the payment still had."
    return (None if known.state is not None else ReviewKind.DISPUTE), ""


def _given_back(s: Snapshot, known: DisputeKnown, money: Money) -> Decision:
    return Decision(
        Verdict.APPLY,
        f"The dispute gave {money} back.",
        payment_to=_payment_after(s, known.state, _sum(known, -money)),
        dispute_to=_at_least_chargeback(known),
        posting=Posting.CHARGEBACK_RETURN_LOST if known.state == D.LOST else Posting.CHARGEBACK_RETURN,
    )


def _sum(known: DisputeKnown, money: Money) -> Money | None:
    if known.standing is None:
        return money
    return known.standing + money if known.standing.currency == money.currency else known.standing


def _at_least_chargeback(known: DisputeKnown) -> DisputeState:
    """Money moved: it is no mere inquiry, whatever was said."""
    return D.CHARGEBACK if known.state in {None, D.INQUIRY} else known.state


def decide_restated_dispute(s: Snapshot, fact: Fact) -> Decision:
    """The same movement with another amount: only the difference is booked.

    A look-up of the charge may not tell of its disputes, so after its time the webhook's own word is taken.
    """
    if fact.source != Source.LOOK_UP and not s.orphan_due:
        return ask(f"We know this as {s.known_money}, the {fact.source} says {fact.money}: the gateway is asked.")
    known = s.dispute or DisputeKnown()
    lost = known.state == D.LOST
    posting = {
        FactKind.FEE: Posting.DISPUTE_FEE,
        FactKind.CHARGEBACK: Posting.CHARGEBACK_LOST if lost else Posting.CHARGEBACK,
        FactKind.CHARGEBACK_RETURN: Posting.CHARGEBACK_RETURN_LOST if lost else Posting.CHARGEBACK_RETURN,
    }[fact.kind]
    return Decision(
        Verdict.APPLY,
        f"The gateway says {fact.money} where {s.known_money} was booked.",
        dispute_to=None if fact.kind == FactKind.FEE else _at_least_chargeback(known),
        posting=posting,
        restates=True,
    )
