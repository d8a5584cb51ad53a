"""What may `decide` know about a case? Reads the rows that the case has locked; writes nothing, decides nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

from ledger.money import Money
from payments.facts import MONEY_KINDS, Fact, FactKind, Snapshot
from payments.models import Movement, Payment, Refund
from payments.services.case import (
    Case,
    captured_money,
    held_hold,
    hold_alive,
    known_money,
    lost_money,
    next_occurrence,
    nothing_open,
    returned_money,
    reviews_holding,
    transaction_of,
)
from payments.services.disputes import ABOUT_DISPUTES, known_of
from payments.services.settlement import settlement_known
from payments.states import (
    ENDED_REFUND_STATES,
    OPEN_OPERATION_STATES,
    OPEN_OR_PAID_STATES,
    AttemptState,
    MovementKind,
    OperationKind,
    OperationState,
    PaymentState,
    RefundState,
    Source,
)

_HOLDING = frozenset({AttemptState.AUTHORISED, AttemptState.CAPTURED})


def _released_a_hold(case: Case, gateway_id: str) -> bool:
    """Is a void of this transaction known that was booked as the end of a hold, or of nothing? It may have undone more."""
    return any(m.counts and not m.of_captured_money for m in case.of_transaction(gateway_id, MovementKind.VOID))


def _promised(case: Case, fact: Fact) -> Refund | None:
    """The approved refund over exactly this sum that a void from elsewhere has made true, if no call of ours has; or one
    that only waits for a person's word."""
    if case.attempt is None or case.refund_of(case.operation) is not None:
        return None
    prepared = [r for r in case.refunds if r.state == RefundState.REQUESTED and r.attempt_id == case.attempt.pk]
    if fact.kind in {FactKind.VOID, FactKind.REFUND}:
        named = {"", case.attempt.gateway_id}
        same = (fact.gateway_id if fact.kind == FactKind.VOID else fact.original_gateway_id) in named
        found = next((r for r in prepared if r.money == fact.money and same), None)
        if found is not None:
            return found
    if fact.kind != FactKind.VOID:
        return None
    for refund in case.refunds:
        waits = refund.state in {RefundState.APPROVED, RefundState.WAITING} and refund.attempt_id == case.attempt.pk
        if waits and refund.money == fact.money and transaction_of(refund, case.attempt, case) == fact.gateway_id:
            return refund
    return None


def _sibling_active(payment: Payment) -> bool:
    """Asked only where it is decided on: of payments that had been given up."""
    if payment.state not in {PaymentState.FAILED, PaymentState.EXPIRED}:
        return False
    states = [state.value for state in OPEN_OR_PAID_STATES]
    return Payment.objects.filter(reference=payment.reference, state__in=states).exclude(pk=payment.pk).exists()


def snapshot_of(case: Case, fact: Fact, *, orphan_due: bool = False) -> Snapshot:
    """What `decide` may know about the case."""
    kinds = (MovementKind.CAPTURE, MovementKind.REFUND) if fact.kind == FactKind.SETTLED else (_movement_kind(fact),)
    holding = reviews_holding(case, fact)
    base = Snapshot(
        known_money=_known_of(case, fact, *filter(None, kinds)),
        came_back=fact.occurrence is None and not _answers_open_call(case, fact) and _lives_after_void(case, fact),
        hold=held_hold(case, fact.gateway_id),
        held=holding[0].held if holding else None,
        account_live=case.account.live,
        account_shared=case.account.shared,
        orphan_due=orphan_due,
        movement_settled=_is_settled(case, fact.gateway_id),
        voided_here=_released_a_hold(case, fact.gateway_id),
        undoes_refund=bool(case.of_transaction(fact.gateway_id, MovementKind.REFUND)),
        nothing_here=not any(
            m.gateway_id == fact.gateway_id and m.gateway_account_id == case.account.pk for m in case.movements
        ),
        dispute=known_of(case, fact) if fact.kind in ABOUT_DISPUTES else None,
        refund_back=RefundState(case.returning.state) if case.returning else None,
        settlement=settlement_known(case, fact),
    )
    if case.payment is None:
        return base
    return _with_payment(base, case, case.payment, fact)


def _known_of(case: Case, fact: Fact, *kinds: MovementKind) -> Money | None:
    """What is booked of the fact's movement. A source that tells of one event means any time with just this sum."""
    if case.elsewhere and fact.kind in MONEY_KINDS:  # a decision gave it to another payment: known all the same
        case = Case(account=case.account, movements=[*case.movements, *case.elsewhere], operation=case.operation)
    occurrence = _occurrence(case, fact)
    known = known_money(case, fact.gateway_id, *kinds, occurrence=occurrence)
    if known is None or occurrence is not None or fact.kind not in MONEY_KINDS:
        return known
    times = {m.occurrence for m in case.of_transaction(fact.gateway_id, *kinds)}
    each = [known_money(case, fact.gateway_id, *kinds, occurrence=time) for time in times]
    return fact.money if fact.money in each else known


