"""What follows from our own clock, services and people, and from the gateway's word on earlier movements? Pure."""

from __future__ import annotations

from payments.decisions.verdict import Decision, Posting, Verdict, ask, no_op, rest_of
from payments.facts import Fact, FactKind, Snapshot
from payments.states import AWAITING_STATES, AttemptState, PaymentState, ReviewKind, Source

S = PaymentState


def decide_process(s: Snapshot, fact: Fact) -> Decision:
    """Our own steps and the gateway's later words; none of them moves money."""
    if s.payment_state is None:
        if s.known_money is not None and fact.kind == FactKind.SETTLED:
            if s.movement_settled:
                return no_op("It is known to be settled.")
            return Decision(Verdict.APPLY, "Money of nobody was settled in a batch.", settles_movement=True)
        if fact.kind in {FactKind.SETTLED, FactKind.HOLD_LAPSED} and not s.orphan_due:
            # The gateway's later word may come before its earlier one: a batch before the webhook of its sale.
            return Decision(Verdict.PARK, "Nothing is known of this transaction yet.")
        return no_op("No payment of ours, and no money moved.")
    if fact.kind in _TOLD:
        return Decision(Verdict.APPLY, fact.message)
    return _BY_KIND.get(fact.kind, _own_step)(s, fact)


# Commands that have passed their own guard under the lock: kept in the log, what they lead to comes as further facts.
_TOLD = frozenset(
    {
        FactKind.CAPTURE_ASKED,
        FactKind.REFUND_ASKED,
        FactKind.REVIEW_DECIDED,
        FactKind.REVIEW_OPENED,
        FactKind.RETRY_PLANNED,
        FactKind.RETRY_CANCELLED,
    }
)

_OWN_STEPS: dict[FactKind, tuple[frozenset[PaymentState], PaymentState]] = {
    FactKind.CHECKS_PASSED: (frozenset({S.INITIATED}), S.VALIDATED),
    FactKind.NO_ROUTE: (frozenset({S.INITIATED, S.VALIDATED}), S.FAILED),
    FactKind.GIVEN_UP: (frozenset({S.PENDING}), S.FAILED),
}


def _attempt_opened(s: Snapshot, fact: Fact) -> Decision:
    if s.payment_state not in {S.VALIDATED, S.FAILED, *AWAITING_STATES}:
        return no_op(f"The payment is already {s.payment_state}.")
    moves = s.payment_state not in AWAITING_STATES  # a failover, a retry and the rest find it so
    return Decision(Verdict.APPLY, fact.message, payment_to=S.PENDING if moves else None)


def _own_step(s: Snapshot, fact: Fact) -> Decision:
    sources, target = _OWN_STEPS[fact.kind]
    if s.payment_state not in sources:
        return no_op(f"The payment is already {s.payment_state}.")
    return Decision(Verdict.APPLY, fact.message, payment_to=target)


def _cancel_asked(s: Snapshot, _fact: Fact) -> Decision:
    if s.payment_state in {S.INITIATED, S.VALIDATED}:
        return Decision(
            Verdict.APPLY, "Cancelled before anything was sent.", payment_to=S.CANCELLED, cancel_requested=True
        )
    if s.payment_state == S.PENDING and s.nothing_open:
        return Decision(
            Verdict.APPLY, "Cancelled: nothing is open anywhere.", payment_to=S.CANCELLED, cancel_requested=True
        )
    if s.payment_state == S.PARTIALLY_PAID and s.nothing_open:
        return _part_owed(s, S.CANCELLED, "Cancelled")
    if s.payment_state in {*AWAITING_STATES, S.AUTHORISED}:
        return Decision(
            Verdict.APPLY, "Cancelling is asked; it happens as soon as the gateway has let go.", cancel_requested=True
        )
    return no_op(f"The payment is {s.payment_state}: there is nothing to cancel.")


def _expiry_due(s: Snapshot, _fact: Fact) -> Decision:
    if s.payment_state == S.INITIATED:
        return Decision(Verdict.APPLY, "The window closed before the payment was checked.", payment_to=S.FAILED)
    if s.payment_state in {S.VALIDATED, S.PENDING} and s.nothing_open:
        return Decision(Verdict.APPLY, "The window closed with nothing open anywhere.", payment_to=S.EXPIRED)
    if s.payment_state == S.PARTIALLY_PAID and s.nothing_open:
        return _part_owed(s, S.EXPIRED, "The window closed")
    return no_op("Something is still open: it is followed to its end before anything expires.")


def _part_owed(s: Snapshot, ends_as: PaymentState, how: str) -> Decision:
    """No rest will come: what had come in is owed back, and a person lets it go."""
    return Decision(
        Verdict.REVIEW,
        f"{how} with {rest_of(s)} of {s.due} missing: what had come in is owed back to the payer.",
        payment_to=ends_as,
        posting=Posting.PART_OWED,
        review=ReviewKind.PART_TO_RETURN,
        cancel_requested=ends_as == S.CANCELLED,
    )


def _short_accepted(s: Snapshot, fact: Fact) -> Decision:
    if s.payment_state != S.PARTIALLY_PAID or not s.nothing_open:
        return no_op(f"The payment is {s.payment_state}: there is nothing to accept short.")
    return Decision(Verdict.APPLY, fact.message, payment_to=S.CAPTURED, posting=Posting.SHORT_ACCEPTED)


def _settled(s: Snapshot, fact: Fact) -> Decision:
    if s.known_money is None:
        if fact.source == Source.LOOK_UP:
            return no_op("The gateway settled a transaction that took nothing of ours.")
        return ask("The gateway settled money that we do not know yet: it is asked what came before.")
    becomes = s.payment_state == S.CAPTURED and s.every_capture_settled
    if s.movement_settled and not becomes:
        return no_op("It is known to be settled.")
    return Decision(
        Verdict.APPLY,
        f"Settled in batch {fact.batch_id or 'unnamed'}.",
        payment_to=S.SETTLED if becomes else None,
        settles_movement=True,
    )


def _hold_lapsed(s: Snapshot, _fact: Fact) -> Decision:
    if s.hold is None or s.hold.is_zero:
        return no_op("Nothing is held any more.")
    ends = s.payment_state == S.AUTHORISED and s.attempt_is_current and s.same_transaction
    lapses = s.attempt_state == AttemptState.AUTHORISED and s.same_transaction
    return Decision(
        Verdict.APPLY,
        "The gateway says that the hold has lapsed; nothing was taken.",
        payment_to=(S.CANCELLED if s.cancel_requested else S.EXPIRED) if ends else None,
        attempt_to=AttemptState.LAPSED if lapses else None,
        posting=Posting.HOLD_RELEASE,
    )


_BY_KIND = {
    FactKind.CANCEL_ASKED: _cancel_asked,
    FactKind.EXPIRY_DUE: _expiry_due,
    FactKind.SETTLED: _settled,
    FactKind.HOLD_LAPSED: _hold_lapsed,
    FactKind.ATTEMPT_OPENED: _attempt_opened,
    FactKind.SHORT_ACCEPTED: _short_accepted,
}


def decide_test_mode(_s: Snapshot, fact: Fact) -> Decision:
    """Play money in a live account is never booked."""
    return Decision(
        Verdict.REVIEW,
        f"The gateway marks this {fact.kind} as test mode, and the account is live: it is not counted as money.",
        review=ReviewKind.TEST_MODE_MONEY,
    )
