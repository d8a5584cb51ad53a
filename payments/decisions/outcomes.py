"""What follows from a call that took no money, or whose end nobody saw? Pure."""

from __future__ import annotations

from payments.decisions.verdict import Decision, Posting, Verdict, ask, no_op
from payments.facts import Fact, FactKind, Snapshot
from payments.states import (
    COLLECTING,
    OPEN_OPERATION_STATES,
    AttemptState,
    OperationKind,
    OperationState,
    PaymentState,
    RefundState,
    ReviewKind,
    Source,
)

S, Op = PaymentState, OperationState
_NEVER_HAPPENED = frozenset({FactKind.NOT_SENT, FactKind.ABSENT})
NOT_PENDING_SETTLEMENT = "300:not_pending_settlement"  # NMI: a void came after settlement; the refund is the means then
NOTHING_LEFT = "nothing_left"  # ours: the transaction was voided meanwhile, so that it is not even asked
DUPLICATE_OF_OTHER = (
    "duplicate_of_other"  # our reference is unknown there, and the named transaction is another payment's
)


def decide_outcome(s: Snapshot, fact: Fact) -> Decision:
    """An operation ended without money, or its end is unknown."""
    if s.payment_state is None:
        return (
            Decision(Verdict.PARK, "No payment of ours is known for it yet.")
            if not s.orphan_due
            else no_op("No payment of ours, and no money moved.")
        )
    if s.operation_state is None:
        return no_op("No operation of ours asked for it, and no money moved.")
    if fact.kind == FactKind.CLOSED:
        return _closed(s)
    if s.attempt_alive and s.attempt_state == AttemptState.OPEN and s.operation_kind in COLLECTING:
        alive = _while_alive(s, fact)
        if alive is not None:
            return alive
    return _outcome_of_call(s, fact)


def _outcome_of_call(s: Snapshot, fact: Fact) -> Decision:
    if s.operation_state not in OPEN_OPERATION_STATES:
        return _about_an_ended_operation(s, fact)
    if s.operation_state == Op.PLANNED and fact.kind not in _NEVER_HAPPENED:
        return no_op("Nothing has been sent for it yet.")
    if fact.kind == FactKind.UNKNOWN:
        return _unknown(s, fact)
    if fact.kind == FactKind.ACTION_REQUIRED:
        return Decision(
            Verdict.APPLY,
            "The payer is asked to confirm it at their bank.",
            operation_to=Op.SUCCEEDED,
            keeps_alive=True,
        )
    if fact.kind == FactKind.EXHAUSTED:
        return Decision(
            Verdict.REVIEW,
            "The gateway answered every look-up and none of them decides: somebody has to look.",
            review=ReviewKind.LOOKUP_EXHAUSTED,
        )
    if fact.kind == FactKind.DUPLICATE:
        return Decision(
            Verdict.ASK,
            "The gateway calls it a duplicate: our own reference is looked up before anything else.",
            operation_to=Op.UNKNOWN if s.operation_state == Op.SENT else None,
        )
    return _ended_without_money(s, fact)


def _closed(s: Snapshot) -> Decision:
    """Nothing can be taken on this attempt any more, by the gateway's word. What follows for the payment is a step of its own."""
    if s.attempt_state != AttemptState.OPEN:
        return (
            Decision(Verdict.APPLY, "It had ended before.", operation_to=_close_ended(s))
            if _closing(s)
            else no_op(f"The attempt had already ended: {s.attempt_state}.")
        )
    return Decision(
        Verdict.APPLY,
        "Closed at the gateway: nothing was taken, and nothing can be.",
        attempt_to=AttemptState.DECLINED if s.attempt_refused else AttemptState.VOIDED,
        operation_to=Op.SUCCEEDED if _closing(s) else Op.DECLINED if _is_open(s) else None,
    )


def _closing(s: Snapshot) -> bool:
    return s.operation_kind == OperationKind.CLOSE and _is_open(s)


def _is_open(s: Snapshot) -> bool:
    return s.operation_state in {Op.SENT, Op.UNKNOWN}


def _close_ended(s: Snapshot) -> OperationState:
    """What was to be closed has ended by itself: voided and lapsed are as good as closed."""
    gone = {AttemptState.VOIDED, AttemptState.LAPSED, AttemptState.DECLINED, AttemptState.FAILED}
    return Op.SUCCEEDED if s.attempt_state in gone else Op.DECLINED


def _while_alive(s: Snapshot, fact: Fact) -> Decision | None:
    """The payer's bank has spoken, or the payer is still there. None: judge it as any other outcome."""
    if fact.kind == FactKind.ACTION_REQUIRED:
        return no_op("The payer has not confirmed yet.")
    if fact.kind != FactKind.DECLINED:
        return None
    if s.attempt_refused:
        return no_op("The refusal is known already.")
    if fact.alive:
        return Decision(
            Verdict.APPLY,
            f"Refused: {_why(fact)}. It could still be paid at the gateway, so it is closed there first.",
            operation_to=Op.DECLINED,
            keeps_alive=True,
        )
    return Decision(
        Verdict.APPLY,
        f"Nothing was taken: {_why(fact)}.",
        attempt_to=AttemptState.DECLINED,
        operation_to=Op.DECLINED,
    )


def _about_an_ended_operation(s: Snapshot, fact: Fact) -> Decision:
    refused = fact.kind in {FactKind.DECLINED, FactKind.NOT_SENT, FactKind.ABSENT}
    if s.operation_state == Op.SUCCEEDED and refused and fact.source != Source.LOOK_UP:
        return ask(f"The {fact.source} says {fact.kind}, yet the operation succeeded: the gateway is asked.")
    return no_op(f"The operation had already {s.operation_state}.")