def _occurrence(case: Case, fact: Fact) -> int | None:
    """Which time of this kind in its transaction: as listed; for the answer to an open call of ours the next; else any."""
    if fact.kind not in MONEY_KINDS or fact.occurrence is not None:
        return fact.occurrence
    return next_occurrence(case, fact) if _answers_open_call(case, fact) else None


def _answers_open_call(case: Case, fact: Fact) -> bool:
    return fact.source == Source.ANSWER and case.operation is not None and case.operation.state in OPEN_OPERATION_STATES


def _lives_after_void(case: Case, fact: Fact) -> bool:
    """Did money of this transaction come to life after its last known void?"""
    rows = case.of_transaction(fact.gateway_id, MovementKind.CAPTURE, MovementKind.AUTHORISATION, MovementKind.VOID)
    last_void = max((m.pk for m in rows if m.kind == MovementKind.VOID), default=0)
    return bool(last_void) and any(m.pk > last_void and not _ended_at_once(m) for m in rows)


def _ended_at_once(movement: Movement) -> bool:
    """A hold that we heard of after its end never lived in our books."""
    return movement.released_at is not None and movement.released_at == movement.posted_at


def _movement_kind(fact: Fact) -> MovementKind | None:
    return MovementKind(fact.kind.value) if fact.kind in MONEY_KINDS else None


def _with_payment(base: Snapshot, case: Case, payment: Payment, fact: Fact) -> Snapshot:
    operation, attempt = case.operation, case.attempt
    refund = case.refund_of(operation)
    case.promised = _promised(case, fact)
    grace_ends = payment.expires_at + timedelta(seconds=case.account.grace_seconds or 0)
    return replace(
        base,
        payment_state=PaymentState(payment.state),
        due=payment.money,
        accept_partial=payment.accept_partial,
        captured=captured_money(case),
        refunded=returned_money(case),
        lost=lost_money(case) if payment.state == PaymentState.PARTIALLY_PAID else None,
        attempt_state=AttemptState(attempt.state) if attempt else None,
        attempt_is_current=attempt is not None and attempt is case.current_attempt,
        attempt_alive=attempt is not None and attempt.awaits_payer,
        attempt_refused=attempt is not None and bool(attempt.failure_class),
        other_attempt_holds=any(a is not attempt and a.state in _HOLDING for a in case.attempts),
        paid_elsewhere=_paid_elsewhere(case),
        same_transaction=attempt is not None and attempt.gateway_id in {"", fact.gateway_id},
        operation_kind=OperationKind(operation.kind) if operation else None,
        operation_state=OperationState(operation.state) if operation else None,
        operation_final=operation.final if operation else True,
        operation_has_refund=refund is not None,
        refund_ended=refund is not None and refund.state in ENDED_REFUND_STATES,
        refund_of_review=refund is not None and refund.review_id is not None,
        promised=case.promised is not None,
        hold_alive=hold_alive(case),
        moved_away=any(m.kind == MovementKind.CAPTURE and m.payment_id for m in case.elsewhere),
        asked=operation.money if operation else None,
        cancel_requested=payment.cancel_requested_at is not None,
        nothing_open=nothing_open(case),
        inside_grace=fact.occurred_at <= grace_ends,
        sibling_active=_sibling_active(payment),
        every_capture_settled=_others_settled(case, fact.gateway_id),
        refund_open=any(
            o.state in OPEN_OPERATION_STATES and o.refund_id is not None and o is not operation for o in case.operations
        ),
    )


def _paid_elsewhere(case: Case) -> bool:
    """Is money of another attempt here that has not gone back? Whatever it is for: it may be under review."""
    signs = {MovementKind.CAPTURE: 1, MovementKind.REFUND: -1, MovementKind.REFUND_RETURN: 1}
    left: Counter[int] = Counter()
    for movement in case.movements:
        back = movement.kind == MovementKind.VOID and left[movement.attempt_id or 0] > 0
        left[movement.attempt_id or 0] += movement.amount_minor * (
            -1 if back else signs.get(MovementKind(movement.kind), 0)
        )
    return any(left[a.pk] > 0 for a in case.attempts if a is not case.attempt)


def _is_settled(case: Case, gateway_id: str) -> bool:
    moved = case.of_transaction(gateway_id, MovementKind.CAPTURE, MovementKind.REFUND)
    return bool(moved) and all(m.settled_at for m in moved)


def _others_settled(case: Case, gateway_id: str) -> bool:
    captures = [m for m in case.movements if m.kind == MovementKind.CAPTURE and m.counts]
    return bool(captures) and all(m.settled_at or m.gateway_id == gateway_id for m in captures)