def _unknown(s: Snapshot, fact: Fact) -> Decision:
    if s.operation_state != Op.SENT:
        return no_op("Its outcome is already being looked up.")
    return Decision(
        Verdict.APPLY,
        "No usable answer came, and it may have been processed: only a look-up can tell." + _said(fact),
        operation_to=Op.UNKNOWN,
        refund_to=RefundState.UNKNOWN if s.operation_has_refund else None,
    )


def _said(fact: Fact) -> str:
    return f" ({fact.message})" if fact.message else ""


def _ended_without_money(s: Snapshot, fact: Fact) -> Decision:
    if s.operation_has_refund:
        return _refund_refused(s, fact)
    if s.operation_kind in COLLECTING:
        return _collecting_refused(s, fact)
    if s.operation_kind == OperationKind.CLOSE:
        return Decision(
            Verdict.APPLY, f"It could not be closed: {_why(fact)}. It is looked at again.", operation_to=_ended_as(fact)
        )
    if s.payment_state != S.AUTHORISED and not s.hold_alive:
        return Decision(
            Verdict.APPLY,
            f"The {s.operation_kind} did not happen: {_why(fact)}. Nothing is held any more.",
            operation_to=_ended_as(fact),
        )
    if s.operation_kind == OperationKind.CAPTURE:
        return Decision(
            Verdict.REVIEW,
            f"The capture did not happen: {_why(fact)}. The hold lives on.",
            operation_to=_ended_as(fact),
            review=ReviewKind.CAPTURE_FAILED,
        )
    if not (s.payment_state == S.AUTHORISED and s.cancel_requested):  # a person asked for it, so a person hears of it
        return Decision(
            Verdict.REVIEW,
            f"The void did not happen: {_why(fact)}. The hold lives on.",
            operation_to=_ended_as(fact),
            review=ReviewKind.LATE_AUTHORISATION,
        )
    if fact.kind in _NEVER_HAPPENED:
        return Decision(
            Verdict.APPLY, f"The void did not happen: {_why(fact)}. It is asked again.", operation_to=Op.FAILED
        )
    return Decision(
        Verdict.REVIEW,
        f"The gateway refused the void: {_why(fact)}.",
        operation_to=Op.DECLINED,
        review=ReviewKind.VOID_FAILED,
    )


def _ended_as(fact: Fact) -> OperationState:
    return Op.FAILED if fact.kind in _NEVER_HAPPENED else Op.DECLINED


def _why(fact: Fact) -> str:
    if fact.kind == FactKind.ABSENT:
        return "the gateway provably never got it"
    return fact.message.rstrip(". ") or fact.code or str(fact.kind).replace("_", " ")


def _collecting_refused(s: Snapshot, fact: Fact) -> Decision:
    never = fact.kind in _NEVER_HAPPENED
    attempt_to = AttemptState.FAILED if never else AttemptState.DECLINED
    if fact.code == DUPLICATE_OF_OTHER:
        return Decision(
            Verdict.REVIEW,
            "The gateway took it for a duplicate of another payment and refused; nothing was taken.",
            attempt_to=attempt_to,
            operation_to=Op.DECLINED,
            review=ReviewKind.DUPLICATE_OF_OTHER_PAYMENT,
        )
    if fact.alive and s.attempt_state == AttemptState.OPEN:
        return Decision(
            Verdict.APPLY,
            f"Refused: {_why(fact)}. It could still be paid at the gateway, so it is closed there first.",
            operation_to=_ended_as(fact),
            keeps_alive=True,
        )
    cancelled = s.cancel_requested and s.payment_state == S.PENDING and s.attempt_is_current
    cancelled = cancelled and not (s.other_attempt_holds or s.hold_alive)  # an earlier attempt came to life
    return Decision(
        Verdict.APPLY,
        f"Nothing was taken: {_why(fact)}.",
        payment_to=S.CANCELLED if cancelled else None,
        attempt_to=attempt_to if s.attempt_state == AttemptState.OPEN else None,
        operation_to=_ended_as(fact),
    )


def _refund_refused(s: Snapshot, fact: Fact) -> Decision:
    """What never happened, or came too late for a void, is tried again; a refusal for good frees the reserved money."""
    if fact.code == NOTHING_LEFT:
        return Decision(
            Verdict.REVIEW if s.refund_of_review else Verdict.APPLY,
            f"The refund is not needed any more: {_why(fact)}. What was reserved for it is free.",
            operation_to=Op.FAILED,
            refund_to=RefundState.FAILED,
            posting=Posting.REFUND_FREED,
            review=ReviewKind.REFUND_FAILED if s.refund_of_review else None,
        )
    if fact.kind in _NEVER_HAPPENED or (s.operation_kind == OperationKind.VOID and fact.code == NOT_PENDING_SETTLEMENT):
        return Decision(
            Verdict.APPLY,
            f"The refund has not happened yet: {_why(fact)}. It is tried again.",
            operation_to=_ended_as(fact),
            refund_to=RefundState.WAITING,
        )
    return Decision(
        Verdict.REVIEW,
        f"The gateway refused the refund: {_why(fact)}. The money stays with us.",
        operation_to=Op.DECLINED,
        refund_to=RefundState.FAILED,
        posting=Posting.REFUND_FREED,
        review=ReviewKind.REFUND_FAILED,
    )
